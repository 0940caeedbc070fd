#include "io/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/secret.h"
#include "io/env.h"
#include "io/fault_errno.h"
#include "io/fd.h"
#include "io/process.h"

// Signals that may come while the terminal does not echo: noted, and sent again
// afterwards.
static const int watched[] = {SIGINT,  SIGHUP,  SIGTERM, SIGQUIT,
                              SIGTSTP, SIGTTIN, SIGTTOU, SIGALRM};
#define WATCHED (sizeof watched / sizeof watched[0])

// A handler has no other way to tell.
static volatile sig_atomic_t arrived[_NSIG];

#define ASKPASS "/usr/bin/ssh-askpass"  // where distributions put theirs

struct held {
    struct sigaction before[WATCHED];
    sigset_t mask;
};

static void note_signal(int number) {
    arrived[number] = 1;
}

static void hold_signals(struct held *h) {
    struct sigaction note = {.sa_handler =
                                 note_signal};  // without SA_RESTART: read is cut
    sigset_t open;
    sigemptyset(&open);
    for (size_t i = 0; i < WATCHED; i++) {
        arrived[watched[i]] = 0;
        sigaction(watched[i], &note, &h->before[i]);
        sigaddset(&open, watched[i]);
    }
    // A loop's signalfd blocks them; the read would not notice a Ctrl-C.
    sigprocmask(SIG_UNBLOCK, &open, &h->mask);
}

static bool signal_arrived(void) {
    for (size_t i = 0; i < WATCHED; i++)
        if (arrived[watched[i]] != 0)
            return true;
    return false;
}

// True if only stop signals came: after the return to the foreground one asks again.
static bool release_signals(struct held *h) {
    bool stopped = false, other = false;
    sigprocmask(SIG_SETMASK, &h->mask, NULL);
    for (size_t i = 0; i < WATCHED; i++)
        sigaction(watched[i], &h->before[i], NULL);
    for (size_t i = 0; i < WATCHED; i++) {
        int number = watched[i];
        if (arrived[number] == 0)
            continue;
        bool stop = number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
        stopped |= stop;
        other |= !stop;
        kill(getpid(), number);
    }
    return stopped && !other;
}

// One byte at a time: what follows the line belongs to the next reader.
static enum err read_line(int fd, char *out, size_t size) {
    size_t n = 0;
    bool too_long = false;
    for (;;) {
        char c;
        ssize_t got = read(fd, &c, 1);
        if (got < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            if (poll(&p, 1, -1) < 0 && signal_arrived())
                return ERR_CLOSED;
            continue;
        }
        if (got < 0 && errno == EINTR && !signal_arrived())
            continue;
        if (got < 0 || (got == 0 && n == 0))
            return ERR_CLOSED;
        if (got == 0 || c == '\n')
            break;
        if (c == '\r')
            continue;
        if (n < size - 1)
            out[n++] = c;
        else
            too_long = true;
    }
    out[n] = '\0';
    return too_long ? ERR_LIMIT : OK;
}

static enum err ask_terminal_once(int in, int to, const char *text, bool echo, char *out,
                                  size_t size, bool *again) {
    struct held held;
    struct termios before, quiet;
    bool tty = tcgetattr(in, &before) == 0;
    hold_signals(&held);
    if (tty && !echo) {
        quiet = before;
        quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
        (void)tcsetattr(in, TCSAFLUSH, &quiet);
    }
    enum err e = fd_write_full(to, view_text(text));
    if (e == OK)
        e = read_line(in, out, size);
    if (tty && !echo) {
        (void)!write(to, "\n", 1);
        (void)tcsetattr(in, TCSADRAIN, &before);
    }
    *again = release_signals(&held);
    return e;
}

static enum err ask_terminal(int in, int to, const char *text, bool echo, char *out,
                             size_t size) {
    bool again = false;
    enum err e;
    do
        e = ask_terminal_once(in, to, text, echo, out, size, &again);
    while (again);
    return e;
}

struct askpass {
    const char *program;
    bool first, only;
};

static struct askpass find_askpass(void) {
    struct askpass a = {.program = getenv("SSH_ASKPASS")};
    if (a.program == NULL && access(ASKPASS, X_OK) == 0)
        a.program = ASKPASS;
    const char *require = getenv("SSH_ASKPASS_REQUIRE");
    bool display = getenv("DISPLAY") != NULL || getenv("WAYLAND_DISPLAY") != NULL;
    if (a.program != NULL && a.program[0] == '\0')
        a.program = NULL;
    if (require != NULL && strcasecmp(require, "never") == 0)
        a.program = NULL;
    else if (require != NULL && strcasecmp(require, "force") == 0)
        a.first = a.only = true;
    else if (!display)
        a.program = NULL;
    else
        a.first = require != NULL && strcasecmp(require, "prefer") == 0;
    return a;
}

static enum err start_askpass(const char *program, const char *text, unsigned flags,
                              int out, struct process *p, struct fault *f) {
    extern char **environ;
    scoped_env env;
    env_init(&env);
    for (char **e = environ; *e != NULL; e++) {
        size_t n = strcspn(*e, "=");
        if ((*e)[n] == '=' && n > 0)
            TRY(env_set_view(&env, view_of(*e, n), view_text(*e + n + 1)));
    }
    env_unset(&env, "SSH_ASKPASS_PROMPT");
    if ((flags & PROMPT_CONFIRM) != 0)
        TRY(env_set(&env, "SSH_ASKPASS_PROMPT", "confirm"));
    if ((flags & PROMPT_NOTICE) != 0)
        TRY(env_set(&env, "SSH_ASKPASS_PROMPT", "none"));
    char *argv[] = {(char *)program, (char *)text, NULL};
    struct process_spec spec = {.path = program,
                                .argv = argv,
                                .envp = env_list(&env),
                                .fd_in = -1,
                                .fd_out = out,
                                .fd_err = STDERR_FILENO,
                                .tty = -1};
    return process_spawn(&spec, p, f);
}

static enum err ask_program(const char *program, const char *text, unsigned flags,
                            char *out, size_t size, struct fault *f) {
    int ends[2];
    struct process p;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault_errno(f, "pipe");
    enum err e = start_askpass(program, text, flags, ends[1], &p, f);
    fd_close(&ends[1]);
    if (e == OK) {
        size_t n = 0;
        int status = 0;
        e = fd_read_full(ends[0], (struct span){(uint8_t *)out, size}, &n);
        bool full = e == OK && n == size;
        fd_close(&ends[0]);
        enum err waited = process_wait(&p, &status);
        if (e == OK && full)
            e = fault_set(f, ERR_LIMIT, 0, "%s: answer too long", program);
        else if (e == OK && (waited != OK || status != 0))
            e = fault_set(f, ERR_CLOSED, 0, "%s: cancelled", program);
        else if (e == OK)
            out[n] = '\0', out[strcspn(out, "\r\n")] = '\0';
    }
    fd_close(&ends[0]);
    return e;
}

enum err prompt_start(const char *text, unsigned flags, struct process *p, int *out,
                      struct fault *f) {
    int ends[2];
    struct askpass askpass = find_askpass();
    *out = -1;
    if (askpass.program == NULL)
        return fault_set(f, ERR_REFUSED, 0,
                         "nobody to ask: no SSH_ASKPASS or no DISPLAY");
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return fault_errno(f, "pipe");
    enum err e = fd_set_nonblock(ends[1], false);
    if (e == OK)
        e = start_askpass(askpass.program, text, flags, ends[1], p, f);
    fd_close(&ends[1]);
    if (e != OK)
        fd_close(&ends[0]);
    *out = ends[0];
    return e;
}

static enum err ask(const char *text, unsigned flags, char *out, size_t size,
                    struct fault *f) {
    bool echo = (flags & PROMPT_ECHO) != 0;
    struct askpass askpass = find_askpass();
    if ((flags & PROMPT_NO_ASKPASS) != 0)
        askpass = (struct askpass){0};
    bool only = askpass.only || (flags & PROMPT_ONLY_ASKPASS) != 0;
    if (askpass.program != NULL && (askpass.first || only))
        return ask_program(askpass.program, text, flags, out, size, f);
    if (only)
        return fault_set(f, ERR_REFUSED, 0, "SSH_ASKPASS is not set");
    // `ssh-add </dev/null` asks in a window, also where there is a terminal.
    if ((flags & PROMPT_STDIN) != 0 && askpass.program != NULL && !isatty(STDIN_FILENO))
        return ask_program(askpass.program, text, flags, out, size, f);
    scoped_fd tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (tty >= 0)
        return ask_terminal(tty, tty, text, echo, out, size);
    if ((flags & PROMPT_STDIN) != 0)
        return ask_terminal(STDIN_FILENO, STDERR_FILENO, text, echo, out, size);
    if (askpass.program != NULL)
        return ask_program(askpass.program, text, flags, out, size, f);
    return fault_set(f, ERR_REFUSED, 0, "no terminal to ask at, and no SSH_ASKPASS");
}

enum err prompt_ask(const char *text, unsigned flags, char *out, size_t size,
                    struct fault *f) {
    memset(out, 0, size);
    enum err e = ask(text, flags, out, size, f);
    if (e != OK) {
        secret_wipe(out, size);
        fault_set(f, e, 0, "no answer: %s", err_text(e));
    }
    return e;
}

int prompt_yes_no(const char *text, const char *also) {
    char answer[PROMPT_MAX];
    for (int tries = 0; tries < 5; tries++) {
        const char *question = tries == 0 ? text
                               : also != NULL
                                   ? "Please type 'yes', 'no' or the fingerprint: "
                                   : "Please type 'yes' or 'no': ";
        if (prompt_ask(question, PROMPT_ECHO, answer, sizeof answer, NULL) != OK)
            return -1;
        answer[strcspn(answer, " \t")] = '\0';
        if (strcasecmp(answer, "yes") == 0)
            return 1;
        if (strcasecmp(answer, "no") == 0)
            return 0;
        if (also != NULL && strcmp(answer, also) == 0)
            return 2;
    }
    return -1;
}
