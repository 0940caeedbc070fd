// resume-v1@bowline (doc/resume.md) at the gate: it passes the messages, tells the keeper
// which connection a client comes for, gives the holder what the secret is made from, and
// is the one to refuse where there is no such connection.
#include <stdio.h>

#include "base/text.h"
#include "connection/resume.h"
#include "server/gate.h"
#include "wire/messages.h"

#define ATTACH_MS 10000u  // behind the login, for the client's ATTACH
#define SINCE 3u          // IPC_VERSION of holders that know of it

void gate_resume_asked(struct gate *g, struct view name, struct view value) {
    struct ipc_resume m = {value};
    if (!g->settings->resume || g->comes_back || g->authenticated ||
        !view_is(name, RESUME_NAME) || value.n != RESUME_HANDLE)
        return;
    g->comes_back = true;
    if (ipc_send(g->keeper, IPC_RESUME, &m, -1) != OK)
        gate_end(g, GATE_FAULT, DISCONNECT_BY_APPLICATION, "keeper does not listen");
}

enum err gate_resume_secret(struct gate *g, uint32_t holder_version) {
    struct view secret = transport_exporter(g->transport);
    if (!g->settings->resume || holder_version < SINCE || secret.n != SEAM_SECRET_SIZE)
        return OK;
    g->told_secret = true;
    return seam_secret(&g->seam, secret);
}

bool gate_resume_open(struct gate *g, struct view message) {
    scoped_buf out = {.max = 512};
    if (message.p[0] != SSH_MSG_RESUME_OPEN || g->told_secret ||
        !transport_can_send(g->transport))
        return false;
    enum err e = resume_refuse(RESUME_REFUSED_DISABLED, NULL, &out);
    if (e == OK)
        e = transport_send_view(g->transport, buf_view(&out));
    if (e != OK)
        gate_fault(g, e, transport_fault(g->transport));
    return true;
}

void gate_resume_refused(struct gate *g, uint32_t reason) {
    g->refusal = reason > RESUME_REFUSED_NONE && reason < RESUME_REFUSALS
                     ? reason
                     : RESUME_REFUSED_UNKNOWN;
    g->attach_deadline = g->now + ATTACH_MS;
}

void gate_resume_ended(struct gate *g, const struct ipc_ended *m) {
    char class[64], text[FAULT_TEXT_SIZE];
    snprintf(g->ended_as, sizeof g->ended_as, "%s: %s",
             text_clean(class, sizeof class, m->class),
             text_clean(text, sizeof text, m->text));
}

void gate_resume_refuse(struct gate *g, uint32_t reason) {
    scoped_buf out = {.max = 512};
    const char *text = g->ended_as[0] != '\0'
                           ? g->ended_as
                           : resume_refusal_text((enum resume_refusal)reason);
    enum err e = resume_refuse((enum resume_refusal)reason, text, &out);
    if (e == OK)
        e = transport_send_view(g->transport, buf_view(&out));
    if (e == OK)
        e = transport_disconnect(g->transport, DISCONNECT_BY_APPLICATION, text);
    (void)e;  // the link ends in any case
    gate_end(g, GATE_NOT_RESUMED, DISCONNECT_BY_APPLICATION, text);
}

void gate_resume_up(struct gate *g, struct view message) {
    struct fault fault = {0};
    if (message.p[0] == SSH_MSG_RESUME_ATTACH) {
        gate_resume_refuse(g, g->refusal);
        return;
    }
    gate_fault(g, ERR_UNEXPECTED,
               (fault_set(&fault, ERR_UNEXPECTED, message.p[0],
                          "%s: a client that comes to resume sends RESUME_ATTACH first",
                          message_name(message.p[0])),
                &fault));
}
