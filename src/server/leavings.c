#include "server/leavings.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fd.h"

// ---- removing ----

// A kernel without openat2(2) (before Linux 5.6): what is our own is safe to open.
static int open_own(int folder, const char *name, uid_t uid) {
    return (errno == ENOSYS || errno == EPERM) && uid == geteuid()
               ? openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC)
               : -1;
}

static int open_there(int folder, const char *name, uid_t uid) {
    struct open_how how = {
        .flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS,
    };
    int fd = (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
    return fd >= 0 ? fd : open_own(folder, name, uid);
}

// The folder goes only if nothing else is in it.
static void remove_folder(int folder, const char *name, int fd, pid_t pid) {
    char socket[32];
    snprintf(socket, sizeof socket, "agent.%ld", (long)pid);
    (void)unlinkat(fd, socket, 0);
    (void)unlinkat(folder, name, AT_REMOVEDIR);
}

static void remove_file(int folder, const char *name, int fd, pid_t pid) {
    (void)fd;
    (void)pid;
    (void)unlinkat(folder, name, 0);
}

// ---- kinds ----

static const struct kind {
    const char *prefix;
    size_t more;  // letters and digits behind it
    mode_t type;
    void (*remove)(int folder, const char *name, int fd, pid_t pid);
} kinds[LEAVING_KINDS] = {
    [LEAVING_AGENT] = {"ssh-", 10, S_IFDIR, remove_folder},
    [LEAVING_AUTH_INFO] = {"sshauth.", 15, S_IFREG, remove_file},
};

static bool is_name(const struct kind *k, struct view name) {
    size_t n = strlen(k->prefix);
    if (name.n != n + k->more || memcmp(name.p, k->prefix, n) != 0)
        return false;
    for (; n < name.n; n++) {
        uint8_t c = name.p[n], letter = c | 32;
        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return true;
}

bool leavings_take(struct leavings *l, enum leaving kind, struct view name) {
    return (name.n == 0 || is_name(&kinds[kind], name)) &&
           text_copy(l->name[kind], LEAVING_NAME, name);
}

// Made for that user alone.
static bool is_of(int fd, uid_t uid, mode_t type) {
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_uid == uid && (st.st_mode & S_IFMT) == type &&
           (st.st_mode & 077) == 0;
}

void leaving_remove(struct leavings *l, enum leaving kind, uid_t uid, pid_t pid) {
    char *name = l->name[kind];
    if (name[0] == '\0')
        return;
    scoped_fd folder = open(LEAVINGS_AT, O_PATH | O_DIRECTORY | O_CLOEXEC);
    scoped_fd fd = folder >= 0 ? open_there(folder, name, uid) : -1;
    if (fd >= 0 && is_of(fd, uid, kinds[kind].type))
        kinds[kind].remove(folder, name, fd, pid);
    name[0] = '\0';
}
