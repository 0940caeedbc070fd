// early-session@bowline: the session's first messages travel with the login's and wait
// here for its success. They are not looked at before; bounded, and thrown away with a
// login that fails.
#include "server/gate.h"
#include "wire/messages.h"

static void refuse(struct gate *g, struct view message) {
    struct fault fault = {0};
    enum err e = fault_set(&fault, ERR_UNEXPECTED, message.p[0],
                           "%s (%u): not allowed during authentication",
                           message_name(message.p[0]), message.p[0]);
    gate_fault(g, e, &fault);
}

void gate_early_take(struct gate *g, struct view message) {
    if (g->auth != NULL && auth_server_undecided(g->auth)) {
        uint8_t length[4];
        store_u32(length, (uint32_t)message.n);
        if (buf_append(&g->early, view_of(length, sizeof length)) != OK ||
            buf_append(&g->early, message) != OK)
            refuse(g, message);
    } else if (message.n <= g->early_left) {
        g->early_left -= (uint32_t)message.n;
    } else {
        refuse(g, message);
    }
}

void gate_early_drop(struct gate *g) {
    buf_free(&g->early);
    buf_init(&g->early, LIMIT_EARLY_SESSION);
    g->early_left = LIMIT_EARLY_SESSION;
}

void gate_early_deliver(struct gate *g) {
    struct reader r = reader_of(buf_view(&g->early));
    while (reader_left(&r) > 0 && !g->ending) {
        struct view message = read_string(&r);
        if (r.err != OK || buf_len(&g->held) > 0)
            break;  // the seam takes far more than LIMIT_EARLY_SESSION
        if (g->refusal != 0)
            gate_resume_up(g, message);
        else
            gate_seam_up(g, message, (struct span){NULL, 0});
    }
    if (reader_left(&r) > 0 && !g->ending)
        gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION, "the holder does not listen");
    buf_free(&g->early);
}
