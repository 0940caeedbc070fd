#include "transfer/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "io/clock.h"
#include "io/fd.h"
#include "transfer/ahead.h"
#include "transfer/interrupt.h"
#include "transfer/say.h"

#define IN_MAX (1024u * 1024u)
#define IN_ROOM (256u * 1024u)  // more does not stay in caches; one whole answer fits
#define BURST (64u * 1024u)     // moved at once: the pipe is worth more room
#define PIPE_SIZE (1024 * 1024)

bool remote_lost(struct remote *r, const struct fault *why) {
    if (!r->lost)
        r->fault = *why;
    r->lost = true;
    return false;
}

static bool failed(struct remote *r, enum err e, const char *what) {
    struct fault fault = {0};
    if (e == ERR_CLOSED)
        fault_set(&fault, e, 0, "Connection closed");
    else
        fault_set(&fault, e, 0, "%s: %s", what, err_text(e));
    return remote_lost(r, &fault);
}

// ---- moving bytes ----

static void widen(int fd, size_t n, bool *wide) {
    if (*wide || n < BURST)
        return;
    *wide = true;
    (void)fcntl(fd, F_SETPIPE_SZ, PIPE_SIZE);
}

static void passed(struct remote *r, size_t n) {
    if (r->throttle != NULL)
        throttle_passed(r->throttle, n);
}

static size_t piece(const struct remote *r, size_t most) {
    return r->throttle != NULL ? throttle_piece(r->throttle, most) : most;
}

static bool write_some(struct remote *r, size_t *n) {
    struct view v = sftp_client_out(r->client);
    enum err e = fd_write_some(r->program.in, view_of(v.p, piece(r, v.n)), n);
    if (e != OK)
        return failed(r, e, "write to the connection");
    sftp_client_out_done(r->client, *n);
    widen(r->program.in, *n, &r->wide_in);
    passed(r, *n);
    return true;
}

static bool read_some(struct remote *r, size_t *n) {
    struct span room;
    enum err e = buf_reserve(&r->input, piece(r, IN_ROOM), &room);
    if (e == OK)
        e = fd_read_some(r->program.out, (struct span){room.p, piece(r, IN_ROOM)}, n);
    if (e != OK)
        return failed(r, e, "read from the connection");
    buf_added(&r->input, *n);
    widen(r->program.out, *n, &r->wide_out);
    passed(r, *n);
    return true;
}

bool remote_wants_out(const struct remote *r) {
    return sftp_client_out(r->client).n > 0;
}

bool remote_wants_in(const struct remote *r) {
    return buf_len(&r->input) < IN_ROOM;
}

bool remote_move(struct remote *r, bool in) {
    size_t n = 0;
    if (r->lost || (remote_wants_out(r) && !write_some(r, &n)))
        return false;
    return !in || read_some(r, &n);
}

static bool wait_and_move(struct remote *r) {
    size_t n = 0;
    // What is written without waiting is the usual case.
    if (remote_wants_out(r) && !write_some(r, &n))
        return false;
    struct pollfd fds[] = {{r->program.out, POLLIN, 0},
                           {remote_wants_out(r) ? r->program.in : -1, POLLOUT, 0}};
    int ready = poll(fds, 2, n > 0 ? 0 : r->meter != NULL ? meter_wait(r->meter) : -1);
    if (ready < 0 && errno != EINTR)
        return failed(r, ERR_IO, "poll");
    if (ready <= 0)
        return true;
    if (fds[1].revents != 0 && !write_some(r, &n))
        return false;
    return fds[0].revents == 0 || read_some(r, &n);
}

// The next reply that is no file's asked for ahead. *took: such ones were there.
static bool next_reply(struct remote *r, struct sftp_reply *reply, bool *took) {
    struct fault fault = {0};
    bool ahead = true;
    *took = false;
    *reply = (struct sftp_reply){.kind = SFTP_REPLY_NONE};
    while (ahead && !r->lost) {
        size_t taken = 0;
        enum err e = sftp_client_step(r->client, buf_view(&r->input), r->whole,
                                      clock_ms(), &taken, reply, &fault);
        buf_taken(&r->input, taken);
        if (e != OK)
            return remote_lost(r, &fault);
        ahead = reply->kind != SFTP_REPLY_NONE && ahead_take(r, reply);
        *took = *took || ahead;
    }
    return !r->lost;
}

bool remote_ready(struct remote *r, struct sftp_reply *reply) {
    bool took;
    return next_reply(r, reply, &took);
}

bool remote_turn(struct remote *r, struct sftp_reply *reply) {
    bool took;
    // Who waits for what was taken is not to wait any longer.
    if (!next_reply(r, reply, &took) || took || reply->kind != SFTP_REPLY_NONE)
        return !r->lost;
    return wait_and_move(r) && next_reply(r, reply, &took);
}

// ---- asking ----

uint32_t remote_ask(struct remote *r, enum sftp_operation_id op,
                    const union sftp_request *request) {
    uint32_t ticket = 0;
    if (r->lost)
        return 0;
    enum err e = sftp_client_ask(r->client, op, request, clock_ms(), &ticket);
    if (e != OK && e != ERR_UNSUPPORTED)
        failed(r, e, sftp_operation(op)->name);
    return e == OK ? ticket : 0;
}

static uint32_t status_of(const struct sftp_reply *reply) {
    return reply->kind == SFTP_REPLY_STATUS ? reply->status : SFTP_OK;
}

uint32_t remote_call(struct remote *r, enum sftp_operation_id op,
                     const union sftp_request *request, struct sftp_reply *reply) {
    uint32_t ticket = remote_ask(r, op, request);
    *reply = (struct sftp_reply){.kind = SFTP_REPLY_NONE};
    if (ticket == 0)
        return r->lost ? SFTP_CONNECTION_LOST : SFTP_OP_UNSUPPORTED;
    while (reply->kind == SFTP_REPLY_NONE || reply->ticket != ticket)
        if (!remote_turn(r, reply))
            return SFTP_CONNECTION_LOST;
    return status_of(reply);
}

uint32_t remote_wait_all(struct remote *r, const uint32_t *tickets, size_t n) {
    uint32_t first = SFTP_OK;
    size_t open = 0;
    struct sftp_reply reply;
    for (size_t i = 0; i < n; i++)
        open += tickets[i] != 0;
    while (open > 0) {
        if (!remote_turn(r, &reply))
            return SFTP_CONNECTION_LOST;
        for (size_t i = 0; i < n && reply.kind != SFTP_REPLY_NONE; i++) {
            if (tickets[i] == 0 || tickets[i] != reply.ticket)
                continue;
            open--;
            if (first == SFTP_OK)
                first = status_of(&reply);
        }
    }
    return first;
}

// ---- life ----

static bool greet(struct remote *r) {
    struct sftp_reply reply = {.kind = SFTP_REPLY_NONE};
    while (reply.kind != SFTP_REPLY_READY) {
        if (!interrupted() && remote_turn(r, &reply))
            continue;
        if (!r->lost) {
            struct fault fault = {.code = ERR_CLOSED, .text = "Interrupted"};
            program_stop(&r->program);
            remote_lost(r, &fault);
        }
        return false;
    }
    say_debug("Remote version: %u", sftp_client_version(r->client));
    for (size_t i = 0; i < SFTP_OP_COUNT; i++) {
        const struct sftp_operation *o = sftp_operation((enum sftp_operation_id)i);
        if (o->extension != NULL && sftp_client_has(r->client, o->id))
            say_debug("Server supports extension \"%s\" revision %s", o->extension,
                      o->version);
    }
    return true;
}

enum err remote_open(struct remote *r, const char *path, const struct words *argv,
                     const struct sftp_client_config *config, struct fault *f) {
    *r = (struct remote){.program = {.in = -1, .out = -1}};
    buf_init(&r->input, IN_MAX);
    enum err e = sftp_client_new(&r->client, config);
    if (e == OK)
        e = program_start(&r->program, path, argv, f);
    if (e == OK && !greet(r)) {
        e = r->fault.code;
        fault_set(f, e, 0, "%s", fault_text(&r->fault));
    }
    if (e != OK)
        remote_close(r);
    return e;
}

int remote_close(struct remote *r) {
    int status = program_end(&r->program);
    sftp_client_free(r->client);
    r->client = NULL;
    buf_free(&r->input);
    ahead_free(r->ahead);
    r->ahead = NULL;
    return status;
}
