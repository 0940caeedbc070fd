// The judge's password method, and "none" as the empty password: against shadow(5), or
// through PAM.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/password_hash.h"
#include "io/process.h"
#include "server/judge_state.h"

#define CHPASSWD "/usr/sbin/chpasswd"
#define CHANGE_MS 20000
#define PASSWORD_LEAST 6

// The account's own hash, or one that costs the same and that nothing fits.
static bool matches_shadow(struct judge *j, const char *password) {
    char stand_in[PASSWORD_HASH_SIZE];
    const char *hash = j->account.password;
    // Found out in any case: it takes time, too.
    password_hash_stand_in(stand_in, sizeof stand_in);
    bool real = j->allowed && hash != NULL && hash[0] != '!' && hash[0] != '*';
    if (real && hash[0] == '\0') {
        (void)!password_matches(password, stand_in);
        return password[0] == '\0' && j->config.permit_empty_passwords;
    }
    bool same = password_matches(password, real ? hash : stand_in);
    return real && same;
}

static bool is_right(struct judge *j, const char *password) {
    // Root may have no use for it: the work is done all the same.
    bool root = judge_root_allowed(&j->config, j->account.uid, METHOD_PASSWORD, false,
                                   NULL) == OK;
    bool empty = password[0] == '\0' && !j->config.permit_empty_passwords;
    bool may = judge_methods_may(&j->methods, METHOD_PASSWORD) ||
               judge_methods_may(&j->methods, METHOD_NONE);
    bool right =
        j->config.use_pam ? judge_pam_password(j, password) : matches_shadow(j, password);
    if (right && !root)
        log_info(&j->log, "ROOT LOGIN REFUSED FROM %s port %u", j->start->peer,
                 j->start->peer_port);
    return right && root && !empty && may && j->allowed;
}

// ---- a new one ----

static enum err feed(struct judge *j, int fd, const char *password) {
    char line[LIMIT_USER_NAME + PASSWORD_MAX + 8];
    int n = snprintf(line, sizeof line, "%s:%s\n", j->user, password);
    enum err e = n > 0 && (size_t)n < sizeof line
                     ? fd_write_full(fd, view_of(line, (size_t)n))
                     : ERR_LIMIT;
    secret_wipe(line, sizeof line);
    return e;
}

// Runs chpasswd(8). The password is a C string.
static enum err judge_change_password(struct judge *j, const char *password,
                                      struct fault *fault) {
    char name[] = "chpasswd";
    char *argv[] = {name, NULL}, *envp[] = {NULL};
    int ends[2], status = 0;
    struct process p;
    if (strpbrk(password, "\n\r") != NULL)
        return fault_set(fault, ERR_REFUSED, 0, "the new password is more than one line");
    if (strlen(password) < PASSWORD_LEAST)
        return fault_set(fault, ERR_REFUSED, 0,
                         "the new password is shorter than %d characters",
                         PASSWORD_LEAST);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault_set(fault, ERR_IO, 0, "pipe: %m");
    scoped_fd in = ends[0], out = ends[1];
    struct process_spec spec = {.path = CHPASSWD,
                                .argv = argv,
                                .envp = envp,
                                .fd_in = in,
                                .fd_out = -1,
                                .fd_err = -1,
                                .tty = -1};
    TRY(process_spawn(&spec, &p, fault));
    enum err e = feed(j, out, password);
    fd_close(&out);
    if (process_wait_until(&p, clock_ms() + CHANGE_MS, &status) != OK) {
        (void)!process_signal(&p, SIGKILL);
        (void)!process_wait(&p, &status);
    }
    if (e == OK && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        e = fault_set(fault, ERR_REFUSED, 0, CHPASSWD " fails (%s %d)",
                      WIFEXITED(status) ? "status" : "signal",
                      WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return e;
}

static bool change(struct judge *j, const char *password, const char *next) {
    struct fault fault = {0};
    if (strcmp(password, next) == 0) {
        log_info(&j->log, "password of %s is not changed: it is the old one", j->user);
        return false;
    }
    bool done = j->config.use_pam ? judge_pam_change(j, password, next)
                                  : judge_change_password(j, next, &fault) == OK;
    if (done)
        log_info(&j->log, "password changed for %s", j->user);
    else
        log_error(&j->log, "password of %s is not changed: %s", j->user,
                  j->config.use_pam ? "PAM refuses" : fault_text(&fault));
    return done;
}

static bool has_expired(const struct judge *j) {
    return !j->config.use_pam && j->account.shadow_known && j->account.must_change;
}

// ---- the questions ----

static void ask_new(struct judge *j, uint32_t ticket) {
    struct ipc_change m = {ticket, view_text("Your password has expired. Choose a new "
                                             "one.")};
    judge_tell(j, IPC_CHANGE, &m);
}

static void fulfilled(struct judge *j, uint32_t ticket) {
    if (buf_append(&j->grant.info, view_text("password\n")) != OK)
        judge_give_up(j, "out of memory");
    judge_fulfilled(j, ticket, METHOD_PASSWORD);
}

static void judge_it(struct judge *j, const struct ipc_password *m, const char *password,
                     const char *next) {
    bool right = is_right(j, password);
    if (right && m->change && (has_expired(j) || j->must_change)) {
        right = change(j, password, next);
        j->account.must_change = j->must_change = right ? false : j->account.must_change;
    }
    if (!right)
        judge_refuse(j, m->ticket, "password", "");
    else if (has_expired(j))
        ask_new(j, m->ticket);
    else
        fulfilled(j, m->ticket);
}

void judge_on_password(struct judge *j, const struct ipc_password *m) {
    scoped_secret arena = {0};
    if (m->password.n > PASSWORD_MAX || m->new_password.n > PASSWORD_MAX ||
        secret_arena_init(&arena, 2 * (PASSWORD_MAX + 16), 0) != OK) {
        judge_refuse(j, m->ticket, "password", "");
        return;
    }
    char *password = secret_alloc(&arena, PASSWORD_MAX + 1);
    char *next = secret_alloc(&arena, PASSWORD_MAX + 1);
    if (password == NULL || next == NULL)
        judge_give_up(j, "out of memory");
    text_copy(password, PASSWORD_MAX + 1, m->password);
    text_copy(next, PASSWORD_MAX + 1, m->new_password);
    struct ipc_password question = {m->ticket, {0}, m->change, {0}};
    secret_wipe(j->bytes, sizeof j->bytes);
    judge_it(j, &question, password, next);
}

void judge_on_none(struct judge *j, const struct ipc_none *m) {
    bool may = judge_methods_may(&j->methods, METHOD_NONE);
    if (!may || !is_right(j, ""))
        judge_refuse(j, m->ticket, "none", "");
    else if (has_expired(j))
        judge_refuse(j, m->ticket, "none", "");
    else
        judge_fulfilled(j, m->ticket, METHOD_NONE);
}
