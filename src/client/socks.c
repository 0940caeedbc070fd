// SOCKS requests.
#include "client/socks.h"

#include <arpa/inet.h>
#include <stdio.h>

enum {
    V4 = 4,
    V5 = 5
};
enum {
    COMMAND_CONNECT = 1
};
enum {
    METHOD_NONE = 0,
    METHOD_NO_MATCH = 0xff
};
enum {
    ADDRESS_V4 = 1,
    ADDRESS_NAME = 3,
    ADDRESS_V6 = 4
};

static enum socks_result reply(struct socks *s, const uint8_t *bytes, size_t n,
                               enum socks_result result) {
    memcpy(s->reply, bytes, n);
    s->reply_n = n;
    return result;
}

// Names go to a server as they are: without NUL and without what no name has.
static bool set_name(struct socks *s, struct view name) {
    if (name.n == 0 || name.n >= sizeof s->host)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 0x7f)
            return false;
    memcpy(s->host, name.p, name.n);
    s->host[name.n] = 0;
    return true;
}

static void set_v4(struct socks *s, const uint8_t *p) {
    snprintf(s->host, sizeof s->host, "%u.%u.%u.%u", p[0], p[1], p[2], p[3]);
}

static uint16_t load_port(const uint8_t *p) {
    return (uint16_t)(p[0] << 8 | p[1]);
}

// ---- version 4: VN CD PORT(2) IP(4) USERID 0 [NAME 0] ----

static enum socks_result bad_v4(struct socks *s) {
    return reply(s, (const uint8_t[8]){0, 91}, 8, SOCKS_BAD);
}

static enum socks_result take_v4(struct socks *s, struct view in, size_t *taken) {
    if (in.n < 9)
        return in.n >= 2 && in.p[1] != COMMAND_CONNECT ? bad_v4(s) : SOCKS_MORE;
    if (in.p[1] != COMMAND_CONNECT)
        return bad_v4(s);
    const uint8_t *end = memchr(in.p + 8, 0, in.n - 8);
    if (end == NULL)
        return SOCKS_MORE;
    size_t n = (size_t)(end - in.p) + 1;
    s->port = load_port(in.p + 2);
    // 0.0.0.x: a name follows (4a).
    if (in.p[4] == 0 && in.p[5] == 0 && in.p[6] == 0 && in.p[7] != 0) {
        const uint8_t *name = in.p + n, *stop = memchr(name, 0, in.n - n);
        if (stop == NULL)
            return SOCKS_MORE;
        if (!set_name(s, view_of(name, (size_t)(stop - name))))
            return bad_v4(s);
        n = (size_t)(stop - in.p) + 1;
    } else {
        set_v4(s, in.p + 4);
    }
    *taken = n;
    return SOCKS_CONNECT;
}

// ---- version 5 ----

// VER NMETHODS METHODS
static enum socks_result take_greeting(struct socks *s, struct view in, size_t *taken) {
    if (in.n < 2 || in.n < 2u + in.p[1])
        return SOCKS_MORE;
    *taken = 2u + in.p[1];
    if (memchr(in.p + 2, METHOD_NONE, in.p[1]) == NULL)
        return reply(s, (const uint8_t[]){V5, METHOD_NO_MATCH}, 2, SOCKS_BAD);
    s->greeted = true;
    return reply(s, (const uint8_t[]){V5, METHOD_NONE}, 2, SOCKS_GREETED);
}

static enum socks_result bad_v5(struct socks *s, uint8_t code) {
    return reply(s, (const uint8_t[10]){V5, code, 0, ADDRESS_V4}, 10, SOCKS_BAD);
}

// Bytes of the address behind its type; 0: not whole or (*bad) unknown.
static size_t address_size(struct view in, bool *bad) {
    switch (in.p[3]) {
    case ADDRESS_V4:
        return 4;
    case ADDRESS_V6:
        return 16;
    case ADDRESS_NAME:
        return in.n < 5 ? 0 : 1u + in.p[4];
    default:
        *bad = true;
        return 0;
    }
}

// VER CMD RSV ATYP ADDRESS PORT
static enum socks_result take_v5(struct socks *s, struct view in, size_t *taken) {
    bool bad = false;
    if (in.n < 4)
        return SOCKS_MORE;
    if (in.p[0] != V5)
        return bad_v5(s, 1);
    if (in.p[1] != COMMAND_CONNECT)
        return bad_v5(s, 7);
    size_t n = address_size(in, &bad);
    if (bad)
        return bad_v5(s, 8);
    if (n == 0 || in.n < 4 + n + 2)
        return SOCKS_MORE;
    if (in.p[3] == ADDRESS_V4)
        set_v4(s, in.p + 4);
    else if (in.p[3] == ADDRESS_V6)
        inet_ntop(AF_INET6, in.p + 4, s->host, sizeof s->host);
    else if (!set_name(s, view_of(in.p + 5, n - 1)))
        return bad_v5(s, 1);
    s->port = load_port(in.p + 4 + n);
    *taken = 4 + n + 2;
    return SOCKS_CONNECT;
}

enum socks_result socks_take(struct socks *s, struct view in, size_t *taken) {
    *taken = 0;
    s->reply_n = 0;
    if (in.n == 0)
        return SOCKS_MORE;
    if (s->version == 0)
        s->version = in.p[0];
    enum socks_result result = s->version == V4   ? take_v4(s, in, taken)
                               : s->version != V5 ? SOCKS_BAD
                               : s->greeted       ? take_v5(s, in, taken)
                                                  : take_greeting(s, in, taken);
    return result == SOCKS_MORE && in.n >= SOCKS_REQUEST_MAX ? SOCKS_BAD : result;
}

void socks_answer(struct socks *s, enum socks_outcome outcome) {
    // RFC 1928 s.6
    static const uint8_t codes[] = {[SOCKS_GRANTED] = 0,
                                    [SOCKS_FAILED] = 1,
                                    [SOCKS_NOT_ALLOWED] = 2,
                                    [SOCKS_UNREACHABLE] = 5};
    if (s->version == V4)
        (void)reply(s, (const uint8_t[8]){0, outcome == SOCKS_GRANTED ? 90 : 91}, 8,
                    SOCKS_CONNECT);
    else
        (void)reply(s, (const uint8_t[10]){V5, codes[outcome], 0, ADDRESS_V4}, 10,
                    SOCKS_CONNECT);
}
