// What the agent's machine asks for: time, a person's consent, libraries.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>

#include "base/secret.h"
#include "base/text.h"
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
    default:
        answer(c, false);
        break;
    }
}

void agent_question_drop(struct agent_conn *c) {
    struct loop *l = &c->program->loop;
    loop_timer_unset(l, &c->timer);
    if (!c->asking || c->child.loop == NULL)
        return;
    (void)!process_signal(&c->process, SIGTERM);
    loop_unchild(l, &c->child);
    end_program(c);
}
