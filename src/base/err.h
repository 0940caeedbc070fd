// The errors of the libraries: one table {name, text, SSH disconnect reason}.
//
// 0 is success. A function that can fail returns enum err and must be looked at; what a
// person needs to know besides goes once into a struct fault, where it was found out.
#pragma once

#include <stdint.h>

// RFC 4253 s.11.1
enum disconnect_reason {
    DISCONNECT_NONE = 0,
    DISCONNECT_HOST_NOT_ALLOWED = 1,
    DISCONNECT_PROTOCOL_ERROR = 2,
    DISCONNECT_KEX_FAILED = 3,
    DISCONNECT_MAC_ERROR = 5,
    DISCONNECT_COMPRESSION_ERROR = 6,
    DISCONNECT_SERVICE_NOT_AVAILABLE = 7,
    DISCONNECT_VERSION_NOT_SUPPORTED = 8,
    DISCONNECT_HOST_KEY_NOT_VERIFIABLE = 9,
    DISCONNECT_CONNECTION_LOST = 10,
    DISCONNECT_BY_APPLICATION = 11,
    DISCONNECT_TOO_MANY_CONNECTIONS = 12,
    DISCONNECT_AUTH_CANCELLED = 13,
    DISCONNECT_NO_MORE_AUTH_METHODS = 14,
    DISCONNECT_ILLEGAL_USER_NAME = 15,
};

#define ERR_TABLE(X)                                                                     \
    X(ERR_MEMORY, "out of memory", BY_APPLICATION)                                       \
    X(ERR_LIMIT, "over a limit", PROTOCOL_ERROR)                                         \
    X(ERR_SHORT, "ends too early", PROTOCOL_ERROR)                                       \
    X(ERR_TRAILING, "bytes left over at the end", PROTOCOL_ERROR)                        \
    X(ERR_FORMAT, "malformed", PROTOCOL_ERROR)                                           \
    X(ERR_PROTOCOL, "against the protocol", PROTOCOL_ERROR)                              \
    X(ERR_UNEXPECTED, "message not allowed now", PROTOCOL_ERROR)                         \
    X(ERR_VERSION, "no SSH 2.0 identification", VERSION_NOT_SUPPORTED)                   \
    X(ERR_NEGOTIATION, "no algorithm in common", KEX_FAILED)                             \
    X(ERR_KEX, "key exchange failed", KEX_FAILED)                                        \
    X(ERR_MAC, "message authentication code incorrect", MAC_ERROR)                       \
    X(ERR_SIGNATURE, "bad signature", KEX_FAILED)                                        \
    X(ERR_HOST_KEY, "host key not verified", HOST_KEY_NOT_VERIFIABLE)                    \
    X(ERR_AUTH, "authentication failed", NO_MORE_AUTH_METHODS)                           \
    X(ERR_SERVICE, "service not available", SERVICE_NOT_AVAILABLE)                       \
    X(ERR_CRYPTO, "cryptographic operation failed", BY_APPLICATION)                      \
    X(ERR_KEY, "unusable key", BY_APPLICATION)                                           \
    X(ERR_PASSPHRASE, "wrong passphrase", BY_APPLICATION)                                \
    X(ERR_UNSUPPORTED, "not supported", BY_APPLICATION)                                  \
    X(ERR_REFUSED, "refused", BY_APPLICATION)                                            \
    X(ERR_TIMEOUT, "timed out", BY_APPLICATION)                                          \
    X(ERR_CLOSED, "closed", CONNECTION_LOST)                                             \
    X(ERR_IO, "input or output failed", CONNECTION_LOST)                                 \
    X(ERR_CONFIG, "bad configuration", BY_APPLICATION)                                   \
    X(ERR_NOT_FOUND, "not found", BY_APPLICATION)

enum err {
    OK = 0,
#define X(name, text, reason) name,
    ERR_TABLE(X)
#undef X
    ERR_COUNT
};

#define must_check __attribute__((warn_unused_result))

// Leaves the calling function with the error of `call`, if it has one.
#define TRY(call)                                                                        \
    do {                                                                                 \
        enum err try_err_ = (call);                                                      \
        if (try_err_ != OK)                                                              \
            return try_err_;                                                             \
    } while (0)

// Static text; "success" for OK.
const char *err_text(enum err e);

// What the peer is told when this error ends the link (RFC 4253 s.11.1).
enum disconnect_reason err_disconnect_reason(enum err e);
