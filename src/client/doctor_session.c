// Of bowline doctor: a command at the host, whose output nobody else could have made. It
// runs in a child with a copy of the connection, so that its output and its time are
// bounded whatever the host does.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "client/doctor_steps.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/process.h"

#define PATIENCE_MS 20000u
#define OUTPUT_MAX 4096
#define CLOCKS_DIFFER_S 30u

struct output {
    char text[OUTPUT_MAX + 1];
    size_t n;
    bool more;  // there was more than fits
};

enum {
    OUT,
    ERR,  // standard error: servers that are being debugged write there too
    WHY,  // what went wrong with the connection
    PIPES
};

struct there {
    struct process child;
    int fds[PIPES];
    int status;  // as waitpid(2)
    bool late;
    struct output said[PIPES];
};

static _Noreturn void run_there(struct client *c, const int *fds) {
    (void)!fd_to_null(STDIN_FILENO);
    if (dup2(fds[OUT], STDOUT_FILENO) < 0 || dup2(fds[ERR], STDERR_FILENO) < 0)
        _exit(CLIENT_EXIT_FAILURE);
    enum err e = client_session(c);
    const char *text = c->fault.code != OK ? fault_text(&c->fault) : err_text(e);
    if (e != OK)
        (void)!fd_write_full(fds[WHY], view_text(text));
    (void)!link_flush(&c->link);
    _exit(e == OK ? c->exit_code : CLIENT_EXIT_FAILURE);
}

static void take(int *fd, struct output *o) {
    char room[1024];
    ssize_t n = read(*fd, room, sizeof room);
    if (n <= 0) {
        fd_close(fd);
        return;
    }
    size_t left = sizeof o->text - 1 - o->n, taken = (size_t)n < left ? (size_t)n : left;
    memcpy(o->text + o->n, room, taken);
    o->n += taken;
    o->text[o->n] = 0;
    o->more = o->more || (size_t)n > taken;
}

static bool says_too_much(const struct there *t) {
    return t->said[OUT].more || t->said[ERR].more;
}

// Until all ends are closed, it says too much, or its time is over.
static void listen_to(struct there *t) {
    uint64_t deadline = clock_after(clock_ms(), PATIENCE_MS);
    while ((t->fds[OUT] >= 0 || t->fds[WHY] >= 0) && !says_too_much(t)) {
        struct pollfd p[PIPES];
        for (size_t i = 0; i < PIPES; i++)
            p[i] = (struct pollfd){.fd = t->fds[i], .events = POLLIN};
        uint64_t now = clock_ms();
        t->late = now >= deadline;
        if (t->late)
            return;
        if (poll(p, PIPES, clock_poll_ms(now, deadline)) <= 0)
            continue;
        for (size_t i = 0; i < PIPES; i++)
            if (p[i].fd >= 0 && p[i].revents != 0)
                take(&t->fds[i], &t->said[i]);
    }
}

static void close_all(int *fds) {
    for (size_t i = 0; i < PIPES; i++)
        fd_close(&fds[i]);
}

static enum err make_pipes(int *theirs, int *ours) {
    for (size_t i = 0; i < PIPES; i++)
        theirs[i] = ours[i] = -1;
    for (size_t i = 0; i < PIPES; i++) {
        int both[2];
        if (pipe2(both, O_CLOEXEC) != 0)
            return ERR_IO;
        ours[i] = both[0];
        theirs[i] = both[1];
    }
    return OK;
}

static enum err ask_there(struct client *c, struct there *t) {
    int theirs[PIPES];
    enum err e = make_pipes(theirs, t->fds);
    if (e == OK)
        e = process_fork(&t->child);
    if (e == OK && t->child.pid == 0)
        run_there(c, theirs);
    close_all(theirs);
    // The child has the connection now, and says its goodbye.
    fd_close(&c->link.fd);
    if (e == OK)
        listen_to(t);
    close_all(t->fds);
    if (e == OK && (t->late || says_too_much(t)))
        (void)!process_signal(&t->child, SIGKILL);
    return e == OK ? process_wait(&t->child, &t->status) : e;
}

// ---- what it means ----

static void say_clock(struct doctor *d, const char *after) {
    uint64_t there;
    char number[24] = "";
    size_t n = strspn(after + strspn(after, "\r\n"), "0123456789");
    (void)text_copy(number, sizeof number, view_of(after + strspn(after, "\r\n"), n));
    if (!text_number(number, 1, UINT32_MAX, &there))
        return;
    uint64_t here = clock_wall_s(), off = here > there ? here - there : there - here;
    doctor_say(d, off > CLOCKS_DIFFER_S ? FOUND_CLOCK_OFF : FOUND_CLOCK, UINT64_MAX,
               off > CLOCKS_DIFFER_S ? "the host's clock differs by %llu s"
                                     : "the host's clock is this one's, within %llu s",
               (unsigned long long)(off > CLOCKS_DIFFER_S ? off : CLOCKS_DIFFER_S));
}

static bool has(const char *text, const char *what) {
    return strcasestr(text, what) != NULL;
}

static void say_other(struct doctor *d, const struct there *t) {
    static const char *const words[] = {"not available", "nologin", "not allowed"};
    char out[300], err[300];
    const struct output *o = &t->said[OUT], *e = &t->said[ERR];
    int code = WIFEXITED(t->status) ? WEXITSTATUS(t->status) : CLIENT_EXIT_FAILURE;
    bool nologin = o->n + e->n == 0 && code == 1;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        nologin = nologin || has(o->text, words[i]) || has(e->text, words[i]);
    text_clean(out, sizeof out, view_of(o->text, o->n));
    text_clean(err, sizeof err, view_of(e->text, e->n));
    doctor_say(d, nologin ? FOUND_NOLOGIN : FOUND_FORCED, doctor_lap(d),
               "the command did not run; status %d, and what came instead: %s%s%s", code,
               o->n + e->n > 0 ? out : "nothing", o->n > 0 && e->n > 0 ? "; " : "", err);
}

static void say_ran(struct doctor *d, const struct there *t, const char *token) {
    char clean[300];
    const char *after = token + strlen(d->token);
    if (token == t->said[OUT].text) {
        doctor_say(d, FOUND_RUNS, doctor_lap(d),
                   "a command runs, and its output comes back");
    } else {
        text_clean(clean, sizeof clean,
                   view_of(t->said[OUT].text, (size_t)(token - t->said[OUT].text)));
        doctor_say(d, FOUND_NOISE, doctor_lap(d), "before a command's output comes: %s",
                   clean);
    }
    say_clock(d, after);
}

void doctor_session(struct doctor *d) {
    struct there *t = calloc(1, sizeof *t);
    enum err e = t != NULL ? ask_there(d->c, t) : ERR_MEMORY;
    const char *token = t != NULL ? strstr(t->said[OUT].text, d->token) : NULL;
    char clean[400];
    if (e != OK)
        doctor_say(d, FOUND_SESSION_CUT, doctor_lap(d), "%s", err_text(e));
    else if (token != NULL)
        say_ran(d, t, token);
    else if (t->late)
        doctor_say(d, FOUND_SESSION_STUCK, doctor_lap(d),
                   "a command has not ended after %u s", PATIENCE_MS / 1000);
    else if (t->said[WHY].n > 0)
        doctor_say(d, FOUND_SESSION_CUT, doctor_lap(d), "%s",
                   text_one_line(clean, sizeof clean, view_text(t->said[WHY].text)));
    else
        say_other(d, t);
    free(t);
}
