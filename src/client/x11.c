// Asking for X11 forwarding: display, cookies, xauth.
#include "client/x11.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "client/run.h"
#include "connection/requests.h"
#include "crypto/random.h"
#include "io/clock.h"
#include "io/process_output.h"

#define PROTOCOL "MIT-MAGIC-COOKIE-1"
#define COOKIE 16
#define OUTPUT_MAX 4096
#define XAUTH_MS 10000
// xauth's own time is longer, so that what it ends was refused by us before.
#define SLACK_S 60u

#define ARGUMENT(text) ((char *)(uintptr_t)(text))

// What xauth prints; false if it is not there or fails.
static bool run_xauth(struct client *c, char *const *arguments, struct buf *out) {
    char *argv[12] = {ARGUMENT(c->config.xauth_location), ARGUMENT("-q")};
    struct fault fault = {0};
    for (size_t i = 0; arguments[i] != NULL; i++)
        argv[i + 2] = arguments[i];
    buf_init(out, OUTPUT_MAX);
    uint64_t deadline = clock_after(clock_ms(), XAUTH_MS);
    if (process_output(argv, OUTPUT_MAX, deadline, out, &fault) == OK)
        return true;
    log_debug(&c->log, "%s %s: %s", argv[0], arguments[0], fault_text(&fault));
    return false;
}

static bool list_cookie(struct client *c, struct x11 *x, const char *name,
                        const char *file) {
    scoped_buf text = {0};
    char *here[] = {ARGUMENT("list"), ARGUMENT(name), NULL};
    char *there[] = {ARGUMENT("-f"), ARGUMENT(file), ARGUMENT("list"), ARGUMENT(name),
                     NULL};
    bool found = run_xauth(c, file != NULL ? there : here, &text) &&
                 x11_xauth_parse(buf_view(&text), x->protocol, sizeof x->protocol,
                                 x->real, &x->cookie_n);
    secret_wipe(text.p, text.p != NULL ? text.room : 0);
    return found;
}

// One for X clients that are not trusted, made by the X server, in a file of its own.
static bool generate(struct client *c, struct x11 *x, const char *name,
                     const char *file) {
    char seconds[16];
    uint32_t timeout = c->config.forward_x11_timeout;
    snprintf(seconds, sizeof seconds, "%u",
             timeout == 0               ? 0
             : timeout < INT_MAX - 1000 ? timeout + SLACK_S
                                        : INT_MAX);
    char *arguments[] = {ARGUMENT("-f"),
                         ARGUMENT(file),
                         ARGUMENT("generate"),
                         ARGUMENT(name),
                         ARGUMENT(PROTOCOL),
                         ARGUMENT("untrusted"),
                         ARGUMENT("timeout"),
                         seconds,
                         NULL};
    scoped_buf text = {0};
    return run_xauth(c, arguments, &text) && list_cookie(c, x, name, file);
}

static bool untrusted(struct client *c, struct x11 *x, const char *name) {
    char folder[] = "/tmp/bowline-x11-XXXXXX", file[sizeof folder + 16];
    if (mkdtemp(folder) == NULL)
        return false;
    snprintf(file, sizeof file, "%s/xauth", folder);
    bool made = generate(c, x, name, file);
    if (unlink(file) != 0 && made)
        log_error(&c->log, "cannot remove %s, which holds an X11 cookie", file);
    (void)rmdir(folder);
    if (made && c->config.forward_x11_timeout > 0)
        x->refuse_at = clock_after(clock_ms(), c->config.forward_x11_timeout * 1000ull);
    return made;
}

static bool prepare(struct client *c, struct x11 *x) {
    const char *display = getenv("DISPLAY");
    char name[X11_TEXT + 8];
    if (display == NULL || *display == 0) {
        // To people at once; a job of cron with ForwardX11 in its files would be mailed
        // it each time.
        log_at(&c->log, isatty(STDERR_FILENO) ? LOG_LEVEL_INFO : LOG_LEVEL_VERBOSE,
               "DISPLAY is not set: X11 is not forwarded");
        return false;
    }
    if (!x11_display_parse(&x->display, display)) {
        log_error(&c->log,
                  "DISPLAY '%.100s' is not a display (host:number): X11 is not "
                  "forwarded",
                  display);
        return false;
    }
    x->refuse_at = CLOCK_NEVER;
    // xauth knows the local one by this name, whatever way leads to it.
    if (x->display.local)
        snprintf(name, sizeof name, "unix:%u", x->display.number);
    else
        snprintf(name, sizeof name, "%s", x->display.text);
    bool location = c->config.xauth_location != NULL;
    if (!c->config.forward_x11_trusted && (!location || !untrusted(c, x, name))) {
        log_info(&c->log,
                 "Warning: untrusted X11 forwarding setup failed: xauth key data "
                 "not generated");
        return false;
    }
    if (c->config.forward_x11_trusted && (!location || !list_cookie(c, x, name, NULL))) {
        log_info(&c->log,
                 "Warning: No xauth data; using fake authentication data for X11 "
                 "forwarding.");
        x->cookie_n = COOKIE;
        snprintf(x->protocol, sizeof x->protocol, "%s", PROTOCOL);
        random_bytes(x->real, x->cookie_n);
    }
    random_bytes(x->fake, x->cookie_n);
    return true;
}

static enum err send_request(struct session *s, const struct x11 *x) {
    char hex[2 * X11_COOKIE_MAX + 1];
    for (size_t i = 0; i < x->cookie_n; i++)
        snprintf(hex + 2 * i, 3, "%02x", x->fake[i]);
    struct request_x11 fields = {.protocol = view_text(x->protocol),
                                 .cookie = view_text(hex),
                                 .screen = x->display.screen};
    scoped_buf b;
    buf_init(&b, LIMIT_PACKET_DEFAULT);
    TRY(request_encode(REQUEST_CHANNEL, "x11-req", &fields, &b));
    s->x11_asked = true;
    s->x11_ordinal = connection_next_ordinal(s->connection, s->channel);
    return connection_request(s->connection, s->channel, "x11-req", true, buf_view(&b));
}

enum err x11_request(struct session *s) {
    struct x11 *x = &s->run->forwards.x11;
    if (!s->c->config.forward_x11)
        return OK;
    if (!x->ready)
        x->ready = prepare(s->c, x);
    return x->ready ? send_request(s, x) : OK;
}

const char *x11_refusal(const struct x11 *x, uint64_t now) {
    if (!x->ready)
        return "not asked for";
    return now >= x->refuse_at ? "ForwardX11Timeout expired" : NULL;
}

void x11_drop(struct x11 *x) {
    secret_wipe(x, sizeof *x);
}
