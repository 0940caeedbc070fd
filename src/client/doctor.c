// bowline doctor: tries the way to a host, and says where it ends and what to do.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "client/doctor.h"
#include "client/doctor_steps.h"
#include "crypto/random.h"
#include "io/clock.h"
#include "io/fd.h"

#define IDLE_MOST_S 660u  // beyond the limits in common use
#define CONNECT_TIMEOUT_S 10u
#define ARGUMENTS_MAX 300

// Nobody is asked anything, nothing is forwarded, shared or kept, here or there.
static const char *const restraints[] = {
    "BatchMode=yes",           "ControlMaster=no",     "ControlPath=none",
    "ControlPersist=no",       "ConnectionAttempts=1", "ForkAfterAuthentication=no",
    "ClearAllForwardings=yes", "ForwardAgent=no",      "ForwardX11=no",
    "PermitLocalCommand=no",   "RemoteCommand=none",   "RequestTTY=no",
    "AddKeysToAgent=no",       "UpdateHostKeys=no",    "Resume=no",
    "StdinNull=yes",           "LogLevel=INFO",
};

static int usage(void) {
    fprintf(stderr, "usage: bowline doctor [--idle[=SECONDS]] [--json] [ssh options] "
                    "[user@]host\n");
    return 2;
}

// ---- what the client says ----

static void hear(void *sink, enum log_level level, const char *line) {
    struct doctor *d = sink;
    (void)level;
    size_t n = strlen(line);
    // Of too much the beginning stays.
    if (n + 2 > sizeof d->log - d->log_n)
        return;
    memcpy(d->log + d->log_n, line, n);
    d->log_n += n;
    d->log[d->log_n++] = '\n';
    d->log[d->log_n] = 0;
}

const char *doctor_heard(const struct doctor *d, const char *what, char *out,
                         size_t size) {
    const char *found = NULL;
    for (const char *at = d->log; (at = strstr(at, what)) != NULL; at++)
        found = at;
    if (found == NULL)
        return NULL;
    (void)text_copy(out, size, view_of(found, strcspn(found, "\n")));
    return out;
}

uint64_t doctor_lap(struct doctor *d) {
    uint64_t now = clock_us(), us = now - d->began_us;
    d->began_us = now;
    d->log_n = 0;
    d->log[0] = 0;
    return us;
}

// ---- clients ----

struct client *doctor_client(struct doctor *d, int argc, char **argv) {
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    if (!client_setup(c, argc, argv)) {
        doctor_client_drop(c);
        return NULL;
    }
    c->log.level = LOG_LEVEL_DEBUG1;
    c->log.write = hear;
    c->log.sink = d;
    c->flags.log_file = "";  // the steps go to the log as well
    if (c->config.connect_timeout == 0)
        c->config.connect_timeout = CONNECT_TIMEOUT_S;
    return c;
}

void doctor_client_drop(struct client *c) {
    c->flags.log_file = NULL;
    client_drop(c);
    free(c);
}

// ---- the command line ----

struct arguments {
    char *v[ARGUMENTS_MAX];
    int n;
    char command[96];
};

static bool add(struct arguments *a, const char *word) {
    if (a->n + 1 >= ARGUMENTS_MAX)
        return false;
    a->v[a->n++] = (char *)(uintptr_t)word;
    a->v[a->n] = NULL;
    return true;
}

static bool take_own(struct doctor *d, const char *word) {
    uint64_t seconds = IDLE_MOST_S;
    if (strcmp(word, "--json") == 0)
        return d->json = true;
    if (strcmp(word, "--idle") != 0 &&
        (strncmp(word, "--idle=", 7) != 0 || !text_number(word + 7, 1, 86400, &seconds)))
        return false;
    d->idle_most_s = (uint32_t)seconds;
    return d->idle = true;
}

static bool parse(struct doctor *d, struct arguments *a, int argc, char **argv) {
    bool good = add(a, "ssh");
    for (size_t i = 0; i < sizeof restraints / sizeof restraints[0]; i++)
        good = good && add(a, "-o") && add(a, restraints[i]);
    for (int i = 1; i < argc; i++) {
        bool long_one = strncmp(argv[i], "--", 2) == 0;
        good = good && (long_one ? take_own(d, argv[i]) : add(a, argv[i]));
    }
    d->argv = a->v;
    d->argc = a->n;
    return good && argc > 1;
}

static void make_command(struct doctor *d, struct arguments *a) {
    uint8_t random[8];
    random_padding(random, sizeof random);
    size_t n = (size_t)snprintf(d->token, sizeof d->token, "bowline-doctor-");
    for (size_t i = 0; i < sizeof random; i++)
        n += (size_t)snprintf(d->token + n, sizeof d->token - n, "%02x", random[i]);
    snprintf(a->command, sizeof a->command, "echo %s && date +%%s", d->token);
}

// ---- the walk ----

static void walk(struct doctor *d) {
    d->began_us = clock_us();
    if (!doctor_link(d) || !doctor_handshake(d) || !doctor_login(d))
        return;
    doctor_session(d);
    doctor_idle(d);
}

static int examine(struct doctor *d, struct arguments *a) {
    make_command(d, a);
    if (!add(a, a->command))
        return usage();
    d->c = doctor_client(d, a->n, a->v);
    a->v[d->argc] = NULL;
    if (d->c == NULL)
        return 2;
    if (d->c->flags.command == NULL || strcmp(d->c->flags.command, a->command) != 0 ||
        d->c->config.session_type != SESSION_TYPE_DEFAULT) {
        doctor_client_drop(d->c);
        return usage();
    }
    walk(d);
    int code = doctor_print(d) != OK || doctor_verdict(d) == DOCTOR_FAIL;
    doctor_client_drop(d->c);
    return code;
}

int doctor_run(int argc, char **argv) {
    struct doctor *d = calloc(1, sizeof *d);
    struct arguments *a = calloc(1, sizeof *a);
    int code = 1;
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    if (d != NULL && a != NULL)
        code = parse(d, a, argc, argv) ? examine(d, a) : usage();
    free(a);
    free(d);
    return code;
}
