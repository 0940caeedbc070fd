// Of bowline doctor: the host's name, each of its addresses, its greeting and the keys
// with it.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "client/doctor_steps.h"
#include "client/hostkeys.h"
#include "client/proxy.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/look_up.h"
#include "io/tcp.h"
#include "io/tcp_connect.h"

// ---- the name ----

// The numeric addresses, one a line.
static bool look_up(struct doctor *d, char *out, size_t size) {
    const struct client *c = d->c;
    struct look_up l;
    out[0] = 0;
    if (look_up_start(&l, c->config.hostname, client_family(&c->config)) == OK) {
        struct pollfd p = {.fd = l.fd, .events = POLLIN};
        if (poll(&p, 1, (int)c->config.connect_timeout * 1000) > 0)
            look_up_take(&l, out, size);
        look_up_drop(&l);
    }
    char clean[300], shown[800], setting[400];
    text_clean(clean, sizeof clean, view_text(c->config.hostname));
    if (out[0] == 0) {
        doctor_say(d, FOUND_NO_NAME, doctor_lap(d), "%s: no address is found; %s", clean,
                   doctor_setting(c, "Hostname", clean, setting, sizeof setting));
        return false;
    }
    (void)text_copy(shown, sizeof shown, view_text(out));
    for (char *p = shown; *p != 0; p++)
        *p = *p == '\n' ? (p[1] != 0 ? ' ' : 0) : *p;
    doctor_say(d, FOUND_NAME, doctor_lap(d), "%s is %s", clean, shown);
    return true;
}

// ---- TCP ----

static enum doctor_finding finding_of(int error) {
    static const struct {
        int error;
        enum doctor_finding finding;
    } rows[] = {
        {0, FOUND_CONNECTED},          {ECONNREFUSED, FOUND_REFUSED},
        {ETIMEDOUT, FOUND_FILTERED},   {EHOSTUNREACH, FOUND_NO_ROUTE},
        {ENETUNREACH, FOUND_NO_ROUTE}, {ENETDOWN, FOUND_NO_ROUTE},
        {EHOSTDOWN, FOUND_NO_ROUTE},   {EACCES, FOUND_PROHIBITED},
        {EPERM, FOUND_PROHIBITED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].error == error)
            return rows[i].finding;
    return FOUND_UNREACHABLE;
}

// errno; 0: connected, and *fd is the link, the caller's.
static int connect_to(const struct client *c, const char *address, int *fd) {
    struct tcp_connect *t;
    struct fault fault = {0};
    struct tcp_target target = {
        .host = address,
        .port = c->config.port,
        .family = client_family(&c->config),
        .bind_address = c->config.bind_address,
        .bind_interface = c->config.bind_interface,
        .deadline = clock_after(clock_ms(), c->config.connect_timeout * 1000ull),
        .keepalive = c->config.tcp_keep_alive,
        .dscp = -1,
    };
    *fd = -1;
    if (tcp_connect_new(&t, &target, &fault) != OK)
        return EADDRNOTAVAIL;
    enum err e = tcp_connect_step(t, clock_ms(), fd, &fault);
    while (e == OK && *fd < 0) {
        struct pollfd p[TCP_CONNECT_ADDRESSES];
        size_t n = tcp_connect_poll(t, p, TCP_CONNECT_ADDRESSES);
        (void)poll(p, n, clock_poll_ms(clock_ms(), tcp_connect_deadline(t)));
        e = tcp_connect_step(t, clock_ms(), fd, &fault);
    }
    int error = tcp_connect_error(t);
    tcp_connect_drop(t);
    return e == OK ? 0 : e == ERR_TIMEOUT ? ETIMEDOUT : error;
}

static void say_address(struct doctor *d, const char *address, int error) {
    char value[16], setting[400];
    enum doctor_finding f = finding_of(error);
    snprintf(value, sizeof value, "%u",
             f == FOUND_FILTERED ? d->c->config.connect_timeout : d->c->config.port);
    const char *keyword = f == FOUND_FILTERED ? "ConnectTimeout" : "Port";
    doctor_say(
        d, f, doctor_lap(d), "%s port %u: %s%s%s", address, d->c->config.port,
        error == 0 ? "connected" : strerror(error), error == 0 ? "" : "; ",
        error == 0 ? "" : doctor_setting(d->c, keyword, value, setting, sizeof setting));
}

// All but the first that works are closed again: the host sees somebody who goes at once.
static bool connect_all(struct doctor *d, char *addresses) {
    bool any = false;
    char *rest = addresses;
    for (char *address; (address = strsep(&rest, "\n")) != NULL && *address != 0;) {
        scoped_fd fd = -1;
        say_address(d, address, connect_to(d->c, address, &fd));
        if (fd < 0 || any)
            continue;
        any = true;
        d->c->link.fd = fd;
        fd = -1;
    }
    for (size_t i = 0; i < d->steps_n; i++)
        d->steps[i].passed_by = any;
    return any;
}

static bool by_proxy(struct doctor *d) {
    if (client_connect(d->c) == OK) {
        doctor_say(d, FOUND_PROXY, doctor_lap(d),
                   "through a program (ProxyJump or ProxyCommand), whose own way is not "
                   "looked at");
        return true;
    }
    doctor_say(d, FOUND_PROXY_FAILED, doctor_lap(d), "%s", fault_text(&d->c->fault));
    return false;
}

bool doctor_link(struct doctor *d) {
    char addresses[LOOK_UP_ADDRESSES * (ENDPOINT_TEXT_SIZE + 1)];
    if (proxy_wanted(d->c))
        return by_proxy(d);
    if (!look_up(d, addresses, sizeof addresses) || !connect_all(d, addresses))
        return false;
    return client_adopt(d->c) == OK;
}

// ---- greeting and keys ----

// In poll(2)'s place: sees when the greeting was there.
static enum err watch(void *arg, struct pollfd *p, size_t n, uint64_t deadline) {
    struct doctor *d = arg;
    const struct transport *t = d->c->link.transport;
    if (d->greeted_us == 0 && t != NULL && transport_peer_ident(t).n > 0)
        d->greeted_us = clock_us();
    return poll(p, n, clock_poll_ms(clock_ms(), deadline)) > 0 ? OK : ERR_TIMEOUT;
}

// What it said instead, or before it closed.
static const char *said(const struct doctor *d, char *out, size_t size) {
    static const char mark[] = "before its identification the server says: ";
    if (doctor_heard(d, mark, out, size) != NULL)
        return out + sizeof mark - 1;
    return "nothing";
}

static void say_no_greeting(struct doctor *d, enum err e) {
    const struct client *c = d->c;
    char line[600], value[16], setting[400];
    const char *text = said(d, line, sizeof line);
    snprintf(value, sizeof value, "%u", c->config.connect_timeout);
    if (e == ERR_TIMEOUT)
        doctor_say(d, FOUND_SILENT, doctor_lap(d),
                   "connected, but no greeting came: %s; %s", text,
                   doctor_setting(c, "ConnectTimeout", value, setting, sizeof setting));
    else if (e == ERR_CLOSED && c->proxied)
        doctor_say(
            d, FOUND_PROXY_FAILED, doctor_lap(d),
            "the program of ProxyJump or ProxyCommand ended before a greeting came; "
            "from there came: %s",
            text);
    else if (e == ERR_CLOSED)
        doctor_say(d, FOUND_CLOSED_AT_ONCE, doctor_lap(d),
                   "closed before a greeting; it said: %s", text);
    else
        doctor_say(d, FOUND_NOT_SSH, doctor_lap(d), "%s; before that: %s",
                   fault_text(&c->fault), text);
}

static void say_greeting(struct doctor *d) {
    char ident[256];
    uint64_t us = (d->greeted_us != 0 ? d->greeted_us : clock_us()) - d->began_us;
    d->began_us += us;
    doctor_say(
        d, FOUND_GREETING, us, "%s",
        text_clean(ident, sizeof ident, transport_peer_ident(d->c->link.transport)));
}

static void say_exchange(struct doctor *d, enum err e) {
    struct client *c = d->c;
    struct tcp_info_short info = {0};
    char lists[DOCTOR_TEXT];
    bool told = !c->proxied && tcp_info(c->link.fd, &info);
    if (e == ERR_NEGOTIATION)
        doctor_say(
            d, FOUND_NO_OVERLAP, doctor_lap(d), "no %s",
            text_clean(lists, sizeof lists, transport_mismatch(c->link.transport)));
    else if (e == ERR_TIMEOUT)
        doctor_say(d, FOUND_BLACK_HOLE, doctor_lap(d),
                   "the greeting came, but larger packets do not arrive: %s%s",
                   fault_text(&c->fault),
                   !told              ? ""
                   : info.unacked > 0 ? "; ours are not confirmed by the host"
                                      : "; ours are confirmed, the host's do not come");
    else
        doctor_say(d, FOUND_EXCHANGE_FAILED, doctor_lap(d), "%s",
                   c->fault.code != OK ? fault_text(&c->fault) : err_text(e));
}

static void say_keys(struct doctor *d) {
    char line[500];
    bool heard = doctor_heard(d, "secured", line, sizeof line) != NULL;
    uint64_t us = clock_us() - d->began_us;
    d->began_us += us;
    doctor_say(d, FOUND_KEYS, us, "%s", heard ? line + 9 : "agreed");
}

static void say_host(struct doctor *d, enum err e) {
    static const enum doctor_finding rows[] = {
        [KNOWN_HOSTS_NEW] = FOUND_HOST_UNKNOWN,
        [KNOWN_HOSTS_OK] = FOUND_HOST_UNKNOWN,
        [KNOWN_HOSTS_CHANGED] = FOUND_HOST_CHANGED,
        [KNOWN_HOSTS_OTHER_TYPE] = FOUND_HOST_CHANGED,
        [KNOWN_HOSTS_IS_REVOKED] = FOUND_HOST_REVOKED,
    };
    char line[700], known[300];
    const char *what =
        rows[d->c->end.host_result] == FOUND_HOST_CHANGED ? "Another " : "The ";
    if (e == OK) {
        bool heard = doctor_heard(d, "host     ", line, sizeof line) != NULL;
        doctor_say(d, FOUND_HOST_KNOWN, doctor_lap(d), "%s",
                   heard ? line + 9 : "trusted");
        return;
    }
    if (doctor_heard(d, what, line, sizeof line) == NULL &&
        doctor_heard(d, "No ", line, sizeof line) == NULL)
        snprintf(line, sizeof line, "not trusted");
    if (doctor_heard(d, "it shows has the", known, sizeof known) == NULL &&
        doctor_heard(d, "that it shows", known, sizeof known) == NULL)
        known[0] = 0;
    doctor_say(d, rows[d->c->end.host_result], doctor_lap(d), "%s%s%s", line,
               known[0] != 0 ? " The key " : "", known);
}

bool doctor_handshake(struct doctor *d) {
    struct client *c = d->c;
    c->link.wait = watch;
    c->link.wait_arg = d;
    enum err e = client_handshake(c);
    c->link.wait = NULL;
    struct transport *t = c->link.transport;
    if (t == NULL || transport_peer_ident(t).n == 0) {
        say_no_greeting(d, e);
        return false;
    }
    say_greeting(d);
    if (e != OK && e != ERR_HOST_KEY) {
        say_exchange(d, e);
        return false;
    }
    say_keys(d);
    say_host(d, e);
    return e == OK;
}
