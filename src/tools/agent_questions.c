// What the agent's machine asks for: time, a person's consent, libraries.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>

#include "base/secret.h"
#include "base/text.h"
#include "client/security_key.h"
#include "io/fd.h"
#include "io/prompt.h"
#include "tools/agent.h"

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

static void on_end(void *arg, int status) {
    struct agent_conn *c = arg;
    struct span room;
    size_t n = 0;
    // What it said last lies in the pipe still.
    while (buf_reserve(&c->said, 64, &room) == OK &&
           fd_read_some(c->pipe, (struct span){room.p, 64}, &n) == OK && n > 0)
        buf_added(&c->said, n);
    bool yes = consents(c, status);
    end_program(c);
    answer(c, yes);
}

static void ask_person(struct agent_conn *c) {
    struct agent_program *p = c->program;
    struct fault fault = {0};
    buf_init(&c->said, PROMPT_MAX);
    enum err e =
        prompt_start(c->question.text, PROMPT_CONFIRM, &c->process, &c->pipe, &fault);
    if (e == OK)
        e = loop_child(&p->loop, &c->child, c->process.pid, c->process.pidfd, on_end, c);
    if (e == OK)
        return;
    log_error(&p->log, "a key that is to be confirmed was not used: %s",
              fault_text(&fault));
    end_program(c);
    answer(c, false);
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

// ---- security keys ----

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
    if (came && m.signed_)
        reply = (struct agent_reply){.yes = true, .signature = m.text};
    else
        log_error(&c->program->log, "a security key did not sign: %s",
                  came ? text_clean(clean, sizeof clean, m.text) : "its helper failed");
    agent_conn_reply(c, &reply);
}

static void start_token(struct agent_conn *c, const struct key *k) {
    struct agent_program *p = c->program;
    const struct agent_key *held = c->question.key;
    struct fault fault = {0};
    struct token_request m = {.provider = view_text(held->provider),
                              .type = view_text(k->type->name),
                              .application = k->application,
                              .handle = view_of(k->handle, k->handle_len),
                              .flags = k->handle_flags,
                              .data = c->question.data};
    enum err e = security_key_start(&m, &c->process, &c->pipe, &fault);
    if (e == OK)
        e = loop_child(&p->loop, &c->child, c->process.pid, c->process.pidfd, on_signed,
                       c);
    if (e == OK)
        return;
    log_error(&p->log, "a security key was not used: %s", fault_text(&fault));
    end_program(c);
    answer(c, false);
}

static void ask_token(struct agent_conn *c) {
    struct key *k = NULL;
    if (c->question.key->holder != AGENT_HELD_BY_SECURITY_KEY ||
        agent_key_open(c->question.key, &k) != OK) {
        answer(c, false);
        return;
    }
    start_token(c, k);
    key_free(k);
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
        ask_token(c);
        break;
    default:
        answer(c, false);
        break;
    }
}

void agent_question_drop(struct agent_conn *c) {
    struct loop *l = &c->program->loop;
    loop_timer_unset(l, &c->timer);
    if (!c->asking || c->process.pidfd < 0)
        return;
    (void)!process_signal(&c->process, SIGTERM);
    loop_unchild(l, &c->child);
    end_program(c);
}
