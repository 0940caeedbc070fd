// A link as one keeper tells it to the next: over an exec (keeper_handover.h), or by the
// anchor when the keeper was killed (anchor.h). Versions may differ: fields are only ever
// added at the end, and what is missing is zero.
#pragma once

#include "wire/fields.h"

// Descriptors that belong to a link, in this order in every message; -1: none.
enum link_fd {
    LINK_FD_GATE,
    LINK_FD_HOLDER,
    LINK_FD_HOLDER_PID,  // pidfd
    LINK_FD_JUDGE,
    LINK_FD_JUDGE_PID,
    LINK_FD_SEAM,
    LINK_FDS
};

struct link_record {
    uint64_t serial, listener, id;
    uint32_t state;  // enum link_state
    struct view peer, local;
    uint32_t peer_port, local_port;
    struct view user;
    bool valid_user, authenticated, said_end, pending, grace_over, judge_stays;
    uint32_t uid;
    uint64_t since;  // seconds since 1970
    struct view key, comment;
    uint32_t host_key;
    struct view host_algorithm;
    uint32_t proofs;
    struct view session_id;
    uint32_t question, ticket, questions, failures;
    uint64_t grace_at;  // clock_ms(); 0: no timer
    uint32_t holder_pid, judge_pid;
    uint32_t gate_version, holder_version, judge_version;  // IPC_VERSION of each
    uint64_t gate_seen, holder_seen, judge_seen;           // ipc_side.seen
    struct view host_keys;  // of host_keys_write() (keeper.h)
    uint64_t gate_pid;
    struct view ca, certificate_id;
    uint64_t certificate_serial;
    struct view terminals;  // of link_terminals_write() (keeper.h)
    // resume-v1@bowline; empty: not resumable
    struct view identity, handle;
    uint64_t suspended_at, suspended_since;  // clock_boot_ms(), seconds since 1970
    uint32_t suspended_grace;
    bool suspended_terminal;
    uint64_t attaching;
    uint32_t factors;
    struct view domain;            // that its socket is bound to
    struct view host;              // name of the peer's address; empty: none
    struct view agent, auth_info;  // struct leavings
    struct view wanted;            // handle that the client comes for; empty: none
    bool turned_away;              // a login that came for it was not let in
};

#define LINK_RECORD_MAX (48u * 1024u)

must_check enum err link_record_write(const struct link_record *r, struct buf *out);
// Views into the bytes.
must_check enum err link_record_read(struct link_record *r, struct view bytes,
                                     struct fault *fault);
