// Names: those of signals (RFC 4254 s.6.10), and the title that ps(1) shows.
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>

#include "io/process.h"

static const struct {
    const char *name;
    int number;
} signals[] = {
    // those of RFC 4254
    {"ABRT", SIGABRT},
    {"ALRM", SIGALRM},
    {"FPE", SIGFPE},
    {"HUP", SIGHUP},
    {"ILL", SIGILL},
    {"INT", SIGINT},
    {"KILL", SIGKILL},
    {"PIPE", SIGPIPE},
    {"QUIT", SIGQUIT},
    {"SEGV", SIGSEGV},
    {"TERM", SIGTERM},
    {"USR1", SIGUSR1},
    {"USR2", SIGUSR2},
    // and Linux's, for exit-signal alone: a peer that names one asks for nothing known
    {"BUS", SIGBUS},
    {"CHLD", SIGCHLD},
    {"CONT", SIGCONT},
    {"IO", SIGIO},
    {"PROF", SIGPROF},
    {"PWR", SIGPWR},
    {"STKFLT", SIGSTKFLT},
    {"STOP", SIGSTOP},
    {"SYS", SIGSYS},
    {"TRAP", SIGTRAP},
    {"TSTP", SIGTSTP},
    {"TTIN", SIGTTIN},
    {"TTOU", SIGTTOU},
    {"URG", SIGURG},
    {"VTALRM", SIGVTALRM},
    {"WINCH", SIGWINCH},
    {"XCPU", SIGXCPU},
    {"XFSZ", SIGXFSZ},
};

#define SIGNALS_OF_RFC 13

int process_signal_number(struct view name) {
    for (size_t i = 0; i < SIGNALS_OF_RFC; i++)
        if (view_is(name, signals[i].name))
            return signals[i].number;
    return 0;
}

const char *process_signal_name(int number) {
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (signals[i].number == number)
            return signals[i].name;
    return NULL;
}

// argv's memory belongs to the process as a whole; so does this.
static struct {
    char *p;
    size_t n;
} title;

void process_title_init(int argc, char **argv) {
    if (argc < 1)
        return;
    char *end = argv[0];
    // The arguments lie one behind the other; the environment is left alone.
    for (int i = 0; i < argc && argv[i] == end; i++)
        end += strlen(argv[i]) + 1;
    title.p = argv[0];
    title.n = (size_t)(end - argv[0]);
}

void process_title(const char *format, ...) {
    char text[256];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    (void)prctl(PR_SET_NAME, text);
    if (title.n < 2)
        return;
    size_t n = strlen(text);
    if (n > title.n - 1)
        n = title.n - 1;
    memcpy(title.p, text, n);
    memset(title.p + n, 0, title.n - n);
}
