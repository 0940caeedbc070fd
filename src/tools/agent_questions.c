// What the agent's machine asks for: time, a person's consent, libraries.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>

#include "base/secret.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/prompt.h"
#include "signer/helper.h"
#include "tools/agent.h"

#define TOKEN_KEYS_MAX 256

static void answer(struct agent_conn *c, bool yes) {
    agent_conn_reply(c, &(struct agent_reply){.yes = yes});
}

// ---- time ----

static void on_time(void *arg) {
    answer(arg, true);
}

static void wait_time(struct agent_conn *c) {
    if (loop_timer_set(&c->program->loop, &c->timer, c->question.until_ms, on_time, c) !=
        OK)
        answer(c, false);
}

// ---- a person ----

static void end_program(struct agent_conn *c) {
    struct loop *l = &c->program->loop;
    loop_unwatch(l, &c->pipe_watch);
    fd_close(&c->pipe);
    secret_wipe(c->said.p, c->said.room);
    buf_free(&c->said);
    c->process.pidfd = -1;  // it was the loop's, and is closed
}

// askpass says yes by its exit status; some print the word besides.
static bool consents(struct agent_conn *c, int status) {
    struct view v = buf_view(&c->said);
    while (v.n > 0 && (v.p[v.n - 1] == '\n' || v.p[v.n - 1] == '\r'))
        v.n--;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
           (v.n == 0 || (v.n == 3 && strncasecmp((const char *)v.p, "yes", 3) == 0));
}

// What it said last lies in the pipe still.
static void drain(struct agent_conn *c) {
    struct span room;
    size_t n = 0;
    while (buf_reserve(&c->said, 64, &room) == OK &&
           fd_read_some(c->pipe, (struct span){room.p, 64}, &n) == OK && n > 0)
        buf_added(&c->said, n);
}

static void on_end(void *arg, int status) {
    struct agent_conn *c = arg;
    drain(c);
    bool yes = consents(c, status);
    end_program(c);
    answer(c, yes);
}

static void start_prompt(struct agent_conn *c, const char *text, unsigned flags,
                         void (*done)(void *arg, int status), const char *else_what) {
    struct agent_program *p = c->program;
    struct fault fault = {0};
    struct span room;
    buf_init(&c->said, PROMPT_MAX);
    // All at once: it may be a PIN, and growing would leave copies.
    enum err e = buf_reserve(&c->said, PROMPT_MAX, &room);
    if (e == OK)
        e = prompt_start(text, flags, &c->process, &c->pipe, &fault);
    if (e == OK)
        e = loop_child(&p->loop, &c->child, c->process.pid, c->process.pidfd, done, c);
    if (e == OK)
        return;
    log_error(&p->log, "%s: %s", else_what, fault_text(&fault));
    end_program(c);
    answer(c, false);
}

static void ask_person(struct agent_conn *c) {
    start_prompt(c, c->question.text, PROMPT_CONFIRM, on_end,
                 "a key that is to be confirmed was not used");
}

// ---- libraries ----

// Where it really lies, if the patterns of -P have it.
static bool allowed_path(struct agent_conn *c, char *out) {
    char name[PATH_MAX];
    if (!text_copy(name, sizeof name, c->question.provider) ||
        realpath(name, out) == NULL)
        return false;
    if (text_match_list(c->program->settings.providers, out, false) == 1)
        return true;
    log_error(&c->program->log, "the provider %s is not allowed (see -P)", out);
    return false;
}

static void ask_provider(struct agent_conn *c) {
    char path[PATH_MAX];
    struct agent_reply reply = {.yes = allowed_path(c, path), .path = path};
    agent_conn_reply(c, &reply);
}

// ---- a message while a touch is waited for ----

// An askpass that is shown, until it is ended or closed by the person.
struct agent_notice {
    struct agent_conn *conn;  // NULL: it is over, and only to be reaped
    struct loop_child child;
    struct process process;
    int pipe;
};

static void on_notice_end(void *arg, int status) {
    struct agent_notice *n = arg;
    (void)status;
    if (n->conn != NULL)
        n->conn->notice = NULL;
    fd_close(&n->pipe);
    free(n);
}

static void end_notice(struct agent_conn *c) {
    if (c->notice == NULL)
        return;
    c->notice->conn = NULL;
    (void)!process_signal(&c->notice->process, SIGTERM);
    c->notice = NULL;
}

static void show_notice(struct agent_conn *c, const struct key *k) {
    char print[KEY_FINGERPRINT_SIZE], text[KEY_FINGERPRINT_SIZE + 80];
    struct agent_notice *n = calloc(1, sizeof *n);
    if (n == NULL)
        return;
    n->conn = c;
    key_fingerprint(print, sizeof print, key_blob(k), &digest_sha256);
    snprintf(text, sizeof text, "Confirm user presence for key %s %s",
             k->type->short_name, print);
    // Without an askpass the token's own light has to do.
    enum err e = prompt_start(text, PROMPT_NOTICE, &n->process, &n->pipe, NULL);
    if (e == OK)
        e = loop_child(&c->program->loop, &n->child, n->process.pid, n->process.pidfd,
                       on_notice_end, n);
    if (e == OK)
        c->notice = n;
    else
        free(n);
}

// ---- tokens that sign ----

static void ask_pin(struct agent_conn *c);

static void on_signed(void *arg, int status) {
    struct agent_conn *c = arg;
    uint8_t room[KEY_SIGNATURE_MAX];
    struct token_answer m = {0};
    struct agent_reply reply = {0};
    char clean[200];
    size_t n = 0;
    bool came = fd_read_full(c->pipe, (struct span){room, sizeof room}, &n) == OK &&
                WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
                token_answer_decode(view_of(room, n), &m, NULL) == OK;
    end_program(c);
    end_notice(c);
    if (came && m.outcome == TOKEN_NEEDS_PIN && !c->pin_asked &&
        c->question.key->holder == AGENT_HELD_BY_SECURITY_KEY) {
        ask_pin(c);
        return;
    }
    if (came && m.outcome == TOKEN_DONE)
        reply = (struct agent_reply){.yes = true, .signature = m.text};
    else
        log_error(&c->program->log, "a token did not sign: %s",
                  came ? text_clean(clean, sizeof clean, m.text) : "its helper failed");
    agent_conn_reply(c, &reply);
}

static void start_helper(struct agent_conn *c, enum token_kind kind,
                         const struct token_request *m,
                         void (*done)(void *arg, int status)) {
    struct agent_program *p = c->program;
    struct fault fault = {0};
    enum err e = token_start(kind, m, &c->process, &c->pipe, &fault);
    if (e == OK)
        e = loop_child(&p->loop, &c->child, c->process.pid, c->process.pidfd, done, c);
    if (e == OK)
        return;
    log_error(&p->log, "a token was not used: %s", fault_text(&fault));
    end_program(c);
    answer(c, false);
}

static void ask_security_key(struct agent_conn *c, const char *pin) {
    struct key *k = NULL;
    if (agent_key_open(c->question.key, &k) != OK) {
        answer(c, false);
        return;
    }
    struct token_request m = {.provider = view_text(c->question.key->provider),
                              .type = view_text(k->type->name),
                              .application = k->application,
                              .handle = view_of(k->handle, k->handle_len),
                              .flags = k->handle_flags,
                              .pin = view_text(pin),
                              .data = c->question.data};
    if ((k->handle_flags & KEY_HANDLE_TOUCH) != 0)
        show_notice(c, k);
    start_helper(c, TOKEN_SECURITY_KEY, &m, on_signed);
    key_free(k);
}

static void on_pin(void *arg, int status) {
    struct agent_conn *c = arg;
    char pin[PROMPT_MAX] = "";
    drain(c);
    struct view v = view_until(buf_view(&c->said), '\n');
    bool given = WIFEXITED(status) && WEXITSTATUS(status) == 0 && v.n > 0 &&
                 text_copy(pin, sizeof pin, v);
    end_program(c);
    if (given)
        ask_security_key(c, pin);
    else
        answer(c, false);
    secret_wipe(pin, sizeof pin);
}

// Only when the token itself wants it: one with a reader of fingerprints does not.
static void ask_pin(struct agent_conn *c) {
    const struct key *k = c->question.key->public;
    char print[KEY_FINGERPRINT_SIZE], text[KEY_FINGERPRINT_SIZE + 80];
    key_fingerprint(print, sizeof print, key_plain_blob(k), &digest_sha256);
    snprintf(text, sizeof text,
             "Enter PIN for %s key %s: ", key_type_plain(k->type)->short_name, print);
    c->pin_asked = true;
    start_prompt(c, text, 0, on_pin, "a security key that wants a PIN was not used");
}

static void ask_token(struct agent_conn *c) {
    const struct agent_key *k = c->question.key;
    struct token_request m = {.provider = view_text(k->provider),
                              .type = view_text(c->question.alg->name),
                              .handle = key_plain_blob(k->public),
                              .pin = agent_key_pin(k),
                              .data = c->question.data};
    start_helper(c, TOKEN_PKCS11, &m, on_signed);
}

static void ask_signature(struct agent_conn *c) {
    if (c->question.key->holder == AGENT_HELD_BY_TOKEN)
        ask_token(c);
    else {
        c->pin_asked = false;
        ask_security_key(c, "");
    }
}

// ---- the keys of a token ----

static size_t take_keys(struct view list, struct agent_token_key *keys) {
    struct reader r = reader_of(list);
    size_t n = 0;
    while (reader_left(&r) > 0 && n < TOKEN_KEYS_MAX) {
        struct agent_token_key k = {.blob = read_string(&r)};
        k.label = read_string(&r);
        if (r.err == OK)
            keys[n++] = k;
    }
    return n;
}

static void on_listed(void *arg, int status) {
    struct agent_conn *c = arg;
    struct agent_token_key keys[TOKEN_KEYS_MAX];
    struct token_answer m = {0};
    struct agent_reply reply = {0};
    scoped_buf text;
    struct span room = {0};
    char clean[200];
    size_t n = 0;
    buf_init(&text, TOKEN_MESSAGE_MAX);
    bool came = WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
                buf_reserve(&text, TOKEN_MESSAGE_MAX, &room) == OK &&
                fd_read_full(c->pipe, room, &n) == OK &&
                token_answer_decode(view_of(room.p, n), &m, NULL) == OK;
    end_program(c);
    if (came && m.outcome == TOKEN_DONE)
        reply = (struct agent_reply){.yes = true,
                                     .path = c->path,
                                     .keys = keys,
                                     .keys_n = take_keys(m.text, keys)};
    else
        log_error(&c->program->log, "%s: no keys: %s", c->path,
                  came ? text_clean(clean, sizeof clean, m.text) : "its helper failed");
    agent_conn_reply(c, &reply);
}

static void ask_keys(struct agent_conn *c) {
    if (!allowed_path(c, c->path)) {
        answer(c, false);
        return;
    }
    struct token_request m = {
        .operation = TOKEN_LIST, .provider = view_text(c->path), .pin = c->question.pin};
    start_helper(c, TOKEN_PKCS11, &m, on_listed);
}

void agent_question_start(struct agent_conn *c) {
    switch (c->question.want) {
    case AGENT_WANT_TIME:
        wait_time(c);
        break;
    case AGENT_WANT_CONFIRM:
        ask_person(c);
        break;
    case AGENT_WANT_PROVIDER:
        ask_provider(c);
        break;
    case AGENT_WANT_SIGNATURE:
        ask_signature(c);
        break;
    case AGENT_WANT_KEYS:
        ask_keys(c);
        break;
    default:
        answer(c, false);
        break;
    }
}

// A program that nobody waits for any more.
static void on_reaped(void *arg, int status) {
    (void)status;
    free(arg);
}

static void reap_later(struct loop *l, pid_t pid) {
    struct loop_child *child = malloc(sizeof *child);
    if (child != NULL && loop_child(l, child, pid, -1, on_reaped, child) != OK)
        free(child);
}

void agent_question_drop(struct agent_conn *c) {
    struct loop *l = &c->program->loop;
    loop_timer_unset(l, &c->timer);
    end_notice(c);
    if (!c->asking || c->process.pidfd < 0)
        return;
    (void)!process_signal(&c->process, SIGTERM);
    loop_unchild(l, &c->child);
    reap_later(l, c->process.pid);
    end_program(c);
}
