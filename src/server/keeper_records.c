// utmp and its like, the keeper's part: which terminals are logins, and the recorder's
// life. A holder says which terminal it has opened; here it is looked at whether that is
// one of its user's, and nobody else's login already.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fd.h"
#include "server/keeper.h"

#define TERMINALS_MAX 64u  // of one login

struct link_terminal {
    struct link_terminal *next;
    uint32_t channel;
    char line[32];
};

// ---- the recorder ----

static void on_fork_of_recorder(void *arg, int status) {
    (void)arg;
    (void)status;  // it has left us its child
}

static bool start(struct keeper *k) {
    struct keeper_recorder *r = &k->recorder;
    int pair[2];
    pid_t pid;
    if (r->fd >= 0)
        return true;
    if (ipc_pair(pair) != OK)
        return false;
    scoped_fd ours = pair[0], theirs = pair[1];
    if (loop_watches(&r->exit.watch) ||
        keeper_make(k, IPC_RECORDER, theirs, &pid) != OK ||
        loop_child(&k->loop, &r->exit, pid, -1, on_fork_of_recorder, r) != OK)
        return false;
    r->fd = ours;
    ours = -1;
    return true;
}

static bool tell(struct keeper *k, enum ipc_number number, const void *m) {
    bool sent = false;
    if (!start(k))
        return false;
    if (ipc_try_send(k->recorder.fd, number, m, -1, &sent) == OK)
        return sent;
    fd_close(&k->recorder.fd);  // it was killed
    return start(k) && ipc_try_send(k->recorder.fd, number, m, -1, &sent) == OK && sent;
}

static void record(struct link *l, bool in, const char *line) {
    struct ipc_record m = {
        .in = in,
        .line = view_text(line),
        .user = view_text(l->user),
        .host = view_text(l->peer),
        .pid = (uint32_t)l->holder.exit.pid,
        .uid = l->uid,
        .at = clock_wall_s(),
    };
    struct ipc_host host = {view_text(l->host)};
    bool named = host.name.n > 0 && host.name.n <= l->keeper->options->record_name_max;
    if ((named && !tell(l->keeper, IPC_HOST, &host)) || !tell(l->keeper, IPC_RECORD, &m))
        log_error(&l->keeper->log, "the login of %s on %s is not recorded in utmp",
                  l->user, line);
}

// ---- terminals ----

static struct link_terminal **find(struct link *l, uint32_t channel) {
    struct link_terminal **at = &l->terminals;
    while (*at != NULL && (*at)->channel != channel)
        at = &(*at)->next;
    return at;
}

static bool is_taken(const struct keeper *k, const char *line) {
    for (const struct link *l = k->links; l != NULL; l = l->next)
        for (const struct link_terminal *t = l->terminals; t != NULL; t = t->next)
            if (strcmp(t->line, line) == 0)
                return true;
    return false;
}

// "pts/3", a terminal of this user's that is not a login yet.
static bool may_have(const struct link *l, struct view tty, char *line, size_t size) {
    char path[64];
    uint64_t number;
    struct stat st;
    size_t n = 0;
    for (const struct link_terminal *t = l->terminals; t != NULL; t = t->next)
        n++;
    if (n >= TERMINALS_MAX || !text_copy(line, size, tty) ||
        strncmp(line, "pts/", 4) != 0 || !text_number(line + 4, 0, UINT32_MAX, &number))
        return false;
    snprintf(path, sizeof path, "/dev/%s", line);
    return stat(path, &st) == 0 && S_ISCHR(st.st_mode) && st.st_uid == l->uid &&
           !is_taken(l->keeper, line);
}

static bool add(struct link *l, uint32_t channel, const char *line) {
    struct link_terminal *t = calloc(1, sizeof *t);
    if (t == NULL)
        return false;
    t->channel = channel;
    text_copy(t->line, sizeof t->line, view_text(line));
    t->next = l->terminals;
    l->terminals = t;
    return true;
}

void link_terminal_opened(struct link *l, const struct ipc_event *m) {
    char line[32];
    if (getuid() != 0 || m->tty.n == 0 || !l->holder.alive ||
        *find(l, m->channel) != NULL || !may_have(l, m->tty, line, sizeof line))
        return;
    if (!add(l, m->channel, line))
        return;
    record(l, true, line);
    keeper_anchor_again(l);
}

void link_terminal_closed(struct link *l, uint32_t channel) {
    struct link_terminal **at = find(l, channel), *t = *at;
    if (t == NULL)
        return;
    record(l, false, t->line);
    *at = t->next;
    free(t);
    keeper_anchor_again(l);
}

// The recorder sees the holder's end by itself.
void link_terminals_forget(struct link *l) {
    while (l->terminals != NULL) {
        struct link_terminal *t = l->terminals;
        l->terminals = t->next;
        free(t);
    }
}

// ---- for the next keeper ----

void link_terminals_write(const struct link *l, struct writer *w) {
    for (const struct link_terminal *t = l->terminals; t != NULL; t = t->next) {
        write_u32(w, t->channel);
        write_text(w, t->line);
    }
}

enum err link_terminals_read(struct link *l, struct view bytes) {
    struct reader r = reader_of(bytes);
    for (size_t n = 0; reader_left(&r) > 0 && r.err == OK && n < TERMINALS_MAX; n++) {
        char line[32];
        uint32_t channel = read_u32(&r);
        bool fits = text_copy(line, sizeof line, read_string(&r));
        if (r.err == OK && (!fits || !add(l, channel, line)))
            return ERR_LIMIT;
    }
    return r.err;
}
