// The agent protocol (draft-ietf-sshm-ssh-agent, RFC 9987; OpenSSH's PROTOCOL.agent): one
// table of messages {number, name, who sends it, fields}, for agents and for those that
// ask them.
//
// On the wire each message is a string: uint32 length, byte number, fields. Here messages
// begin with the number. Decoded structs hold views into what they were decoded from.
#pragma once

#include "wire/fields.h"

#define AGENT_MESSAGE_MAX (256u * 1024u)  // bytes; that of OpenSSH, both ways

enum agent_message {
    AGENT_FAILURE = 5,
    AGENT_SUCCESS = 6,
    AGENTC_REQUEST_IDENTITIES = 11,
    AGENT_IDENTITIES_ANSWER = 12,
    AGENTC_SIGN_REQUEST = 13,
    AGENT_SIGN_RESPONSE = 14,
    AGENTC_ADD_IDENTITY = 17,
    AGENTC_REMOVE_IDENTITY = 18,
    AGENTC_REMOVE_ALL_IDENTITIES = 19,
    AGENTC_ADD_SMARTCARD_KEY = 20,
    AGENTC_REMOVE_SMARTCARD_KEY = 21,
    AGENTC_LOCK = 22,
    AGENTC_UNLOCK = 23,
    AGENTC_ADD_ID_CONSTRAINED = 25,
    AGENTC_ADD_SMARTCARD_KEY_CONSTRAINED = 26,
    AGENTC_EXTENSION = 27,
    AGENT_EXTENSION_FAILURE = 28,
    AGENT_EXTENSION_RESPONSE = 29,
};

// Flags of SIGN_REQUEST: the hash of an RSA signature.
#define AGENT_RSA_SHA2_256 2u
#define AGENT_RSA_SHA2_512 4u

// Extensions, of requests and of constraints.
#define AGENT_QUERY "query"
#define AGENT_SESSION_BIND "session-bind@openssh.com"
#define AGENT_SK_PROVIDER "sk-provider@openssh.com"
#define AGENT_RESTRICT_DESTINATION "restrict-destination-v00@openssh.com"
#define AGENT_ASSOCIATED_CERTS "associated-certs-v00@openssh.com"

struct agent_empty {
    uint8_t unused;
};
struct agent_sign_request {
    struct view key, data;
    uint32_t flags;
};
struct agent_add {     // ADD_IDENTITY, ADD_ID_CONSTRAINED
    struct view rest;  // key (key/secret_fields.h), string comment, constraints
};
struct agent_remove {
    struct view key;
};
struct agent_smartcard {  // ADD_SMARTCARD_KEY, its constrained form, REMOVE_SMARTCARD_KEY
    struct view provider, pin;
    struct view constraints;  // rest
};
struct agent_lock {  // LOCK, UNLOCK
    struct view passphrase;
};
struct agent_extension {  // EXTENSION, EXTENSION_RESPONSE
    struct view name;
    struct view contents;  // rest
};
struct agent_identities {
    uint32_t count;
    struct view keys;  // rest: count times string blob, string comment
};
struct agent_signature {
    struct view signature;  // blob
};
struct agent_session_bind {  // contents of the extension
    struct view host_key, session_id, signature;
    bool forwarding;
};

struct agent_schema {
    struct fields_of of;
    bool request;  // else an answer
};

// The schema of a number; NULL for one that has none.
const struct agent_schema *agent_schema(uint8_t number);

// Decodes a message (number included) with exact end; the number must be `number`. On
// failure the fault names message and field, and *out is all zero.
must_check enum err agent_decode(uint8_t number, struct view message, void *out,
                                 struct fault *fault);
// Writes number and fields.
void agent_encode(struct writer *w, uint8_t number, const void *in);

must_check enum err agent_decode_session_bind(struct view contents,
                                              struct agent_session_bind *out,
                                              struct fault *fault);
void agent_encode_session_bind(struct writer *w, const struct agent_session_bind *in);
