// ssh-agent: holds private keys and signs with them, for ssh and others.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "base/text.h"
#include "base/version.h"
#include "crypto/crypto.h"
#include "io/fd.h"
#include "io/sandbox.h"
#include "tools/agent.h"

// ---- words for a shell ----

static void print_variable(const struct agent_settings *s, const char *name,
                           const char *value) {
    if (s->csh)
        printf("setenv %s %s;\n", name, value);
    else
        printf("%s=%s; export %s;\n", name, value, name);
}

static int kill_agent(const struct agent_settings *s) {
    const char *text = getenv("SSH_AGENT_PID");
    const char *unset = s->csh ? "unsetenv" : "unset";
    uint64_t pid = 0;
    if (text == NULL) {
        fputs("SSH_AGENT_PID not set, cannot kill agent\n", stderr);
        return 1;
    }
    if (!text_number(text, 2, INT32_MAX, &pid)) {
        fprintf(stderr, "SSH_AGENT_PID=\"%s\", which is not a good PID\n", text);
        return 1;
    }
    if (kill((pid_t)pid, SIGTERM) != 0) {
        perror("kill");
        return 1;
    }
    printf("%s SSH_AUTH_SOCK;\n%s SSH_AGENT_PID;\necho Agent pid %ld killed;\n", unset,
           unset, (long)pid);
    return 0;
}

// ---- becoming the agent ----

// No core, no tracing, no swap where the system lets us.
static void protect(void) {
    struct rlimit none = {0, 0}, lock = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
    sandbox_undumpable();
    (void)getrlimit(RLIMIT_MEMLOCK, &lock);
    // Under a limit later allocations would fail; the keys' own pages are locked anyway.
    if (lock.rlim_cur == RLIM_INFINITY || geteuid() == 0)
        (void)mlockall(MCL_CURRENT | MCL_FUTURE);
}

static void detach(struct agent_program *p) {
    (void)setsid();
    (void)!chdir("/");
    for (int fd = 0; fd < 3; fd++)
        if (fd_to_null(fd) != OK)
            _exit(1);
    log_sink_syslog(&p->sink, &p->log, "ssh-agent", LOG_AUTH, LOG_LEVEL_INFO);
}

static int serve(struct agent_program *p) {
    p->socket.owner = getpid();
    protect();
    agent_server_init(&p->server, &p->settings.rules);
    enum err e = agent_serve(p);
    agent_server_drop(&p->server);
    agent_socket_remove(&p->socket);
    if (e != OK)
        log_error(&p->log, "the agent ends: %s", err_text(e));
    return e == OK ? p->status : 1;
}

static int stay(struct agent_program *p) {
    if (p->socket.path[0] != '\0')
        print_variable(&p->settings, "SSH_AUTH_SOCK", p->socket.path);
    printf("echo Agent pid %ld;\n", (long)getpid());
    fflush(stdout);
    return serve(p);
}

// From before the socket is there: a signal that comes early must not leave it behind.
static void hold_signals(int how) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigprocmask(how, &set, NULL);
}

static int run_command(struct agent_program *p, pid_t agent) {
    char text[24];
    char *const *command = p->settings.command;
    snprintf(text, sizeof text, "%ld", (long)agent);
    fd_close(&p->parent);
    hold_signals(SIG_UNBLOCK);
    if (setenv("SSH_AUTH_SOCK", p->socket.path, 1) == 0 &&
        setenv("SSH_AGENT_PID", text, 1) == 0)
        execvp(command[0], command);
    // The agent sees that we are gone.
    fprintf(stderr, "ssh-agent: %s: %s\n", command[0], strerror(errno));
    return 1;
}

static int split(struct agent_program *p) {
    bool command = p->settings.mode == AGENT_COMMAND;
    if (command)
        p->parent = (int)syscall(SYS_pidfd_open, getpid(), 0);
    pid_t pid = fork();
    if (pid == 0) {
        detach(p);
        _exit(serve(p));
    }
    if (pid < 0) {
        perror("fork");
        p->socket.owner = getpid();
        agent_socket_remove(&p->socket);
        return 1;
    }
    fd_close(&p->socket.fd);
    if (command)
        return run_command(p, pid);
    char text[24];
    snprintf(text, sizeof text, "%ld", (long)pid);
    print_variable(&p->settings, "SSH_AUTH_SOCK", p->socket.path);
    print_variable(&p->settings, "SSH_AGENT_PID", text);
    printf("echo Agent pid %s;\n", text);
    return 0;
}

static int start(struct agent_program *p) {
    struct fault fault = {0};
    bool debug = p->settings.mode == AGENT_DEBUG;
    log_sink_stderr(&p->sink, &p->log, "ssh-agent",
                    debug ? LOG_LEVEL_DEBUG1 : LOG_LEVEL_INFO);
    if (!p->settings.keep_stale)
        agent_socket_clean(false);
    hold_signals(SIG_BLOCK);
    if (agent_socket_open(p, &fault) != OK) {
        fprintf(stderr, "ssh-agent: %s\n", fault_text(&fault));
        p->socket.owner = getpid();
        p->socket.path[0] = '\0';
        agent_socket_remove(&p->socket);
        return 1;
    }
    return debug || p->settings.mode == AGENT_FOREGROUND ? stay(p) : split(p);
}

int main(int argc, char **argv) {
    static struct agent_program p = {.parent = -1};
    process_reset_signals();
    if (fd_fill_standard() != OK)
        return 1;
    if (crypto_init() != OK) {
        fputs("ssh-agent: libcrypto can not be used\n", stderr);
        return 1;
    }
    int status = agent_options(&p.settings, argc, argv);
    if (status != -1)
        return status;
    switch (p.settings.mode) {
    case AGENT_VERSION:
        fprintf(stderr, "Bowline_%s, compatible with %s\n", BOWLINE_VERSION,
                BOWLINE_LIKE "p1");
        return 0;
    case AGENT_KILL:
        return kill_agent(&p.settings);
    case AGENT_CLEAN:
        agent_socket_clean(p.settings.clean_all_hosts);
        return 0;
    default:
        return start(&p);
    }
}
