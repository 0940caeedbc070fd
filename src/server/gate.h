// The gate: transport and authentication for one link, for its whole life. It has three
// descriptors: the link, the keeper's socket, and later the seam to the holder. Nothing
// else can be reached from here (io/sandbox.h), and nothing it says is taken on trust.
#pragma once

#include "auth/server.h"
#include "base/log.h"
#include "server/ipc.h"
#include "server/seam.h"
#include "server/settings.h"
#include "transport/transport.h"

// What the listener hands to a gate it has forked.
struct gate_start {
    int link, keeper;  // the gate's now
    const struct settings *settings;
    const char *peer;
    uint16_t peer_port;
};

// Runs until the link ends, and ends the process.
_Noreturn void gate_run(const struct gate_start *start);

// ---- inside the gate ----

#define GATE_TERMINALS_MAX 32u  // those beyond do not count

struct gate {
    int link, keeper;
    const struct settings *settings;
    struct log log;
    struct ipc_log_sink log_sink;
    struct ipc_side keeper_side;
    struct transport *transport;
    uint8_t extensions[256];   // of EXT_INFO: the transport refers to them
    struct auth_server *auth;  // NULL before the first keys and after SUCCESS
    bool authenticated, keeper_gone, link_eof, link_reset, identified;
    bool ask_none;  // "none" may let this user in
    struct buf
        early;  // messages 80 and up that wait for the login's success: u32, message
    uint32_t early_left;  // bytes of them that may still come behind one that failed
    uint64_t grace_deadline;
    uint64_t sign_deadline;  // the keeper's answer is due; CLOCK_NEVER: none is
    uint64_t now, busy_at;   // busy_at: something last happened
    bool idle_done;

    bool seam_open;
    struct seam seam;
    struct buf held;    // a message that the seam had no room for
    bool ring_full;     // upwards
    size_t ring_least;  // room that the largest message of this peer needs

    // IPQoS
    bool bulk;
    uint32_t terminals[GATE_TERMINALS_MAX];  // channels
    size_t terminals_n;

    // resume-v1@bowline: the client comes for a connection; that was answered; and why it
    // cannot be had, enum resume_refusal.
    bool asked_resumption;
    bool comes_back, came_back, told_secret;  // the last: the holder has what it needs
    uint32_t refusal;
    char ended_as[FAULT_TEXT_SIZE +
                  64];         // "CLASS: words" of that connection; may be empty
    uint64_t attach_deadline;  // of a client that is to be refused

    bool ending;  // DISCONNECT is in the output; flush and end
    enum gate_cause cause;
    uint32_t reason;
    char text[FAULT_TEXT_SIZE];
};

// Ends the link: what has the peer to know is in the transport's output already. The
// first cause counts.
void gate_end(struct gate *g, enum gate_cause cause, uint32_t reason, const char *text);
// Our own error: DISCONNECT where the protocol allows one, and the end.
void gate_fault(struct gate *g, enum err e, const struct fault *fault);

// gate_auth.c
void gate_auth_start(struct gate *g);
void gate_auth_message(struct gate *g, struct view message, uint32_t sequence);
void gate_auth_user_answer(struct gate *g, const struct ipc_user_answer *m);
void gate_auth_policy(struct gate *g, const struct ipc_policy *m);
void gate_auth_answer(struct gate *g, const struct ipc_answer *m);
void gate_auth_prompts(struct gate *g, const struct ipc_prompts *m);
void gate_auth_change(struct gate *g, const struct ipc_change *m);

// gate_class.c: a message of the peer's, on its way to the holder
void gate_class_up(struct gate *g, struct view message);

// gate_early.c: early-session@bowline. What came with a login is kept until that is
// decided.
void gate_early_take(struct gate *g, struct view message);
void gate_early_drop(struct gate *g);  // it has failed
void gate_early_deliver(struct gate *g);

// gate_resume.c
void gate_resume_asked(struct gate *g, struct view name, struct view value);
must_check enum err gate_resume_secret(struct gate *g, uint32_t holder_version);
// OPEN, for a holder that cannot, or does not know of it. False: it is another message.
bool gate_resume_open(struct gate *g, struct view message);
void gate_resume_refused(struct gate *g, uint32_t reason);  // the keeper's word
// .. which knows why that connection ended.
void gate_resume_ended(struct gate *g, const struct ipc_ended *m);
// REFUSED, and the end of the link.
void gate_resume_refuse(struct gate *g, uint32_t reason);
// The client's first message, where there is nothing to resume.
void gate_resume_up(struct gate *g, struct view message);

// gate_seam.c
void gate_seam_open(struct gate *g, int fd, uint32_t holder_version);
bool gate_seam_can_take(struct gate *g);     // a message of the peer's
struct span gate_seam_room(struct gate *g);  // for transport_next_into()
void gate_seam_up(struct gate *g, struct view message, struct span room);
void gate_seam_down(struct gate *g);  // holder to transport, one turn's worth
