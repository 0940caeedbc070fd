// Who may log in at all: the rules of sshd_config(5), on facts that are given.
#include "base/address.h"
#include "base/text.h"
#include "server/judge.h"

#include <stdio.h>

// user, or user@host, as AllowUsers and DenyUsers have them.
static bool user_matches(const char *pattern, const struct judge_case *c) {
    char user[512];
    const char *at = strrchr(pattern, '@');
    if (at == NULL)
        return text_match(pattern, c->user);
    if (!text_copy(user, sizeof user, view_of(pattern, (size_t)(at - pattern))))
        return false;
    return text_match(user, c->user) &&
           address_match_list(at + 1, c->host, c->peer) == ADDRESS_MATCH_YES;
}

// Of a list: a pattern matched; one that is negated ("!name") did. In a list of who is
// denied, as in OpenSSH, those have no meaning; in one of who is allowed they refuse.
enum {
    LISTED = 1,
    NEGATED = 2
};

static bool group_matches(const char *pattern, const struct judge_case *c) {
    for (size_t g = 0; g < c->groups.n; g++)
        if (text_match(pattern, c->groups.names[g]))
            return true;
    return false;
}

static unsigned find(const struct conf_list *list, const struct judge_case *c,
                     bool (*matches)(const char *pattern, const struct judge_case *c)) {
    unsigned found = 0;
    for (size_t i = 0; i < list->n; i++) {
        bool not = list->v[i][0] == '!';
        if (matches(list->v[i] + (not ? 1 : 0), c))
            found |= not ? NEGATED : LISTED;
    }
    return found;
}

static enum err refuse(const struct judge_case *c, struct fault *why,
                       const char *reason) {
    char user[128];
    return fault_set(why, ERR_REFUSED, 0, "User %s from %s not allowed because %s",
                     text_clean(user, sizeof user, view_text(c->user)), c->host, reason);
}

// The same in the words that OpenSSH has for accounts which nobody can use.
static enum err refuse_everywhere(const struct judge_case *c, struct fault *why,
                                  const char *reason) {
    char user[128];
    return fault_set(why, ERR_REFUSED, 0, "User %s not allowed because %s",
                     text_clean(user, sizeof user, view_text(c->user)), reason);
}

static enum err account_itself(const struct server_config *config,
                               const struct judge_case *c, struct fault *why) {
    const struct account *a = c->account;
    char reason[FAULT_TEXT_SIZE];
    if (!c->as_root && a->uid != c->own_uid)
        return refuse(c, why, "this server runs for another user");
    if (a->shadow_known && a->locked && !config->use_pam)
        return refuse_everywhere(c, why, "account is locked");
    if (a->shadow_known && a->expired && !config->use_pam)
        return refuse_everywhere(c, why, "the account has expired");
    if (c->shell_fault != NULL) {
        snprintf(reason, sizeof reason, "%.200s", c->shell_fault);
        return refuse_everywhere(c, why, reason);
    }
    return OK;
}

enum err judge_account_allowed(const struct server_config *config,
                               const struct judge_case *c, struct fault *why) {
    char user[128];
    if (c->account == NULL)
        return fault_set(why, ERR_REFUSED, 0, "Invalid user %s from %s",
                         text_clean(user, sizeof user, view_text(c->user)), c->peer);
    TRY(account_itself(config, c, why));
    if (config->refuse_connection)
        return refuse(c, why, "of RefuseConnection");
    if (find(&config->deny_users, c, user_matches) & LISTED)
        return refuse(c, why, "listed in DenyUsers");
    if (config->allow_users.n > 0 &&
        find(&config->allow_users, c, user_matches) != LISTED)
        return refuse(c, why, "not listed in AllowUsers");
    if (find(&config->deny_groups, c, group_matches) & LISTED)
        return refuse(c, why, "a group is listed in DenyGroups");
    if (config->allow_groups.n > 0 &&
        find(&config->allow_groups, c, group_matches) != LISTED)
        return refuse(c, why, "none of user's groups are listed in AllowGroups");
    return OK;
}

enum err judge_root_allowed(const struct server_config *config, uid_t uid,
                            enum judge_method method, bool forced_command,
                            struct fault *why) {
    bool key = method == METHOD_PUBLICKEY || method == METHOD_HOSTBASED;
    if (uid != 0 || config->permit_root_login == PERMIT_ROOT_YES)
        return OK;
    if (config->permit_root_login == PERMIT_ROOT_PROHIBIT_PASSWORD && key)
        return OK;
    if (config->permit_root_login == PERMIT_ROOT_FORCED_COMMANDS_ONLY && key &&
        forced_command)
        return OK;
    return fault_set(why, ERR_REFUSED, 0, "ROOT LOGIN REFUSED");
}
