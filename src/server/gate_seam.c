// The gate after login: messages 80 and up between transport and seam, and nothing else.
#include "base/limits.h"
#include "connection/resume.h"
#include "server/gate.h"
#include "wire/messages.h"

// Ciphertext that waits for the socket at most while the holder has more: keeps
// keystrokes near the front.
#define OUT_MAX (256u * 1024u)
// CHANNEL_DATA below this goes by the socket although there is a ring: keystrokes.
#define SMALL 2048u

void gate_seam_open(struct gate *g, int fd, uint32_t holder_version) {
    struct view ident = transport_peer_ident(g->transport);
    bool bowline =
        ident.n >= sizeof SETTINGS_IDENT_BOWLINE - 1 &&
        memcmp(ident.p, SETTINGS_IDENT_BOWLINE, sizeof SETTINGS_IDENT_BOWLINE - 1) == 0;
    g->ring_least = (bowline ? LIMIT_CHANNEL_PACKET_BOWLINE : LIMIT_CHANNEL_PACKET) + 512;
    enum err e = seam_init(&g->seam, fd, false);
    if (e == OK)
        e = seam_hello(&g->seam, ident);
    if (e == OK)
        e = gate_resume_secret(g, holder_version);
    // A holder that does not want this client has said so and is gone already.
    if (e == ERR_CLOSED && g->comes_back)
        e = OK;
    if (e != OK) {
        gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION, "no way to the holder");
        return;
    }
    g->seam_open = true;
}

static bool seam_failed(struct gate *g, enum err e) {
    if (e == OK)
        return false;
    // What the holder said last may still be to be read: gate_seam_down() finds the end.
    if (e != ERR_CLOSED)
        gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION,
                 "the holder cannot be reached");
    return true;
}

bool gate_seam_can_take(struct gate *g) {
    if (buf_len(&g->held) > 0) {
        bool sent = false;
        if (seam_failed(g, seam_send(&g->seam, buf_view(&g->held), &sent)))
            sent = true;
        if (!sent)
            return false;
        buf_clear(&g->held);
        buf_release_if_empty(&g->held);
    }
    return true;
}

struct span gate_seam_room(struct gate *g) {
    struct span room = {NULL, 0};
    g->ring_full = false;
    if (!g->authenticated || !g->seam_open || !seam_has_ring(&g->seam))
        return room;
    if (seam_failed(g, seam_room(&g->seam, g->ring_least, g->ring_least, &room)))
        return room;
    g->ring_full = room.n == 0;
    return room;
}

// Bulk that was opened in the transport's own buffer: the burst that makes the ring.
static bool up_by_new_ring(struct gate *g, struct view message) {
    struct span room;
    if (seam_failed(g, seam_room(&g->seam, message.n, message.n, &room)) || room.n == 0)
        return false;
    memcpy(room.p, message.p, message.n);
    return !seam_failed(g, seam_publish(&g->seam, message.n));
}

void gate_seam_up(struct gate *g, struct view message, struct span room) {
    bool data = message.p[0] == SSH_MSG_CHANNEL_DATA && message.n >= 9;
    if (data && room.n > 0 && message.p == room.p && message.n >= SMALL) {
        (void)seam_failed(g, seam_publish(&g->seam, message.n));
        return;
    }
    if (data && message.n >= SEAM_BULK && up_by_new_ring(g, message))
        return;
    bool sent = false;
    if (!data && gate_resume_open(g, message))
        return;
    if (!data)
        gate_class_up(g, message);
    if (seam_failed(g, seam_send(&g->seam, message, &sent)) || sent)
        return;
    if (buf_append(&g->held, message) != OK)
        gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION,
                 "message too long for the holder");
}

// What a holder may say. A slot's first byte is CHANNEL_DATA, the seam has looked.
static bool is_holders(const struct seam_event *event) {
    uint8_t number = event->message.p[0];
    return event->kind == SEAM_SLOT ||
           (number >= SSH_MSG_GLOBAL_REQUEST && number < SSH_MSG_PING) ||
           (number >= SSH_MSG_RESUME_OPENED && number <= SSH_MSG_RESUME_ACK);
}

static void down_message(struct gate *g, const struct seam_event *event) {
    g->came_back = true;
    if (!is_holders(event)) {
        gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION,
                 "the holder sent a misplaced message");
        return;
    }
    enum err e = event->kind == SEAM_SLOT
                     ? transport_send_slot(g->transport, event->slot, event->message.n)
                     : transport_send_view(g->transport, event->message);
    if (event->kind == SEAM_SLOT && e == OK)
        (void)seam_failed(g, seam_taken(&g->seam));
    if (e != OK)
        gate_fault(g, e, transport_fault(g->transport));
}

static void holder_ended(struct gate *g, uint32_t reason, struct view text) {
    if (g->comes_back && !g->came_back) {  // before it has answered
        gate_resume_refuse(g, RESUME_REFUSED_ENDED);
        return;
    }
    char copy[FAULT_TEXT_SIZE] = "session ended";
    if (text.n > 0 && text.n < sizeof copy) {
        memcpy(copy, text.p, text.n);
        copy[text.n] = '\0';
    }
    enum err e = transport_disconnect(g->transport, (enum disconnect_reason)reason, copy);
    (void)e;
    gate_end(g, GATE_HOLDER_ENDED, reason, copy);
}

void gate_seam_down(struct gate *g) {
    struct fault fault = {0};
    while (!g->ending && transport_can_send(g->transport) &&
           transport_out(g->transport).n < OUT_MAX) {
        struct seam_event event;
        enum err e = seam_next(&g->seam, &event, &fault);
        if (e == ERR_CLOSED) {
            holder_ended(g, DISCONNECT_BY_APPLICATION, view_of(NULL, 0));
            return;
        }
        if (e != OK) {
            gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION, fault_text(&fault));
            return;
        }
        if (event.kind == SEAM_NONE)
            return;
        if (event.kind == SEAM_END && event.reason == 0)
            gate_end(g, GATE_RELEASED, 0, "");
        else if (event.kind == SEAM_END)
            holder_ended(g, event.reason, event.message);
        else if (event.kind == SEAM_MESSAGE || event.kind == SEAM_SLOT)
            down_message(g, &event);
    }
}
