// Where an agent listens. In ~/.ssh/agent a name says whose it is:
//     s.HOST.agent.RANDOM
// with HOST ten figures of a hash of this machine's name, for homes that several share.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "io/account.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/hostname.h"
#include "io/unix_socket.h"
#include "tools/agent.h"

#define HOST_FIGURES 10
#define NEW_S 2
#define FIRST_SOCKET 3  // SD_LISTEN_FDS_START

// ---- names ----

static bool folder(char *out, size_t size) {
    scoped_account me = {0};
    const char *home = getenv("HOME");
    if (home == NULL || *home != '/') {
        if (account_by_uid(getuid(), &me, NULL) != OK)
            return false;
        home = me.directory;
    }
    return (size_t)snprintf(out, size, "%s/.ssh/agent", home) < size;
}

// "s.HOST."
static bool host_prefix(char *out, size_t size) {
    char name[256];
    uint8_t hash[DIGEST_MAX];
    size_t n = 0;
    hostname_get(name, sizeof name);
    struct view part = view_text(name);
    if (digest_parts(&digest_sha512, &part, 1, hash) != OK)
        return false;
    n += (size_t)snprintf(out, size, "s.");
    for (size_t i = 0; i < HOST_FIGURES / 2; i++)
        n += (size_t)snprintf(out + n, size - n, "%02x", hash[i]);
    snprintf(out + n, size - n, ".");
    return true;
}

static void random_name(char *out, size_t n) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    uint8_t bytes[32];
    random_bytes(bytes, n);
    for (size_t i = 0; i < n; i++)
        out[i] = letters[bytes[i] % (sizeof letters - 1)];
    out[n] = '\0';
}

// ---- opening ----

static enum err open_home(struct agent_socket *s, struct fault *f) {
    char at[PATH_MAX - 64], prefix[32], name[16];
    if (!folder(at, sizeof at) || !host_prefix(prefix, sizeof prefix))
        return fault_set(f, ERR_NOT_FOUND, 0, "no home folder for the socket (try -T)");
    TRY(file_make_directory(at, f));
    random_name(name, 10);
    snprintf(s->path, sizeof s->path, "%s/%sagent.%s", at, prefix, name);
    return unix_listen(s->path, SOCK_STREAM, 0600, false, &s->fd, f);
}

static enum err open_tmp(struct agent_socket *s, struct fault *f) {
    const char *tmp = getenv("TMPDIR");
    if (tmp == NULL || *tmp == '\0')
        tmp = "/tmp";
    if ((size_t)snprintf(s->folder, sizeof s->folder, "%s/ssh-XXXXXXXXXXXX", tmp) >=
            PATH_MAX - 32 ||
        mkdtemp(s->folder) == NULL) {
        s->folder[0] = '\0';
        return fault_set(f, ERR_IO, 0, "%s: no folder for the socket can be made", tmp);
    }
    snprintf(s->path, sizeof s->path, "%.*s/agent.%ld", PATH_MAX - 32, s->folder,
             (long)getpid());
    return unix_listen(s->path, SOCK_STREAM, 0600, false, &s->fd, f);
}

static bool listens(int fd) {
    int on = 0;
    socklen_t n = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on != 0;
}

static bool given_by_systemd(struct agent_socket *s) {
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    uint64_t who = 0, n = 0;
    if (pid == NULL || fds == NULL || !text_number(pid, 1, INT32_MAX, &who) ||
        who != (uint64_t)getpid() || !text_number(fds, 1, 1, &n) ||
        !listens(FIRST_SOCKET) || fd_set_cloexec(FIRST_SOCKET, true) != OK ||
        fd_set_nonblock(FIRST_SOCKET, true) != OK)
        return false;
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    s->fd = FIRST_SOCKET;
    return true;
}

enum err agent_socket_open(struct agent_program *p, struct fault *f) {
    struct agent_socket *s = &p->socket;
    const struct agent_settings *o = &p->settings;
    bool stays = o->mode == AGENT_FOREGROUND || o->mode == AGENT_DEBUG;
    s->fd = -1;
    if (stays && o->address == NULL && given_by_systemd(s))
        return OK;
    if (o->address == NULL && o->in_tmp)
        return open_tmp(s, f);
    if (o->address == NULL)
        return open_home(s, f);
    if (!text_copy(s->path, sizeof s->path, view_text(o->address)))
        return fault_set(f, ERR_LIMIT, 0, "-a: the path is too long");
    enum err e = unix_listen(s->path, SOCK_STREAM, 0600, false, &s->fd, f);
    if (e != OK)
        s->path[0] = '\0';
    return e;
}

void agent_socket_remove(struct agent_socket *s) {
    if (s->owner != getpid())
        return;
    if (s->path[0] != '\0')
        unlink(s->path);
    if (s->folder[0] != '\0')
        rmdir(s->folder);
    s->path[0] = s->folder[0] = '\0';
}

// ---- what others left ----

// A socket of ours that refuses connections: its agent is gone. Or it was made just now
// and does not listen yet.
static void remove_stale(const char *path) {
    struct stat st;
    struct fault f = {0};
    scoped_fd fd = -1;
    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode) || st.st_uid != getuid() ||
        (uint64_t)st.st_mtim.tv_sec + NEW_S > clock_wall_s())
        return;
    if (unix_connect_now(path, SOCK_STREAM, &fd, &f) == ERR_REFUSED)
        unlink(path);
}

void agent_socket_clean(bool all_hosts) {
    char at[PATH_MAX - 300], prefix[32] = "s.", path[PATH_MAX];
    if (!folder(at, sizeof at) || (!all_hosts && !host_prefix(prefix, sizeof prefix)))
        return;
    DIR *d = opendir(at);
    if (d == NULL)
        return;
    const struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", at, entry->d_name);
        remove_stale(path);
    }
    closedir(d);
}
