// The end of a judge's work: the verdict; and with PAM the session around the holder,
// which is then forked from here, so that what modules did to the process (limits,
// control group, login uid, name spaces, umask) holds for it, but as the keeper's child.
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "io/fd.h"
#include "io/process.h"
#include "io/tun.h"
#include "server/holder.h"
#include "server/judge_state.h"
#include "server/seam.h"
#include "server/template.h"

#define PASSWD "/usr/bin/passwd"
#define IDENTITY_SIZE 32u  // of SHA-256

struct parts {
    struct buf groups, pam_environment;
    const char *command;
    char message[4200];
    uint8_t identity[DIGEST_MAX];
    size_t identity_n;  // 0: nobody may resume
};

static void parts_free(struct parts *p) {
    buf_free(&p->groups);
    buf_free(&p->pam_environment);
}

// Without PAM nobody else says so. A password's end is no concern of who came by a key.
static void warn_of_expiry(const struct account *a, enum judge_method method, char *out,
                           size_t size) {
    const struct {
        const char *what;
        long days;
    } ends[] = {{"account", a->account_days},
                {"password", method == METHOD_PASSWORD ? a->password_days : -1}};
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < 2; i++)
        if (ends[i].days >= 0 && a->shadow_known && n < size)
            n += (size_t)snprintf(out + n, size - n,
                                  "Your %s will expire in %ld day%s.\n", ends[i].what,
                                  ends[i].days, ends[i].days == 1 ? "" : "s");
}

// A client that comes back has its session.
static bool has_session(const struct judge *j) {
    return j->config.use_pam && !j->comes_back;
}

static void write_or_none(struct writer *w, const char *text) {
    write_bool(w, text != NULL);
    write_text(w, text != NULL ? text : "");
}

// A password that was changed meanwhile is another one. Nothing for who came by keys
// alone, as it was before: their connections outlive an upgrade of the server.
static enum err write_password(const struct judge *j, struct writer *w) {
    scoped_account now = {0};
    if (j->factors == 0)
        return OK;
    TRY(account_by_name(j->user, &now, NULL));
    write_or_none(w, now.password);
    return OK;
}

// With the tunnel device that a key is for.
static uint32_t permits_of(const struct judge_grant *g) {
    uint32_t permits = g->permits & ((1u << PERMIT_TUNNEL_SHIFT) - 1);
    if (g->tunnel == TUN_UNIT_ANY)
        return permits;
    if (g->tunnel >= PERMIT_TUNNEL_UNITS)  // no device has such a number
        return permits & ~(uint32_t)PERMIT_TUNNEL;
    return permits | (g->tunnel + 1) << PERMIT_TUNNEL_SHIFT;
}

// For an identity that is the same before and after an upgrade: what came with version 4
// and goes along with port forwarding is written where it does not.
static uint32_t permits_told(const struct judge_grant *g) {
    uint32_t p = permits_of(g) & ~(uint32_t)PERMIT_RESUME;
    return p & PERMIT_PORT_FORWARDING ? p ^ (uint32_t)PERMIT_TUNNEL : p;
}

// Who may take up the connection that begins with this login: who comes by the same keys,
// where there were any, and would get the same now. What a key's line allows may have
// changed meanwhile, and a connection that goes on must not be a way around that.
static enum err identify(struct judge *j, struct parts *p) {
    const struct judge_grant *g = &j->grant;
    scoped_buf text = {.max = 4 * LIMIT_TEXT_LINE};
    if ((buf_len(&g->identity) == 0 && j->factors == 0) || j->must_change)
        return OK;
    struct writer w = writer_to_buf(&text);
    write_string(&w, buf_view(&g->identity));
    write_u32(&w, permits_told(g));
    write_or_none(&w, p->command);
    write_or_none(&w, j->config.force_command);
    write_or_none(&w, j->config.chroot_directory);
    write_string(&w, buf_view(&g->environment));
    write_string(&w, buf_view(&g->open));
    write_string(&w, buf_view(&g->listen));
    TRY(write_password(j, &w));
    TRY(writer_end(&w));
    struct view all = buf_view(&text);
    p->identity_n = IDENTITY_SIZE;
    enum err e = digest_parts(&digest_sha256, &all, 1, p->identity);
    secret_wipe(text.p, text.room);
    return e;
}

static enum err gather(struct judge *j, struct parts *p, enum judge_method method) {
    const struct account *a = &j->account;
    buf_init(&p->groups, 4 * ACCOUNT_GROUPS_MAX);
    buf_init(&p->pam_environment, LIMIT_TEXT_LINE / 4);
    if (has_session(j))
        TRY(judge_pam_open(j, &p->pam_environment));
    struct writer w = writer_to_buf(&p->groups);
    for (size_t i = 0; i < a->groups_n; i++)
        write_u32(&w, a->groups[i]);
    if (j->config.use_pam)
        snprintf(p->message, sizeof p->message, "%s", judge_pam_messages(j));
    else
        warn_of_expiry(a, method, p->message, sizeof p->message);
    p->command = j->grant.command;
    // Nothing else may be done before there is a new password (as OpenSSH has it).
    if (j->must_change) {
        p->command = PASSWD;
        j->grant.permits &= PERMIT_PTY;
    }
    TRY(writer_end(&w));
    return identify(j, p);
}

static void fill(struct judge *j, const struct parts *p, enum judge_method method,
                 struct ipc_verdict *v) {
    const struct account *a = &j->account;
    const struct judge_grant *g = &j->grant;
    *v = (struct ipc_verdict){
        .user = view_text(j->user),
        .home = view_text(a->directory),
        .shell = view_text(a->shell),
        .uid = a->uid,
        .gid = a->gid,
        .groups = buf_view(&p->groups),
        .method = view_text(judge_log_name(j, method)),
        .key = view_text(judge_method_has_key(method) ? g->key : ""),
        .comment = view_text(g->comment),
        .permits = (permits_of(g) & ~(uint32_t)PERMIT_RESUME) |
                   (p->identity_n > 0 ? (uint32_t)PERMIT_RESUME : 0),
        .has_command = p->command != NULL,
        .command = view_text(p->command != NULL ? p->command : ""),
        .environment = buf_view(&g->environment),
        .permit_open = buf_view(&g->open),
        .permit_listen = buf_view(&g->listen),
        .expires = g->expires,
        .expires_at = g->expires_at,
        .auth_info = buf_view(&g->info),
        .pam_environment = buf_view(&p->pam_environment),
        .message = view_text(p->message),
        .holder = has_session(j),
        .identity = view_of(p->identity, p->identity_n),
    };
}

// ---- the holder ----

static _Noreturn void become_holder(struct judge *j, const struct ipc_verdict *v, int ipc,
                                    int seam) {
    const struct judge_start *st = j->start;
    fd_close_all_but((int[]){0, 1, 2, ipc, seam}, 5);
    struct holder_start start = {
        .keeper = ipc,
        .seam = seam,
        .config = st->config,
        .verdict = v,
        .host_keys = st->host_keys,
        .peer = st->peer,
        .host = j->host,
        .local = st->local,
        .peer_port = st->peer_port,
        .local_port = st->local_port,
        .domain = st->domain,
        .as_root = getuid() == 0,
    };
    holder_run(&start);
}

static enum err make_holder(struct judge *j, const struct ipc_verdict *v, int *pidfd) {
    int ipc[2], seam[2];
    TRY(ipc_pair(ipc));
    scoped_fd ours = ipc[0], theirs = ipc[1];
    TRY(seam_pair(seam));
    scoped_fd gate_end = seam[0], holder_end_fd = seam[1];
    pid_t pid = process_fork_sibling();
    if (pid < 0)
        return ERR_IO;
    if (pid == 0)
        become_holder(j, v, theirs, holder_end_fd);
    *pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct ipc_holder_made made = {(uint32_t)pid};
    struct ipc_holder_seam at = {(uint32_t)pid};
    TRY(ipc_send(j->start->keeper, IPC_HOLDER_MADE, &made, ours));
    return ipc_send(j->start->keeper, IPC_HOLDER_SEAM, &at, gate_end);
}

// Until the holder has ended; what the keeper says or whether it is there does not count.
static _Noreturn void stay(struct judge *j, int pidfd) {
    struct pollfd p = {pidfd, POLLIN, 0};
    process_title("sshd: %s [session]", j->user);
    template_release();
    while (pidfd >= 0 && poll(&p, 1, -1) <= 0)
        ;
    judge_pam_close(j);
    _exit(0);
}

void judge_verdict(struct judge *j, uint32_t ticket, enum judge_method method) {
    struct parts parts = {0};
    struct ipc_verdict v;
    int pidfd = -1;
    if (gather(j, &parts, method) != OK) {
        parts_free(&parts);
        judge_refuse(j, ticket, judge_method_name(method), "");
        return;
    }
    fill(j, &parts, method, &v);
    v.ticket = ticket;
    if (v.holder && make_holder(j, &v, &pidfd) != OK) {
        judge_pam_close(j);
        judge_give_up(j, "no holder can be made");
    }
    struct ipc_factors factors = {ticket, j->factors};
    judge_tell(j, IPC_FACTORS, &factors);
    judge_tell(j, IPC_VERDICT, &v);
    if (v.holder)
        stay(j, pidfd);
    parts_free(&parts);
}
