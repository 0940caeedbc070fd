#include "io/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/fault_errno.h"
#include "io/fd.h"
#include "io/privilege.h"
#include "io/sandbox_filter.h"

// Of kernels newer than the headers: bits that each version of Landlock adds.
static const struct {
    uint64_t files, network, scopes;
} landlock_adds[] = {
    {0x1fff, 0, 0},      // 1: execute … make_sym
    {1ull << 13, 0, 0},  // 2: refer
    {1ull << 14, 0, 0},  // 3: truncate
    {0, 3, 0},           // 4: bind and connect by TCP
    {1ull << 15, 0, 0},  // 5: ioctl of devices
    {0, 0, 3},           // 6: abstract Unix sockets, signals
};

struct landlock_all {
    uint64_t files, network, scopes;
};

#define FILES_WRITTEN                                                                    \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | 1ull << 14)

static bool allow_places(const struct sandbox *s, int set, uint64_t known) {
    for (size_t i = 0; i < SANDBOX_PLACES_MAX && s->places[i] != NULL; i++) {
        scoped_fd at = open(s->places[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct landlock_path_beneath_attr rule = {FILES_WRITTEN & known, at};
        if (at >= 0 && syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH,
                               &rule, 0) != 0)
            return false;
    }
    return true;
}

// Nothing that Landlock knows of is allowed but what `s` names.
static bool landlock_enter(const struct sandbox *s) {
    long version =
        syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 1)
        return false;
    struct landlock_all all = {0, 0, 0};
    for (size_t i = 0; i < sizeof landlock_adds / sizeof landlock_adds[0]; i++) {
        if ((long)i < version) {
            all.files |= landlock_adds[i].files;
            all.network |= landlock_adds[i].network;
            all.scopes |= landlock_adds[i].scopes;
        }
    }
    size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
    scoped_fd set = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
    return set >= 0 && allow_places(s, set, all.files) &&
           syscall(SYS_landlock_restrict_self, set, 0) == 0;
}

// A directory that nobody can put anything into: made, opened and removed again.
static int removed_directory(void) {
    static const char *const places[] = {"/run/bowline.XXXXXX", "/tmp/bowline.XXXXXX",
                                         "/dev/shm/bowline.XXXXXX"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s", places[i]);
        if (mkdtemp(path) == NULL)
            continue;
        int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (rmdir(path) == 0 && fd >= 0)
            return fd;
        fd_close(&fd);
    }
    return -1;
}

static bool enter_namespaces(void) {
    int wanted = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    if (geteuid() != 0)
        wanted |= CLONE_NEWUSER;
    return unshare(wanted) == 0;
}

static void enter_empty_root(const struct sandbox *s, struct sandbox_report *report) {
    scoped_fd root = (s->flags & SANDBOX_EMPTY_ROOT) != 0 ? removed_directory() : -1;
    if ((s->flags & SANDBOX_NO_NETWORK) != 0)
        report->namespaces = enter_namespaces();
    if (root >= 0)
        report->empty_root = fchdir(root) == 0 && chroot(".") == 0;
}

static enum err take_identity(const struct sandbox_identity *as, bool was_root,
                              struct sandbox_report *report, struct fault *f) {
    if (!was_root || as == NULL)
        return OK;
    struct privilege to = {.uid = as->uid, .gid = as->gid};
    TRY(privilege_drop(&to, f));
    report->identity = true;
    return OK;
}

// One poll(2) tells which descriptors are open: POLLNVAL for those that are not. One that
// is above all of these stays usable; it does not make the limit higher.
static rlim_t highest_descriptor(void) {
    struct pollfd all[128];
    struct rlimit now;
    nfds_t n = sizeof all / sizeof all[0];
    rlim_t highest = 2;
    if (getrlimit(RLIMIT_NOFILE, &now) == 0 && now.rlim_cur < n)
        n = (nfds_t)now.rlim_cur;
    for (nfds_t i = 0; i < n; i++)
        all[i] = (struct pollfd){.fd = (int)i};
    (void)poll(all, n, 0);
    for (nfds_t i = 3; i < n; i++)
        if ((all[i].revents & POLLNVAL) == 0)
            highest = i;
    return highest;
}

// Never above what there is: who started us may have set less, and no raising is allowed.
static enum err set_limit(int what, rlim_t value, struct fault *f) {
    struct rlimit limit = {value, value}, now;
    if (getrlimit((__rlimit_resource_t)what, &now) == 0 && now.rlim_max < value)
        limit = (struct rlimit){now.rlim_max, now.rlim_max};
    if (setrlimit((__rlimit_resource_t)what, &limit) != 0)
        return fault_errno(f, "sandbox: limit %d", what);
    return OK;
}

static enum err set_limits(const struct sandbox *s, struct fault *f) {
    TRY(set_limit(RLIMIT_CORE, 0, f));
    if ((s->flags & SANDBOX_NO_PROCESSES) != 0)
        TRY(set_limit(RLIMIT_NPROC, 0, f));
    if ((s->flags & SANDBOX_NO_NEW_FILES) == 0)
        return OK;
    TRY(set_limit(RLIMIT_FSIZE, 0, f));
    return set_limit(RLIMIT_NOFILE, highest_descriptor() + 1 + s->spare_files, f);
}

// in NULL: no filter is there yet.
static enum err install_filter(const struct sandbox *in, const struct sandbox *s,
                               struct fault *f) {
    struct sock_filter code[SANDBOX_FILTER_MAX];
    size_t n = in == NULL ? sandbox_filter_build(s, code, SANDBOX_FILTER_MAX)
                          : sandbox_filter_difference(in, s, code, SANDBOX_FILTER_MAX);
    if (n == 0)
        return fault_set(f, ERR_LIMIT, 0, "sandbox %s: table too big", s->name);
    struct sock_fprog program = {(unsigned short)n, code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        return fault_errno(f, "sandbox %s: seccomp", s->name);
    return OK;
}

static enum err no_new_privileges(struct fault *f) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return fault_errno(f, "sandbox: no_new_privs");
    return OK;
}

enum err sandbox_enter(const struct sandbox *s, const struct sandbox_identity *as,
                       struct sandbox_report *report, struct fault *f) {
    struct sandbox_report unwanted;
    if (report == NULL)
        report = &unwanted;
    *report = (struct sandbox_report){0};
    bool was_root = geteuid() == 0;
    enter_empty_root(s, report);
    TRY(take_identity(as, was_root, report, f));
    privilege_drop_capabilities();
    sandbox_undumpable();
    TRY(no_new_privileges(f));
    report->landlock = landlock_enter(s);
    TRY(set_limits(s, f));
    TRY(install_filter(NULL, s, f));
    report->seccomp = true;
    return OK;
}

enum err sandbox_narrow(const struct sandbox *in, const struct sandbox *s,
                        struct fault *f) {
    TRY(set_limits(s, f));
    return install_filter(in, s, f);
}

void sandbox_undumpable(void) {
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
