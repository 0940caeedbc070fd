// Bytes of the session: input straight into the packets to come, output straight from
// those that came.
#include <poll.h>
#include <unistd.h>

#include "base/limits.h"
#include "client/run.h"
#include "client/session.h"
#include "io/clock.h"

#define TYPED_MAX 4096

// ---- output ----

// A reader that is gone: the command shall notice (as SIGPIPE would have it).
static enum err tell_broken(struct session *s) {
    if (s->closed || !s->opened)
        return OK;
    // Others would send for ever: there the channel ends.
    if (!s->c->bowline_peer && !s->c->openssh_peer)
        return connection_close(s->connection, s->channel);
    return connection_request(s->connection, s->channel, "eow@openssh.com", false,
                              (struct view){0});
}

// For whoever wants to write in between (notice.h).
static void note_shown(struct session *s, struct view v) {
    size_t n = v.n < sizeof s->shown ? v.n : sizeof s->shown;
    size_t stay = s->shown_n + n <= sizeof s->shown ? s->shown_n : sizeof s->shown - n;
    memmove(s->shown, s->shown + s->shown_n - stay, stay);
    memcpy(s->shown + stay, v.p + v.n - n, n);
    s->shown_n = stay + n;
}

enum err session_data(struct session *s, uint32_t extended, struct view data) {
    struct stream *stream = extended == 0 ? &s->out : &s->err;
    bool was_broken = stream->broken;
    size_t done = 0;
    TRY(notice_make_way(s));
    TRY(stream_write(stream, data, &done));
    if (s->pty)
        note_shown(s, data);
    if (stream->broken && !was_broken && stream == &s->out)
        TRY(tell_broken(s));
    return done > 0 ? connection_consumed(s->connection, s->channel, done, clock_ms())
                    : OK;
}

enum err session_pump_output(struct session *s, struct stream *stream) {
    bool was_broken = stream->broken;
    size_t done = 0;
    stream_flush(stream, &done);
    if (stream->broken && !was_broken && stream == &s->out)
        TRY(tell_broken(s));
    if (done == 0 || s->closed)
        return OK;
    return connection_consumed(s->connection, s->channel, done, clock_ms());
}

void session_finish_output(struct session *s) {
    for (;;) {
        struct pollfd p[2] = {{.fd = -1}, {.fd = -1}};
        struct stream *streams[2] = {&s->out, &s->err};
        bool waiting = false;
        for (int i = 0; i < 2; i++) {
            size_t done = 0;
            stream_flush(streams[i], &done);
            if (buf_len(&streams[i]->left) == 0)
                continue;
            p[i] = (struct pollfd){.fd = streams[i]->fd, .events = POLLOUT};
            waiting = true;
        }
        // A signal ends the waiting: somebody has had enough.
        if (!waiting || poll(p, 2, -1) < 0)
            return;
    }
}

// ---- input ----

bool session_wants_input(struct session *s) {
    return !s->input_ended && !s->closed && s->opened &&
           connection_data_max(s->connection, s->channel) > 0 &&
           carrier_wants_data(&s->run->carrier);
}

static enum err end_input(struct session *s) {
    s->input_ended = true;
    return connection_eof(s->connection, s->channel);
}

enum err session_send(struct session *s, struct view v) {
    struct carrier *w = &s->run->carrier;
    if (v.n == 0 || s->closed || connection_data_max(s->connection, s->channel) < v.n)
        return OK;
    struct span room = carrier_message(w, CONNECTION_DATA_HEADER + v.n);
    if (room.p == NULL)
        return OK;
    connection_data_header(s->connection, s->channel, 0, v.n, room.p);
    memcpy(room.p + CONNECTION_DATA_HEADER, v.p, v.n);
    return carrier_send(w, CONNECTION_DATA_HEADER + v.n);
}

// Typed bytes pass the escape parser.
static enum err send_typed(struct session *s, struct view v) {
    while (v.n > 0 && !s->done) {
        // Behind ~R the new keys come first.
        if (!carrier_can_send(&s->run->carrier))
            return buf_append(&s->typed, v);
        uint8_t plain[TYPED_MAX + 1];
        size_t n = 0;
        enum escape_action action = escape_filter(&s->escape, &v, plain, &n);
        TRY(session_send(s, view_of(plain, n)));
        if (action != ESCAPE_NOTHING)
            TRY(session_escape(s, action));
    }
    return OK;
}

static enum err pump_typed(struct session *s) {
    uint8_t typed[TYPED_MAX];
    size_t max = connection_data_max(s->connection, s->channel), n = 0;
    // One may come out more than went in: the escape character held back before.
    if (max < 2)
        return OK;
    struct span room = {typed, max - 1 < sizeof typed ? max - 1 : sizeof typed};
    struct view held = buf_view(&s->typed);
    if (held.n > 0) {
        n = held.n < room.n ? held.n : room.n;
        memcpy(typed, held.p, n);
        buf_taken(&s->typed, n);
        return send_typed(s, view_of(typed, n));
    }
    enum err e = stream_read(&s->in, room, &n);
    if (e == ERR_CLOSED)
        return end_input(s);
    return n > 0 ? send_typed(s, view_of(typed, n)) : OK;
}

// One message of bulk; *more: there is likely more to read.
static enum err pump_message(struct session *s, bool *more) {
    struct carrier *w = &s->run->carrier;
    size_t cap = connection_data_max(s->connection, s->channel), n = 0;
    struct span room = carrier_message(w, CONNECTION_DATA_HEADER + cap);
    *more = false;
    if (room.p == NULL)
        return OK;
    enum err e =
        stream_read(&s->in, (struct span){room.p + CONNECTION_DATA_HEADER, cap}, &n);
    if (e == ERR_CLOSED)
        return end_input(s);
    if (n == 0)
        return OK;
    connection_data_header(s->connection, s->channel, 0, n, room.p);
    *more = n == cap && !s->in.waits;
    return carrier_send(w, CONNECTION_DATA_HEADER + n);
}

static enum err pump_input(struct session *s) {
    // Requests queued before belong before the data.
    TRY(run_send_control(s->run));
    if (connection_out_pending(s->connection, s->channel))
        return OK;
    if (s->escape.character >= 0)
        return pump_typed(s);
    for (bool more = true; more && session_wants_input(s);)
        TRY(pump_message(s, &more));
    return OK;
}

enum err session_pump_input(struct session *s) {
    uint64_t before = connection_data_window(s->connection, s->channel);
    TRY(pump_input(s));
    s->used = clock_ms();
    obscure_sent(s, before - connection_data_window(s->connection, s->channel));
    return OK;
}
