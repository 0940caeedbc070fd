// What the confined roles may call. Often used ones first: the filter is walked in order.
//
// Kept out on purpose: everything that opens, connects, executes, signals others, or
// makes memory executable. Calls that a library may try and do without fail with an errno
// instead of death.
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "io/sandbox.h"

#define ALLOW(name)                                                                      \
    { SYS_##name, 0, SANDBOX_ANY, 0, 0 }
#define ALLOW_IF(name, argument, value)                                                  \
    { SYS_##name, argument, SANDBOX_EQUAL, value, 0 }
#define ALLOW_WITHOUT(name, argument, bits)                                              \
    { SYS_##name, argument, SANDBOX_NO_BITS, bits, 0 }
#define FAIL(name, error)                                                                \
    { SYS_##name, 0, SANDBOX_ANY, 0, error }

#ifdef SYS_poll
#define POLL_OLD ALLOW(poll), ALLOW(epoll_wait),
#define OPEN_OLD                                                                         \
    FAIL(open, EACCES), FAIL(access, EACCES), FAIL(readlink, EACCES),                    \
        FAIL(stat, EACCES), FAIL(lstat, EACCES),
#else
#define POLL_OLD
#define OPEN_OLD
#endif

// Bytes, waiting, memory, time, the end: what every role needs.
#define COMMON                                                                           \
    ALLOW(read), ALLOW(write), POLL_OLD ALLOW(ppoll), ALLOW(readv), ALLOW(writev),       \
        ALLOW(recvmsg), ALLOW(sendmsg), ALLOW(epoll_pwait), ALLOW(epoll_ctl),            \
        ALLOW(epoll_create1), ALLOW(recvfrom), ALLOW_IF(sendto, 4, 0), ALLOW(close),     \
        ALLOW(futex), ALLOW(getrandom), ALLOW(clock_gettime), ALLOW(gettimeofday),       \
        ALLOW_WITHOUT(mmap, 2, PROT_EXEC), ALLOW_WITHOUT(mprotect, 2, PROT_EXEC),        \
        ALLOW(munmap), ALLOW(mremap), ALLOW(madvise), ALLOW(brk), ALLOW(mlock),          \
        ALLOW(munlock), ALLOW(exit), ALLOW(exit_group), ALLOW(getpid), ALLOW(gettid),    \
        ALLOW(rt_sigreturn), ALLOW(rt_sigprocmask), ALLOW(rt_sigaction),                 \
        ALLOW(sigaltstack), ALLOW(signalfd4), ALLOW(restart_syscall), ALLOW(shutdown),   \
        ALLOW(getsockopt), ALLOW(setsockopt), ALLOW(getsockname), ALLOW(getpeername),    \
        ALLOW(sched_yield), ALLOW_IF(fcntl, 1, F_GET_SEALS),                             \
        ALLOW_IF(fcntl, 1, F_GETFD), ALLOW_IF(fcntl, 1, F_SETFD),                        \
        ALLOW_IF(fcntl, 1, F_GETFL), ALLOW_IF(fcntl, 1, F_SETFL), ALLOW(lseek),          \
        ALLOW(getuid), ALLOW(geteuid), ALLOW(nanosleep), ALLOW(clock_nanosleep),         \
        ALLOW(rseq), ALLOW(set_robust_list), ALLOW(membarrier), ALLOW(close_range),      \
        ALLOW(getppid)

// Tried by libc and libcrypto, done without.
#define DENIED                                                                           \
    OPEN_OLD FAIL(openat, EACCES), FAIL(newfstatat, EACCES), FAIL(fstat, EACCES),        \
        FAIL(readlinkat, EACCES), FAIL(faccessat, EACCES), FAIL(ioctl, ENOTTY),          \
        FAIL(sysinfo, EPERM), FAIL(uname, EPERM), FAIL(sched_getaffinity, EPERM)

static const struct sandbox_rule gate_rules[] = {
    COMMON,
    FAIL(prlimit64, EPERM),
    FAIL(prctl, EPERM),
    DENIED,
};

static const struct sandbox_rule listener_rules[] = {
    COMMON,
    ALLOW(accept4),
    // fork(2), not a thread, not a namespace.
    ALLOW_WITHOUT(clone, 0,
                  CLONE_VM | CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID |
                      CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP),
    // Its flags lie in memory where a filter cannot look; libc falls back to clone.
    FAIL(clone3, ENOSYS),
    ALLOW(wait4),
    ALLOW(waitid),
    ALLOW(pidfd_open),
    ALLOW(pidfd_send_signal),
    ALLOW_IF(socketpair, 0, AF_UNIX),
    ALLOW(dup),
    ALLOW(dup3),
    ALLOW_IF(fcntl, 1, F_DUPFD_CLOEXEC),
    // So that the gates it forks can be narrowed further.
    ALLOW(seccomp),
    ALLOW(prlimit64),
    ALLOW(setrlimit),
    ALLOW(getrlimit),
    ALLOW_IF(prctl, 0, PR_SET_NAME),
    ALLOW_IF(prctl, 0, PR_SET_PDEATHSIG),
    ALLOW_IF(prctl, 0, PR_SET_NO_NEW_PRIVS),
    ALLOW_IF(prctl, 0, PR_SET_DUMPABLE),
    FAIL(prctl, EPERM),
    DENIED,
};

static const struct sandbox_rule anchor_rules[] = {
    COMMON, ALLOW(accept4), FAIL(prlimit64, EPERM), FAIL(prctl, EPERM), DENIED,
};

#ifdef SYS_alarm
#define LOCK_OLD ALLOW(alarm), ALLOW(dup2),
#else
#define LOCK_OLD
#endif

// What libc does to utmp: opened by name, locked with an alarm set, written.
static const struct sandbox_rule recorder_rules[] = {
    COMMON,
    ALLOW(openat),
    ALLOW(pread64),
    ALLOW(pwrite64),
    ALLOW(ftruncate),
    ALLOW_IF(fcntl, 1, F_SETLK),
    ALLOW_IF(fcntl, 1, F_SETLKW),
    ALLOW_IF(fcntl, 1, F_OFD_SETLK),
    ALLOW_IF(fcntl, 1, F_OFD_SETLKW),
    LOCK_OLD ALLOW(setitimer),
    ALLOW(dup3),
    ALLOW(newfstatat),
    ALLOW(fstat),
    ALLOW(pidfd_open),
    FAIL(prlimit64, EPERM),
    FAIL(prctl, EPERM),
    DENIED,
};

// Memory, and a pipe to write to.
static const struct sandbox_rule painter_rules[] = {
    ALLOW(write),
    ALLOW_WITHOUT(mmap, 2, PROT_EXEC),
    ALLOW_WITHOUT(mprotect, 2, PROT_EXEC),
    ALLOW(munmap),
    ALLOW(mremap),
    ALLOW(madvise),
    ALLOW(brk),
    ALLOW(futex),
    ALLOW(exit),
    ALLOW(exit_group),
    ALLOW(rt_sigreturn),
    ALLOW(rt_sigprocmask),
    ALLOW(sched_yield),
    ALLOW(gettid),
    ALLOW(getpid),
#ifdef __SANITIZE_ADDRESS__
    ALLOW(sigaltstack),  // before each function that does not return
#endif
};

_Static_assert(sizeof recorder_rules / sizeof recorder_rules[0] <= SANDBOX_RULES_MAX,
               "too many rules");
_Static_assert(sizeof gate_rules / sizeof gate_rules[0] <= SANDBOX_RULES_MAX,
               "too many rules");
_Static_assert(sizeof listener_rules / sizeof listener_rules[0] <= SANDBOX_RULES_MAX,
               "too many rules");

const struct sandbox sandbox_gate = {
    .name = "gate",
    .rules = gate_rules,
    .rules_n = sizeof gate_rules / sizeof gate_rules[0],
    .flags = SANDBOX_EMPTY_ROOT | SANDBOX_NO_NETWORK | SANDBOX_NO_PROCESSES |
             SANDBOX_NO_NEW_FILES,
    .spare_files = 8,
};

const struct sandbox sandbox_listener = {
    .name = "listener",
    .rules = listener_rules,
    .rules_n = sizeof listener_rules / sizeof listener_rules[0],
    .flags = SANDBOX_EMPTY_ROOT | SANDBOX_NO_NETWORK,
};

// No namespaces: it looks at who connects, and in a user namespace all would be nobody.
const struct sandbox sandbox_anchor = {
    .name = "anchor",
    .rules = anchor_rules,
    .rules_n = sizeof anchor_rules / sizeof anchor_rules[0],
    .flags = SANDBOX_EMPTY_ROOT | SANDBOX_NO_PROCESSES,
};

// Root's without a capability: the files are root's. What it does not expect fails, for a
// record that is lost is worse than a call that is not made.
const struct sandbox sandbox_recorder = {
    .name = "recorder",
    .rules = recorder_rules,
    .rules_n = sizeof recorder_rules / sizeof recorder_rules[0],
    .flags = SANDBOX_NO_NETWORK | SANDBOX_NO_PROCESSES,
    .fail_all = true,
    .places = {"/run", "/var/run", "/var/log"},
};

const struct sandbox sandbox_painter = {
    .name = "painter",
    .rules = painter_rules,
    .rules_n = sizeof painter_rules / sizeof painter_rules[0],
    .fail_all = true,
};
