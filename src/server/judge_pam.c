// PAM, in the judge alone: authentication with an answer that is known (password) or by
// asking the peer (keyboard-interactive), the account stage, a new password, and the
// session, which is closed by this very process when the holder has ended.
//
// Users who may not log in go the whole way with an answer that is never right: modules
// take the time that they take for everybody.
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"
#include "server/judge_state.h"
#include "server/pam_library.h"

// What no keyboard types; of the length of what was given.
#define NEVER_RIGHT "\b\n\r\177INCORRECT"
#define MESSAGES 4096

enum conversation {
    TALK_NONE,      // prompts are refused
    TALK_PASSWORD,  // each prompt is answered with `password`
    TALK_CHANGE,    // with `password` or `next`, by what is asked for
    TALK_PEER,      // the peer is asked
};

struct judge_pam {
    struct judge *judge;
    const struct pam_library *pam;
    pam_handle_t *handle;
    enum conversation talk;
    const char *password, *next;
    uint32_t ticket;  // of the peer's question that waits for an answer; 0: none
    bool given_up;    // the peer did something else
    bool account_asked, session, credentials;
    enum judge_pam_answer account;
    char messages[MESSAGES], told[MESSAGES];
};

// ---- the conversation ----

static void say(struct judge_pam *p, const char *text) {
    size_t n = strlen(p->messages);
    snprintf(p->messages + n, sizeof p->messages - n, "%s%s", n > 0 ? "\n" : "", text);
}

static void never_right(const char *given, char *out, size_t size) {
    size_t n = strlen(given);
    for (size_t i = 0; i + 1 < size && i < n; i++)
        out[i] = NEVER_RIGHT[i % (sizeof NEVER_RIGHT - 1)];
    out[n < size ? n : size - 1] = '\0';
}

// May the truth be told to the modules?
static bool honest(const struct judge *j, enum judge_method method) {
    return j->allowed && judge_methods_may(&j->methods, method) &&
           judge_root_allowed(&j->config, j->account.uid, method, false, NULL) == OK;
}

// Modules may leave it out.
static const char *text_of(const struct pam_message *m) {
    return m->msg != NULL ? m->msg : "";
}

static bool asks_for_old(const char *prompt) {
    return strcasestr(prompt, "current") != NULL || strcasestr(prompt, "old ") != NULL ||
           strcasestr(prompt, "(current)") != NULL;
}

static char *known_answer(const struct judge_pam *p, const struct pam_message *m) {
    if (p->talk == TALK_PASSWORD && m->msg_style == PAM_PROMPT_ECHO_OFF)
        return strdup(p->password);
    if (p->talk == TALK_CHANGE && m->msg_style == PAM_PROMPT_ECHO_OFF)
        return strdup(asks_for_old(text_of(m)) ? p->password : p->next);
    return NULL;
}

static void wipe_answers(struct pam_response *answers, int n) {
    for (int i = 0; i < n; i++)
        if (answers[i].resp != NULL) {
            secret_wipe(answers[i].resp, strlen(answers[i].resp));
            free(answers[i].resp);
        }
    free(answers);
}

static bool is_prompt(const struct pam_message *m) {
    return m->msg_style == PAM_PROMPT_ECHO_OFF || m->msg_style == PAM_PROMPT_ECHO_ON;
}

static enum err send_prompts(struct judge_pam *p, int n, const struct pam_message **m) {
    scoped_buf text;
    buf_init(&text, LIMIT_IPC_MESSAGE / 2);
    struct writer w = writer_to_buf(&text);
    for (int i = 0; i < n; i++)
        if (is_prompt(m[i])) {
            write_text(&w, text_of(m[i]));
            write_bool(&w, m[i]->msg_style == PAM_PROMPT_ECHO_ON);
        }
    TRY(writer_end(&w));
    struct ipc_prompts prompts = {p->ticket, view_text(""), view_text(p->messages),
                                  buf_view(&text)};
    judge_tell(p->judge, IPC_PROMPTS, &prompts);
    p->messages[0] = '\0';
    p->ticket = 0;
    return OK;
}

static char *answer_of(const struct judge *j, struct view given) {
    char text[PAM_MAX_RESP_SIZE];
    if (!text_copy(text, sizeof text, given))
        return NULL;
    if (!honest(j, METHOD_KBDINT)) {
        char plain[PAM_MAX_RESP_SIZE];
        memcpy(plain, text, sizeof plain);
        never_right(plain, text, sizeof text);
        secret_wipe(plain, sizeof plain);
    }
    char *copy = strdup(text);
    secret_wipe(text, sizeof text);
    return copy;
}

// As many answers as prompts, or none counts.
static bool take_responses(struct judge_pam *p, struct view responses, int n,
                           const struct pam_message **m, struct pam_response *answers) {
    struct reader r = reader_of(responses);
    for (int i = 0; i < n; i++) {
        if (!is_prompt(m[i]))
            continue;
        struct view given = read_string(&r);
        answers[i].resp = r.err == OK ? answer_of(p->judge, given) : NULL;
        if (answers[i].resp == NULL)
            return false;
    }
    return reader_end(&r) == OK;
}

// What else the peer wants is dealt with when the modules have been told that it gave up.
static bool ask_peer(struct judge_pam *p, int n, const struct pam_message **m,
                     struct pam_response *answers) {
    struct judge *j = p->judge;
    struct ipc_message message;
    if (p->ticket == 0 || p->given_up || send_prompts(p, n, m) != OK)
        return false;
    judge_receive(j, &message);
    if (message.row->number != IPC_RESPONSES) {
        p->given_up = true;
        j->pending = message;
        j->has_pending = true;
        return false;
    }
    p->ticket = message.body.responses.ticket;
    bool good = take_responses(p, message.body.responses.responses, n, m, answers);
    secret_wipe(j->bytes, sizeof j->bytes);
    return good;
}

static bool fill(struct judge_pam *p, int n, const struct pam_message **m,
                 struct pam_response *answers) {
    int prompts = 0;
    for (int i = 0; i < n; i++) {
        if (is_prompt(m[i]))
            prompts++;
        else if (m[i]->msg_style == PAM_TEXT_INFO || m[i]->msg_style == PAM_ERROR_MSG)
            say(p, text_of(m[i]));
        else
            return false;  // binary prompts and what nobody knows
    }
    if (prompts == 0)
        return true;
    if (prompts > LIMIT_KBDINT_PROMPTS)
        return false;
    if (p->talk == TALK_PEER)
        return ask_peer(p, n, m, answers);
    for (int i = 0; i < n; i++)
        if (is_prompt(m[i]) && (answers[i].resp = known_answer(p, m[i])) == NULL)
            return false;
    return true;
}

static int converse(int n, const struct pam_message **m, struct pam_response **out,
                    void *arg) {
    struct judge_pam *p = arg;
    if (n <= 0 || n > PAM_MAX_NUM_MSG)
        return PAM_CONV_ERR;
    struct pam_response *answers = calloc((size_t)n, sizeof *answers);
    if (answers == NULL)
        return PAM_BUF_ERR;
    if (!fill(p, n, m, answers)) {
        wipe_answers(answers, n);
        return PAM_CONV_ERR;
    }
    *out = answers;
    return PAM_SUCCESS;
}

// ---- the handle ----

static bool set_up(struct judge *j, struct judge_pam *p) {
    char connection[200];
    struct pam_conv conv = {converse, p};
    const struct judge_start *st = j->start;
    // Modules have lines of their own: they need a name and number that log parsers know.
    openlog("sshd", LOG_PID, LOG_AUTH);
    if (p->pam->start(j->config.pam_service_name, j->user, &conv, &p->handle) !=
        PAM_SUCCESS)
        return false;
    snprintf(connection, sizeof connection, "SSH_CONNECTION=%s %u %s %u", st->peer,
             st->peer_port, st->local, st->local_port);
    return p->pam->set_item(p->handle, PAM_RHOST, p->judge->host) == PAM_SUCCESS &&
           p->pam->set_item(p->handle, PAM_TTY, "ssh") == PAM_SUCCESS &&
           p->pam->putenv(p->handle, connection) == PAM_SUCCESS;
}

static struct judge_pam *begin(struct judge *j) {
    static struct judge_pam pam;
    if (j->pam != NULL)
        return j->pam;
    struct fault fault = {0};
    if (pam_library_load(&fault) != OK)
        judge_give_up(j, fault_text(&fault));
    pam.judge = j;
    pam.pam = pam_library();
    if (!set_up(j, &pam))
        judge_give_up(j, "PAM: cannot start");
    return j->pam = &pam;
}

static bool same_user(struct judge_pam *p) {
    const void *user = NULL;
    return p->pam->get_item(p->handle, PAM_USER, &user) == PAM_SUCCESS && user != NULL &&
           strcmp(user, p->judge->user) == 0;
}

static bool authenticate(struct judge_pam *p) {
    struct judge *j = p->judge;
    int flags = j->config.permit_empty_passwords ? 0 : PAM_DISALLOW_NULL_AUTHTOK;
    int e = p->pam->authenticate(p->handle, flags);
    if (e != PAM_SUCCESS) {
        // Of passwords the keeper says so.
        log_at(&j->log, p->talk == TALK_PEER ? LOG_LEVEL_ERROR : LOG_LEVEL_VERBOSE,
               "PAM: %s for %s%s from %s", p->pam->strerror(p->handle, e),
               j->known ? "" : "illegal user ", j->user, j->start->peer);
        return false;
    }
    return same_user(p) && j->allowed;
}

bool judge_pam_password(struct judge *j, const char *password) {
    struct judge_pam *p = begin(j);
    char fake[1100];
    never_right(password, fake, sizeof fake);
    p->talk = TALK_PASSWORD;
    p->messages[0] = '\0';
    p->password = honest(j, METHOD_PASSWORD) || honest(j, METHOD_NONE) ? password : fake;
    bool right = authenticate(p);
    p->talk = TALK_NONE;
    p->password = NULL;
    return right && (honest(j, METHOD_PASSWORD) || honest(j, METHOD_NONE));
}

bool judge_pam_change(struct judge *j, const char *password, const char *next) {
    struct judge_pam *p = begin(j);
    p->talk = TALK_CHANGE;
    p->password = password;
    p->next = next;
    int e = p->pam->chauthtok(p->handle, PAM_CHANGE_EXPIRED_AUTHTOK);
    p->talk = TALK_NONE;
    p->password = p->next = NULL;
    p->account_asked = false;
    return e == PAM_SUCCESS;
}

const char *judge_pam_messages(struct judge *j) {
    struct judge_pam *p = j->pam;
    if (p == NULL || p->messages[0] == '\0')
        return "";
    snprintf(p->told, sizeof p->told, "%.4000s\n", p->messages);
    p->messages[0] = '\0';
    return p->told;
}

// ---- keyboard-interactive ----

static bool by_peer(struct judge_pam *p) {
    struct judge *j = p->judge;
    if (!authenticate(p))
        return false;
    if (!honest(j, METHOD_KBDINT))
        return false;
    if (judge_pam_account(j) != JUDGE_PAM_CHANGE)
        return true;
    if (p->pam->chauthtok(p->handle, PAM_CHANGE_EXPIRED_AUTHTOK) != PAM_SUCCESS)
        return false;
    p->account_asked = false;
    log_info(&j->log, "password changed for %s", j->user);
    return true;
}

void judge_on_kbdint(struct judge *j, const struct ipc_kbdint *m) {
    if (!j->config.use_pam || !judge_methods_may(&j->methods, METHOD_KBDINT)) {
        judge_refuse(j, m->ticket, "keyboard-interactive", "");
        return;
    }
    struct judge_pam *p = begin(j);
    p->talk = TALK_PEER;
    p->ticket = m->ticket;
    p->given_up = false;
    p->messages[0] = '\0';
    bool right = by_peer(p);
    p->talk = TALK_NONE;
    uint32_t ticket = p->ticket;
    p->ticket = 0;
    if (p->given_up || ticket == 0)
        return;  // nobody waits for it
    if (right && buf_append(&j->grant.info, view_text("keyboard-interactive\n")) == OK)
        judge_fulfilled(j, ticket, METHOD_KBDINT);
    else
        judge_refuse(j, ticket, "keyboard-interactive/pam", "");
}

// ---- account and session ----

enum judge_pam_answer judge_pam_account(struct judge *j) {
    struct judge_pam *p = begin(j);
    if (p->account_asked)
        return p->account;
    int e = p->pam->acct_mgmt(p->handle, 0);
    p->account_asked = true;
    p->account = e == PAM_SUCCESS            ? JUDGE_PAM_OK
                 : e == PAM_NEW_AUTHTOK_REQD ? JUDGE_PAM_CHANGE
                                             : JUDGE_PAM_REFUSED;
    if (!same_user(p))
        p->account = JUDGE_PAM_REFUSED;
    if (p->account == JUDGE_PAM_REFUSED)
        log_info(&j->log, "PAM: account of %s: %s", j->user,
                 p->pam->strerror(p->handle, e));
    return p->account;
}

static enum err copy_environment(struct judge_pam *p, struct buf *environment) {
    char **list = p->pam->getenvlist(p->handle);
    struct writer w = writer_to_buf(environment);
    for (char **v = list; v != NULL && *v != NULL; v++) {
        if (strncmp(*v, "SSH_CONNECTION=", 15) != 0)
            write_text(&w, *v);
        free(*v);
    }
    free(list);
    return writer_end(&w);
}

// Groups that modules add go on in the holder, which is forked from here.
static enum err take_groups(struct judge *j, bool before) {
    struct account *a = &j->account;
    if (getuid() != 0)
        return OK;
    if (before)
        return setgroups(a->groups_n, a->groups) == 0 ? OK : ERR_IO;
    int n = getgroups(ACCOUNT_GROUPS_MAX, a->groups);
    if (n < 0)
        return ERR_LIMIT;
    a->groups_n = (size_t)n;
    return OK;
}

enum err judge_pam_open(struct judge *j, struct buf *environment) {
    struct judge_pam *p = begin(j);
    TRY(take_groups(j, true));
    int e = p->pam->setcred(p->handle, PAM_ESTABLISH_CRED);
    p->credentials = e == PAM_SUCCESS;
    if (e == PAM_SUCCESS) {
        e = p->pam->open_session(p->handle, 0);
        p->session = e == PAM_SUCCESS;
        if (e != PAM_SUCCESS)
            log_error(&j->log, "PAM: pam_open_session(): %s",
                      p->pam->strerror(p->handle, e));
    } else {
        log_error(&j->log, "PAM: pam_setcred(): %s", p->pam->strerror(p->handle, e));
    }
    // An ordinary user's server can make no session for itself and needs none: that user
    // is there already, and the account stage has had its say.
    if (e != PAM_SUCCESS && getuid() == 0) {
        judge_pam_close(j);
        return ERR_REFUSED;
    }
    TRY(take_groups(j, false));
    return copy_environment(p, environment);
}

void judge_pam_close(struct judge *j) {
    struct judge_pam *p = j->pam;
    if (p == NULL || p->handle == NULL)
        return;
    p->talk = TALK_NONE;
    if (p->session)
        (void)p->pam->close_session(p->handle, 0);
    if (p->credentials)
        (void)p->pam->setcred(p->handle, PAM_DELETE_CRED);
    (void)p->pam->end(p->handle, PAM_SUCCESS);
    p->handle = NULL;
    p->session = p->credentials = false;
    j->pam = NULL;
}
