#include "server/sftp_session.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fault_errno.h"
#include "io/fd.h"

#define ROOM (SFTP_PACKET_MAX + 16u * 1024u)  // for answers, made at a time
#define IN_ROOM (512u * 1024u)
#define OUT_PAUSE (512u * 1024u)  // unwritten answers, past which none is made
#define BURST (64u * 1024u)
#define PIPE_SIZE (1024 * 1024)
#define SPARE_DESCRIPTORS 5u
#define HANDLES_MAX 65536u  // where descriptors have no limit

uint32_t sftp_session_handles(void) {
    size_t n = (size_t)fd_limits_now().soft;
    uint64_t most = n > SPARE_DESCRIPTORS + 1 ? n - SPARE_DESCRIPTORS : 1;
    return most < HANDLES_MAX ? (uint32_t)most : HANDLES_MAX;
}

// As OpenSSH: a starting folder that is not there is told of, and done without.
static enum err open_start(struct sftp_session *s, const char *start, const char *home,
                           struct fault *fault) {
    struct fault missing = {0};
    if (start[0] != '\0' && sftp_files_open(&s->files, start, NULL, &missing) == OK)
        return OK;
    if (start[0] != '\0')
        log_error(&s->log, "%s", fault_text(&missing));
    return sftp_files_open(&s->files, home, "/", fault);
}

enum err sftp_session_open(struct sftp_session *s, const struct sftp_options *options,
                           const struct sftp_user *user, const struct log *log,
                           uint32_t handles, struct fault *fault) {
    *s = (struct sftp_session){.log = *log, .files = {.folder = -1}};
    text_clean(s->user, sizeof s->user, view_text(user->name));
    text_clean(s->client, sizeof s->client, view_text(user->client));
    TRY(open_start(s, options->start, user->home, fault));
    s->files.masked = options->masked;
    s->files.mask = options->mask;
    struct sftp_server_config config = {
        .vfs = &s->files.vfs,
        .log = &s->log,
        .allowed = options->allowed,
        .read_only = options->read_only,
        .max_handles = handles,
    };
    TRY(sftp_server_new(&s->server, &config));
    log_info(&s->log, "session opened for local user %s from [%s]", s->user, s->client);
    return OK;
}

void sftp_session_close(struct sftp_session *s) {
    if (s->server == NULL)
        return;
    sftp_server_free(s->server);
    s->server = NULL;
    sftp_files_close(&s->files);
    log_info(&s->log, "session closed for local user %s from [%s]", s->user, s->client);
}

// ---- over descriptors ----

struct pump {
    struct sftp_session *s;
    struct buf in, out;
    int fd_in, fd_out;
    bool ended, wide_in, wide_out;
};

static void widen(int fd, size_t n, bool *wide) {
    if (*wide || n < BURST)
        return;
    *wide = true;
    (void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);  // of what is a pipe
}

static enum err serve(struct pump *p, struct fault *fault) {
    struct sftp_step step = {.taken = 1};
    while ((step.taken > 0 || step.filled > 0) && buf_len(&p->out) < OUT_PAUSE) {
        struct span room;
        TRY(buf_reserve(&p->out, ROOM, &room));
        step = (struct sftp_step){
            .in = buf_view(&p->in), .rooms = &room, .n = 1, .split = true};
        TRY(sftp_server_step(p->s->server, &step, fault));
        buf_taken(&p->in, step.taken);
        buf_added(&p->out, step.filled);
    }
    return OK;
}

static enum err take_input(struct pump *p) {
    struct span room;
    size_t n = 0;
    TRY(buf_reserve(&p->in, IN_ROOM / 2, &room));
    enum err e = fd_read_some(p->fd_in, room, &n);
    buf_added(&p->in, n);
    widen(p->fd_in, n, &p->wide_in);
    p->ended = e != OK;
    return e == ERR_CLOSED ? OK : e;
}

static enum err write_out(struct pump *p) {
    size_t n = 0;
    TRY(fd_write_some(p->fd_out, buf_view(&p->out), &n));
    widen(p->fd_out, n, &p->wide_out);
    buf_taken(&p->out, n);
    return OK;
}

// One wait. *done: all that came is answered.
static enum err turn(struct pump *p, bool *done, struct fault *fault) {
    TRY(serve(p, fault));
    bool reads = !p->ended && buf_len(&p->in) < IN_ROOM / 2;
    bool writes = buf_len(&p->out) > 0;
    struct pollfd fds[] = {{reads ? p->fd_in : -1, POLLIN, 0},
                           {writes ? p->fd_out : -1, POLLOUT, 0}};
    *done = !reads && !writes;
    if (*done)
        return OK;
    if (poll(fds, 2, -1) < 0)
        return fault_errno(fault, "poll");
    if (fds[0].revents != 0)
        TRY(take_input(p));
    return fds[1].revents != 0 ? write_out(p) : OK;
}

enum err sftp_session_run(struct sftp_session *s, int in, int out, struct fault *fault) {
    struct pump p = {.s = s, .fd_in = in, .fd_out = out};
    bool done = false;
    enum err e = OK;
    buf_init(&p.in, 2 * IN_ROOM);
    buf_init(&p.out, OUT_PAUSE + 2 * ROOM);
    while (e == OK && !done)
        e = turn(&p, &done, fault);
    buf_free(&p.in);
    buf_free(&p.out);
    return e;
}
