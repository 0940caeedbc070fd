// X11 forwarding, the client's side (RFC 4254 s.6.3): the server gets a cookie that was
// made up for this run; each connection that it opens must show it, and the display gets
// its own in its place. An untrusted client (ForwardX11Trusted no) gets a cookie made by
// xauth for the X SECURITY extension, which ends by itself.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

#define X11_TEXT 256
#define X11_COOKIE_MAX 256

// Where a display is.
struct x11_display {
    char text[X11_TEXT];  // as $DISPLAY has it
    char path[108];       // not empty: a Unix socket
    char host[X11_TEXT];
    uint16_t port;
    uint32_t screen;
    bool local;  // ":0", "unix:0", "localhost:0"
    uint32_t number;
};

struct x11 {
    bool ready;
    struct x11_display display;
    char protocol[64];
    uint8_t real[X11_COOKIE_MAX], fake[X11_COOKIE_MAX];
    size_t cookie_n;
    uint64_t refuse_at;  // clock_ms(): no new connections from then on
};

struct session;

// ---- x11_display.c: pure ----
// False: not a display's name.
bool x11_display_parse(struct x11_display *d, const char *text);
// Protocol and cookie of the first line of `xauth list`; false if there is none.
bool x11_xauth_parse(struct view text, char *protocol, size_t protocol_size,
                     uint8_t *cookie, size_t *cookie_n);
enum x11_auth {
    X11_AUTH_MORE,  // the greeting is not all there
    X11_AUTH_BAD,   // not one, or another cookie
    X11_AUTH_GOOD,  // the cookie was replaced
};
// The greeting of an X client (X protocol, "Connection Setup"), with the cookie in it.
enum x11_auth x11_auth_substitute(struct span greeting, const char *protocol,
                                  const uint8_t *fake, const uint8_t *real, size_t n);

// ---- x11.c ----
// Asks for it on a session; says why not and goes on without where it cannot be.
must_check enum err x11_request(struct session *s);
// Why a connection of the server's is not taken; NULL: it is.
const char *x11_refusal(const struct x11 *x, uint64_t now);
void x11_drop(struct x11 *x);
