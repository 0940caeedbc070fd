// Confinement of a process that reads strangers' bytes: seccomp allow-list, Landlock,
// empty root, no new privileges, limits, no dumps. Profiles are tables of rows.
//
// What a kernel does not have is left out (Landlock, user namespaces); seccomp and
// no_new_privs are a must: without them sandbox_enter() fails.
#pragma once

#include <sys/types.h>

#include "base/bytes.h"
#include "base/fault.h"

// How an argument is looked at. Arguments are compared as 64 bits.
enum sandbox_test {
    SANDBOX_ANY,     // no look
    SANDBOX_EQUAL,   // argument == value
    SANDBOX_NO_BITS  // (argument & value) == 0
};

struct sandbox_rule {
    int syscall;
    uint8_t argument;  // 0 to 5
    enum sandbox_test test;
    uint64_t value;
    int error;  // 0: allow; else not allowed, fails with this errno instead of death
};

#define SANDBOX_RULES_MAX 120

// flags
#define SANDBOX_EMPTY_ROOT                                                               \
    1u  // chroot into an empty directory (root), or a user namespace's
#define SANDBOX_NO_NETWORK                                                               \
    2u  // new network, IPC, UTS and PID-less namespaces where possible
#define SANDBOX_NO_PROCESSES 4u  // RLIMIT_NPROC 0
#define SANDBOX_NO_NEW_FILES                                                             \
    8u  // RLIMIT_NOFILE at the highest descriptor open + `spare_files`

// A folder whose files may still be read and written (where the kernel has Landlock, and
// the list of system calls lets it); nothing is made, removed or executed there.
#define SANDBOX_PLACES_MAX 4

struct sandbox {
    const char *name;
    const struct sandbox_rule *rules;
    size_t rules_n;
    unsigned flags;
    unsigned spare_files;  // descriptors that may still be received
    bool fail_all;         // not listed: EPERM instead of death of the process
    const char *places[SANDBOX_PLACES_MAX];
};

// The profiles.
extern const struct sandbox sandbox_gate;      // transport and auth for one link
extern const struct sandbox sandbox_listener;  // accepts and forks gates
extern const struct sandbox sandbox_anchor;    // keeps descriptors for the next keeper
extern const struct sandbox sandbox_recorder;  // writes utmp, wtmp and lastlog
extern const struct sandbox sandbox_painter;   // makes one answer of what it has

struct sandbox_identity {
    uid_t uid;  // become this one, when root; ignored otherwise
    gid_t gid;
};

// With SANDBOX_NO_NEW_FILES writing to a regular file ends the process (RLIMIT_FSIZE 0):
// a confined gate logs through a socket or pipe.
//
// What was reached, for the log.
struct sandbox_report {
    bool empty_root, namespaces, landlock, seccomp, identity;
};

// Confines this process (one thread) for good. Call it last: descriptors open, memory
// warmed, nothing more to look up. `as` may be NULL. ERR_UNSUPPORTED, ERR_REFUSED,
// ERR_IO; after an error the process may be half confined and must end. A process that
// will fork confined children: enter the wider profile first; a narrower one may be
// entered on top of it by sandbox_narrow().
must_check enum err sandbox_enter(const struct sandbox *s,
                                  const struct sandbox_identity *as,
                                  struct sandbox_report *report, struct fault *f);

// Only limits and the seccomp list of `s`, in a process that has entered `in`.
must_check enum err sandbox_narrow(const struct sandbox *in, const struct sandbox *s,
                                   struct fault *f);

// The filter's size in instructions, or 0 if the table is too big (for tests).
size_t sandbox_filter_size(const struct sandbox *s);

// Not dumpable, not traceable, no core file. For processes with secrets.
void sandbox_undumpable(void);
