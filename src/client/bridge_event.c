// What becomes of the events of either end: two tables of what may cross the bridge, and
// who does what when it happens.
#include <stddef.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/bridge_link.h"
#include "connection/requests.h"

// Decoded fields of any request.
union fields {
    max_align_t align;
    uint8_t room[256];
};

static const char *const opens[] = {"session", "direct-tcpip",
                                    "direct-streamlocal@openssh.com"};
// Agent and X11 are not among them: what the server would open for them is the master's.
static const char *const asks[] = {
    "pty-req",   "window-change", "env",   "shell",           "exec",
    "subsystem", "signal",        "break", "eow@openssh.com", "keepalive@openssh.com"};

static bool is_among(const char *const *names, size_t n, struct view name) {
    for (size_t i = 0; i < n; i++)
        if (view_is(name, names[i]))
            return true;
    return false;
}

static bool is_sound(const struct connection_event *event) {
    union fields fields;
    struct fault fault = {0};
    return event->type != NULL && event->type->size <= sizeof fields &&
           request_decode(event->type, event->fields, &fields, &fault) == OK;
}

static void near_did(struct bridge *b, enum err e) {
    b->broken = b->broken || e != OK;
}

// ---- the near end ----

static void refuse_near(struct bridge *b, uint32_t channel, enum open_failure reason,
                        const char *text) {
    near_did(b, connection_refuse(b->near, channel, reason, text));
}

static enum err near_open(struct bridge *b, const struct connection_event *event,
                          uint64_t now) {
    uint32_t far;
    if (!is_among(opens, sizeof opens / sizeof opens[0], event->name) ||
        !is_sound(event)) {
        refuse_near(b, event->channel, OPEN_UNKNOWN_CHANNEL_TYPE,
                    "not by a shared connection");
        return OK;
    }
    struct bridge_link *l = bridge_link_new(b, event->type->name, now);
    enum err e = l != NULL
                     ? connection_open(b->far, event->type->name, event->fields, &far)
                     : ERR_MEMORY;
    if (e != OK) {
        if (l != NULL) {
            l->near = event->channel;
            bridge_link_drop(b, l);
        }
        refuse_near(b, event->channel, OPEN_RESOURCE_SHORTAGE, err_text(e));
        return OK;
    }
    l->near = event->channel;
    l->far = far;
    connection_set_user(b->near, l->near, l);
    return OK;
}

static void near_request(struct bridge *b, struct bridge_link *l,
                         const struct connection_event *event) {
    bool may = is_among(asks, sizeof asks / sizeof asks[0], event->name);
    if (may && is_sound(event) && !l->far_closed &&
        connection_request(b->far, l->far, event->type->name, event->want_reply,
                           event->fields) == OK)
        return;
    if (!event->want_reply)
        return;
    // Answers are in order: those of the far end come first.
    l->refuses = b->waits = connection_replies_due(b->far, l->far) > 0;
    if (!l->refuses)
        near_did(b, connection_reply(b->near, l->near, false));
}

static void near_close(struct bridge *b, struct bridge_link *l, uint64_t now) {
    l->near_closed = true;
    for (int stream = 0; stream < 2; stream++) {
        near_did(b,
                 connection_consumed(b->far, l->far, buf_len(&l->to_near[stream]), now));
        buf_free(&l->to_near[stream]);
    }
}

static void near_data(struct bridge *b, struct bridge_link *l,
                      const struct connection_event *event, uint64_t now) {
    l->used = now;
    if (event->extended != 0 || l->far_closed)
        near_did(b, connection_consumed(b->near, l->near, event->data.n, now));
    else
        near_did(b, buf_append(&l->to_far, event->data));
}

static void answer_far(struct bridge *b, const struct bridge_link *l, bool success) {
    if (!l->far_closed)
        near_did(b, connection_reply(b->far, l->far, success));
}

static enum err near_refused(struct bridge *b, struct bridge_link *l,
                             const struct connection_event *event) {
    char text[256];
    text_clean(text, sizeof text, event->text);
    uint32_t far = l->far;
    bridge_link_drop(b, l);
    return connection_refuse(b->far, far, event->reason, text);
}

static enum err near_channel(struct bridge *b, struct bridge_link *l,
                             const struct connection_event *event, uint64_t now) {
    switch (event->kind) {
    case CONNECTION_OPENED:
        l->open = true;
        return connection_accept(b->far, l->far, event->fields);
    case CONNECTION_OPEN_REFUSED:
        return near_refused(b, l, event);
    case CONNECTION_DATA:
        near_data(b, l, event, now);
        break;
    case CONNECTION_EOF:
        l->near_eof = true;
        break;
    case CONNECTION_PEER_CLOSE:
        near_close(b, l, now);
        break;
    case CONNECTION_REQUEST:
        near_request(b, l, event);
        break;
    case CONNECTION_REPLY:
        answer_far(b, l, event->success);
        break;
    default:
        break;
    }
    return OK;
}

enum err bridge_near_event(struct bridge *b, const struct connection_event *event,
                           uint64_t now) {
    if (event->kind == CONNECTION_OPEN)
        return near_open(b, event, now);
    if (event->kind == CONNECTION_GLOBAL_REQUEST)
        return b->global(b->context, event);
    struct bridge_link *l = event->user;
    return l != NULL ? near_channel(b, l, event, now) : OK;
}

// ---- the far end ----

static enum err far_refused(struct bridge *b, struct bridge_link *l,
                            const struct connection_event *event) {
    char text[256];
    uint32_t near = l->near;
    text_clean(text, sizeof text, event->text);
    bridge_link_drop(b, l);
    refuse_near(b, near, event->reason, text);
    return OK;
}

static enum err far_request(struct bridge *b, struct bridge_link *l,
                            const struct connection_event *event) {
    if (event->type == NULL || l->near_closed)
        return event->want_reply ? connection_reply(b->far, l->far, false) : OK;
    near_did(b, connection_request(b->near, l->near, event->type->name, event->want_reply,
                                   event->fields));
    return OK;
}

static void far_reply(struct bridge *b, struct bridge_link *l, bool success) {
    near_did(b, connection_reply(b->near, l->near, success));
    if (!l->refuses || connection_replies_due(b->far, l->far) > 0)
        return;
    l->refuses = b->waits = false;
    near_did(b, connection_reply(b->near, l->near, false));
}

static enum err far_data(struct bridge *b, struct bridge_link *l,
                         const struct connection_event *event, uint64_t now) {
    l->used = now;
    if (event->extended > 1 || l->near_closed)
        return connection_consumed(b->far, l->far, event->data.n, now);
    near_did(b, buf_append(&l->to_near[event->extended], event->data));
    return OK;
}

static enum err far_channel(struct bridge *b, struct bridge_link *l,
                            const struct connection_event *event, uint64_t now) {
    switch (event->kind) {
    case CONNECTION_OPENED:
        l->open = true;
        near_did(b, connection_accept(b->near, l->near, event->fields));
        break;
    case CONNECTION_OPEN_REFUSED:
        return far_refused(b, l, event);
    case CONNECTION_DATA:
        return far_data(b, l, event, now);
    case CONNECTION_EOF:
        l->far_eof = true;
        break;
    case CONNECTION_PEER_CLOSE:
        l->far_closed = true;
        break;
    case CONNECTION_REQUEST:
        return far_request(b, l, event);
    case CONNECTION_REPLY:
        far_reply(b, l, event->success);
        break;
    default:
        break;
    }
    return OK;
}

static bool is_of_channel(enum connection_event_kind kind) {
    return kind != CONNECTION_OPEN && kind != CONNECTION_GLOBAL_REQUEST &&
           kind != CONNECTION_GLOBAL_REPLY;
}

enum err bridge_far_event(struct bridge *b, const struct connection_event *event,
                          bool *mine, uint64_t now) {
    *mine = false;
    if (!is_of_channel(event->kind))
        return OK;
    for (struct bridge_link *l = b->links; l != NULL; l = l->next)
        if (l->far == event->channel) {
            *mine = true;
            return far_channel(b, l, event, now);
        }
    return OK;
}

enum err bridge_far_open(struct bridge *b, const struct connection_event *event,
                         uint64_t now) {
    struct bridge_link *l = bridge_link_new(b, event->type->name, now);
    enum err e =
        l != NULL ? connection_open(b->near, event->type->name, event->fields, &l->near)
                  : ERR_MEMORY;
    if (e == OK) {
        l->far = event->channel;
        connection_set_user(b->near, l->near, l);
        return OK;
    }
    if (l != NULL) {
        l->near = UINT32_MAX;
        bridge_link_drop(b, l);
    }
    return connection_refuse(b->far, event->channel, OPEN_RESOURCE_SHORTAGE, err_text(e));
}
