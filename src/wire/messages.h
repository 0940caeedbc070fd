// The message table: number, name, struct and fields of every SSH message (RFC 4253,
// 4252, 4254, 8308, 5656, OpenSSH's ping). It drives decoding with exact end, encoding,
// and tracing.
//
// A decoded struct holds views into the payload it was decoded from. CHANNEL_DATA has a
// fast path of its own in connection/.
#pragma once

#include "wire/fields.h"

enum message_number {
    SSH_MSG_DISCONNECT = 1,
    SSH_MSG_IGNORE = 2,
    SSH_MSG_UNIMPLEMENTED = 3,
    SSH_MSG_DEBUG = 4,
    SSH_MSG_SERVICE_REQUEST = 5,
    SSH_MSG_SERVICE_ACCEPT = 6,
    SSH_MSG_EXT_INFO = 7,
    SSH_MSG_NEWCOMPRESS = 8,
    SSH_MSG_KEXINIT = 20,
    SSH_MSG_NEWKEYS = 21,
    SSH_MSG_KEX_ECDH_INIT = 30,   // also the hybrid and DH groups' first message
    SSH_MSG_KEX_ECDH_REPLY = 31,  // in a group exchange: KEX_DH_GEX_GROUP
    SSH_MSG_KEX_DH_GEX_INIT = 32,
    SSH_MSG_KEX_DH_GEX_REPLY = 33,
    SSH_MSG_KEX_DH_GEX_REQUEST = 34,
    SSH_MSG_USERAUTH_REQUEST = 50,
    SSH_MSG_USERAUTH_FAILURE = 51,
    SSH_MSG_USERAUTH_SUCCESS = 52,
    SSH_MSG_USERAUTH_BANNER = 53,
    SSH_MSG_USERAUTH_PK_OK =
        60,  // with password: PASSWD_CHANGEREQ; keyboard-interactive: INFO_REQUEST
    SSH_MSG_USERAUTH_INFO_RESPONSE = 61,
    SSH_MSG_GLOBAL_REQUEST = 80,
    SSH_MSG_REQUEST_SUCCESS = 81,
    SSH_MSG_REQUEST_FAILURE = 82,
    SSH_MSG_CHANNEL_OPEN = 90,
    SSH_MSG_CHANNEL_OPEN_CONFIRMATION = 91,
    SSH_MSG_CHANNEL_OPEN_FAILURE = 92,
    SSH_MSG_CHANNEL_WINDOW_ADJUST = 93,
    SSH_MSG_CHANNEL_DATA = 94,
    SSH_MSG_CHANNEL_EXTENDED_DATA = 95,
    SSH_MSG_CHANNEL_EOF = 96,
    SSH_MSG_CHANNEL_CLOSE = 97,
    SSH_MSG_CHANNEL_REQUEST = 98,
    SSH_MSG_CHANNEL_SUCCESS = 99,
    SSH_MSG_CHANNEL_FAILURE = 100,
    SSH_MSG_PING = 192,
    SSH_MSG_PONG = 193,
    // resume-v1@bowline (doc/resume.md)
    SSH_MSG_RESUME_OPEN = 208,
    SSH_MSG_RESUME_OPENED = 209,
    SSH_MSG_RESUME_REFUSED = 210,
    SSH_MSG_RESUME_ATTACH = 211,
    SSH_MSG_RESUME_ATTACHED = 212,
    SSH_MSG_RESUME_ACK = 213,
};

struct msg_disconnect {
    uint32_t reason;
    struct view description, language;
};
struct msg_ignore {
    struct view data;
};
struct msg_unimplemented {
    uint32_t sequence;
};
struct msg_debug {
    bool always_display;
    struct view text, language;
};
struct msg_service {  // SERVICE_REQUEST and SERVICE_ACCEPT
    struct view name;
};
struct msg_ext_info {
    uint32_t count;
    struct view extensions;  // rest: count pairs of string name, string value
};
struct msg_kexinit {
    struct view cookie;  // 16 bytes
    struct view kex, host_key, cipher_c2s, cipher_s2c, mac_c2s, mac_s2c, compression_c2s,
        compression_s2c, language_c2s, language_s2c;
    bool first_kex_packet_follows;
    uint32_t reserved;
};
struct msg_empty {  // NEWKEYS, USERAUTH_SUCCESS, REQUEST_FAILURE, NEWCOMPRESS
    uint8_t unused;
};
struct msg_kex_ecdh_init {    // also KEX_DH_GEX_INIT
    struct view client_blob;  // Q_C; e, as the mpint's contents
};
struct msg_kex_ecdh_reply {                        // also KEX_DH_GEX_REPLY
    struct view host_key, server_blob, signature;  // K_S, Q_S; f
};
struct msg_kex_dh_gex_request {  // bits
    uint32_t min, preferred, max;
};
struct msg_userauth_request {
    struct view user, service, method;
    struct view fields;  // rest: the method's own
};
struct msg_userauth_failure {
    struct view methods;
    bool partial_success;
};
struct msg_userauth_banner {
    struct view text, language;
};
struct msg_rest {  // USERAUTH 60 and 61, REQUEST_SUCCESS: meaning depends on what was
                   // asked
    struct view fields;
};
struct msg_global_request {
    struct view name;
    bool want_reply;
    struct view fields;  // rest
};
struct msg_channel_open {
    struct view type;
    uint32_t sender, window, max_packet;
    struct view fields;  // rest
};
struct msg_channel_open_confirmation {
    uint32_t recipient, sender, window, max_packet;
    struct view fields;  // rest
};
struct msg_channel_open_failure {
    uint32_t recipient, reason;
    struct view description, language;
};
struct msg_channel_window_adjust {
    uint32_t recipient, bytes;
};
struct msg_channel_data {
    uint32_t recipient;
    struct view data;
};
struct msg_channel_extended_data {
    uint32_t recipient, type;
    struct view data;
};
struct msg_channel {  // EOF, CLOSE, SUCCESS, FAILURE
    uint32_t recipient;
};
struct msg_channel_request {
    uint32_t recipient;
    struct view name;
    bool want_reply;
    struct view fields;  // rest
};
struct msg_ping {  // PING and PONG
    struct view data;
};
struct msg_resume_open {
    struct view random;
    uint32_t grace;  // seconds
};
struct msg_resume_opened {
    struct view handle, random;
    uint32_t grace;  // seconds
};
struct msg_resume_refused {
    uint32_t reason;
    struct view text;
};
struct msg_resume_attach {
    struct view handle;
    uint64_t epoch;
    struct view counts, proof;
};
struct msg_resume_attached {
    uint64_t epoch;
    struct view counts, proof;
};
struct msg_resume_ack {
    uint64_t epoch;
    struct view counts;
};

struct message_schema {
    uint8_t number;
    const char *name;
    size_t size;                         // of the struct
    const struct message_field *fields;  // ends with FIELD_END
};

// The schema of a number; NULL for one that has none.
const struct message_schema *message_schema(uint8_t number);
// "CHANNEL_OPEN"; "message 200" is "unknown".
const char *message_name(uint8_t number);

// Decodes a payload (message number included) into the struct of its schema. The number
// must be `number`. On failure the fault names message and field, and *out is all zero.
must_check enum err message_decode(uint8_t number, struct view payload, void *out,
                                   struct fault *fault);

// Writes number and fields.
void message_encode(struct writer *w, uint8_t number, const void *in);

// One line for -vvv: name and fields, foreign text cleaned, data as its length. Returns
// out.
const char *message_trace(char *out, size_t size, struct view payload);

// ---- name-lists (RFC 4251 s.5) ----

// Takes the next name off the list; false at its end.
bool name_list_next(struct view *list, struct view *name);
bool name_list_has(struct view list, const char *name);
// The first name of `ours` that is also in `theirs`; n == 0 if none.
struct view name_list_first_common(struct view ours, struct view theirs);
