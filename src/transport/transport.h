// The SSH transport (RFC 4253) of one link, sans-IO: identification, packets,
// negotiation, key exchange, rekey, strict key exchange, EXT_INFO (RFC 8308),
// ping@openssh.com.
//
// No sockets, no clock, no callbacks. Bytes are pushed in and pulled out of room that the
// machine offers; events are pulled; questions leave as events with a ticket and come
// back as answers. It delivers SERVICE_REQUEST, SERVICE_ACCEPT and messages 50 and up to
// the caller, who is told nothing of rekeys but that sending is blocked meanwhile. It
// never looks into a channel.
//
// Times are milliseconds of any monotonic clock; 64-bit, so they never wrap.
#pragma once

#include "base/bytes.h"
#include "base/fault.h"
#include "crypto/registry.h"

enum transport_role {
    TRANSPORT_CLIENT,
    TRANSPORT_SERVER,
};

// Bytes that transport_send_slot() may write before and after a payload.
#define TRANSPORT_HEADROOM 5
#define TRANSPORT_TAILROOM 288

struct transport_host_key {
    struct view blob;        // K_S
    const char *algorithms;  // signature algorithms it can serve, comma-separated
};

// All strings and arrays must outlive the transport. Lists are comma-separated names in
// order of preference.
struct transport_config {
    enum transport_role role;
    const char *ident;  // without CR LF: "SSH-2.0-Bowline_0.1 …"
    const char *kex, *host_key_algorithms;
    const char *ciphers_c2s, *ciphers_s2c, *macs_c2s, *macs_s2c;
    const char *compression;
    bool
        plain;  // offer neither strict key exchange nor EXT_INFO, as old peers do (tests)
    bool early;  // server: messages 80 and up may come before its success, and are the
                 // caller's to judge (early-session@bowline)
    bool guess;  // client: send a guessed KEX_ECDH_INIT along with KEXINIT
    uint64_t rekey_bytes;         // 0: what the cipher bears
    uint64_t rekey_ms;            // 0: never by time
    uint64_t rekey_packets;       // 0: LIMIT_REKEY_PACKETS (tests set less)
    const char *server_sig_algs;  // server: for EXT_INFO; NULL: none is sent
    // Further EXT_INFO entries to send, encoded as pairs of strings; may be empty.
    struct view ext_info;
    uint32_t ext_info_count;
    struct view
        moduli;  // server: text of a moduli file, for group exchange; may be empty
    const struct transport_host_key *host_keys;  // server
    size_t host_key_count;
};

enum transport_event_kind {
    TRANSPORT_NONE,      // push more bytes, or answer what was asked
    TRANSPORT_TEXT,      // client: one line a server sent before its identification (raw)
    TRANSPORT_IDENT,     // the peer's identification line, without CR LF (raw)
    TRANSPORT_SIGN,      // server asks: sign `data` with host key `host_key_index` and
                         // `algorithm`
    TRANSPORT_HOST_KEY,  // client asks: is `host_key` trusted? Its signature over H was
                         // verified already, with exactly `algorithm`. Asked in the first
                         // exchange, and in a later one only when the server shows
                         // another key than before
    TRANSPORT_KEYED,     // an exchange is done, both ways; `first` tells the first one
    TRANSPORT_EXT_INFO,  // name and value of one extension of the peer's
    TRANSPORT_MESSAGE,   // a message for auth or connection
    TRANSPORT_PONG,      // data of an answer to transport_ping()
    TRANSPORT_DEBUG,     // text of a DEBUG message (raw)
    TRANSPORT_UNIMPLEMENTED,  // the peer does not know our message number `sequence`
    TRANSPORT_CLOSED,  // the peer sent DISCONNECT: reason, description; or the stream
                       // ended (reason 0, the fault says when). Final: given again on
                       // every call
};

// What was negotiated; names live as long as the transport.
struct transport_agreed {
    const char *kex, *host_key, *cipher_c2s, *cipher_s2c, *mac_c2s,
        *mac_s2c;  // "" where AEAD
    const char *compression_c2s, *compression_s2c;
    bool strict;
    bool guessed_right;  // the client's guess of the first exchange was made, and was
                         // right
    // Of a group exchange, at the client: what it asked for and what it got; else 0.
    uint32_t group_preferred, group_bits;
};

// Views are valid until the next call that is not a getter.
struct transport_event {
    enum transport_event_kind kind;
    uint32_t ticket;        // SIGN, HOST_KEY
    struct view message;    // MESSAGE: payload
    uint32_t sequence;      // MESSAGE: its packet's number, for UNIMPLEMENTED
    size_t host_key_index;  // SIGN
    const char *algorithm;  // SIGN, HOST_KEY: signature algorithm agreed on
    struct view data;       // SIGN, HOST_KEY: exchange hash H that is signed; PONG, TEXT,
                            // IDENT, DEBUG: bytes; EXT_INFO: value
    struct view host_key;   // SIGN, HOST_KEY: K_S
    struct view name;       // EXT_INFO
    bool first;             // SIGN, HOST_KEY, KEYED: of the first exchange
    uint32_t reason;        // CLOSED: of DISCONNECT
    struct view description;  // CLOSED: raw, its first 255 bytes
};

struct transport;

// The identification and KEXINIT (and guess) are in the output at once.
must_check enum err transport_new(struct transport **out,
                                  const struct transport_config *config, uint64_t now);
void transport_free(struct transport *t);  // wipes; also of NULL

// ---- in ----
// Room for bytes from the peer; {NULL, 0} while the machine wants its events or answers
// taken first, or its output drained (LIMIT_OUT_PENDING), and after the end. Take all
// events before.
struct span transport_in(struct transport *t);
must_check enum err transport_in_done(struct transport *t, size_t n, uint64_t now);
// The link's stream ended.
void transport_in_eof(struct transport *t);

// The next event. An error is final: a DISCONNECT is in the output where the protocol
// allows one.
must_check enum err transport_next(struct transport *t, struct transport_event *event);
// The same, but a MESSAGE of 80 and up may be opened straight into `room` when the whole
// packet (length, padding length, payload, padding) fits; then event->message points into
// room, at TRANSPORT_HEADROOM. Room may be memory that another process writes to: message
// numbers and lengths are read from it once, and what the transport handles itself is
// copied out before it is looked at. room {NULL, 0} is transport_next().
must_check enum err transport_next_into(struct transport *t, struct span room,
                                        struct transport_event *event);

// ---- answers ----
// An empty signature: it could not be made, and the link ends. A ticket that is not the
// one asked with is ERR_REFUSED and changes nothing.
must_check enum err transport_answer_sign(struct transport *t, uint32_t ticket,
                                          struct view signature_blob);
// trusted false: DISCONNECT with HOST_KEY_NOT_VERIFIABLE.
must_check enum err transport_answer_host_key(struct transport *t, uint32_t ticket,
                                              bool trusted);

// ---- out ----
// May a message of the upper layers be sent now? False before the first keys, from our
// KEXINIT to our NEWKEYS, while LIMIT_OUT_PENDING / 4 bytes wait, and
// after the end.
bool transport_can_send(const struct transport *t);
// Room for a payload of up to cap bytes inside the packet to come; {NULL, 0} if it cannot
// be sent. Nothing else may be called between this and transport_send(), but giving up is
// fine.
struct span transport_message(struct transport *t, size_t cap);
// ERR_REFUSED, with nothing sent, for a message that our role may not send now: its own
// kinds only, 80 and up only after authentication. The transport_send… are the same in
// this.
must_check enum err transport_send(struct transport *t, size_t n);
// Seals a payload that lies elsewhere with TRANSPORT_HEADROOM and TRANSPORT_TAILROOM
// around it, which are overwritten. The memory may be shared with a process that is
// trusted with its own session only: changing it meanwhile spoils that session's packets
// and nothing else.
must_check enum err transport_send_slot(struct transport *t, uint8_t *payload, size_t n);
// Copies a payload.
must_check enum err transport_send_view(struct transport *t, struct view payload);

// Bytes for the peer, many packets at once; done(n) with what was written.
struct view transport_out(struct transport *t);
void transport_out_done(struct transport *t, size_t n);

// ---- control ----
// Authentication has succeeded (server: call before USERAUTH_SUCCESS is handed to
// transport_send; client: after it came). Lifts the limits of before, allows rekeys,
// pings and messages 80 and up.
void transport_authenticated(struct transport *t);
// Starts an exchange now; nothing if one is running. ERR_REFUSED before authentication.
must_check enum err transport_rekey(struct transport *t);
// ERR_UNSUPPORTED if the peer has none, ERR_REFUSED before authentication. Waits out a
// rekey.
must_check enum err transport_ping(struct transport *t, struct view data);
must_check enum err transport_disconnect(struct transport *t,
                                         enum disconnect_reason reason, const char *text);
// The peer sent something that the upper layer does not know (RFC 4253 s.11.4).
must_check enum err transport_unimplemented(struct transport *t, uint32_t sequence);

// When transport_tick() wants to be called; UINT64_MAX: never.
uint64_t transport_deadline(const struct transport *t);
must_check enum err transport_tick(struct transport *t, uint64_t now);

// ---- facts ----
const struct transport_agreed *transport_agreed(const struct transport *t);
struct view
transport_session_id(const struct transport *t);  // empty before the first keys
// A secret of both ends, from the first exchange, for what outlives the link
// (doc/resume.md): HASH(K || H || label || session_id). Empty before, and where the
// exchange's hash is shorter.
#define TRANSPORT_EXPORTER 32
#define TRANSPORT_EXPORTER_LABEL "resume-v1@bowline"
struct view transport_exporter(const struct transport *t);
struct view transport_peer_ident(const struct transport *t);
// The host key of the last exchange (publickey-hostbound).
struct view transport_host_key(const struct transport *t);
// Client: the host key of the first exchange and its signature over the session id, which
// prove to an agent whose session this is (session-bind@openssh.com). Empty before.
void transport_proof(const struct transport *t, struct view *host_key,
                     struct view *signature);
bool transport_keyed(const struct transport *t);
bool transport_peer_has_ping(const struct transport *t);
const struct fault *transport_fault(const struct transport *t);
// After ERR_NEGOTIATION: "WHAT: ours LIST; theirs LIST", uncut and raw; else empty.
struct view transport_mismatch(const struct transport *t);
const char *
transport_phase(const struct transport *t);  // for log lines: "identification", …
struct transport_counts {
    uint64_t bytes_in, bytes_out, packets_in, packets_out, exchanges;
};
struct transport_counts transport_counts(const struct transport *t);

// Gives buffers back while the link is idle.
void transport_idle(struct transport *t);
