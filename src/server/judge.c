#include "server/judge.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "auth/server.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "io/clock.h"
#include "io/fd.h"

#define REFUSAL_FLOOR_MS 5
#define GROUP_NAME 64

struct judge {
    const struct judge_start *start;
    struct ipc_side side;
    struct log log;
    struct ipc_log_sink log_sink;
    char user[LIMIT_USER_NAME + 1];
    struct account account;  // of the user, or one that stands for nobody
    char names[ACCOUNT_GROUPS_MAX][GROUP_NAME];
    const char *groups[ACCOUNT_GROUPS_MAX];
    size_t groups_n;
    struct server_config config;  // with Match applied
    bool allowed;
    uint64_t asked_at;
};

static _Noreturn void give_up(struct judge *j, const char *what) {
    log_error(&j->log, "judge: %s", what);
    _exit(1);
}

static void tell(struct judge *j, enum ipc_number number, const void *body) {
    if (ipc_send(j->start->keeper, number, body, -1) != OK)
        _exit(1);
}

// ---- the account ----

static bool add_group(void *arg, const char *name) {
    struct judge *j = arg;
    if (j->groups_n == ACCOUNT_GROUPS_MAX)
        return false;
    text_copy(j->names[j->groups_n], GROUP_NAME, view_text(name));
    j->groups[j->groups_n] = j->names[j->groups_n];
    j->groups_n++;
    return true;
}

// Looks somebody up in any case, so that an unknown name costs the same: then root's
// account, with a home that holds nothing.
static bool look_up(struct judge *j, struct view user) {
    struct fault fault = {0};
    bool printable =
        text_copy(j->user, sizeof j->user, user) && strlen(j->user) == user.n;
    enum err e =
        printable ? account_by_name(j->user, &j->account, &fault) : ERR_NOT_FOUND;
    bool known = e == OK;
    if (e != OK && e != ERR_NOT_FOUND)
        log_error(&j->log, "%s", fault_text(&fault));
    if (!known && account_by_uid(getuid(), &j->account, NULL) != OK)
        give_up(j, "no account at all");
    account_each_group(&j->account, add_group, j);
    if (!known) {
        free(j->account.directory);
        j->account.directory = strdup("/nonexistent");
    }
    return known;
}

static void apply_match(struct judge *j, bool known) {
    struct fault fault = {0};
    const struct judge_start *s = j->start;
    struct server_subject subject = {
        .user = j->user,
        .invalid_user = !known,
        .groups = known ? j->groups : NULL,
        .groups_n = known ? j->groups_n : 0,
        .host = s->peer,
        .address = s->peer,
        .local_address = s->local,
        .local_port = s->local_port,
    };
    if (server_config_match(s->config, &subject, &j->config, &fault) != OK)
        give_up(j, fault_text(&fault));
}

static void decide_account(struct judge *j, bool known) {
    struct fault why = {0}, shell = {0};
    char text[256];
    struct judge_case c = {
        .user = j->user,
        .peer = j->start->peer,
        .account = known ? &j->account : NULL,
        .groups = {j->groups, j->groups_n},
        .as_root = getuid() == 0,
        .own_uid = getuid(),
        .nologin = account_nologin(&j->account, text, sizeof text),
    };
    if (account_check_shell(&j->account, &shell) != OK)
        c.shell_fault = fault_text(&shell);
    j->allowed = judge_account_allowed(&j->config, &c, &why) == OK;
    if (!j->allowed && known)
        log_info(&j->log, "%s", fault_text(&why));
    else if (!j->allowed)
        log_info(&j->log, "%s port %u", fault_text(&why), j->start->peer_port);
}

static void on_user(struct judge *j, const struct ipc_user *m) {
    bool known = look_up(j, m->user);
    apply_match(j, known);
    decide_account(j, known);
    struct ipc_user_answer answer = {
        m->ticket, view_text(judge_methods_allow_key(&j->config) ? "publickey" : ""),
        j->allowed};
    tell(j, IPC_USER_ANSWER, &answer);
}

// ---- keys ----

static void key_text(struct view blob, char *out, size_t size) {
    char fingerprint[KEY_FINGERPRINT_SIZE];
    struct key *key = NULL;
    bool known = key_from_blob(&key, blob, NULL) == OK;
    key_fingerprint(fingerprint, sizeof fingerprint, blob, &digest_sha256);
    snprintf(out, size, "%s %s", known ? key->type->short_name : "UNKNOWN", fingerprint);
    if (known)
        key_free(key);
}

static void wait_for_floor(struct judge *j) {
    uint64_t until = j->asked_at + REFUSAL_FLOOR_MS * 1000, now = clock_us();
    if (now >= until)
        return;
    struct timespec t = {0, (long)(until - now) * 1000};
    nanosleep(&t, NULL);
}

static void answer(struct judge *j, uint32_t ticket, enum auth_verdict verdict,
                   struct view blob) {
    char key[KEY_FINGERPRINT_SIZE + 32];
    key_text(blob, key, sizeof key);
    struct ipc_answer m = {ticket, verdict, view_text(""), view_text(key)};
    if (verdict != AUTH_ACCEPTABLE)
        wait_for_floor(j);
    tell(j, IPC_ANSWER, &m);
}

static bool find(struct judge *j, struct view blob, struct authkey_line *line) {
    struct judge_search s = {&j->config, &j->account, j->start->peer, clock_wall_s(),
                             &j->log};
    bool found = judge_find_key(&s, blob, line) == OK;
    if (found && (!j->allowed || !judge_methods_allow_key(&j->config))) {
        authkey_free(line);
        found = false;
    }
    return found;
}

static void on_query(struct judge *j, const struct ipc_key_query *m) {
    struct authkey_line line;
    bool found = find(j, m->blob, &line);
    if (found)
        authkey_free(&line);
    answer(j, m->ticket, found ? AUTH_ACCEPTABLE : AUTH_REFUSED, m->blob);
}

static uint32_t permits(const struct authkey_line *line) {
    const struct authkey_permits *p = &line->permit;
    return (p->pty ? PERMIT_PTY : 0) | (p->port_forwarding ? PERMIT_PORT_FORWARDING : 0) |
           (p->agent_forwarding ? PERMIT_AGENT_FORWARDING : 0) |
           (p->x11_forwarding ? PERMIT_X11_FORWARDING : 0) |
           (p->user_rc ? PERMIT_USER_RC : 0);
}

static enum err write_addresses(struct buf *out, const struct authkey_address *v,
                                size_t n) {
    struct writer w = writer_to_buf(out);
    for (size_t i = 0; i < n; i++) {
        char text[300];
        const char *host = v[i].host[0] != '\0' ? v[i].host : "*";
        if (v[i].port == AUTHKEY_PORT_ANY)
            snprintf(text, sizeof text, "%s:*", host);
        else
            snprintf(text, sizeof text, "%s:%u", host, v[i].port);
        write_text(&w, text);
    }
    return writer_end(&w);
}

static void grant(struct judge *j, uint32_t ticket, const struct authkey_line *line,
                  struct view blob) {
    const struct account *a = &j->account;
    char key[KEY_FINGERPRINT_SIZE + 32];
    scoped_buf groups, environment, open, listen;
    buf_init(&open, LIMIT_TEXT_LINE / 4);
    buf_init(&listen, LIMIT_TEXT_LINE / 4);
    buf_init(&groups, 4 * ACCOUNT_GROUPS_MAX);
    buf_init(&environment, LIMIT_TEXT_LINE);
    struct writer wg = writer_to_buf(&groups), we = writer_to_buf(&environment);
    for (size_t i = 0; i < a->groups_n; i++)
        write_u32(&wg, a->groups[i]);
    for (size_t i = 0; i < line->environment_count; i++)
        write_text(&we, line->environment[i]);
    if (writer_end(&wg) != OK || writer_end(&we) != OK ||
        write_addresses(&open, line->open, line->open_count) != OK ||
        write_addresses(&listen, line->listen, line->listen_count) != OK)
        give_up(j, "options of the key are too long");
    key_text(blob, key, sizeof key);
    struct ipc_verdict v = {
        .ticket = ticket,
        .user = view_text(j->user),
        .home = view_text(a->directory),
        .shell = view_text(a->shell),
        .uid = a->uid,
        .gid = a->gid,
        .groups = buf_view(&groups),
        .key = view_text(key),
        .comment = view_text(line->key->comment != NULL ? line->key->comment : ""),
        .permits = permits(line),
        .has_command = line->command != NULL,
        .command = view_text(line->command != NULL ? line->command : ""),
        .environment = buf_view(&environment),
        .permit_open = buf_view(&open),
        .permit_listen = buf_view(&listen),
    };
    v.expires = judge_line_expiry(line, &v.expires_at);
    tell(j, IPC_VERDICT, &v);
}

static void on_auth(struct judge *j, const struct ipc_key_auth *m) {
    struct fault why = {0};
    struct authkey_line line;
    struct judge_signature want = {
        j->start->session_id, j->start->host_key, view_text(j->user),
        j->config.pubkey_accepted_algorithms, j->config.required_rsa_size};
    // Both are done in any case: what fails first is not to be told from the time.
    enum err right = judge_signature_check(&want, m, &why);
    bool found = find(j, m->blob, &line);
    if (right != OK)
        log_verbose(&j->log, "publickey for %s from %s: %s", j->user, j->start->peer,
                    fault_text(&why));
    bool granted = right == OK && found;
    if (granted &&
        judge_root_allowed(&j->config, j->account.uid,
                           line.command != NULL || j->config.force_command != NULL,
                           &why) != OK) {
        log_info(&j->log, "%s FROM %s port %u", fault_text(&why), j->start->peer,
                 j->start->peer_port);
        granted = false;
    }
    if (granted)
        grant(j, m->ticket, &line, m->blob);
    else
        answer(j, m->ticket, AUTH_REFUSED, m->blob);
    if (found)
        authkey_free(&line);
}

// ---- the loop ----

static void take(struct judge *j, const struct ipc_message *m) {
    j->asked_at = clock_us();
    switch (m->row->number) {
    case IPC_USER:
        on_user(j, &m->body.user);
        j->side.state = LINK_USER;
        break;
    case IPC_KEY_QUERY:
        on_query(j, &m->body.key_query);
        break;
    case IPC_KEY_AUTH:
        on_auth(j, &m->body.key_auth);
        break;
    default:
        break;
    }
}

_Noreturn void judge_run(const struct judge_start *start) {
    static struct judge j;  // large; the process has no other use for this memory
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    j.start = start;
    j.side = (struct ipc_side){IPC_KEEPER, IPC_JUDGE, LINK_KEYED, 0};
    ipc_log_open(&j.log_sink, &j.log, start->keeper,
                 (enum log_level)start->config->log_level);
    for (;;) {
        struct pollfd p = {start->keeper, POLLIN, 0};
        struct ipc_message m;
        struct fault fault = {0};
        bool ready;
        poll(&p, 1, -1);
        if (ipc_recv(start->keeper, &j.side, (struct span){bytes, sizeof bytes}, &m,
                     &ready, &fault) != OK)
            _exit(0);
        if (ready) {
            fd_close(&m.fd);
            take(&j, &m);
        }
    }
}
