// X11 forwarding (RFC 4254 s.6.3): a display of the session's own, whose connections are
// channels to the client's. Protocol and cookie are checked before anybody sees them;
// xauth gets them on its standard input (holder_rc.c).
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "io/hostname.h"
#include "server/forward.h"

#define X11_PORT 6000u
#define X11_DISPLAYS 1000u
#define X11_SCREENS 400u

static bool listen_on_display(struct session *s) {
    struct holder *h = s->c.holder;
    uint32_t first = h->config.x11_display_offset;
    for (uint32_t d = first; d < first + X11_DISPLAYS && X11_PORT + d <= UINT16_MAX;
         d++) {
        int fds[LISTEN_SOCKETS];
        size_t n;
        uint16_t port = (uint16_t)(X11_PORT + d);
        if (!listen_tcp(h, h->config.x11_use_localhost, &port, fds, &n))
            continue;
        s->x11.listener = listener_add(h, LISTEN_X11, fds, n);
        if (s->x11.listener == NULL)
            return false;
        s->x11.listener->single = s->x11.single;
        s->x11.display = d;
        s->x11.listener->port = (uint16_t)(X11_PORT + d);
        listener_opened(s->x11.listener);
        return true;
    }
    log_error(&h->log, "Failed to allocate internet-domain X11 display socket.");
    return false;
}

static const char *refusal(const struct session *s, const struct request_x11 *r) {
    const struct holder *h = s->c.holder;
    if (!forward_allowed(&h->config, h->start->verdict->permits, FORWARD_WANT_X11))
        return "X11 forwarding disabled";
    if (h->config.xauth_location == NULL || access(h->config.xauth_location, X_OK) != 0)
        return "No xauth program; cannot forward X11.";
    if (s->x11.listener != NULL)
        return "X11 display already set.";
    if (!x11_protocol_is_good(r->protocol) || !x11_cookie_is_good(r->cookie) ||
        r->screen >= X11_SCREENS)
        return "Invalid X11 forwarding data";
    return NULL;
}

bool x11_request(struct session *s, const struct request_x11 *r) {
    const char *why = refusal(s, r);
    if (why != NULL) {
        log_info(&s->c.holder->log, "%s", why);
        return false;
    }
    s->x11.single = r->single;
    s->x11.screen = r->screen;
    text_copy(s->x11.protocol, sizeof s->x11.protocol, r->protocol);
    text_copy(s->x11.cookie, sizeof s->x11.cookie, r->cookie);
    return listen_on_display(s);
}

void x11_session_end(struct session *s) {
    if (s->x11.listener != NULL)
        listener_end(s->x11.listener);
    s->x11.listener = NULL;
    explicit_bzero(s->x11.cookie, sizeof s->x11.cookie);
}

static const char *display(const struct session *s, const char *local, char *out,
                           size_t size) {
    char host[128];
    if (s->x11.listener == NULL)
        return NULL;
    text_copy(host, sizeof host, view_text(local));
    if (!s->c.holder->config.x11_use_localhost)
        hostname_get(host, sizeof host);
    snprintf(out, size, "%s:%u.%u", host, s->x11.display, s->x11.screen);
    return out;
}

const char *x11_display(const struct session *s, char *out, size_t size) {
    return display(s, "localhost", out, size);
}

const char *x11_auth_display(const struct session *s, char *out, size_t size) {
    return display(s, "unix", out, size);
}
