// Starting a program: cheap (the memory is shared until exec, nothing is copied), and
// exact about what the program inherits.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include "base/bytes.h"
#include "base/fault.h"

struct process_limit {
    int resource;  // RLIMIT_…
    struct rlimit limit;
};

// Mind that a zeroed fd_… or tty means descriptor 0; none is -1.
struct process_spec {
    const char *path;   // absolute; exec'ed as it is, no PATH search
    char *const *argv;  // NULL-terminated; argv[0] as the program is to see it
    char *const *envp;  // NULL-terminated; NULL: this process's own
    const char *cwd;    // NULL: as it is; one that fails falls back to `cwd_fallback`
    const char *cwd_fallback;  // NULL: none, then the failure is the result
    int fd_in, fd_out,
        fd_err;          // become 0, 1, 2; -1: /dev/null. All the others are closed
    int tty;             // slave that becomes the controlling terminal; -1: none
    bool new_session;    // setsid(); implied by tty
    bool keep_mask;      // else: no signal is blocked, none ignored
    int ignored;         // a signal that it begins with ignoring; 0: none
    bool keep_nice_fds;  // do not close others (they are close-on-exec anyway)
    const struct process_limit *limits;
    size_t limits_n;
};

struct process {
    pid_t pid;
    int pidfd;  // close-on-exec; the caller's
};

// Starts it; with the credentials that this process has (see io/privilege.h). Returns
// when the program was exec'ed. ERR_NOT_FOUND, ERR_REFUSED, ERR_IO with the fault filled
// ("exec PATH: …"), and then no child is left.
must_check enum err process_spawn(const struct process_spec *spec, struct process *p,
                                  struct fault *f);

// fork(2) with a pidfd: *p for the parent; in the child p->pid is 0. Signals stay as they
// are.
must_check enum err process_fork(struct process *p);

// fork(2) past the C library, whose own fork() writes to pages of its lists of threads
// and of the loader's in each child. -1 with errno. Only from a process with one thread.
pid_t process_fork_bare(void);
// The same, but the child is our parent's, who reaps it.
pid_t process_fork_sibling(void);

// Waits until it ends; status as waitpid(2). Closes the pidfd.
must_check enum err process_wait(struct process *p, int *status);
// The same, but at most until the deadline (clock_ms()): ERR_TIMEOUT and the process runs
// on.
must_check enum err process_wait_until(struct process *p, uint64_t deadline, int *status);

// Signals the process (through its pidfd: never a stranger) or its whole group or session
// leader's group. ERR_NOT_FOUND when it is gone.
must_check enum err process_signal(const struct process *p, int number);
must_check enum err process_signal_group(pid_t group, int number);

// Signal names of RFC 4254 s.6.10, without "SIG" ("TERM"). 0 or NULL when there is none.
// Numbers are had for the RFC's names alone; names for those beyond that Linux has, too.
int process_signal_number(struct view name);
const char *process_signal_name(int number);

// SIGPIPE ignored, default for the rest, nothing blocked: what each program of ours
// starts with.
void process_reset_signals(void);

// Title for ps(1): overwrites argv's memory and sets the comm name. Call init once in
// main.
void process_title_init(int argc, char **argv);
void process_title(const char *format, ...) __attribute__((format(printf, 1, 2)));

// A random-free file path to this very program (/proc/self/exe resolved); ERR_NOT_FOUND.
must_check enum err process_self_path(char *out, size_t size);

// Sends `number` to this process when its parent dies (PR_SET_PDEATHSIG).
void process_die_with_parent(int number);
