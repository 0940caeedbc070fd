// The server's side of SOCKS 4, 4a (Ying-Da Lee) and 5 (RFC 1928, without
// authentication): a pure parser over what came so far, which it never asks to keep for
// longer than a request.
#pragma once

#include "base/bytes.h"

#define SOCKS_REQUEST_MAX 1024  // bytes of a request that is not whole yet
#define SOCKS_REPLY_MAX 32

enum socks_result {
    SOCKS_MORE,     // not whole yet
    SOCKS_GREETED,  // version 5: send the reply, go on with what follows
    SOCKS_CONNECT,  // host and port are set; the reply follows the outcome
    SOCKS_BAD,      // send the reply if there is one, close
};

enum socks_outcome {
    SOCKS_GRANTED,
    SOCKS_FAILED,
    SOCKS_NOT_ALLOWED,
    SOCKS_UNREACHABLE,
};

struct socks {
    int version;     // 0: not known yet, 4, 5
    bool greeted;    // version 5: the method is agreed
    char host[256];  // name or numeric address
    uint16_t port;
    uint8_t reply[SOCKS_REPLY_MAX];
    size_t reply_n;
};

// Looks at `in`; *taken bytes of it are done with.
enum socks_result socks_take(struct socks *s, struct view in, size_t *taken);
// The reply to a CONNECT, into reply and reply_n.
void socks_answer(struct socks *s, enum socks_outcome outcome);
