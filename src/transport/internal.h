// What the files of this folder share: the object, its phases, and each file's part.
//
// Invariants:
// - `phase` says what the peer may send now; only dispatch.c decides by it.
// - `blocked` says that we may not send messages of the upper layers: from our KEXINIT to
// our
//   NEWKEYS, and before the first keys.
// - `kex` exists from the first KEXINIT of an exchange, ours or theirs, to the peer's
// NEWKEYS.
// - After `failed` or `closed` nothing is read any more and nothing but DISCONNECT was
// written.
#pragma once

#include "base/buf.h"
#include "base/limits.h"
#include "crypto/pk.h"
#include "crypto/registry.h"
#include "transport/compression.h"
#include "transport/transport.h"
#include "wire/messages.h"

enum phase {
    PHASE_IDENT,
    PHASE_KEXINIT,      // the peer's first KEXINIT is awaited
    PHASE_GUESS,        // its wrongly guessed packet is, to be thrown away
    PHASE_KEX,          // its KEX_ECDH_INIT or _REPLY is
    PHASE_GROUP,        // group exchange: its KEX_DH_GEX_REQUEST or _GROUP is
    PHASE_GEX,          // its KEX_DH_GEX_INIT or _REPLY is
    PHASE_NEWKEYS,      // its NEWKEYS is
    PHASE_AUTH,         // first keys in use, nobody authenticated
    PHASE_OPEN,         // authenticated; our KEXINIT may be on its way
    PHASE_REKEY_GUESS,  // the same in a later exchange
    PHASE_REKEY_KEX,
    PHASE_REKEY_GROUP,
    PHASE_REKEY_GEX,
    PHASE_REKEY_NEWKEYS,
    PHASE_COUNT
};

// One direction of packets.
struct packet_way {
    struct packet_cipher *cipher;
    uint32_t sequence;
    uint64_t bytes, packets;  // under these keys
    uint64_t rekey_bytes;     // what the cipher bears
    uint64_t total_bytes, total_packets;
    // zlib@openssh.com was agreed on; the stream begins with the first packet after
    // authentication, or after new keys.
    bool compressed;
    struct compression *stream;
    struct buf plain;  // in: what a packet came to; out: what a payload did
};

// A whole packet that was opened. `number` was read once; the payload may be shared
// memory.
struct packet {
    struct view payload;
    uint32_t sequence;
    uint8_t number;
};

// The algorithms of an exchange.
struct algorithms {
    const struct kex_alg *kex;
    const struct signature_alg *host_key;
    const struct cipher_alg *cipher_c2s, *cipher_s2c;
    const struct mac_alg *mac_c2s,
        *mac_s2c;  // NULL where the cipher has a tag of its own
    bool zlib_c2s, zlib_s2c;
};

// What one exchange needs while it runs.
struct exchange {
    bool first, guessed, theirs_came;
    struct buf ours, theirs;  // KEXINIT payloads
    struct algorithms algs;
    struct kex_offer *offer;  // client
    struct msg_kex_dh_gex_request group_request;
    struct kex_group group;  // of a group exchange
    uint8_t client_blob[KEX_BLOB_MAX], server_blob[KEX_BLOB_MAX];
    size_t client_blob_len, server_blob_len;
    struct buf host_key;    // K_S
    size_t host_key_index;  // server
    uint8_t hash[DIGEST_MAX];
    size_t hash_len;
    struct packet_cipher *next_in, *next_out;
};

enum question {
    QUESTION_NONE,
    QUESTION_SIGN,
    QUESTION_HOST_KEY,
};

struct transport {
    struct transport_config config;
    enum phase phase;
    enum err failed;
    struct fault fault;
    struct buf mismatch;  // "WHAT: ours LIST; theirs LIST", raw
    uint64_t now;

    struct buf in_buf, out_buf;
    struct packet_way in, out;
    size_t in_consumed;      // bytes of the event handed out last
    uint32_t packet_length;  // of the packet being received; 0: not known yet
    size_t discard;  // bytes still swallowed before a bad length is told (packet_in.c)
    size_t read_size, read_offered;
    uint64_t preauth_bytes, preauth_packets;

    bool blocked, authenticated, out_open, eof, closed;
    uint32_t early_left;    // bytes of messages 80 and up that are still passed over
    uint32_t once_seen[8];  // by message number; see DISPATCH_ONCE
    size_t text_lines;

    char peer_ident[LIMIT_IDENT_LINE + 1];
    size_t peer_ident_len;
    uint8_t session_id[DIGEST_MAX];
    size_t session_id_len;
    uint8_t exporter[TRANSPORT_EXPORTER];
    bool has_exporter;
    struct buf host_key;  // K_S of the last exchange
    // Client: of the first one, what proves to others whose session this is.
    struct buf first_host_key, first_signature;
    struct transport_agreed agreed;
    struct exchange *kex;
    uint64_t exchanges, keyed_at;

    enum question question;
    uint32_t ticket;

    struct view ext_left;  // of an EXT_INFO whose entries are being handed out
    uint32_t ext_seen;
    bool peer_takes_ext, peer_has_ping, success_must_follow;
    uint64_t packets_since_newkeys;

    struct buf deferred;  // strings: payloads that wait for our NEWKEYS
    uint64_t pings;       // unanswered
    uint32_t close_reason;
    size_t close_text_len;
    uint8_t close_text[255];
};

static inline bool transport_is_server(const struct transport *t) {
    return t->config.role == TRANSPORT_SERVER;
}

// ---- transport.c ----
// Makes e final: completes the fault, queues DISCONNECT where the peer could read one;
// returns e.
enum err transport_fail(struct transport *t, enum err e);
// Both ways compress from USERAUTH_SUCCESS on, which is itself not compressed.
static inline bool transport_compresses(const struct transport *t,
                                        const struct packet_way *way) {
    return way->compressed && t->out_open;
}
void transport_set_closed(struct transport *t, uint32_t reason, struct view text);

// ---- ident.c ----
must_check enum err ident_send(struct transport *t);
// Tells a stranger at a server's port, in a line of text, that it is one.
void ident_refuse(struct transport *t);
// Takes a line, when a whole one is there. *progress: something was taken.
must_check enum err ident_next(struct transport *t, struct transport_event *event,
                               bool *progress);

// ---- packet_in.c ----
// The next whole packet, opened, or payload.p NULL when bytes are missing. See
// transport_next_into() for room.
must_check enum err packet_in_next(struct transport *t, struct span room,
                                   struct packet *out);
// Bytes missing for the packet that has begun; at least 1.
size_t packet_in_missing(const struct transport *t);
// Drops what the last event pointed to.
void packet_in_release(struct transport *t);

// ---- packet_out.c ----
must_check enum err packet_out_reserve(struct transport *t, size_t cap,
                                       struct span *payload);
must_check enum err packet_out_seal(struct transport *t, size_t n);
must_check enum err packet_out_slot(struct transport *t, uint8_t *payload, size_t n);
must_check enum err packet_out_view(struct transport *t, struct view payload);
// Encodes by the message table; cap is room for the payload.
must_check enum err packet_out_message(struct transport *t, uint8_t number,
                                       const void *fields, size_t cap);

// ---- negotiate.c ----
// Our KEXINIT as a payload.
must_check enum err negotiate_offer(struct transport *t, struct exchange *x);
// Agrees on algorithms: both KEXINIT decoded. *guess_right: RFC 4253 s.7's rule.
must_check enum err negotiate_agree(struct transport *t, struct exchange *x,
                                    const struct msg_kexinit *theirs, bool *guess_right);

// ---- kex.c ----
must_check enum err exchange_start(struct transport *t, bool first);
void exchange_free(struct exchange *x);
// Makes a fresh key and sends the method's INIT with it. group: of a group exchange.
must_check enum err exchange_send_init(struct transport *t, const struct kex_alg *alg,
                                       const struct kex_group *group);
static inline const struct kex_group *exchange_group(const struct exchange *x) {
    return x->algs.kex->group_exchange ? &x->group : NULL;
}

// ---- kex_group.c ----
// Client: asks for a group.
must_check enum err group_request(struct transport *t);

// ---- rekey.c ----
must_check enum err rekey_if_due(struct transport *t);

// ---- ext_info.c ----
must_check enum err ext_info_send(struct transport *t);
void ext_info_next(struct transport *t, struct transport_event *event);

// ---- control.c ----
must_check enum err control_flush(struct transport *t);

// ---- handlers, named in dispatch.c's table only ----
#define DISPATCH_HANDLERS(X)                                                             \
    X(disconnect)                                                                        \
    X(early)                                                                             \
    X(ignore)                                                                            \
    X(early)                                                                             \
    X(unimplemented)                                                                     \
    X(debug)                                                                             \
    X(ping)                                                                              \
    X(pong)                                                                              \
    X(unassigned)                                                                        \
    X(deliver)                                                                           \
    X(kexinit)                                                                           \
    X(skip)                                                                              \
    X(kex_init)                                                                          \
    X(kex_reply)                                                                         \
    X(gex_request)                                                                       \
    X(gex_group)                                                                         \
    X(newkeys)                                                                           \
    X(ext_info)

#define X(name)                                                                          \
    enum err handle_##name(struct transport *t, const struct packet *p,                  \
                           struct transport_event *event);
DISPATCH_HANDLERS(X)
#undef X

// ---- dispatch.c ----
#define DISPATCH_FROM_CLIENT 1u
#define DISPATCH_FROM_SERVER 2u

// flags
#define DISPATCH_ONCE 1u              // once in each exchange
#define DISPATCH_WHILE_REKEYING 2u    // also after the peer's KEXINIT of a later exchange
#define DISPATCH_STRICT_FORBIDDEN 4u  // not in the first exchange when it is strict
#define DISPATCH_AUTHENTICATED 8u     // never before authentication, from either side
#define DISPATCH_UPPER 16u            // of the upper layers: transport_send() takes it
#define DISPATCH_EARLY 32u            // so it does; delivered only with config.early

struct dispatch_row {
    uint8_t first, last;  // message numbers
    unsigned from;
    unsigned phases;  // bits 1 << PHASE_…
    unsigned flags;
    const char *action;  // for people: what the handler does
    enum err (*handle)(struct transport *t, const struct packet *p,
                       struct transport_event *event);
};

// The row that lets a message pass, or NULL. from: one of DISPATCH_FROM_….
const struct dispatch_row *dispatch_find(uint8_t number, unsigned from, enum phase phase,
                                         bool strict);
const struct dispatch_row *dispatch_at(size_t index);  // NULL past the end
must_check enum err dispatch_packet(struct transport *t, const struct packet *p,
                                    struct transport_event *event);
// May our upper layers send it now?
bool dispatch_may_send(const struct transport *t, uint8_t number);
const char *dispatch_phase_name(enum phase phase);
// The whole matrix as text, runs of equal numbers on one line, ranges joined.
must_check enum err dispatch_print(struct buf *out, bool strict);

// ---- for tests and fuzzers ----
// A transport that has the null cipher both ways and is in the given phase, as if all
// before had happened; AUTH and OPEN only.
must_check enum err transport_test_phase(struct transport *t, enum phase phase);
