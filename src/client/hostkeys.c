// The host's key against known_hosts.
#include "client/hostkeys.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/algorithms.h"
#include "io/file.h"
#include "io/prompt.h"
#include "wire/messages.h"

#define FILES_MAX 16
#define ALIASES_MAX 8

// The files as they were when first looked at: one look for each run.
struct hostkeys_files {
    struct known_hosts_file at[FILES_MAX];
    struct buf text[FILES_MAX];
    char path[FILES_MAX][PATH_MAX];
    size_t n;
};

static void files_free(struct hostkeys_files *f) {
    for (size_t i = 0; i < f->n; i++)
        buf_free(&f->text[i]);
    free(f);
}

static enum err files_add(struct client *c, struct hostkeys_files *f,
                          const struct conf_list *list) {
    for (size_t i = 0; i < list->n && f->n < FILES_MAX; i++) {
        if (strcasecmp(list->v[i], "none") == 0 ||
            !client_path(c, list->v[i], f->path[f->n], PATH_MAX))
            continue;
        struct fault fault = {0};
        enum err e =
            file_read(f->path[f->n], 0, LIMIT_KNOWN_HOSTS, &f->text[f->n], &fault);
        if (e == ERR_NOT_FOUND || strcmp(f->path[f->n], "/dev/null") == 0)
            continue;
        if (e == ERR_REFUSED) {
            log_debug(&c->log, "%s", fault_text(&fault));
            continue;
        }
        // A file that cannot be read whole may hold a revocation: that refuses.
        if (e != OK) {
            log_error(&c->log, "%s", fault_text(&fault));
            return e;
        }
        f->at[f->n] = (struct known_hosts_file){f->path[f->n], buf_view(&f->text[f->n])};
        f->n++;
    }
    return OK;
}

static enum err files_read(struct client *c) {
    if (c->known != NULL)
        return OK;
    struct hostkeys_files *f = calloc(1, sizeof *f);
    if (f == NULL)
        return ERR_MEMORY;
    enum err e = files_add(c, f, &c->config.user_known_hosts_file);
    if (e == OK)
        e = files_add(c, f, &c->config.global_known_hosts_file);
    if (e != OK) {
        files_free(f);
        return e;
    }
    c->known = f;
    return OK;
}

void hostkeys_forget(struct client *c) {
    if (c->known != NULL)
        files_free(c->known);
    c->known = NULL;
}

// ---- order of algorithms ----

static bool type_is_known(struct view algorithm, const struct key_type **types,
                          size_t n) {
    const struct alg *a = alg_find(ALG_SIGNATURE, algorithm);
    for (size_t i = 0; a != NULL && i < n; i++)
        if (strcmp(a->signature->key_type, types[i]->name) == 0)
            return true;
    return false;
}

// The names of `list` that are (or are not) of known types, appended to out.
static void append_names(char *out, const char *list, const struct key_type **types,
                         size_t n, bool known) {
    struct view rest = view_text(list), name;
    while (name_list_next(&rest, &name)) {
        if (type_is_known(name, types, n) != known)
            continue;
        size_t at = strlen(out);
        if (at > 0)
            out[at++] = ',';
        memcpy(out + at, name.p, name.n);
        out[at + name.n] = 0;
    }
}

// Only where the user has not said an order of their own.
static bool order_is_default(const char *list) {
    static char fallback[4096];
    return algorithms_list(NULL, CONF_HOST_KEY_ALGORITHMS, NULL, fallback,
                           sizeof fallback, NULL) == OK &&
           strcmp(fallback, list) == 0;
}

enum err hostkeys_order(struct client *c) {
    const char *list = c->config.host_key_algorithms;
    c->host_key_algorithms = calloc(1, strlen(list) + 2);
    if (c->host_key_algorithms == NULL)
        return ERR_MEMORY;
    const struct key_type *types[16];
    size_t n = 0;
    if (order_is_default(list)) {
        TRY(files_read(c));
        n = known_hosts_types(c->known->at, c->known->n, c->known_name, types, 16);
    }
    append_names(c->host_key_algorithms, list, types, n, true);
    append_names(c->host_key_algorithms, list, types, n, false);
    return OK;
}

// ---- decision ----

enum hostkeys_decision hostkeys_decide(int strict, bool batch,
                                       enum known_hosts_result result) {
    switch (result) {
    case KNOWN_HOSTS_OK:
        return HOSTKEYS_TRUST;
    case KNOWN_HOSTS_IS_REVOKED:
        return HOSTKEYS_REFUSE;
    case KNOWN_HOSTS_CHANGED:
        return strict == STRICT_HOST_KEY_OFF ? HOSTKEYS_TRUST_CHANGED : HOSTKEYS_REFUSE;
    case KNOWN_HOSTS_NEW:
    case KNOWN_HOSTS_OTHER_TYPE:
        if (strict == STRICT_HOST_KEY_OFF || strict == STRICT_HOST_KEY_ACCEPT_NEW)
            return HOSTKEYS_TRUST_AND_ADD;
        return strict == STRICT_HOST_KEY_ASK && !batch ? HOSTKEYS_ASK : HOSTKEYS_REFUSE;
    }
    return HOSTKEYS_REFUSE;
}

// ---- words ----

// One check under way.
struct check {
    struct client *c;
    struct hostkeys_files *files;
    struct key *key;
    char fingerprint[KEY_FINGERPRINT_SIZE];
    struct known_hosts_verdict verdict;
};

static void say_removal(const struct check *k) {
    char host[256];
    log_error(&k->c->log, "to forget the old key: ssh-keygen -f '%s' -R '%s'",
              k->verdict.line.file,
              text_clean(host, sizeof host, view_text(k->c->known_name)));
}

static void say_changed(const struct check *k) {
    static const char rule[] =
        "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@";
    const struct log *log = &k->c->log;
    log_error(log, "%s", rule);
    log_error(log, "@    WARNING: THE HOST KEY OF THE SERVER HAS CHANGED!     @");
    log_error(log, "%s", rule);
    log_error(
        log,
        "Somebody may be listening in, in the place of %s (a man in the middle). It may "
        "also be that the host was set up anew.",
        k->c->known_name);
    log_error(log, "The %s key that it shows has the fingerprint %s.",
              k->key->type->short_name, k->fingerprint);
    log_error(log, "Another %s key is on record: %s:%lu (line %lu).",
              k->key->type->short_name, k->verdict.line.file, k->verdict.line.number,
              k->verdict.line.number);
    log_error(log, "Ask whoever runs the host which one is right.");
    say_removal(k);
}

static void say_refused(const struct check *k) {
    const struct log *log = &k->c->log;
    char name[256];
    text_clean(name, sizeof name, view_text(k->c->known_name));
    switch (k->verdict.result) {
    case KNOWN_HOSTS_CHANGED:
        say_changed(k);
        break;
    case KNOWN_HOSTS_IS_REVOKED:
        log_error(log, "The %s key of %s (%s) is revoked in %s:%lu.",
                  k->key->type->short_name, name, k->fingerprint, k->verdict.line.file,
                  k->verdict.line.number);
        break;
    default:
        log_error(
            log,
            "No %s host key is known for %s and it may not be added (%s). It shows %s.",
            k->key->type->short_name, name,
            k->c->config.strict_host_key_checking == STRICT_HOST_KEY_YES
                ? "StrictHostKeyChecking yes"
                : "BatchMode, nobody to ask",
            k->fingerprint);
        break;
    }
    log_error(log, "Host key verification failed.");
}

static size_t put_aliases(const struct check *k, char *out, size_t size) {
    struct known_hosts_line lines[ALIASES_MAX];
    size_t found = 0, n = 0;
    if (known_hosts_with_key(k->files->at, k->files->n, key_blob(k->key), lines,
                             ALIASES_MAX, &found) != OK ||
        found == 0)
        return (size_t)snprintf(out, size, "No other name is known for this key.\n");
    n = (size_t)snprintf(out, size, "The same key is known under other names:\n");
    for (size_t i = 0; i < found && i < ALIASES_MAX && n < size; i++) {
        char name[128];
        n += (size_t)snprintf(out + n, size - n, "    %s:%lu: %s\n", lines[i].file,
                              lines[i].number,
                              text_clean(name, sizeof name, lines[i].hosts));
    }
    return n;
}

// yes, no, or the fingerprint typed or pasted.
static bool ask(const struct check *k) {
    char text[4096], name[256];
    size_t n = 0;
    text_clean(name, sizeof name, view_text(k->c->known_name));
    n = (size_t)snprintf(text, sizeof text,
                         "The host %s (%s) is not known yet%s, so it may be anybody.\n"
                         "Its %s key has the fingerprint %s.\n",
                         name, k->c->address,
                         k->verdict.result == KNOWN_HOSTS_OTHER_TYPE
                             ? " with this type of key (others are on record)"
                             : "",
                         k->key->type->short_name, k->fingerprint);
    n += put_aliases(k, text + n, sizeof text - n - 128);
    snprintf(text + (n < sizeof text - 128 ? n : sizeof text - 128), 128,
             "Are you sure you want to continue connecting (yes/no/[fingerprint])? ");
    return prompt_yes_no(text, k->fingerprint) > 0;
}

static void add(const struct check *k) {
    struct client *c = k->c;
    char path[PATH_MAX], folder[PATH_MAX];
    const struct conf_list *files = &c->config.user_known_hosts_file;
    if (files->n == 0 || strcasecmp(files->v[0], "none") == 0 ||
        !client_path(c, files->v[0], path, sizeof path) || strcmp(path, "/dev/null") == 0)
        return;
    scoped_buf line;
    buf_init(&line, 65536);
    struct fault fault = {0};
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL && slash != folder) {
        *slash = 0;
        if (!file_exists(folder))
            (void)!file_make_directory(folder, &fault);
    }
    enum err e =
        known_hosts_make(c->known_name, c->config.hash_known_hosts, k->key, &line);
    struct view v = buf_view(&line);
    if (e == OK && v.n > 0 && v.p[v.n - 1] == '\n')
        v.n--;
    if (e == OK)
        e = file_append_line(path, v, 0600, &fault);
    if (e != OK)
        log_error(&c->log, "the host key could not be added to %s: %s", path,
                  fault.code != OK ? fault_text(&fault) : err_text(e));
    else
        log_info(&c->log, "Permanently added the %s key of '%s' to %s.",
                 k->key->type->short_name, c->known_name, path);
}

static void say_step(const struct check *k, const char *how) {
    if (k->verdict.result == KNOWN_HOSTS_OK)
        client_step(k->c, "host", "%s %s, known from %s:%lu", k->key->type->short_name,
                    k->fingerprint, k->verdict.line.file, k->verdict.line.number);
    else
        client_step(k->c, "host", "%s %s, %s", k->key->type->short_name, k->fingerprint,
                    how);
}

static bool act(struct check *k) {
    struct client *c = k->c;
    switch (hostkeys_decide(c->config.strict_host_key_checking, c->config.batch_mode,
                            k->verdict.result)) {
    case HOSTKEYS_TRUST:
        say_step(k, "known");
        return true;
    case HOSTKEYS_ASK:
        if (!ask(k)) {
            log_error(&c->log, "Host key verification failed.");
            return false;
        }
        __attribute__((fallthrough));  // a yes adds it
    case HOSTKEYS_TRUST_AND_ADD:
        add(k);
        say_step(k, "new");
        return true;
    case HOSTKEYS_TRUST_CHANGED:
        say_changed(k);
        log_error(&c->log, "Going on all the same (StrictHostKeyChecking no), without "
                           "passwords.");
        c->distrusted = true;
        say_step(k, "CHANGED");
        return true;
    case HOSTKEYS_REFUSE:
        break;
    }
    say_refused(k);
    return false;
}

static enum err check_key(struct check *k, bool *trusted) {
    struct client *c = k->c;
    TRY(known_hosts_check(k->files->at, k->files->n, c->known_name, key_blob(k->key),
                          &k->verdict));
    if (k->verdict.damaged_count > 0)
        log_debug(&c->log, "%zu damaged lines in known_hosts, the first is %s:%lu",
                  k->verdict.damaged_count, k->verdict.damaged.file,
                  k->verdict.damaged.number);
    if (k->key->type->kind == PK_RSA &&
        pk_bits(k->key->pk) < c->config.required_rsa_size) {
        log_error(&c->log, "the host's RSA key has %u bits, RequiredRSASize is %u",
                  pk_bits(k->key->pk), c->config.required_rsa_size);
        return OK;
    }
    *trusted = act(k);
    return OK;
}

enum err hostkeys_check(struct client *c, const struct transport_event *event,
                        bool *trusted) {
    *trusted = false;
    struct check k = {.c = c};
    TRY(key_from_blob(&k.key, event->host_key, &c->fault));
    key_fingerprint(k.fingerprint, sizeof k.fingerprint, event->host_key,
                    c->config.fingerprint_hash == 0 ? &digest_md5 : &digest_sha256);
    enum err e = files_read(c);
    k.files = c->known;
    if (e == OK)
        e = check_key(&k, trusted);
    key_free(k.key);
    if (e != OK)
        *trusted = false;
    return e;
}
