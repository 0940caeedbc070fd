// What a program of the user's is started with: environment and arguments. Pure
// functions.
#include <stdio.h>

#include "base/text.h"
#include "server/control.h"
#include "server/holder.h"
#include "wire/reader.h"

#define PATH_USER "/usr/local/bin:/usr/bin:/bin:/usr/games"
#define PATH_ROOT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static enum err set_pair(struct env *e, struct view pair) {
    const uint8_t *equals = memchr(pair.p, '=', pair.n);
    if (equals == NULL)
        return OK;
    size_t n = (size_t)(equals - pair.p);
    return env_set_view(e, view_of(pair.p, n), view_of(equals + 1, pair.n - n - 1));
}

// One of the user's own, if PermitUserEnvironment has its name.
static enum err set_user_pair(struct env *e, struct view pair, const char *names) {
    char name[256];
    const uint8_t *equals = memchr(pair.p, '=', pair.n);
    if (names != NULL &&
        (equals == NULL ||
         !text_copy(name, sizeof name, view_of(pair.p, (size_t)(equals - pair.p))) ||
         text_match_list(names, name, false) != 1))
        return OK;
    return set_pair(e, pair);
}

static enum err set_user_lines(struct env *e, const struct program_facts *f) {
    scoped_env lines;
    env_init(&lines);
    if (f->user_text == NULL)
        return OK;
    TRY(env_read_lines(&lines, f->user_text));
    for (size_t i = 0; i < lines.n; i++)
        TRY(set_user_pair(e, view_text(lines.list[i]), f->user_names));
    return OK;
}

static enum err copy_accepted(struct env *e, const struct env *accepted) {
    for (size_t i = 0; accepted != NULL && i < accepted->n; i++)
        TRY(set_pair(e, view_text(accepted->list[i])));
    return OK;
}

static enum err set_account(struct env *e, const struct program_facts *f) {
    char mail[LIMIT_USER_NAME + 16];
    snprintf(mail, sizeof mail, "/var/mail/%s", f->user);
    TRY(env_set(e, "USER", f->user));
    TRY(env_set(e, "LOGNAME", f->user));
    TRY(env_set(e, "HOME", f->home));
    TRY(env_set(e, "SHELL", f->shell));
    if (f->mail)
        TRY(env_set(e, "MAIL", mail));
    if (env_get(e, "PATH") == NULL)
        TRY(env_set(e, "PATH", f->uid == 0 ? PATH_ROOT : PATH_USER));
    if (f->timezone != NULL)
        TRY(env_set(e, "TZ", f->timezone));
    return OK;
}

static enum err set_connection(struct env *e, const struct program_facts *f) {
    char text[256];
    snprintf(text, sizeof text, "%s %u %u", f->peer, f->peer_port, f->local_port);
    TRY(env_set(e, "SSH_CLIENT", text));
    snprintf(text, sizeof text, "%s %u %s %u", f->peer, f->peer_port, f->local,
             f->local_port);
    TRY(env_set(e, "SSH_CONNECTION", text));
    if (f->tty != NULL)
        TRY(env_set(e, "SSH_TTY", f->tty));
    if (f->term != NULL && f->term[0] != '\0')
        TRY(env_set(e, "TERM", f->term));
    if (f->display != NULL)
        TRY(env_set(e, "DISPLAY", f->display));
    if (f->agent_socket != NULL)
        TRY(env_set(e, "SSH_AUTH_SOCK", f->agent_socket));
    if (f->auth_info != NULL)
        TRY(env_set(e, "SSH_USER_AUTH", f->auth_info));
    if (f->control != NULL)
        TRY(env_set(e, CONTROL_FOLDER_VARIABLE, f->control));
    if (f->tunnels != NULL)
        TRY(env_set(e, "SSH_TUNNEL", f->tunnels));
    if (f->original_command != NULL)
        TRY(env_set(e, "SSH_ORIGINAL_COMMAND", f->original_command));
    return OK;
}

// The later ones win: system, peer, account, user's own, the connection's facts, the
// administrator.
enum err program_environment(struct env *e, const struct program_facts *f) {
    if (f->system_text != NULL)
        TRY(env_read_lines(e, f->system_text));
    struct reader pam = reader_of(f->pam_environment);
    while (reader_left(&pam) > 0)
        TRY(set_pair(e, read_string(&pam)));
    TRY(copy_accepted(e, f->accepted));
    TRY(set_account(e, f));
    struct reader r = reader_of(f->key_environment);
    while (reader_left(&r) > 0)
        TRY(set_user_pair(e, read_string(&r), f->user_names));
    TRY(set_user_lines(e, f));
    TRY(set_connection(e, f));
    for (size_t i = 0; f->set_env != NULL && i < f->set_env->n; i++)
        TRY(set_pair(e, view_text(f->set_env->v[i])));
    return OK;
}

bool program_env_accepted(const struct conf_list *accept, const char *name) {
    for (size_t i = 0; i < accept->n; i++)
        if (text_match(accept->v[i], name))
            return true;
    return false;
}

void program_argv(struct program_argv *a, const char *shell, const char *command) {
    const char *slash = strrchr(shell, '/');
    const char *base = slash != NULL ? slash + 1 : shell;
    snprintf(a->name, sizeof a->name, "%s%s", command == NULL ? "-" : "", base);
    a->v[0] = a->name;
    a->v[1] = command != NULL ? "-c" : NULL;
    a->v[2] = (char *)command;
    a->v[3] = NULL;
}
