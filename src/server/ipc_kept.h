// Messages between the processes about what goes on without its link: connections that
// are resumed (doc/resume.md) and sessions that are left and taken up (doc/attach.md).
// Rows of the table in server/ipc_table.h, which includes this.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "wire/fields.h"

// ---- resume-v1@bowline (doc/resume.md); since version 3 ----

// The client comes to resume. From the gate before the login, and to the judge, which
// then makes neither holder nor session.
struct ipc_resume {
    struct view handle;
};
// To the gate in place of HOLDER_READY: that connection cannot be resumed by this login.
struct ipc_not_resumed {
    uint32_t reason;  // enum resume_refusal
};
// Of a holder: its connection may outlive its link.
struct ipc_resumable {
    struct view handle;
    uint32_t grace;  // seconds, at most
};
// It has no link any more.
struct ipc_suspended {
    uint32_t grace;  // seconds that it is kept
    bool terminal;
    bool silent;  // the peer did not answer; else the link ended
};
// To a holder: a client comes for its connection, by this seam.
struct ipc_attach {
    uint64_t link;  // the keeper's number for it
    struct view session_id, peer;
    uint32_t peer_port;
};
// What became of it.
struct ipc_attached {
    uint64_t link;
    uint32_t reason;   // enum resume_refusal; NONE: it is the connection's link now
    uint32_t seconds;  // without a link before
};
// ---- its login, without a person; since version 4 ----

// The client's proof of the connection's secret, in place of what its first login had
// from a person.
struct ipc_resumption {
    uint32_t ticket;
    uint64_t epoch;
    struct view proof;
};
// To the holder of that connection: is it right? It is for the login of the holder's user
// on the link of session_id.
struct ipc_vouch {
    uint64_t link;  // the keeper's number for it
    struct view session_id;
    uint64_t epoch;
    struct view proof;
};
struct ipc_vouched {
    uint64_t link;
    uint32_t reason;  // enum resume_refusal; NONE: it is right
};
// From the judge, before VERDICT: which methods that ask a person were part of the login
// (ticket: the verdict's). To the judge: which of them a proof stands for; 0: it is
// wrong.
struct ipc_factors {
    uint32_t ticket;
    uint32_t methods;  // bits 1 << enum judge_method
};

// ---- sessions that are left and taken up (doc/attach.md); since version 4 ----

#define TERMINALS_BYTES 2048u

enum terminal_state {
    TERMINAL_SHOWN,  // somebody has it
    TERMINAL_LEFT,
    TERMINAL_ENDED,  // its program did; nobody has been told
    TERMINAL_STATES
};

// Of a holder: a session with a terminal begins on that channel, under that name.
struct ipc_claim {
    uint32_t channel;
    struct view name;  // empty: none in particular
    uint32_t flags;    // 0
};
enum claim_result {
    CLAIM_YOURS,  // the name is its own
    CLAIM_VIEW,   // another connection has it: VIEWED follows
    CLAIM_REFUSED,
};
struct ipc_claimed {
    uint32_t channel, result;
    struct view id;    // of the connection
    struct view text;  // what waits for this user, for a person
    bool may_keep;     // sessions may be left here
};
// To a holder: somebody wants to see that session, by a socket that comes along.
struct ipc_view {
    struct view name;  // empty: any
    uint32_t flags;    // VIEW_WATCH
    struct view who;   // for the one who has it now
};
// To the holder that claimed: the other end of it.
struct ipc_viewed {
    uint32_t channel;
};
// It has no link, and goes on for what is left in it.
struct ipc_held {
    uint32_t grace;  // seconds; 0: no end is set, as somebody has it
};

// ---- why (doc/ends.md); since version 5 ----

// Of a holder, its last word: why its connection ends. To a gate, before NOT_RESUMED: why
// the one ended that its client comes for.
struct ipc_ended {
    struct view class;  // ends_class_name()
    struct view text;   // for people; may be empty
};
