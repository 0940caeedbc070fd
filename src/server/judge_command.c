// AuthorizedKeysCommand and AuthorizedPrincipalsCommand: run without a shell as the user
// that the configuration names, from a path that only root can change; bounded in output
// and time.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "conf/tokens.h"
#include "io/clock.h"
#include "io/env.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/privilege.h"
#include "io/process.h"
#include "io/process_output.h"
#include "key/base64.h"
#include "server/judge.h"

#define DEADLINE_MS 30000
#define PATH_OF_COMMANDS "/usr/bin:/bin:/usr/sbin:/sbin"

// ---- the words ----

void judge_words_free(struct judge_words *w) {
    for (size_t i = 0; i < w->n; i++)
        free(w->v[i]);
}
#define scoped_words __attribute__((cleanup(judge_words_free))) struct judge_words

struct facts {
    char fingerprint[KEY_FINGERPRINT_SIZE], ca_fingerprint[KEY_FINGERPRINT_SIZE];
    char uid[16], serial[24], key_id[512], connection[200];
    char *key, *ca;  // base64, owned
};

static char *base64_of(struct view blob) {
    scoped_buf out;
    buf_init(&out, LIMIT_TEXT_LINE);
    if (base64_encode(&out, blob) != OK)
        return NULL;
    struct view v = buf_view(&out);
    return strndup((const char *)v.p, v.n);
}

static void gather(const struct judge_search *s, struct facts *f) {
    const struct certificate *c = s->key->certificate;
    key_fingerprint(f->fingerprint, sizeof f->fingerprint, key_plain_blob(s->key),
                    &digest_sha256);
    snprintf(f->uid, sizeof f->uid, "%u", s->account->uid);
    snprintf(f->connection, sizeof f->connection, "%s %u %s %u", s->peer, s->peer_port,
             s->local, s->local_port);
    f->key = base64_of(key_blob(s->key));
    if (c == NULL)
        return;
    key_fingerprint(f->ca_fingerprint, sizeof f->ca_fingerprint, key_blob(c->ca),
                    &digest_sha256);
    snprintf(f->serial, sizeof f->serial, "%llu", (unsigned long long)c->serial);
    text_clean(f->key_id, sizeof f->key_id, c->key_id);
    f->ca = base64_of(key_blob(c->ca));
}

static enum err expand(const struct judge_search *s, const struct judge_command *c,
                       const struct facts *f, const char *word, char **out,
                       struct fault *fault) {
    const struct certificate *certificate = s->key->certificate;
    const struct token tokens[] = {
        {'C', f->connection},
        {'D', s->domain},
        {'f', f->fingerprint},
        {'h', s->account->directory},
        {'k', f->key},
        {'t', s->key->type->name},
        {'U', f->uid},
        {'u', s->user},
        {'F', f->ca_fingerprint},
        {'i', f->key_id},
        {'K', f->ca},
        {'s', f->serial},
        {'T', certificate != NULL ? certificate->ca->type->name : NULL},
        {0, NULL}};
    char *text = malloc(LIMIT_TEXT_LINE);
    if (text == NULL)
        return ERR_MEMORY;
    enum err e = tokens_expand(c->principals ? TOKENS_AUTHORIZED_PRINCIPALS_COMMAND
                                             : TOKENS_AUTHORIZED_KEYS_COMMAND,
                               tokens, word, text, LIMIT_TEXT_LINE, fault);
    *out = e == OK ? strdup(text) : NULL;
    free(text);
    return e == OK && *out == NULL ? ERR_MEMORY : e;
}

static enum err split(const struct judge_search *s, const struct judge_command *c,
                      const struct facts *f, struct judge_words *w, struct fault *fault) {
    char *copy = strdup(c->line), *cursor = copy, *word;
    bool bad = false, tokens = false;
    enum err e = copy == NULL ? ERR_MEMORY : OK;
    while (e == OK && (word = text_word(&cursor, false, &bad)) != NULL &&
           w->n < JUDGE_WORDS_MAX) {
        tokens = tokens || (strchr(word, '%') != NULL && w->n > 0);
        e = expand(s, c, f, word, &w->v[w->n], fault);
        w->n += e == OK;
    }
    free(copy);
    if (e == OK && bad)
        e = fault_set(fault, ERR_CONFIG, 0, "a quote is left open");
    if (e == OK && (w->n == 0 || w->n == JUDGE_WORDS_MAX))
        e = fault_set(fault, ERR_CONFIG, 0, "1 to %d words are expected, program first",
                      JUDGE_WORDS_MAX - 1);
    // A command without tokens gets the name of the user.
    if (e == OK && !tokens && !c->principals && w->n == 1)
        w->v[w->n++] = strdup(s->user);
    return e;
}

enum err judge_command_words(const struct judge_search *s, const struct judge_command *c,
                             struct judge_words *w, struct fault *fault) {
    struct facts facts = {0};
    gather(s, &facts);
    enum err e = split(s, c, &facts, w, fault);
    free(facts.key);
    free(facts.ca);
    return e;
}

static enum err check_path(const char *path, struct fault *fault) {
    scoped_fd fd = -1;
    if (path[0] != '/')
        return fault_set(fault, ERR_CONFIG, 0, "%s is not an absolute path", path);
    TRY(file_open(path, 0, &fd, fault));
    return file_check_owner(fd, path, "/", 0, fault);
}

// ---- running ----

static _Noreturn void child(const struct account *a, struct judge_words *w, int out) {
    struct privilege to = {a->uid, a->gid, a->groups, a->groups_n};
    struct env env;
    env_init(&env);
    setsid();
    process_reset_signals();
    if (env_set(&env, "PATH", PATH_OF_COMMANDS) != OK ||
        env_set(&env, "USER", a->name) != OK || env_set(&env, "LOGNAME", a->name) != OK ||
        env_set(&env, "HOME", a->directory) != OK ||
        env_set(&env, "SHELL", a->shell) != OK || env_inherit(&env, "LANG") != OK)
        _exit(127);
    if (fd_to_null(0) != OK || dup2(out, 1) != 1 || fd_to_null(2) != OK)
        _exit(127);
    fd_close_all_but((int[]){0, 1, 2}, 3);
    if (privilege_drop(&to, NULL) != OK || chdir("/") != 0)
        _exit(127);
    execve(w->v[0], w->v, env_list(&env));
    _exit(127);
}

static enum err run(const struct account *a, struct judge_words *w, struct buf *out,
                    struct fault *fault) {
    int ends[2];
    struct process p;
    uint64_t deadline = clock_ms() + DEADLINE_MS;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault_set(fault, ERR_IO, 0, "pipe: %m");
    scoped_fd in = ends[0], theirs = ends[1];
    TRY(process_fork(&p));
    if (p.pid == 0)
        child(a, w, theirs);
    fd_close(&theirs);
    return process_collect(&p, in, LIMIT_KEY_FILE, deadline, out, fault);
}

static enum err prepare_and_run(const struct judge_search *s,
                                const struct judge_command *c, struct buf *out,
                                struct fault *fault) {
    scoped_words words = {0};
    scoped_account account = {0};
    if (c->user == NULL)
        return fault_set(fault, ERR_CONFIG, 0, "needs %sUser", c->keyword);
    // A stranger's bytes are not for programs, whatever they do with them.
    if (!token_value_is_safe(TOKEN_SUBJECT_USER, s->user))
        return fault_set(fault, ERR_REFUSED, 0, "unusable user name");
    TRY(account_by_name(c->user, &account, fault));
    TRY(judge_command_words(s, c, &words, fault));
    TRY(check_path(words.v[0], fault));
    return run(&account, &words, out, fault);
}

enum err judge_command_run(const struct judge_search *s, const struct judge_command *c,
                           struct buf *out) {
    struct fault fault = {0};
    if (c->line == NULL || strcmp(c->line, "none") == 0 || c->line[0] == '\0')
        return ERR_NOT_FOUND;
    buf_init(out, LIMIT_KEY_FILE);
    enum err e = prepare_and_run(s, c, out, &fault);
    if (e == OK)
        return OK;
    log_error(s->log, "%s %s: %s", c->keyword, c->line,
              fault.text[0] != '\0' ? fault_text(&fault) : err_text(e));
    buf_free(out);
    return ERR_NOT_FOUND;
}
