#include "server/judge_methods.h"

#include <stdio.h>

static const struct {
    const char *name, *submethod;
} rows[METHOD_COUNT] = {
    [METHOD_NONE] = {"none", NULL},
    [METHOD_PUBLICKEY] = {"publickey", NULL},
    [METHOD_PASSWORD] = {"password", NULL},
    [METHOD_KBDINT] = {"keyboard-interactive", "pam"},
    [METHOD_HOSTBASED] = {"hostbased", NULL},
};

const char *judge_method_name(enum judge_method method) {
    return rows[method].name;
}

bool judge_method_has_key(enum judge_method method) {
    return method == METHOD_PUBLICKEY || method == METHOD_HOSTBASED;
}

bool judge_method_asks(enum judge_method method) {
    return !judge_method_has_key(method);
}

// Is `method` what a list begins with?
static bool begins_with(const char *list, enum judge_method method) {
    size_t n = strcspn(list, ","), name = strlen(rows[method].name);
    if (n < name || memcmp(list, rows[method].name, name) != 0)
        return false;
    if (n == name)
        return true;
    const char *sub = rows[method].submethod;
    return sub != NULL && list[name] == ':' && n == name + 1 + strlen(sub) &&
           memcmp(list + name + 1, sub, strlen(sub)) == 0;
}

static bool is_enabled(const struct judge_methods *m, const char *list) {
    for (int i = 0; i < METHOD_COUNT; i++)
        if (m->enabled[i] && begins_with(list, (enum judge_method)i))
            return true;
    return false;
}

static const char *behind_first(const char *list) {
    list += strcspn(list, ",");
    return list[0] == ',' ? list + 1 : list;
}

static bool all_enabled(const struct judge_methods *m, const char *list) {
    for (; list[0] != '\0'; list = behind_first(list))
        if (!is_enabled(m, list))
            return false;
    return true;
}

bool judge_methods_start(struct judge_methods *m, const struct server_config *config) {
    const struct conf_list *lists = &config->authentication_methods;
    bool password = config->password_authentication;
    *m = (struct judge_methods){
        .enabled = {[METHOD_NONE] = password && config->permit_empty_passwords,
                    [METHOD_PUBLICKEY] = config->pubkey_authentication,
                    [METHOD_PASSWORD] = password,
                    [METHOD_KBDINT] =
                        config->kbd_interactive_authentication && config->use_pam,
                    [METHOD_HOSTBASED] = config->hostbased_authentication}};
    if (lists->n == 0 || strcmp(lists->v[0], "any") == 0) {
        m->any = true;
        return true;
    }
    for (size_t i = 0; i < lists->n && m->lists_n < JUDGE_LISTS_MAX; i++)
        if (all_enabled(m, lists->v[i]))
            m->lists[m->lists_n++] = lists->v[i];
    return m->lists_n > 0;
}

bool judge_methods_may(const struct judge_methods *m, enum judge_method method) {
    if (!m->enabled[method])
        return false;
    for (size_t i = 0; i < m->lists_n; i++)
        if (begins_with(m->lists[i], method))
            return true;
    return m->any;
}

const char *judge_methods_text(const struct judge_methods *m, char *out, size_t size) {
    size_t n = 0;
    out[0] = '\0';
    for (int i = METHOD_PUBLICKEY; i < METHOD_COUNT && n < size; i++)
        if (judge_methods_may(m, (enum judge_method)i))
            n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? "," : "",
                                  rows[i].name);
    return out;
}

bool judge_methods_done(struct judge_methods *m, enum judge_method method) {
    bool whole = m->any;
    for (size_t i = 0; i < m->lists_n; i++) {
        if (!begins_with(m->lists[i], method))
            continue;
        m->lists[i] = behind_first(m->lists[i]);
        whole = whole || m->lists[i][0] == '\0';
    }
    return whole;
}
