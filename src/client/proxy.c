// Reaching a host through a program. A jump host is reached without a shell: the words of
// our own command line are its arguments.
#include "client/proxy.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "client/jump.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/unix_socket.h"

#define COMMAND_MAX 8192
#define REAP_MS 200
#define GOODBYE_MS 3000  // most end with their input, or with the server's end
#define JUMP_ARGUMENTS 24
#define JUMPS_ABOVE 4096

static bool is_set(const char *value) {
    return value != NULL && strcasecmp(value, "none") != 0;
}

// "Host *" with a jump host is meant for all but the jump host itself.
static bool is_itself(const struct client *c, const struct jump *j) {
    const struct client_config *o = &c->config;
    return (strcasecmp(j->host, c->flags.host) == 0 ||
            strcasecmp(j->host, o->hostname) == 0) &&
           (j->port == 0 || j->port == o->port) &&
           (j->user[0] == 0 || strcmp(j->user, o->user) == 0);
}

// Is this hop among those that are being reached through us? Then going through it would
// never end.
static bool is_above(const struct client *c, const struct jump *j) {
    struct jump above;
    char list[JUMPS_ABOVE];
    snprintf(list, sizeof list, "%s",
             c->flags.jumps_above != NULL ? c->flags.jumps_above : "");
    while (list[0] != 0 && jump_parse(&above, list)) {
        if (strcasecmp(above.host, j->host) == 0 && above.port == j->port)
            return true;
        snprintf(list, sizeof list, "%s", above.before);
    }
    return false;
}

// One more for that list; false: it is too long.
static bool put_above(const struct client *c, const struct jump *j,
                      char out[JUMPS_ABOVE]) {
    const char *above = c->flags.jumps_above;
    bool address = strncmp(j->host, "ssh://", 6) == 0;
    int n = snprintf(out, JUMPS_ABOVE, "JumpsAbove=%s%s%s%s%s",
                     above != NULL ? above : "", above != NULL ? "," : "",
                     address ? "" : "[", j->host, address ? "" : "]");
    if (n < JUMPS_ABOVE && j->port != 0)
        n += snprintf(out + n, JUMPS_ABOVE - (size_t)n, ":%u", j->port);
    return n < JUMPS_ABOVE;
}

// The hops in front of this host: of a list that names the host itself, those before it.
static bool hops(const struct client *c, struct jump *j) {
    struct jump one;
    char list[JUMPS_ABOVE], chosen[JUMPS_ABOVE];
    if (!text_copy(list, sizeof list, view_text(c->config.proxy_jump)))
        return false;
    memcpy(chosen, list, sizeof chosen);
    while (list[0] != 0) {
        if (!jump_parse(&one, list))
            return false;
        snprintf(list, sizeof list, "%s", one.before);
        if (is_itself(c, &one))
            memcpy(chosen, list, sizeof chosen);
    }
    return chosen[0] != 0 && jump_parse(j, chosen);
}

static bool is_well_formed(const char *list) {
    struct jump j;
    char rest[JUMPS_ABOVE];
    if (!text_copy(rest, sizeof rest, view_text(list)))
        return false;
    while (rest[0] != 0 && jump_parse(&j, rest))
        snprintf(rest, sizeof rest, "%s", j.before);
    return rest[0] == 0;
}

bool proxy_wanted(const struct client *c) {
    struct jump j;
    if (is_set(c->config.proxy_command))
        return true;
    if (!is_set(c->config.proxy_jump))
        return false;
    // What is malformed is wanted all the same, and told when it is to be used.
    return !is_well_formed(c->config.proxy_jump) || (hops(c, &j) && !is_above(c, &j));
}

// ---- starting ----

static enum err spawn(struct client *c, const char *path, char *const *argv, int theirs,
                      bool reads) {
    struct process_spec spec = {.path = path,
                                .argv = argv,
                                .fd_in = reads ? theirs : -1,
                                .fd_out = theirs,
                                .fd_err = STDERR_FILENO,
                                .tty = -1};
    TRY(process_spawn(&spec, &c->proxy, &c->fault));
    c->proxied = true;
    return OK;
}

static enum err start(struct client *c, const char *path, char *const *argv, bool reads) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return fault_set(&c->fault, ERR_IO, 0, "no socket pair for the ProxyCommand: %m");
    scoped_fd theirs = pair[1];
    enum err e = fd_set_nonblock(pair[0], true);
    if (e == OK)
        e = spawn(c, path, argv, theirs, reads);
    if (e != OK)
        fd_close(&pair[0]);
    c->link.fd = pair[0];
    return e;
}

// ---- ProxyCommand ----

static enum err check_names(struct client *c) {
    if (!token_value_is_safe(TOKEN_SUBJECT_HOST, c->config.hostname))
        return fault_set(&c->fault, ERR_CONFIG, 0,
                         "the host's name has characters that no ProxyCommand gets");
    if (strstr(c->config.proxy_command, "%r") != NULL &&
        !token_value_is_safe(TOKEN_SUBJECT_USER, c->config.user))
        return fault_set(&c->fault, ERR_CONFIG, 0,
                         "the user's name has characters that no ProxyCommand gets");
    return OK;
}

static enum err start_command(struct client *c) {
    char command[COMMAND_MAX] = "exec ";
    TRY(check_names(c));
    TRY(client_config_expand(&c->config, &c->subject, TOKENS_PROXY_COMMAND, NULL,
                             c->config.proxy_command, command + 5, sizeof command - 5,
                             &c->fault));
    const char *shell = getenv("SHELL");
    if (shell == NULL || *shell != '/')
        shell = "/bin/sh";
    char *argv[] = {(char *)(uintptr_t)shell, (char *)(uintptr_t) "-c", command, NULL};
    log_debug(&c->log, "proxy: %s", command + 5);
    return start(c, shell, argv, !c->config.proxy_use_fdpass);
}

// ---- a descriptor instead of bytes ----

static enum err receive(struct client *c, int from, int *got) {
    uint8_t byte[1];
    struct pollfd p = {.fd = from, .events = POLLIN};
    if (link_poll(&c->link, &p, 1, c->deadline) != OK)
        return fault_set(&c->fault, ERR_TIMEOUT, 0,
                         "ProxyUseFdpass: the proxy passes no descriptor in time");
    struct unix_message m = {0};
    enum err e = unix_recv(from, (struct span){byte, 1}, 1, &m);
    if (e != OK || m.fds_n != 1) {
        unix_message_close(&m);
        return fault_set(&c->fault, e != OK ? e : ERR_PROTOCOL, 0,
                         "ProxyUseFdpass: the proxy ended without passing a descriptor");
    }
    *got = m.fds[0];
    return fd_set_nonblock(*got, true);
}

static enum err take_descriptor(struct client *c) {
    int got = -1, status = 0;
    enum err e = receive(c, c->link.fd, &got);
    fd_close(&c->link.fd);
    c->link.fd = got;
    TRY(e);
    c->proxied = false;
    e = process_wait_until(&c->proxy, c->deadline, &status);
    return e == ERR_TIMEOUT
               ? fault_set(
                     &c->fault, e, 0,
                     "ProxyUseFdpass: the proxy passed a descriptor and does not end")
               : OK;
}

// ---- ProxyJump ----

struct words {
    char *v[JUMP_ARGUMENTS];
    size_t n;
};

static void add(struct words *w, const char *word) {
    w->v[w->n++] = (char *)(uintptr_t)word;
}

static void add_pair(struct words *w, const char *flag, const char *value) {
    if (value == NULL || *value == 0)
        return;
    add(w, flag);
    add(w, value);
}

static enum err start_jump(struct client *c) {
    static const char *const louder[] = {NULL, "-v", "-vv", "-vvv"};
    char self[PATH_MAX], target[JUMP_PART + 16], port[8] = "", above[JUMPS_ABOVE];
    struct jump j;
    struct words w = {0};
    if (!hops(c, &j))
        return fault_set(
            &c->fault, ERR_CONFIG, 0,
            "ProxyJump %.200s: a hop is [user@]host[:port] or ssh://[user@]host[:port]",
            c->config.proxy_jump);
    TRY(process_self_path(self, sizeof self));
    snprintf(target, sizeof target, "[%s]:%u", c->config.hostname, c->config.port);
    if (j.port != 0)
        snprintf(port, sizeof port, "%u", j.port);
    if (!put_above(c, &j, above))
        return fault_set(&c->fault, ERR_CONFIG, 0,
                         "too many jump hosts, one through the other");
    add(&w, "ssh");
    add_pair(&w, "-F", c->flags.file);
    add_pair(&w, "-l", j.user);
    add_pair(&w, "-p", port);
    add_pair(&w, "-J", j.before);
    if (c->flags.verbose > 0)
        add(&w, louder[c->flags.verbose > 3 ? 3 : c->flags.verbose]);
    add_pair(&w, "-o", above);
    add_pair(&w, "-W", target);
    add_pair(&w, "--", j.host);
    log_debug(&c->log, "jumping through %s%s%s", j.before, j.before[0] != 0 ? "," : "",
              j.host);
    return start(c, self, w.v, true);
}

enum err proxy_connect(struct client *c) {
    if (!is_set(c->config.proxy_command))
        return start_jump(c);
    TRY(start_command(c));
    return c->config.proxy_use_fdpass ? take_descriptor(c) : OK;
}

void proxy_reap(struct client *c) {
    int status;
    if (!c->proxied)
        return;
    (void)!process_signal(&c->proxy, SIGHUP);
    if (process_wait_until(&c->proxy, clock_after(clock_ms(), REAP_MS), &status) != OK) {
        (void)!process_signal(&c->proxy, SIGKILL);
        (void)!process_wait(&c->proxy, &status);
    }
    c->proxied = false;
}

void proxy_end(struct client *c) {
    int status;
    if (!c->proxied)
        return;
    // Its input is at its end. A server that never sees our goodbye would keep the
    // connection for a client that does not come.
    if (c->proxy_has_goodbye &&
        process_wait_until(&c->proxy, clock_after(clock_ms(), GOODBYE_MS), &status) == OK)
        c->proxied = false;
    else
        (void)!process_signal(&c->proxy, SIGHUP);
    fd_close(&c->proxy.pidfd);
    c->proxied = false;
}
