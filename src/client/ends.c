#include "client/ends.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/json.h"
#include "client/state.h"
#include "io/clock.h"
#include "io/endpoint.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/interfaces.h"
#include "io/tcp.h"

// Shorter sleeps are the clocks' own difference.
#define SLEPT_LEAST_MS 2000

static const char *const phases[] = {[CLIENT_LINK] = "link",
                                     [CLIENT_HANDSHAKE] = "handshake",
                                     [CLIENT_LOGIN] = "login",
                                     [CLIENT_SESSION] = "session"};
static enum ends_class of_closed(const struct client *c) {
    if (c->end.disconnected)
        return c->end.said;
    if (c->end.not_resumed)
        return c->end.lost_as;
    if (c->proxied)
        return ENDS_CLOSED;
    return c->link.error == ECONNRESET || c->link.error == EPIPE ? ENDS_RESET
                                                                 : ENDS_CLOSED;
}

enum ends_class ends_classify(const struct client *c, enum err e) {
    if (e == OK)
        return c->end.idle ? ENDS_IDLE : c->end.by_user ? ENDS_USER : ENDS_EXIT;
    if (e == ERR_HOST_KEY)
        return ENDS_HOST_KEY;
    if (e == ERR_AUTH)
        return ENDS_REFUSED;
    if (c->end.phase == CLIENT_LINK)
        return ENDS_UNREACHABLE;
    if (e == ERR_CLOSED)
        return of_closed(c);
    if (e == ERR_TIMEOUT)
        return c->end.phase == CLIENT_SESSION ? ENDS_SILENCE : ENDS_TIMEOUT;
    return ENDS_ERROR;
}

// ---- facts ----

struct facts {
    enum ends_class class;
    uint64_t lasted_ms, silent_ms, slept_ms;
    bool tcp, address_gone;
    struct tcp_info_short info;
    char local[ENDPOINT_TEXT_SIZE];
};

static bool is_it(void *arg, const char *address) {
    return strcmp(arg, address) == 0;
}

// Does this machine still have the address that the link began at?
static void look_at_address(struct facts *f, int fd) {
    struct endpoint local;
    endpoint_local(&local, fd);
    if (local.family != AF_INET && local.family != AF_INET6)
        return;
    snprintf(f->local, sizeof f->local, "%s", local.text);
    f->address_gone = !interfaces_any(is_it, f->local);
}

static void collect(const struct client *c, enum err e, struct facts *f) {
    uint64_t now = clock_ms(), awake = now - c->end.started;
    uint64_t passed = clock_boot_ms() - c->end.started_boot;
    *f = (struct facts){.class = ends_classify(c, e), .lasted_ms = passed};
    if (c->link.heard > 0)
        f->silent_ms = now - c->link.heard;
    if (passed > awake + SLEPT_LEAST_MS)
        f->slept_ms = passed - awake;
    if (c->link.fd < 0 || c->proxied)
        return;
    f->tcp = tcp_info(c->link.fd, &f->info);
    if (f->class != ENDS_EXIT)
        look_at_address(f, c->link.fd);
}

// ---- the line ----

static void put_text(struct json *j, const char *name, const char *text) {
    if (text != NULL && *text != '\0')
        json_member_text(j, name, text);
}

static void put_number(struct json *j, const char *name, uint64_t value) {
    if (value > 0)
        json_member_u64(j, name, value);
}

static enum err make_line(const struct client *c, const struct facts *f,
                          struct buf *line) {
    struct json j = json_to_buf(line);
    json_object(&j);
    json_member_u64(&j, "time", clock_wall_s());
    json_member_text(&j, "class", ends_class_name(f->class));
    json_member_text(&j, "phase", phases[c->end.phase]);
    put_text(&j, "host", c->config.original_host);
    put_text(&j, "name", c->host);
    put_text(&j, "address", c->address);
    put_number(&j, "port", c->config.port);
    put_text(&j, "user", c->config.user);
    json_member_u64(&j, "lasted_ms", f->lasted_ms);
    json_member_u64(&j, "status", (uint64_t)c->exit_code);
    put_text(&j, "text", c->fault.code != OK ? fault_text(&c->fault) : NULL);
    put_number(&j, "silent_ms", f->silent_ms);
    put_number(&j, "probes", c->end.probes);
    put_number(&j, "resumed", c->end.resumed);
    put_number(&j, "slept_ms", f->slept_ms);
    if (f->tcp) {
        json_member_u64(&j, "rtt_us", f->info.rtt_us);
        json_member_u64(&j, "retransmits", f->info.retransmits);
        put_number(&j, "unacked", f->info.unacked);
    }
    if (f->address_gone)
        put_text(&j, "address_gone", f->local);
    json_object_end(&j);
    TRY(json_end(&j));
    return buf_append(line, view_text("\n"));
}

// ---- the file ----

// The newest half stays, from the start of a line.
static void shorten(const char *path) {
    scoped_buf text = {0};
    if (file_read(path, FILE_NOFOLLOW, 4 * ENDS_FILE_MAX, &text, NULL) != OK)
        return;
    struct view v = buf_view(&text);
    size_t from = v.n - (v.n < ENDS_FILE_MAX / 2 ? v.n : ENDS_FILE_MAX / 2);
    while (from < v.n && from > 0 && v.p[from - 1] != '\n')
        from++;
    (void)!file_write(path, view_of(v.p + from, v.n - from), 0600, NULL);
}

static void append(const char *home, struct view line) {
    char folder[PATH_MAX], path[PATH_MAX];
    scoped_fd fd = state_open(home, ENDS_FILE);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
        return;
    if (lseek(fd, 0, SEEK_END) + (off_t)line.n > (off_t)ENDS_FILE_MAX &&
        state_path(home, ENDS_FILE, folder, path)) {
        shorten(path);
        fd_close(&fd);
        fd = state_open(home, ENDS_FILE);
    }
    if (fd >= 0)
        (void)!write(fd, line.p, line.n);
}

// ---- for the person ----

__attribute__((format(printf, 3, 0))) static void
add_fact(char *out, size_t size, const char *format, uint64_t value) {
    size_t n = strlen(out);
    if (value > 0)
        snprintf(out + n, size - n, format, (double)value / 1000);
}

// What came after a session had begun and was not asked for.
static void tell(const struct client *c, const struct facts *f) {
    char text[512] = "";
    if (c->end.phase != CLIENT_SESSION || f->class == ENDS_EXIT || f->class == ENDS_USER)
        return;
    add_fact(text, sizeof text, "lasted %.0f s", f->lasted_ms);
    add_fact(text, sizeof text, ", last heard of %.0f s ago",
             f->silent_ms >= 1000 ? f->silent_ms : 0);
    add_fact(text, sizeof text, ", %.0f signs of life asked for in vain",
             c->end.probes * 1000ull);
    add_fact(text, sizeof text, ", round trip %.1f ms", f->info.rtt_us);
    add_fact(text, sizeof text, ", %.0f segments sent again",
             f->info.retransmits * 1000ull);
    add_fact(text, sizeof text, ", this machine slept %.0f s", f->slept_ms);
    log_info(&c->log, "the session with %s %s%s%s", c->host, text,
             f->address_gone ? ", the address it began at is gone: " : "",
             f->address_gone ? f->local : "");
}

void ends_note(struct client *c, enum err e) {
    struct facts f;
    scoped_buf line;
    buf_init(&line, ENDS_LINE_MAX);
    if (c->end.started == 0)
        return;
    collect(c, e, &f);
    tell(c, &f);
    if (make_line(c, &f, &line) == OK)
        append(c->home, buf_view(&line));
}
