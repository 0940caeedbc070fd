// What is known of hosts: files, the output of a command, and the order of algorithms
// that follows from it.
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/algorithms.h"
#include "client/hostkeys_check.h"
#include "io/file.h"
#include "io/process_output.h"
#include "key/base64.h"
#include "wire/messages.h"

#define WORDS_MAX 64
#define COMMAND_NAME "KnownHostsCommand"

static void files_free(struct hostkeys_files *f) {
    for (size_t i = 0; i < f->n; i++)
        buf_free(&f->text[i]);
    buf_free(&f->text[HOSTKEYS_FILES_MAX]);
    free(f);
}

static enum err add_file(struct client *c, struct hostkeys_files *f) {
    struct fault fault = {0};
    const char *path = f->path[f->n];
    enum err e = file_read(path, 0, LIMIT_KNOWN_HOSTS, &f->text[f->n], &fault);
    if (e == ERR_NOT_FOUND || strcmp(path, "/dev/null") == 0)
        return OK;
    if (e == ERR_REFUSED) {
        log_debug(&c->log, "%s", fault_text(&fault));
        return OK;
    }
    // A file that cannot be read whole may hold a revocation: that refuses.
    if (e != OK) {
        log_error(&c->log, "%s", fault_text(&fault));
        return e;
    }
    f->at[f->n] = (struct known_hosts_file){path, buf_view(&f->text[f->n])};
    f->n++;
    return OK;
}

static enum err add_files(struct client *c, struct hostkeys_files *f,
                          const struct conf_list *list) {
    for (size_t i = 0; i < list->n && f->n < HOSTKEYS_FILES_MAX; i++)
        if (strcasecmp(list->v[i], "none") != 0 &&
            client_path(c, list->v[i], f->path[f->n], PATH_MAX))
            TRY(add_file(c, f));
    return OK;
}

enum err hostkeys_read(struct client *c) {
    if (c->known != NULL)
        return OK;
    struct hostkeys_files *f = calloc(1, sizeof *f);
    if (f == NULL)
        return ERR_MEMORY;
    enum err e = add_files(c, f, &c->config.user_known_hosts_file);
    f->users = f->n;
    if (e == OK)
        e = add_files(c, f, &c->config.global_known_hosts_file);
    if (e != OK) {
        files_free(f);
        return e;
    }
    c->known = f;
    return OK;
}

size_t hostkeys_count(const struct hostkeys_files *f) {
    return f->n + f->command;
}

void hostkeys_forget(struct client *c) {
    if (c->known != NULL)
        files_free(c->known);
    c->known = NULL;
}

// ---- KnownHostsCommand ----

struct words {
    char *v[WORDS_MAX + 1];
    size_t n;
};

static void drop_words(struct words *w) {
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i]);
}

static enum err add_word(struct client *c, struct words *w, const char *word,
                         const struct token *tokens) {
    char *text = malloc(LIMIT_TEXT_LINE), plain[4096];
    if (text == NULL)
        return ERR_MEMORY;
    enum err e = tokens_expand_env(word, c->subject.env, c->subject.env_ctx, plain,
                                   sizeof plain, &c->fault);
    if (e == OK)
        e = client_config_expand(&c->config, &c->subject, TOKENS_KNOWN_HOSTS_COMMAND,
                                 tokens, plain, text, LIMIT_TEXT_LINE, &c->fault);
    if (e == OK)
        w->v[w->n] = strdup(text);
    free(text);
    if (e == OK && w->v[w->n] == NULL)
        return ERR_MEMORY;
    w->n += e == OK;
    return e;
}

static enum err split_command(struct client *c, struct words *w,
                              const struct token *tokens) {
    char *copy = strdup(c->config.known_hosts_command), *cursor = copy, *word;
    bool bad = false;
    enum err e = copy != NULL ? OK : ERR_MEMORY;
    while (e == OK && w->n < WORDS_MAX &&
           (word = text_word(&cursor, false, &bad)) != NULL)
        e = add_word(c, w, word, tokens);
    free(copy);
    if (e == OK && (bad || w->n == 0 || w->n == WORDS_MAX))
        return fault_set(&c->fault, ERR_CONFIG, 0, COMMAND_NAME ": %s",
                         bad ? "a quote is left open" : "no words, or too many");
    if (e == OK && w->v[0][0] != '/')
        return fault_set(&c->fault, ERR_CONFIG, 0,
                         COMMAND_NAME ": %.100s is not an absolute path", w->v[0]);
    return e;
}

static enum err run_words(struct client *c, struct words *w) {
    struct hostkeys_files *f = c->known;
    struct buf *out = &f->text[HOSTKEYS_FILES_MAX];
    struct fault fault = {0};
    f->command = false;
    buf_free(out);
    buf_init(out, LIMIT_KEY_FILE);
    enum err e = process_output(w->v, LIMIT_KEY_FILE, c->deadline, out, &fault);
    if (e != OK)
        return fault_set(&c->fault, e, 0, COMMAND_NAME " %.100s: %s", w->v[0],
                         fault_text(&fault));
    f->at[f->n] = (struct known_hosts_file){COMMAND_NAME, buf_view(out)};
    f->command = true;
    return OK;
}

enum err hostkeys_run_command(struct client *c, const char *what, const char *name,
                              const struct key *key) {
    const char *command = c->config.known_hosts_command;
    char print[KEY_FINGERPRINT_SIZE] = "NONE";
    scoped_buf base64;
    struct words w = {.n = 0};
    buf_init(&base64, 2 * LIMIT_CERTIFICATE);
    if (command == NULL || strcasecmp(command, "none") == 0)
        return OK;
    if (key != NULL) {
        key_fingerprint(print, sizeof print, key_plain_blob(key), &digest_sha256);
        TRY(base64_encode(&base64, key_blob(key)));
    }
    TRY(buf_append(&base64, view_of(key != NULL ? "" : "NONE", key != NULL ? 1 : 5)));
    struct token tokens[] = {{'I', what},
                             {'H', name},
                             {'f', print},
                             {'K', (const char *)buf_view(&base64).p},
                             {'t', key != NULL ? key->type->name : "NONE"},
                             {0, NULL}};
    enum err e = split_command(c, &w, tokens);
    if (e == OK)
        e = run_words(c, &w);
    drop_words(&w);
    return e;
}

// ---- order of algorithms ----

// What is known of the host before it has said anything.
struct known {
    const struct key_type *types[16];
    size_t n;
    bool authority;
};

enum rank {
    RANK_KNOWN,
    RANK_UNKNOWN,
    RANK_UNWANTED
};

// A certificate is of use only where an authority is known for the host; a key of a type
// that is not known leads to a question.
static enum rank rank_of(struct view algorithm, const struct known *known) {
    const struct alg *a = alg_find(ALG_SIGNATURE, algorithm);
    const struct key_type *type =
        a != NULL ? key_type_find(view_text(a->signature->key_type)) : NULL;
    if (type == NULL)
        return RANK_UNKNOWN;
    if (type->plain != NULL)
        return known->authority ? RANK_KNOWN : RANK_UNWANTED;
    for (size_t i = 0; i < known->n; i++)
        if (type == known->types[i])
            return RANK_KNOWN;
    return RANK_UNKNOWN;
}

static void append_rank(char *out, const char *list, const struct known *known,
                        enum rank rank) {
    struct view rest = view_text(list), name;
    while (name_list_next(&rest, &name)) {
        if (rank_of(name, known) != rank)
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
    char fallback[4096];
    return algorithms_list(NULL, CONF_HOST_KEY_ALGORITHMS, NULL, fallback,
                           sizeof fallback, NULL) == OK &&
           strcmp(fallback, list) == 0;
}

enum err hostkeys_order(struct client *c) {
    const char *list = c->config.host_key_algorithms;
    struct known known = {.n = 0};
    c->host_key_algorithms = calloc(1, strlen(list) + 2);
    if (c->host_key_algorithms == NULL)
        return ERR_MEMORY;
    if (!order_is_default(list)) {
        memcpy(c->host_key_algorithms, list, strlen(list));
        return OK;
    }
    TRY(hostkeys_read(c));
    TRY(hostkeys_run_command(c, "ORDER", c->host, NULL));
    size_t count = hostkeys_count(c->known);
    known.n = known_hosts_types(c->known->at, count, c->known_name, known.types, 16);
    known.authority = known_hosts_has_authority(c->known->at, count, c->known_name);
    for (enum rank rank = RANK_KNOWN; rank <= RANK_UNWANTED; rank++)
        append_rank(c->host_key_algorithms, list, &known, rank);
    return OK;
}
