// The bridge's life and its bytes: frames of the near end, data in both directions, ends.
#include "client/bridge.h"

#include <stdlib.h>

#include "base/limits.h"
#include "client/bridge_link.h"
#include "wire/messages.h"

#define FRAME_HEADER 5u  // uint32 length of what follows, byte 0 (no padding)
// OpenSSH's clients take none that is shorter: answers to global requests get zeros
// behind them, where nobody looks.
#define MESSAGE_MIN 4u

enum err bridge_open(struct bridge *b, struct connection *far) {
    b->far = far;
    return connection_new(
        &b->near,
        &(struct connection_config){.server = true, .window_max = LIMIT_WINDOW_START});
}

static void free_link(struct bridge_link *l) {
    buf_free(&l->to_near[0]);
    buf_free(&l->to_near[1]);
    buf_free(&l->to_far);
    free(l);
}

enum err bridge_end(struct bridge *b) {
    for (const struct bridge_link *l = b->links; l != NULL; l = l->next)
        TRY(connection_close(b->far, l->far));
    return OK;
}

void bridge_free(struct bridge *b) {
    for (struct bridge_link *l = b->links, *next; l != NULL; l = next) {
        next = l->next;
        free_link(l);
    }
    connection_free(b->near);
    *b = (struct bridge){0};
}

struct bridge_link *bridge_link_new(struct bridge *b, const char *type, uint64_t now) {
    struct bridge_link *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->type = type;
    l->used = now;
    buf_init(&l->to_near[0], LIMIT_WINDOW_MAX);
    buf_init(&l->to_near[1], LIMIT_WINDOW_MAX);
    buf_init(&l->to_far, LIMIT_WINDOW_START + LIMIT_CHANNEL_PACKET);
    l->next = b->links;
    b->links = l;
    return l;
}

void bridge_link_drop(struct bridge *b, struct bridge_link *l) {
    for (struct bridge_link **at = &b->links; *at != NULL; at = &(*at)->next)
        if (*at == l) {
            *at = l->next;
            if (connection_user(b->near, l->near) == l)
                connection_set_user(b->near, l->near, NULL);
            b->waits = b->waits && !l->refuses;
            free_link(l);
            return;
        }
}

// ---- in ----

// OK with an empty message: not all of it is there.
static enum err next_frame(struct view in, struct view *message) {
    *message = (struct view){0};
    if (in.n < FRAME_HEADER)
        return OK;
    uint32_t n = load_u32(in.p);
    if (n < 2 || n > BRIDGE_FRAME_MAX || in.p[4] != 0)
        return ERR_PROTOCOL;
    if (in.n - 4 >= n)
        *message = view_of(in.p + FRAME_HEADER, n - 1);
    return OK;
}

static bool is_idle_talk(uint8_t number) {
    return number == SSH_MSG_IGNORE || number == SSH_MSG_DEBUG ||
           number == SSH_MSG_UNIMPLEMENTED;
}

static enum err take_message(struct bridge *b, struct view message, uint64_t now) {
    struct connection_event event;
    if (is_idle_talk(message.p[0]))
        return OK;
    b->broken = connection_in(b->near, message, now) != OK;
    while (!b->broken && connection_next(b->near, &event))
        TRY(bridge_near_event(b, &event, now));
    return OK;
}

enum err bridge_take(struct bridge *b, struct buf *in, uint64_t now) {
    for (;;) {
        struct view message;
        b->stalled = !connection_in_ready(b->far);
        if (b->broken || b->waits || b->stalled || !connection_in_ready(b->near))
            return OK;
        b->broken = next_frame(buf_view(in), &message) != OK;
        if (b->broken || message.n == 0)
            return OK;
        TRY(take_message(b, message, now));
        buf_taken(in, FRAME_HEADER + message.n);
    }
}

// ---- out ----

// Room for a message of n bytes behind its frame; NULL: no memory.
static uint8_t *frame(struct buf *out, size_t n) {
    struct span room;
    size_t all = n < MESSAGE_MIN ? MESSAGE_MIN : n;
    if (buf_reserve(out, FRAME_HEADER + all, &room) != OK)
        return NULL;
    store_u32(room.p, (uint32_t)all + 1);
    room.p[4] = 0;
    memset(room.p + FRAME_HEADER + n, 0, all - n);
    buf_added(out, FRAME_HEADER + all);
    return room.p + FRAME_HEADER;
}

static void give_control(struct bridge *b, struct buf *out, size_t enough) {
    for (struct view v; buf_len(out) < enough && (v = connection_out(b->near)).n > 0;
         connection_out_done(b->near)) {
        uint8_t *p = frame(out, v.n);
        b->broken = b->broken || p == NULL;
        if (p == NULL)
            return;
        memcpy(p, v.p, v.n);
    }
}

static bool give_data(struct bridge *b, struct bridge_link *l, int stream,
                      struct buf *out, uint64_t now) {
    struct view v = buf_view(&l->to_near[stream]);
    size_t max = connection_data_max(b->near, l->near);
    size_t n = v.n < max ? v.n : max;
    size_t header = stream == 0 ? CONNECTION_DATA_HEADER : CONNECTION_EXTENDED_HEADER;
    if (n == 0 || connection_out_pending(b->near, l->near))
        return false;
    uint8_t *p = frame(out, header + n);
    if (p == NULL) {
        b->broken = true;
        return false;
    }
    connection_data_header(b->near, l->near, (uint32_t)stream, n, p);
    memcpy(p + header, v.p, n);
    buf_taken(&l->to_near[stream], n);
    l->used = now;
    buf_release_if_empty(&l->to_near[stream]);
    b->broken = b->broken || connection_consumed(b->far, l->far, n, now) != OK;
    return true;
}

void bridge_give(struct bridge *b, struct buf *out, size_t enough, uint64_t now) {
    give_control(b, out, enough);
    for (struct bridge_link *l = b->links; l != NULL; l = l->next)
        for (int stream = 0; stream < 2; stream++)
            while (buf_len(out) < enough && give_data(b, l, stream, out, now))
                ;
}

struct view bridge_far_data(const struct bridge *b, const struct bridge_link *l) {
    struct view v = buf_view(&l->to_far);
    size_t max = connection_data_max(b->far, l->far);
    return view_of(v.p, v.n < max ? v.n : max);
}

void bridge_far_sent(struct bridge *b, struct bridge_link *l, size_t n, uint64_t now) {
    buf_taken(&l->to_far, n);
    l->used = now;
    buf_release_if_empty(&l->to_far);
    b->broken = b->broken || connection_consumed(b->near, l->near, n, now) != OK;
}

// ---- ends ----

static bool near_has_all(const struct bridge_link *l) {
    return buf_len(&l->to_near[0]) == 0 && buf_len(&l->to_near[1]) == 0;
}

static bool is_over(const struct bridge_link *l) {
    return (l->near_closed && (l->far_closed || buf_len(&l->to_far) == 0)) ||
           (l->far_closed && near_has_all(l));
}

static void near_did(struct bridge *b, enum err e) {
    b->broken = b->broken || e != OK;
}

enum err bridge_close(struct bridge *b, struct bridge_link *l) {
    near_did(b, connection_close(b->near, l->near));
    enum err e = connection_close(b->far, l->far);
    bridge_link_drop(b, l);
    return e;
}

enum err bridge_settle(struct bridge *b) {
    for (struct bridge_link *l = b->links, *next; l != NULL; l = next) {
        next = l->next;
        if (l->far_eof && near_has_all(l) && !connection_eof_sent(b->near, l->near))
            near_did(b, connection_eof(b->near, l->near));
        if (l->near_eof && buf_len(&l->to_far) == 0 &&
            !connection_eof_sent(b->far, l->far))
            TRY(connection_eof(b->far, l->far));
        if (is_over(l))
            TRY(bridge_close(b, l));
    }
    return OK;
}
