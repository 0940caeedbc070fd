#include "server/judge.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "auth/server.h"
#include "base/secret.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/login_record.h"
#include "io/tun.h"
#include "server/judge_state.h"

#define BANNER_MAX 65536u  // of a Match block: it goes through a process message

#define REFUSAL_FLOOR_US 5000u
#define NAME_MS 10000u  // for the name of the peer's address

_Noreturn void judge_give_up(struct judge *j, const char *what) {
    log_error(&j->log, "judge: %s", what);
    _exit(1);
}

void judge_tell(struct judge *j, enum ipc_number number, const void *body) {
    if (ipc_send(j->start->keeper, number, body, -1) != OK)
        _exit(1);
}

void judge_tell_facts(struct judge *j, const struct certificate *c, const char *ca) {
    struct ipc_facts facts = {.why = view_text(j->why), .ca = view_text(ca)};
    if (c == NULL && !j->told_certificate && j->why[0] == '\0')
        return;
    if (c != NULL) {
        facts.certificate_id = c->key_id;
        facts.serial = c->serial;
    }
    j->told_certificate = c != NULL;
    judge_tell(j, IPC_FACTS, &facts);
}

// ---- the account ----

static bool add_group(void *arg, const char *name) {
    struct judge *j = arg;
    if (j->groups_n == ACCOUNT_GROUPS_MAX)
        return false;
    text_copy(j->names[j->groups_n], JUDGE_GROUP_NAME, view_text(name));
    j->groups[j->groups_n] = j->names[j->groups_n];
    j->groups_n++;
    return true;
}

// Looks somebody up in any case, so that an unknown name costs the same: then root's
// account, with a home that holds nothing and no password.
static bool look_up(struct judge *j, struct view user) {
    struct fault fault = {0};
    bool printable =
        text_copy(j->asked, sizeof j->asked, user) && strlen(j->asked) == user.n;
    // It is no longer than `asked`, and so fits.
    text_copy(j->user, sizeof j->user, view_until(view_text(j->asked), ':'));
    enum err e =
        printable ? account_by_name(j->user, &j->account, &fault) : ERR_NOT_FOUND;
    bool known = e == OK;
    if (e != OK && e != ERR_NOT_FOUND)
        log_error(&j->log, "%s", fault_text(&fault));
    if (!known && account_by_uid(getuid(), &j->account, NULL) != OK)
        judge_give_up(j, "no account at all");
    account_each_group(&j->account, add_group, j);
    if (known)
        return true;
    free(j->account.directory);
    j->account.directory = strdup("/nonexistent");
    if (j->account.password != NULL)
        secret_wipe(j->account.password, strlen(j->account.password));
    free(j->account.password);
    j->account.password = NULL;
    return false;
}

// In OpenSSH's words.
static void tell_no_name(struct judge *j, enum look_up_name found) {
    const char *peer = j->start->peer;
    switch (found) {
    case LOOK_UP_ODD:
        log_info(&j->log, "Nasty PTR record \"%s\" is set up for %s, ignoring", j->name,
                 peer);
        break;
    case LOOK_UP_UNKNOWN:
        log_info(&j->log, "reverse mapping checking getaddrinfo for %s [%s] failed.",
                 j->name, peer);
        break;
    case LOOK_UP_DIFFERS:
        log_info(&j->log,
                 "Address %s maps to %s, but this does not map back to the address.",
                 peer, j->name);
        break;
    case LOOK_UP_LATE:
        log_info(
            &j->log,
            "UseDNS: no answer about %s within %u s: the client goes by its address. "
            "Mend the name servers in /etc/resolv.conf, or set UseDNS no",
            peer, NAME_MS / 1000);
        break;
    default:
        break;
    }
}

// UseDNS: the name counts only if it leads back to the address.
static void name_peer(struct judge *j) {
    struct ipc_host host;
    if (!j->start->config->use_dns)
        return;
    enum look_up_name found = look_up_name(j->start->peer, NAME_MS, j->name);
    if (found != LOOK_UP_NAMED) {
        tell_no_name(j, found);
        return;
    }
    j->host = j->name;
    host.name = view_text(j->name);
    judge_tell(j, IPC_HOST, &host);
}

static void apply_match(struct judge *j) {
    struct fault fault = {0};
    const struct judge_start *s = j->start;
    struct server_subject subject = {
        .user = j->user,
        .invalid_user = !j->known,
        .groups = j->known ? j->groups : NULL,
        .groups_n = j->known ? j->groups_n : 0,
        .host = j->host,
        .address = s->peer,
        .local_address = s->local,
        .local_port = s->local_port,
        .rdomain = s->domain,
    };
    if (server_config_match(s->config, &subject, &j->config, &fault) != OK)
        judge_give_up(j, fault_text(&fault));
}

static void decide_account(struct judge *j) {
    struct fault why = {0}, shell = {0};
    struct judge_case c = {
        .user = j->user,
        .peer = j->start->peer,
        .host = j->host,
        .account = j->known ? &j->account : NULL,
        .groups = {j->groups, j->groups_n},
        .as_root = getuid() == 0,
        .own_uid = getuid(),
    };
    if (account_check_shell(&j->account, &shell) != OK)
        c.shell_fault = fault_text(&shell);
    j->allowed = judge_account_allowed(&j->config, &c, &why) == OK;
    if (!j->allowed)
        text_copy(j->why, sizeof j->why, view_text(fault_text(&why)));
    if (!j->allowed && j->known)
        log_info(&j->log, "%s", fault_text(&why));
    else if (!j->allowed)
        log_info(&j->log, "%s port %u", fault_text(&why), j->start->peer_port);
}

// RefuseConnection, MaxAuthTries and Banner of a Match block.
static void tell_policy(struct judge *j) {
    const struct server_config *own = &j->config, *all = j->start->config;
    const char *banner = own->banner != NULL ? own->banner : "none";
    struct fault fault = {0};
    scoped_buf text = {0};
    if (!own->refuse_connection && own->max_auth_tries == all->max_auth_tries &&
        strcmp(banner, all->banner != NULL ? all->banner : "none") == 0)
        return;
    if (strcmp(banner, "none") != 0 &&
        file_read(banner, 0, BANNER_MAX, &text, &fault) != OK)
        log_info(&j->log, "Banner: %s", fault_text(&fault));
    struct ipc_policy policy = {own->max_auth_tries, buf_view(&text),
                                own->refuse_connection};
    judge_tell(j, IPC_POLICY, &policy);
}

static void record_failure(const struct judge *j) {
    if (getuid() == 0)
        login_record_failed(j->user, j->host, j->start->peer, (int64_t)clock_wall_s());
}

static void on_user(struct judge *j, const struct ipc_user *m) {
    char methods[JUDGE_METHODS_TEXT];
    j->known = look_up(j, m->user);
    name_peer(j);
    apply_match(j);
    tell_policy(j);
    decide_account(j);
    if (!judge_methods_start(&j->methods, &j->config))
        log_error(&j->log, "no AuthenticationMethods left after eliminating disabled "
                           "methods");
    struct ipc_user_answer answer = {
        m->ticket, view_text(judge_methods_text(&j->methods, methods, sizeof methods)),
        j->allowed, judge_methods_may(&j->methods, METHOD_NONE)};
    judge_tell_facts(j, NULL, "");
    judge_tell(j, IPC_USER_ANSWER, &answer);
    // Afterwards: nobody waits for it.
    if (!j->known)
        record_failure(j);
}

// ---- ends of a question ----

// Refusals come at marks that double from one to the next: what they took is not to be
// told from when they come.
static void judge_wait(struct judge *j) {
    uint64_t step = REFUSAL_FLOOR_US, now = clock_us();
    while (now > j->asked_at + step)
        step *= 2;
    uint64_t left = j->asked_at + step - now;
    struct timespec t = {(time_t)(left / 1000000), (long)(left % 1000000) * 1000};
    nanosleep(&t, NULL);
}

static void answer(struct judge *j, uint32_t ticket, enum auth_verdict verdict,
                   const char *method, const char *key) {
    char methods[JUDGE_METHODS_TEXT];
    struct ipc_answer m = {
        ticket,
        verdict,
        view_text(judge_methods_text(&j->methods, methods, sizeof methods)),
        view_text(method),
        view_text(key),
        view_text("")};
    if (verdict == AUTH_REFUSED && j->allowed)
        m.banner =
            j->pam != NULL ? view_text(judge_pam_messages(j)) : view_text(j->notice);
    judge_tell(j, IPC_ANSWER, &m);
}

void judge_refuse(struct judge *j, uint32_t ticket, const char *method, const char *key) {
    if (strcmp(method, "password") == 0 || strncmp(method, "keyboard", 8) == 0)
        record_failure(j);
    judge_wait(j);
    answer(j, ticket, AUTH_REFUSED, method, key);
}

const char *judge_log_name(const struct judge *j, enum judge_method method) {
    if (j->vouched && judge_method_asks(method))
        return RESUMPTION_METHOD;
    return method == METHOD_KBDINT ? "keyboard-interactive/pam"
                                   : judge_method_name(method);
}

// Without PAM, whose modules have their own rule. Only who has proved to be the user is
// told what the file says.
static bool system_is_open(struct judge *j, uint32_t ticket, enum judge_method method) {
    if (!account_nologin(&j->account, j->notice, sizeof j->notice))
        return true;
    log_info(&j->log, "User %s not allowed because /etc/nologin exists", j->user);
    judge_refuse(j, ticket, judge_log_name(j, method), j->grant.key);
    return false;
}

// PAM's word on the account, when nothing else is missing. False: it was answered.
static bool account_stage(struct judge *j, uint32_t ticket, enum judge_method method) {
    if (!j->config.use_pam)
        return system_is_open(j, ticket, method);
    if (j->must_change)
        return true;
    enum judge_pam_answer a = judge_pam_account(j);
    if (a == JUDGE_PAM_REFUSED) {
        log_error(&j->log, "Access denied for user %s by PAM account configuration",
                  j->user);
        judge_refuse(j, ticket, judge_log_name(j, method), j->grant.key);
        return false;
    }
    if (a == JUDGE_PAM_CHANGE && j->vouched) {  // there is nobody to choose one
        judge_refuse(j, ticket, RESUMPTION_METHOD, "");
        return false;
    }
    j->must_change = a == JUDGE_PAM_CHANGE;
    if (!j->must_change || method != METHOD_PASSWORD)
        return true;
    struct ipc_change change = {ticket, view_text("Your password has expired. Choose a "
                                                  "new one.")};
    judge_tell(j, IPC_CHANGE, &change);
    return false;
}

void judge_fulfilled(struct judge *j, uint32_t ticket, enum judge_method method) {
    struct fault why = {0};
    struct judge_methods next = j->methods;
    bool forced = j->grant.command != NULL || j->config.force_command != NULL;
    if (judge_root_allowed(&j->config, j->account.uid, method, forced, &why) != OK) {
        log_info(&j->log, "%s FROM %s port %u", fault_text(&why), j->start->peer,
                 j->start->peer_port);
        judge_refuse(j, ticket, judge_log_name(j, method), j->grant.key);
        return;
    }
    bool whole = judge_methods_done(&next, method);
    if (whole && !account_stage(j, ticket, method))
        return;
    j->methods = next;
    if (judge_method_asks(method))
        j->factors |= 1u << method;
    if (whole)
        judge_verdict(j, ticket, method);
    else
        answer(j, ticket, AUTH_PARTIAL, judge_log_name(j, method),
               judge_method_has_key(method) ? j->grant.key : "");
}

// ---- the loop ----

void judge_receive(struct judge *j, struct ipc_message *m) {
    for (;;) {
        struct pollfd p = {j->start->keeper, POLLIN, 0};
        struct fault fault = {0};
        bool ready;
        poll(&p, 1, -1);
        if (ipc_recv(j->start->keeper, &j->side, (struct span){j->bytes, sizeof j->bytes},
                     m, &ready, &fault) != OK) {
            judge_pam_close(j);
            _exit(0);
        }
        if (!ready)
            continue;
        fd_close(&m->fd);
        j->asked_at = clock_us();
        return;
    }
}

static void take(struct judge *j, const struct ipc_message *m) {
    switch (m->row->number) {
    case IPC_USER:
        on_user(j, &m->body.user);
        j->side.state = LINK_USER;
        break;
    case IPC_RESUME:
        j->comes_back = true;
        break;
    case IPC_KEY_QUERY:
        judge_on_key_query(j, &m->body.key_query);
        break;
    case IPC_KEY_AUTH:
        judge_on_key_auth(j, &m->body.key_auth);
        break;
    case IPC_FACTORS:
        judge_on_factors(j, &m->body.factors);
        break;
    case IPC_HOSTBASED:
        judge_on_hostbased(j, &m->body.hostbased);
        break;
    case IPC_NONE:
        judge_on_none(j, &m->body.none);
        break;
    case IPC_PASSWORD:
        judge_on_password(j, &m->body.password);
        break;
    case IPC_KBDINT:
        judge_on_kbdint(j, &m->body.kbdint);
        break;
    case IPC_RESPONSES:  // to prompts that are gone
        judge_refuse(j, m->body.responses.ticket, judge_log_name(j, METHOD_KBDINT), "");
        break;
    default:
        break;
    }
}

_Noreturn void judge_run(const struct judge_start *start) {
    static struct judge j;  // large; the process has no other use for this memory
    j.start = start;
    j.host = start->peer;
    j.side = (struct ipc_side){IPC_KEEPER, IPC_JUDGE, .state = LINK_KEYED};
    j.grant.permits = UINT32_MAX;
    j.grant.tunnel = TUN_UNIT_ANY;
    buf_init(&j.grant.environment, LIMIT_TEXT_LINE / 4);
    buf_init(&j.grant.info, LIMIT_TEXT_LINE / 2);
    buf_init(&j.grant.identity, LIMIT_TEXT_LINE);
    buf_init(&j.grant.open, LIMIT_TEXT_LINE / 8);
    buf_init(&j.grant.listen, LIMIT_TEXT_LINE / 8);
    ipc_log_open(&j.log_sink, &j.log, start->keeper,
                 (enum log_level)start->config->log_level);
    for (;;) {
        struct ipc_message m;
        if (j.has_pending)
            m = j.pending;
        else
            judge_receive(&j, &m);
        j.has_pending = false;
        take(&j, &m);
    }
}
