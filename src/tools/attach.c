// bowline attach: takes up a session with a terminal, or watches it. On the server itself
// through its keeper's control socket; with a host, by our ssh.
#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/process.h"
#include "io/pty.h"
#include "io/unix_socket.h"
#include "server/control.h"
#include "server/view.h"
#include "tools/commands.h"

#define WAIT_MS 10000u
#define SERVERS_MAX 64

struct request {
    bool watch;
    uint16_t port;  // 0: any
    const char *socket, *config, *words[2];
    int words_n;
};

struct answer {
    int fd;  // of the view; -1: none
    unsigned servers;
    char why[256];
};

static int usage(void) {
    fprintf(stderr, "usage: bowline attach [--watch] [--port N] [--socket PATH] [-f "
                    "CONFIG] [NAME]\n"
                    "       bowline attach HOST NAME\n");
    return 2;
}

static bool take_value(struct request *r, const char *name, const char *value) {
    uint64_t port;
    if (strcmp(name, "--socket") == 0)
        r->socket = value;
    else if (strcmp(name, "-f") == 0)
        r->config = value;
    else if (strcmp(name, "--port") == 0 && text_number(value, 1, 65535, &port))
        r->port = (uint16_t)port;
    else
        return false;
    return true;
}

static bool parse(struct request *r, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--watch") == 0)
            r->watch = true;
        else if (*argv[i] == '-' && i + 1 < argc && take_value(r, argv[i], argv[i + 1]))
            i++;
        else if (*argv[i] == '-' || r->words_n == 2)
            return false;
        else
            r->words[r->words_n++] = argv[i];
    }
    return r->words_n < 2 || !r->watch;
}

// ---- one server ----

static bool send_message(int fd, enum control_number number, const void *body) {
    uint8_t bytes[1024];
    size_t n = 0;
    bool sent = false;
    if (control_encode(number, body, (struct span){bytes, sizeof bytes}, &n) != OK)
        return false;
    struct view part = view_of(bytes, n);
    return unix_send(fd, &part, 1, NULL, 0, &sent) == OK && sent;
}

// *passed: the descriptor that came along, or as it was.
static bool receive(int fd, struct span room, struct control_message *m, int *passed) {
    uint64_t until = clock_ms() + WAIT_MS;
    for (;;) {
        struct unix_message got;
        struct fault fault = {0};
        if (unix_recv(fd, room, 1, &got) != OK)
            return false;
        if (got.ready && got.fds_n == 1 && *passed < 0)
            *passed = got.fds[0];
        else if (got.ready)
            unix_message_close(&got);
        if (got.ready)
            return control_decode(view_of(room.p, got.n), false, m, &fault) == OK;
        struct pollfd p = {fd, POLLIN, 0};
        uint64_t now = clock_ms();
        if (now >= until || poll(&p, 1, (int)(until - now)) < 0)
            return false;
    }
}

static void ask(const struct request *r, struct answer *a, int fd) {
    struct control_hello hello = {CONTROL_VERSION, 0};
    struct control_attach attach = {view_text(r->words_n > 0 ? r->words[0] : ""),
                                    r->watch ? VIEW_WATCH : 0};
    struct control_message m = {0};
    uint8_t bytes[4096];
    struct span room = {bytes, sizeof bytes};
    if (!send_message(fd, CONTROL_HELLO, &hello) || !receive(fd, room, &m, &a->fd) ||
        m.number != CONTROL_HELLO || !send_message(fd, CONTROL_ATTACH, &attach))
        return;
    a->servers++;
    while (m.number != CONTROL_DONE)
        if (!receive(fd, room, &m, &a->fd))
            return;
    if (m.body.done.text.n > 0)
        text_clean(a->why, sizeof a->why, m.body.done.text);
}

static void ask_path(const struct request *r, struct answer *a, const char *path) {
    struct fault fault = {0};
    scoped_fd fd = -1;
    int got = -1;
    if (unix_connect(path, SOCK_SEQPACKET, &got, &fault) != OK) {
        if (r->socket != NULL)
            text_clean(a->why, sizeof a->why, view_text(fault_text(&fault)));
        return;
    }
    fd = got;
    ask(r, a, fd);
}

// ---- all of them ----

static void ask_folder(const struct request *r, struct answer *a, const char *folder) {
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        if (a->fd < 0 && i < SERVERS_MAX &&
            control_is_keeper(names[i]->d_name, r->port) &&
            snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name) <
                (int)sizeof path)
            ask_path(r, a, path);
        free(names[i]);
    }
    free(names);
}

static void ask_all(const struct request *r, struct answer *a) {
    char folder[PATH_MAX], config[PATH_MAX];
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (r->socket != NULL) {
        ask_path(r, a, r->socket);
        return;
    }
    if (r->config != NULL) {
        if (realpath(r->config, config) != NULL &&
            control_folder(false, NULL, config, folder, sizeof folder))
            ask_folder(r, a, folder);
        return;
    }
    if (control_folder(true, NULL, NULL, folder, sizeof folder))
        ask_folder(r, a, folder);
    if (a->fd < 0 && geteuid() != 0 && runtime != NULL &&
        control_folder(false, runtime, NULL, folder, sizeof folder))
        ask_folder(r, a, folder);
}

// ---- elsewhere ----

// Our own ssh, which stands beside this program.
static int run_ssh(const struct request *r) {
    char path[PATH_MAX + 8], option[128];
    char *slash;
    if (process_self_path(path, PATH_MAX) != OK || (slash = strrchr(path, '/')) == NULL)
        return 1;
    memcpy(slash + 1, "ssh", 4);
    snprintf(option, sizeof option, "Session=%s", r->words[1]);
    char *argv[] = {path, "-t", "-o", option, "--", (char *)r->words[0], NULL};
    execv(path, argv);
    fprintf(stderr, "bowline: %s: %m\n", path);
    return 1;
}

int attach_run(int argc, char **argv) {
    struct request r = {0};
    struct answer a = {.fd = -1};
    if (!parse(&r, argc, argv))
        return usage();
    if (r.words_n == 2)
        return run_ssh(&r);
    if (!tty_is(STDIN_FILENO)) {
        fprintf(stderr, "bowline: attach needs a terminal: ssh -t HOST bowline attach\n");
        return 1;
    }
    ask_all(&r, &a);
    if (a.fd < 0) {
        fprintf(stderr, "bowline: %s\n",
                a.why[0] != '\0' ? a.why
                : a.servers > 0  ? "the server gives no session"
                                 : "no server of Bowline answers here");
        return 1;
    }
    return view_run(a.fd, r.watch, true);
}
