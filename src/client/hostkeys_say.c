// The words of a check: alarm, refusal, question. Headlines are OpenSSH's: sshpass,
// editors and scripts look for them.
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "client/hostkeys_check.h"
#include "io/prompt.h"
#include "key/certificate.h"

#define ALIASES_MAX 8

static const struct digest_alg *print_hash(const struct hostkeys_check *k) {
    return k->c->config.fingerprint_hash == 0 ? &digest_md5 : &digest_sha256;
}

// What ssh-keygen can take out of; what a command says it cannot.
static void say_removal(const struct hostkeys_check *k,
                        const struct known_hosts_line *line, const char *name) {
    char host[256], path[512];
    if (line->file[0] == '/')
        log_error(&k->c->log, "to forget the old key: ssh-keygen -f '%s' -R '%s'",
                  text_clean(path, sizeof path, view_text(line->file)),
                  text_clean(host, sizeof host, view_text(name)));
}

void hostkeys_say_changed(const struct hostkeys_check *k) {
    static const char rule[] =
        "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@";
    const struct log *log = &k->c->log;
    log_error(log, "%s", rule);
    log_error(log, "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @");
    log_error(log, "%s", rule);
    log_error(
        log,
        "Somebody may be listening in, in the place of %s (a man in the middle). It may "
        "also be that the host was set up anew.",
        k->c->known_name);
    log_error(log, "The %s key that it shows has the fingerprint %s.",
              k->plain->type->short_name, k->fingerprint);
    if (!hostkeys_is_changed(k->verdict.result))
        return;
    const struct key_type *type = key_type_find(k->verdict.line.type);
    log_error(log, "Another key, %s, is on record: %s:%lu (line %lu).",
              type != NULL ? type->short_name : "of another type", k->verdict.line.file,
              k->verdict.line.number, k->verdict.line.number);
    log_error(log, "Ask whoever runs the host which one is right.");
    say_removal(k, &k->verdict.line, k->c->known_name);
}

void hostkeys_say_address_differs(const struct hostkeys_check *k) {
    const struct log *log = &k->c->log;
    const struct known_hosts_line *line = &k->address_verdict.line;
    log_error(log,
              "WARNING: the %s key of '%s' is not the one on record for the address %s "
              "(%s:%lu): the name may lead to another host now.",
              k->plain->type->short_name, k->c->known_name, k->address, line->file,
              line->number);
    say_removal(k, line, k->address);
}

void hostkeys_say_refused(const struct hostkeys_check *k) {
    const struct log *log = &k->c->log;
    char name[256];
    text_clean(name, sizeof name, view_text(k->c->known_name));
    k->c->end.host_result = k->verdict.result;
    switch (k->verdict.result) {
    case KNOWN_HOSTS_OTHER_TYPE:
    case KNOWN_HOSTS_CHANGED:
        hostkeys_say_changed(k);
        break;
    case KNOWN_HOSTS_IS_REVOKED:
        log_error(log, "The %s key of %s (%s)%s is revoked in %s:%lu.",
                  k->key->type->short_name, name, k->fingerprint,
                  k->key->certificate != NULL ? ", or the authority behind it," : "",
                  k->verdict.line.file, k->verdict.line.number);
        break;
    default:
        log_error(
            log,
            "No %s host key is known for %s and it may not be added (%s). It shows %s.",
            k->plain->type->short_name, name,
            k->c->config.strict_host_key_checking == STRICT_HOST_KEY_YES
                ? "StrictHostKeyChecking yes"
                : "BatchMode, nobody to ask",
            k->fingerprint);
        break;
    }
    log_error(log, "Host key verification failed.");
}

// ---- known ----

static void say_certified(const struct hostkeys_check *k) {
    const struct certificate *c = k->key->certificate;
    char id[128], ca[KEY_FINGERPRINT_SIZE];
    client_step(k->c, "host", "%s %s, certificate \"%s\" serial %llu of %s %s (%s:%lu)",
                k->plain->type->short_name, k->fingerprint,
                text_clean(id, sizeof id, c->key_id), (unsigned long long)c->serial,
                c->ca->type->short_name,
                key_fingerprint(ca, sizeof ca, key_blob(c->ca), print_hash(k)),
                k->verdict.line.file, k->verdict.line.number);
}

void hostkeys_say_step(const struct hostkeys_check *k, const char *how) {
    if (k->certified)
        say_certified(k);
    else if (k->verdict.result == KNOWN_HOSTS_OK)
        client_step(k->c, "host", "%s %s, known from %s:%lu", k->plain->type->short_name,
                    k->fingerprint, k->verdict.line.file, k->verdict.line.number);
    else
        client_step(k->c, "host", "%s %s, %s", k->plain->type->short_name, k->fingerprint,
                    how);
}

// VisualHostKey: a host that is known shows its picture all the same.
void hostkeys_say_picture(const struct hostkeys_check *k) {
    char art[KEY_ART_SIZE], text[KEY_ART_SIZE + KEY_FINGERPRINT_SIZE + 64];
    if (!k->c->config.visual_host_key)
        return;
    snprintf(text, sizeof text, "Host key fingerprint is %s\n%s\n", k->fingerprint,
             key_art(art, k->plain, print_hash(k)));
    client_show_text(k->c, view_text(text));
}

// ---- the question ----

struct text {
    char *at;
    size_t n, size;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format,
                                                      ...) {
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(t->at + t->n, t->size - t->n, format, ap);
    va_end(ap);
    t->n += n < 0 ? 0 : (size_t)n;
    if (t->n >= t->size)
        t->n = t->size - 1;
}

static void put_aliases(const struct hostkeys_check *k, struct text *t) {
    struct known_hosts_line lines[ALIASES_MAX];
    size_t found = 0;
    if (known_hosts_with_key(k->files->at, hostkeys_count(k->files), key_blob(k->plain),
                             lines, ALIASES_MAX, &found) != OK ||
        found == 0) {
        put(t, "No other name is known for this key.\n");
        return;
    }
    put(t, "The same key is known under other names:\n");
    for (size_t i = 0; i < found && i < ALIASES_MAX; i++) {
        char name[128];
        put(t, "    %s:%lu: %s\n", lines[i].file, lines[i].number,
            text_clean(name, sizeof name, lines[i].hosts));
    }
    if (found > ALIASES_MAX)
        put(t, "    and %zu more\n", found - ALIASES_MAX);
}

static void put_dns(const struct hostkeys_check *k, struct text *t) {
    if (k->c->config.verify_host_key_dns == TRISTATE_NO)
        return;
    if (k->dns.matches)
        put(t, "The domain name system has this fingerprint%s.\n",
            k->dns.authenticated ? "" : ", but nobody vouches for its answer");
    else
        put(t, "The domain name system %s.\n",
            k->dns.found > 0 ? "has ANOTHER FINGERPRINT for this host"
                             : "has no fingerprint of this key");
}

bool hostkeys_ask(const struct hostkeys_check *k) {
    char room[4096], name[256], art[KEY_ART_SIZE];
    struct text t = {.at = room, .size = sizeof room - 128};
    put(&t,
        "The authenticity of host '%s (%s)' can't be established: it is not known yet.\n"
        "%s key fingerprint is %s.\n",
        text_clean(name, sizeof name, view_text(k->c->known_name)), k->c->address,
        k->plain->type->short_name, k->fingerprint);
    if (k->c->config.visual_host_key)
        put(&t, "%s\n", key_art(art, k->plain, print_hash(k)));
    put_dns(k, &t);
    put_aliases(k, &t);
    t.size = sizeof room;
    put(&t, "Are you sure you want to continue connecting (yes/no/[fingerprint])? ");
    return prompt_yes_no(room, k->fingerprint) > 0;
}
