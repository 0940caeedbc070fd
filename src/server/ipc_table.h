// Messages between the server's processes: one table {name, from, to, states of the link,
// flags, fields}. It is the only gate: what is not a row, comes from the wrong role, in
// the wrong state of the link, twice where once is allowed, or with or without a
// descriptor against its row, is refused before anybody acts on it. A test prints it and
// compares it with a reviewed file.
//
// On the wire: one byte for the number, then the fields in the codec of SSH
// (wire/fields.h).
#pragma once

#include "server/ipc_kept.h"
#include "wire/fields.h"

// Of everything below. A server's processes may be of different versions: gates and
// holders outlive an upgrade, and speak with the new keeper as they always did. So
//   - rows and fields of a version that was given out stay as they are;
//   - what a keeper gets may grow at its end (ipc_row.grew), what it sends may not: a new
//     row is sent instead, to those that know it.
// A test holds the versions before against the table.
#define IPC_VERSION 5u

enum ipc_role {
    IPC_KEEPER = 1,
    IPC_LISTENER = 2,
    IPC_GATE = 4,
    IPC_JUDGE = 8,
    IPC_HOLDER = 16,
    IPC_NURSERY = 32,
    IPC_RECORDER = 64,
    IPC_SIGNER = 128,
};

// The keeper's view of one link.
enum link_state {
    LINK_NEW = 1,  // connected; nothing signed yet
    LINK_KEYED =
        2,  // the host key signed its first exchange hash: the session id is fixed
    LINK_USER = 4,      // somebody says who they are; a judge exists
    LINK_AUTHED = 8,    // the judge's verdict let them in; the holder is being made
    LINK_OPEN = 16,     // gate and holder are joined
    LINK_CLOSING = 32,  // the gate said why it ends
};
#define LINK_ANY 63u
#define LINK_NONE 0u  // the message is not about a link of the sender's

enum ipc_flag {
    IPC_ONCE = 1,     // in the life of a link
    IPC_DECIDES = 2,  // can end in access
    IPC_FD = 4,       // carries exactly one descriptor
    IPC_LIMITED = 8,  // counted over time; the surplus is dropped (LOG) or ends the link
    IPC_SECRET = 16,  // its bytes are wiped after use
};

enum ipc_number {
    IPC_LISTENING = 1,
    IPC_LINK_NEW,
    IPC_LINK_END,
    IPC_LINK_AUTHED,
    IPC_STARTUPS,
    IPC_STOP,
    IPC_SIGN,
    IPC_SIGNED,
    IPC_USER,
    IPC_USER_ANSWER,
    IPC_KEY_QUERY,
    IPC_KEY_AUTH,
    IPC_ANSWER,
    IPC_VERDICT,
    IPC_HOLDER_READY,
    IPC_GATE_END,
    IPC_LOG,
    IPC_TELL,
    IPC_STATUS,
    IPC_PROVE,
    IPC_PROVED,
    IPC_PENALTY,
    IPC_NONE,
    IPC_PASSWORD,
    IPC_KBDINT,
    IPC_RESPONSES,
    IPC_PROMPTS,
    IPC_CHANGE,
    IPC_HOLDER_MADE,
    IPC_HOLDER_SEAM,
    IPC_MAKE,
    IPC_MADE,
    IPC_START,
    IPC_LOGIN,
    IPC_FACTS,
    IPC_EVENT,
    IPC_REFUSED,
    IPC_POLICY,
    IPC_RECORD,
    IPC_HOSTBASED,
    IPC_COMMISSION,
    IPC_DELIVERY,
    IPC_RESUME,
    IPC_NOT_RESUMED,
    IPC_RESUMABLE,
    IPC_SUSPENDED,
    IPC_ATTACH,
    IPC_ATTACHED,
    IPC_RESUMPTION,
    IPC_VOUCH,
    IPC_VOUCHED,
    IPC_FACTORS,
    IPC_DOMAIN,
    IPC_CLAIM,
    IPC_CLAIMED,
    IPC_VIEW,
    IPC_VIEWED,
    IPC_HELD,
    IPC_HOST,
    IPC_LEAVINGS,
    IPC_ENDED,
    IPC_NUMBERS
};

struct ipc_listening {
    uint32_t version;
};
struct ipc_link_new {
    uint64_t id;
    struct view peer;
    uint32_t peer_port;
    struct view local;
    uint32_t local_port;
    uint32_t pid;  // of the gate, for the log; since version 2
};
struct ipc_link_end {
    uint64_t id;
    bool abnormal;    // died of a signal, or by its sandbox
    uint32_t status;  // as waitpid(2)
};
struct ipc_link_authed {
    uint64_t id;
};
struct ipc_startups {
    uint32_t elsewhere;  // links not yet authenticated that other listeners accepted
};
struct ipc_stop {
    bool now;  // false: finish what was accepted
};
struct ipc_sign {
    uint32_t ticket, key;
    struct view algorithm, hash;
};
struct ipc_signed {
    uint32_t ticket;
    struct view signature;
};
struct ipc_user {
    uint32_t ticket;
    struct view user, service;
};
struct ipc_user_answer {
    uint32_t ticket;
    struct view methods;
    bool valid;  // the keeper tells the gate true, always
    bool none;   // the method "none" is worth a question
};
struct ipc_key_query {
    uint32_t ticket;
    struct view algorithm, blob;
};
struct ipc_key_auth {
    uint32_t ticket;
    struct view algorithm, blob, data, signature;
};
struct ipc_answer {
    uint32_t ticket,
        verdict;  // enum auth_verdict, never GRANTED from a judge: that is VERDICT
    struct view methods;
    struct view method;  // for the log: "publickey", "keyboard-interactive/pam"
    struct view key;     // for the log: "ED25519 SHA256:…"; empty to the gate
    struct view banner;  // for the peer, before the answer; may be empty
};
struct ipc_verdict {
    uint32_t ticket;
    struct view user, home, shell;
    uint32_t uid, gid;
    struct view groups;  // u32 each
    struct view method, key,
        comment;       // for the log; comment of the line that let them in
    uint32_t permits;  // enum verdict_permit
    bool has_command;
    struct view command;
    struct view environment;                 // strings NAME=value
    struct view permit_open, permit_listen;  // strings host:port; none: no limit
    bool expires;
    uint64_t expires_at;          // seconds since 1970
    struct view auth_info;        // lines for ExposeAuthInfo
    struct view pam_environment;  // strings NAME=value
    struct view message;          // for the terminal of the first shell
    bool holder;                  // made by the judge, in the session that PAM opened
    // Who may take up a connection that this login begins: 32 bytes of what it was let in
    // by and for; empty: nobody. Since version 3, and not told to holders.
    struct view identity;
};
struct ipc_none {
    uint32_t ticket;
};
struct ipc_password {
    uint32_t ticket;
    struct view password;
    bool change;
    struct view new_password;
};
struct ipc_hostbased {
    uint32_t ticket;
    struct view algorithm, blob, host, client_user, data, signature;
};
struct ipc_kbdint {
    uint32_t ticket;
    struct view submethods;
};
struct ipc_responses {
    uint32_t ticket;
    struct view responses;  // strings
};
struct ipc_prompts {
    uint32_t ticket;
    struct view name, instruction;
    struct view prompts;  // string text, boolean echo; each
};
struct ipc_change {
    uint32_t ticket;
    struct view prompt;
};
// Of a holder that a judge has made: the keeper's ends of its sockets.
struct ipc_holder_made {
    uint32_t pid;  // a child of the keeper's
};
struct ipc_holder_seam {
    uint32_t pid;
};
// To the nursery: fork a child at the end of a socket that comes along.
struct ipc_make {
    uint32_t role;  // IPC_JUDGE, IPC_HOLDER
};
struct ipc_made {
    uint32_t pid;  // 0: it could not be forked
};
// The first words to a judge or holder: the link that it is for, by the keeper's own
// record.
struct ipc_start {
    struct view session_id, host_key;  // of the first exchange
    struct view peer, local;
    uint32_t peer_port, local_port;
    struct view host_keys;  // public blobs, strings; for a holder
};
struct ipc_holder_ready {
    uint32_t version;
};
// What the judge knows beyond the answer that follows: for log and events alone.
struct ipc_facts {
    struct view certificate_id;  // as it stands in the certificate
    uint64_t serial;
    struct view ca;   // "ED25519 SHA256:…"; empty: no certificate
    struct view why;  // the user may not log in at all; empty: may, or is not known
};
// What happens in a holder: an event of server/event_table.h, its own words.
struct ipc_event {
    uint32_t event;  // enum event_number, one that holders may tell
    uint32_t channel;
    struct view kind, text, tty, host;
    uint32_t port, status;  // status: of an exit; UINT32_MAX: none
    struct view signal, reason;
    uint64_t bytes_in, bytes_out;
    uint32_t lost;  // events before this one that the keeper had no room for
    // Of a session that does something else than was asked for: "config" or "key-option",
    // and what it does. Since version 4.
    struct view forced_by, forced;
};
// A connection that the listener did not take.
struct ipc_refused {
    struct view peer;
    uint32_t peer_port;
    struct view local;
    uint32_t local_port;
    uint32_t reason;   // enum refusal
    uint32_t pending;  // links that were not authenticated then
    uint32_t untold;   // refusals since the last one of these
    struct view why;   // of a penalty
};
// A login with a terminal, or its end: for utmp and its like.
struct ipc_record {
    bool in;
    struct view line, user, host;
    uint32_t pid, uid;  // pid: of the holder
    uint64_t at;        // seconds since 1970
};
struct ipc_gate_end {
    uint32_t cause;   // enum gate_cause
    uint32_t reason;  // of DISCONNECT
    struct view text;
};
// The text of a GATE_CLOSED that was an error, and not the stream's end.
#define GATE_RESET_TEXT "reset"
struct ipc_log {
    uint32_t level;
    struct view text;
};
struct ipc_tell {
    uint32_t action;  // enum tell_action
    struct view text;
};
// What a holder does, when it changes and when the keeper asks (TELL_STATUS).
struct ipc_status {
    uint32_t sessions, channels;
    uint64_t bytes_in, bytes_out;
    uint32_t idle;             // seconds
    struct view tty, command;  // of the session that was started last
    uint32_t forwards;         // listeners and forwarded connections; since version 2
    // Sessions with a terminal, TERMINALS_BYTES bytes of string name, u32 terminal_state,
    // u32 exit status, u32 watchers. Since version 4.
    struct view terminals;
};

struct ipc_prove {
    struct view blobs;  // of host keys, strings: hostkeys-prove-00@openssh.com
};
struct ipc_proved {
    struct view signatures;  // strings; none: refused
};

// A source's misdeed: who saw it tells the other.
struct ipc_penalty {
    struct view peer;
    uint32_t reason;  // enum penalty_reason
};

enum gate_cause {
    GATE_CLOSED,        // the peer closed the stream
    GATE_DISCONNECTED,  // the peer sent DISCONNECT
    GATE_FAULT,         // we ended it: text says why
    GATE_TIMEOUT,       // LoginGraceTime
    GATE_TOO_MANY,      // MaxAuthTries
    GATE_HOLDER_ENDED,  // the session is over on our side
    GATE_NO_IDENT,      // the peer closed before it said who it is
    GATE_BAD_IDENT,     // what it said is no SSH: text has it
    GATE_NO_MATCH,      // no algorithm in common: text says which kind
    GATE_NOT_RESUMED,   // the client came for a connection that it cannot have: text
    GATE_RELEASED,      // the connection goes on without this link
    GATE_CAUSES
};

enum refusal {
    REFUSAL_STARTUPS,         // MaxStartups
    REFUSAL_SOURCE_STARTUPS,  // PerSourceMaxStartups
    REFUSAL_PENALTY,          // PerSourcePenalties
    REFUSALS
};

enum tell_action {
    TELL_END,     // disconnect, with the text
    TELL_STATUS,  // answer with STATUS
    TELL_ACTIONS
};

enum verdict_permit {
    PERMIT_PTY = 1,
    PERMIT_PORT_FORWARDING = 2,
    PERMIT_AGENT_FORWARDING = 4,
    PERMIT_X11_FORWARDING = 8,
    PERMIT_USER_RC = 16,
    PERMIT_RESUME = 32,  // since version 3
    PERMIT_TUNNEL = 64,  // since version 4
};
// In the upper half of permits: 1 + the number of the only tunnel device, 0: any.
#define PERMIT_TUNNEL_SHIFT 16
#define PERMIT_TUNNEL_UNITS 0xfffeu

// What Match says for this user that the gate has otherwise of everybody; comes before
// USER_ANSWER, and only where it differs. Since version 2.
struct ipc_policy {
    uint32_t max_tries;
    struct view banner;
    bool refuse;  // RefuseConnection: the keeper ends the link
};

// One signature with a host key whose secret half the keeper does not have.
struct ipc_commission {
    struct view agent;      // its socket; empty: a security key is to sign
    struct view provider;   // of security keys
    struct view algorithm;  // of the plain key
    struct view key;        // its public blob
    struct view handle;     // of a security key
    uint32_t flags;         // KEY_HANDLE_…
    struct view data;
};
struct ipc_delivery {
    struct view signature;  // empty: there is none
    struct view why;        // then
};

// The interface or routing domain (VRF) that a link came in by, where its socket is bound
// to one: of the listener before LINK_NEW, to a judge or holder before START. Since
// version 4.
struct ipc_domain {
    uint64_t id;  // of the link, as in LINK_NEW
    struct view name;
};

// What the peer's address is called (UseDNS), confirmed: from the judge, which asks once
// for all, before USER_ANSWER; to the holder before START, and to the recorder before
// RECORD, whose host is the address. None: it has no such name. Since version 4.
struct ipc_host {
    struct view name;
};

// What a holder has in /tmp, by its names there (leavings.h), when that changes. Since
// version 4.
struct ipc_leavings {
    struct view agent, auth_info;
};

union ipc_body {
    struct ipc_listening listening;
    struct ipc_link_new link_new;
    struct ipc_link_end link_end;
    struct ipc_link_authed link_authed;
    struct ipc_startups startups;
    struct ipc_stop stop;
    struct ipc_sign sign;
    struct ipc_signed signature;
    struct ipc_user user;
    struct ipc_user_answer user_answer;
    struct ipc_key_query key_query;
    struct ipc_key_auth key_auth;
    struct ipc_answer answer;
    struct ipc_verdict verdict;
    struct ipc_holder_ready holder_ready;
    struct ipc_gate_end gate_end;
    struct ipc_log log;
    struct ipc_tell tell;
    struct ipc_status status;
    struct ipc_penalty penalty;
    struct ipc_prove prove;
    struct ipc_proved proved;
    struct ipc_none none;
    struct ipc_password password;
    struct ipc_hostbased hostbased;
    struct ipc_kbdint kbdint;
    struct ipc_responses responses;
    struct ipc_prompts prompts;
    struct ipc_change change;
    struct ipc_holder_made holder_made;
    struct ipc_holder_seam holder_seam;
    struct ipc_make make;
    struct ipc_made made;
    struct ipc_start start;
    struct ipc_facts facts;
    struct ipc_event event;
    struct ipc_refused refused;
    struct ipc_policy policy;
    struct ipc_record record;
    struct ipc_commission commission;
    struct ipc_delivery delivery;
    struct ipc_resume resume;
    struct ipc_not_resumed not_resumed;
    struct ipc_resumable resumable;
    struct ipc_suspended suspended;
    struct ipc_attach attach;
    struct ipc_attached attached;
    struct ipc_resumption resumption;
    struct ipc_vouch vouch;
    struct ipc_vouched vouched;
    struct ipc_factors factors;
    struct ipc_domain domain;
    struct ipc_claim claim;
    struct ipc_claimed claimed;
    struct ipc_view view;
    struct ipc_viewed viewed;
    struct ipc_held held;
    struct ipc_host host;
    struct ipc_leavings leavings;
    struct ipc_ended ended;
};

struct ipc_row {
    enum ipc_number number;
    unsigned from, to;  // roles
    unsigned states;    // in which it may come; LINK_NONE: no state is looked at
    unsigned flags;
    struct fields_of of;
    unsigned grew;  // the version that has more fields than `fields_before`; 0: none
    size_t fields_before;
};

const struct ipc_row *ipc_row(unsigned number);  // NULL: no such message

// One direction of one socket, as its receiver sees it.
struct ipc_side {
    enum ipc_role from, to;
    unsigned state;    // one bit, or LINK_NONE where links have no say
    uint64_t seen;     // of IPC_ONCE messages, bit = number
    unsigned version;  // IPC_VERSION of the sender; 0: ours
};

struct ipc_message {
    const struct ipc_row *row;
    union ipc_body body;  // views into the message's bytes
    int fd;               // -1: none
    size_t n;             // bytes that it was, at the front of the room given
};

// Decodes and judges one message by the table; `has_fd` tells whether a descriptor came
// along. A once-message is marked as seen. ERR_UNEXPECTED, ERR_FORMAT … with the fault
// naming it; ERR_UNSUPPORTED: a message that only a sender of a later version knows.
must_check enum err ipc_decode(struct ipc_side *side, struct view bytes, bool has_fd,
                               struct ipc_message *out, struct fault *fault);

// Number and fields into `room`; *used bytes. ERR_LIMIT if it does not fit.
must_check enum err ipc_encode(enum ipc_number number, const void *body, struct span room,
                               size_t *used);

const char *ipc_role_name(enum ipc_role role);
// One line of the table for a reader: name, roles, states, flags, fields. Returns out.
const char *ipc_row_text(const struct ipc_row *row, char *out, size_t size);
