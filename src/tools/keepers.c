#include "tools/keepers.h"

#include <dirent.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/unix_socket.h"

#define WAIT_MS 10000u
#define SERVERS_MAX 64  // that live

bool keepers_flag(struct keepers *k, const char *name, const char *value) {
    uint64_t port;
    if (strcmp(name, "--socket") == 0)
        k->socket = value;
    else if (strcmp(name, "-f") == 0)
        k->config = value;
    else if (strcmp(name, "--port") == 0 && text_number(value, 1, 65535, &port))
        k->port = (uint16_t)port;
    else
        return false;
    return true;
}

// ---- one of them ----

bool keeper_say(int fd, enum control_number number, const void *body) {
    uint8_t bytes[8192];
    size_t n = 0;
    bool sent = false;
    if (control_encode(number, body, (struct span){bytes, sizeof bytes}, &n) != OK)
        return false;
    struct view part = view_of(bytes, n);
    return unix_send(fd, &part, 1, NULL, 0, &sent) == OK && sent;
}

bool keeper_hear(int fd, struct span room, struct control_message *m, int *passed) {
    uint64_t until = clock_ms() + WAIT_MS;
    for (;;) {
        struct unix_message got;
        struct fault fault = {0};
        if (unix_recv(fd, room, passed != NULL ? 1 : 0, &got) != OK)
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

bool keeper_hello(int fd, char *why, size_t size) {
    struct control_hello hello = {CONTROL_VERSION, 0};
    struct control_message m;
    uint8_t bytes[4096];
    if (!keeper_say(fd, CONTROL_HELLO, &hello) ||
        !keeper_hear(fd, (struct span){bytes, sizeof bytes}, &m, NULL))
        return false;
    if (m.number == CONTROL_DONE && m.body.done.text.n > 0)
        text_clean(why, size, m.body.done.text);
    return m.number == CONTROL_HELLO;
}

// ---- all of them ----

struct round {
    const struct keepers *k;
    bool (*ask)(void *arg, int fd, const char *path);
    void *arg;
    int asked;
    bool enough;
};

// Folders are named by the environment too. What is in them may be anybody's, and a
// server of another user's would get what is typed.
static enum err check_owner(int fd, const char *path, struct fault *fault) {
    struct unix_peer peer;
    TRY(unix_peer(fd, &peer));
    if (geteuid() == 0 || peer.uid == 0 || peer.uid == geteuid())
        return OK;
    return fault_set(fault, ERR_REFUSED, 0,
                     "%s: a server of user number %u, neither root's nor yours", path,
                     (unsigned)peer.uid);
}

// Nobody may be there, as behind what a killed server has left. It is not removed: its
// next keeper does that, and it may belong to one that is just starting.
static enum err ask_path(struct round *r, const char *path, struct fault *fault) {
    scoped_fd fd = -1;
    int got = -1;
    TRY(unix_connect(path, SOCK_SEQPACKET, &got, fault));
    fd = got;
    TRY(check_owner(fd, path, fault));
    r->asked++;
    r->enough = !r->ask(r->arg, fd, path) || r->asked == SERVERS_MAX;
    return OK;
}

static void ask_folder(struct round *r, const char *folder) {
    struct dirent **names = NULL;
    int n = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char path[PATH_MAX];
        struct fault fault = {0};
        if (!r->enough && control_is_keeper(names[i]->d_name, r->k->port) &&
            snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name) <
                (int)sizeof path)
            (void)ask_path(r, path, &fault);
        free(names[i]);
    }
    free(names);
}

// Root's, then an ordinary user's own: of the runtime folder, and of the server that this
// program runs in a session of.
static void ask_known(struct round *r) {
    char root[PATH_MAX], runtime[PATH_MAX] = "";
    const char *control = getenv(CONTROL_FOLDER_VARIABLE);
    if (control_folder(true, NULL, NULL, root, sizeof root))
        ask_folder(r, root);
    if (geteuid() == 0)
        return;
    if (control_folder(false, getenv("XDG_RUNTIME_DIR"), NULL, runtime, sizeof runtime))
        ask_folder(r, runtime);
    if (control != NULL && control[0] == '/' && strcmp(control, runtime) != 0)
        ask_folder(r, control);
}

void keepers_each(const struct keepers *k,
                  bool (*ask)(void *arg, int fd, const char *path), void *arg,
                  struct fault *fault) {
    struct round r = {k, ask, arg, 0, false};
    char folder[PATH_MAX], config[PATH_MAX];
    if (k->socket != NULL) {
        (void)ask_path(&r, k->socket, fault);
        return;
    }
    if (k->config != NULL) {
        if (realpath(k->config, config) != NULL &&
            control_folder(false, NULL, config, folder, sizeof folder))
            ask_folder(&r, folder);
        return;
    }
    ask_known(&r);
}
