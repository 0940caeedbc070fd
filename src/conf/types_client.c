// Types of values that ssh_config alone has.
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/address.h"
#include "base/text.h"
#include "conf/canonical.h"
#include "conf/client_config.h"
#include "conf/option.h"

static bool set_flag_word(const char *word, bool *value) {
    *value = strcasecmp(word, "yes") == 0 || strcasecmp(word, "true") == 0;
    return *value || strcasecmp(word, "no") == 0 || strcasecmp(word, "false") == 0;
}

// --- Port

static bool parse_port(struct conf_parse *p) {
    uint64_t number;
    if (!conf_one_word(p))
        return false;
    if (!text_number(p->argv[0], 1, 65535, &number))
        return conf_bad(p, "%s is a number from 1 to 65535, not \"%s\"", p->option->name,
                        p->argv[0]);
    *CONF_FIELD(p, uint16_t) = (uint16_t)number;
    return true;
}

static enum err dump_port(const struct conf_dump *d) {
    return conf_dump_line(d, "%u", *CONF_FIELD_CONST(d, uint16_t));
}

const struct conf_type conf_type_port = {parse_port, dump_port, "NUMBER",
                                         sizeof(uint16_t), 0};

// --- AddKeysToAgent yes | no | ask | confirm [TIME] | TIME

static bool parse_add_keys(struct conf_parse *p) {
    struct client_add_keys *k = CONF_FIELD(p, struct client_add_keys);
    bool yes;
    if (p->argc == 0 || p->argc > 2)
        return conf_bad(p, "%s takes yes, no, ask, confirm or a time", p->option->name);
    k->confirm = strcasecmp(p->argv[0], "confirm") == 0;
    if (p->argc == 2 && !(k->confirm && text_duration(p->argv[1], &k->seconds)))
        return conf_bad(p, "%s: \"%s\" is not a time after confirm", p->option->name,
                        p->argv[1]);
    if (k->confirm)
        k->how = TRISTATE_YES;
    else if (strcasecmp(p->argv[0], "ask") == 0)
        k->how = TRISTATE_ASK;
    else if (set_flag_word(p->argv[0], &yes))
        k->how = yes ? TRISTATE_YES : TRISTATE_NO;
    else if (text_duration(p->argv[0], &k->seconds))
        k->how = TRISTATE_YES;
    else
        return conf_bad(p, "%s: \"%s\" is not yes, no, ask, confirm or a time",
                        p->option->name, p->argv[0]);
    return true;
}

static enum err dump_add_keys(const struct conf_dump *d) {
    const struct client_add_keys *k = CONF_FIELD_CONST(d, struct client_add_keys);
    if (k->confirm && k->seconds > 0)
        return conf_dump_line(d, "confirm %u", k->seconds);
    if (k->seconds > 0)
        return conf_dump_line(d, "%u", k->seconds);
    return conf_dump_line(d, "%s",
                          k->confirm               ? "confirm"
                          : k->how == TRISTATE_ASK ? "ask"
                          : k->how == TRISTATE_YES ? "true"
                                                   : "false");
}

const struct conf_type conf_type_add_keys = {parse_add_keys, dump_add_keys,
                                             "yes | no | ask | confirm [TIME] | TIME",
                                             sizeof(struct client_add_keys), 0};

// --- ObscureKeystrokeTiming yes | no | interval:MILLISECONDS

static bool parse_obscure(struct conf_parse *p) {
    struct client_obscure *o = CONF_FIELD(p, struct client_obscure);
    uint64_t ms;
    if (!conf_one_word(p))
        return false;
    o->interval_ms = 20;
    if (set_flag_word(p->argv[0], &o->enabled))
        return true;
    if (strncasecmp(p->argv[0], "interval:", 9) != 0 ||
        !text_number(p->argv[0] + 9, 1, 1000, &ms))
        return conf_bad(p, "%s is yes, no or interval:20 (at most 1000), not \"%s\"",
                        p->option->name, p->argv[0]);
    o->enabled = true;
    o->interval_ms = (uint32_t)ms;
    return true;
}

static enum err dump_obscure(const struct conf_dump *d) {
    const struct client_obscure *o = CONF_FIELD_CONST(d, struct client_obscure);
    if (o->enabled && o->interval_ms != 20)
        return conf_dump_line(d, "interval:%u", o->interval_ms);
    return conf_dump_line(d, "%s", o->enabled ? "yes" : "no");
}

const struct conf_type conf_type_obscure = {parse_obscure, dump_obscure,
                                            "yes | no | interval:MILLISECONDS",
                                            sizeof(struct client_obscure), 0};

// --- TunnelDevice LOCAL[:REMOTE]

static bool parse_tunnel_number(const char *text, size_t n, int *value) {
    char part[16];
    uint64_t number;
    if (!text_copy(part, sizeof part, view_of(text, n)))
        return false;
    if (strcasecmp(part, "any") == 0) {
        *value = -1;
        return true;
    }
    if (!text_number(part, 0, INT32_MAX - 1, &number))
        return false;
    *value = (int)number;
    return true;
}

static bool parse_tunnel_device(struct conf_parse *p) {
    struct client_tunnel_device *t = CONF_FIELD(p, struct client_tunnel_device);
    if (!conf_one_word(p))
        return false;
    const char *s = p->argv[0];
    size_t n = strcspn(s, ":");
    t->remote = -1;
    if (!parse_tunnel_number(s, n, &t->local) ||
        (s[n] == ':' && !parse_tunnel_number(s + n + 1, strlen(s + n + 1), &t->remote)))
        return conf_bad(p, "%s is like 0:1 or any:any, not \"%s\"", p->option->name, s);
    return true;
}

static const char *tunnel_number(int value, char out[16]) {
    snprintf(out, 16, "%d", value);
    return value < 0 ? "any" : out;
}

static enum err dump_tunnel_device(const struct conf_dump *d) {
    const struct client_tunnel_device *t =
        CONF_FIELD_CONST(d, struct client_tunnel_device);
    char a[16], b[16];
    return conf_dump_line(d, "%s:%s", tunnel_number(t->local, a),
                          tunnel_number(t->remote, b));
}

const struct conf_type conf_type_tunnel_device = {parse_tunnel_device, dump_tunnel_device,
                                                  "LOCAL[:REMOTE]",
                                                  sizeof(struct client_tunnel_device), 0};

// --- EscapeChar CHARACTER | ^LETTER | none

static bool parse_escape(struct conf_parse *p) {
    int *c = CONF_FIELD(p, int);
    if (!conf_one_word(p))
        return false;
    const char *s = p->argv[0];
    if (conf_is_none(s))
        *c = ESCAPE_CHAR_NONE;
    else if (s[0] == '^' && s[1] >= '@' && s[1] <= 0x7e && s[2] == '\0')
        *c = s[1] & 0x1f;
    else if (s[0] != '\0' && s[1] == '\0')
        *c = (unsigned char)s[0];
    else
        return conf_bad(p, "%s is one character, ^letter or none, not \"%s\"",
                        p->option->name, s);
    return true;
}

static enum err dump_escape(const struct conf_dump *d) {
    int c = *CONF_FIELD_CONST(d, int);
    char text[3] = {(char)c, '\0', '\0'};
    const char *word = c == ESCAPE_CHAR_NONE ? "none" : text;
    if (c >= 0 && c < 0x20) {
        text[0] = '^';
        text[1] = (char)(c + '@');
    }
    return conf_dump_words(d, &word, 1);
}

const struct conf_type conf_type_escape = {parse_escape, dump_escape,
                                           "CHARACTER | ^LETTER | none", sizeof(int), 0};

// --- ControlPersist yes | no | TIME

static bool parse_control_persist(struct conf_parse *p) {
    bool *on = CONF_FIELD(p, bool);
    uint32_t *seconds = CONF_ALSO(p, uint32_t);
    if (!conf_one_word(p))
        return false;
    *seconds = 0;
    if (set_flag_word(p->argv[0], on))
        return true;
    *on = true;
    if (!text_duration(p->argv[0], seconds))
        return conf_bad(p, "%s is yes, no or a time, not \"%s\"", p->option->name,
                        p->argv[0]);
    return true;
}

static enum err dump_control_persist(const struct conf_dump *d) {
    uint32_t seconds = *CONF_ALSO_CONST(d, uint32_t);
    if (*CONF_FIELD_CONST(d, bool) && seconds > 0)
        return conf_dump_line(d, "%u", seconds);
    return conf_dump_line(d, "%s", *CONF_FIELD_CONST(d, bool) ? "yes" : "no");
}

const struct conf_type conf_type_control_persist = {
    parse_control_persist, dump_control_persist, "yes | no | TIME", sizeof(bool),
    sizeof(uint32_t)};

// --- LocalForward, RemoteForward, DynamicForward; detail: least and most words

static bool parse_forward(struct conf_parse *p) {
    const struct conf_range *words = p->option->detail;
    struct conf_list *list = CONF_FIELD(p, struct conf_list);
    char text[2048];
    if (p->argc < words->min || p->argc > words->max)
        return conf_bad(p, "%s takes %s", p->option->name,
                        words->max == 1
                            ? "an address to listen on"
                            : "an address to listen on and one to connect to");
    for (size_t i = 0; i < p->argc; i++)
        if (p->argv[i][0] == '\0' || strpbrk(p->argv[i], " \t") != NULL)
            return conf_bad(p, "%s: bad address \"%s\"", p->option->name, p->argv[i]);
    int n = snprintf(text, sizeof text, "%s%s%s", p->argv[0], p->argc > 1 ? " " : "",
                     p->argc > 1 ? p->argv[1] : "");
    if (n >= (int)sizeof text)
        return conf_bad(p, "%s: too long", p->option->name);
    for (size_t i = 0; i < list->n; i++)
        if (strcmp(list->v[i], text) == 0)
            return true;
    char *copy = conf_pool_text(&p->head->pool, view_text(text));
    if (copy == NULL || !conf_list_append(&p->head->pool, list, copy))
        return conf_bad(p, "out of memory");
    return true;
}

// "host:80" is printed as OpenSSH does, the host in brackets; a port alone, a path and
// what has brackets stay.
static int put_end(char *out, size_t size, const char *text, size_t n) {
    const char *port = memrchr(text, ':', n);
    if (port == NULL || *text == '[' || *text == '/')
        return snprintf(out, size, "%.*s", (int)n, text);
    return snprintf(out, size, "[%.*s]%.*s", (int)(port - text), text,
                    (int)(text + n - port), port);
}

static enum err dump_forward(const struct conf_dump *d) {
    const struct conf_list *list = CONF_FIELD_CONST(d, struct conf_list);
    for (size_t i = 0; i < list->n; i++) {
        char listen[2048], connect[2048] = " ";
        const char *word = list->v[i];
        size_t n = strcspn(word, " ");
        (void)put_end(listen, sizeof listen, word, n);
        if (word[n] != '\0')
            (void)put_end(connect + 1, sizeof connect - 1, word + n + 1,
                          strlen(word + n + 1));
        TRY(conf_dump_line(d, "%s%s", listen, connect[1] != '\0' ? connect : ""));
    }
    return OK;
}

const struct conf_type conf_type_forward = {
    parse_forward, dump_forward, "LISTEN [CONNECT]", sizeof(struct conf_list), 0};

// --- SendEnv PATTERN ... | -PATTERN ...

// "-PATTERN" takes what was asked for before out again.
static void remove_matching(struct conf_list *list, const char *pattern) {
    size_t kept = 0;
    for (size_t i = 0; i < list->n; i++)
        if (!text_match(pattern, list->v[i]))
            list->v[kept++] = list->v[i];
    list->n = kept;
}

static bool parse_send_env(struct conf_parse *p) {
    struct conf_list *list = CONF_FIELD(p, struct conf_list);
    if (p->argc == 0)
        return conf_bad(p, "%s needs a value", p->option->name);
    for (size_t i = 0; i < p->argc; i++) {
        const char *word = p->argv[i];
        if (*word == '\0' || strchr(word, '=') != NULL)
            return conf_bad(p, "%s: bad name \"%s\"", p->option->name, word);
        if (*word == '-') {
            remove_matching(list, word + 1);
            continue;
        }
        // A list that has shrunk may have room that the append does not see; it only
        // copies.
        struct conf_list fresh = {0};
        for (size_t k = 0; k < list->n; k++)
            if (strcmp(list->v[k], word) != 0 &&
                !conf_list_append(&p->head->pool, &fresh, list->v[k]))
                return conf_bad(p, "out of memory");
        char *copy = conf_pool_text(&p->head->pool, view_text(word));
        if (copy == NULL || !conf_list_append(&p->head->pool, &fresh, copy))
            return conf_bad(p, "out of memory");
        *list = fresh;
    }
    return true;
}

static enum err dump_send_env(const struct conf_dump *d) {
    return conf_type_lines.dump(d);
}

const struct conf_type conf_type_send_env = {
    parse_send_env, dump_send_env, "[-]PATTERN ...", sizeof(struct conf_list), 0};

// --- lists that are printed as "none" when they are empty

static enum err dump_shown_list(const struct conf_dump *d) {
    const struct conf_list *list = CONF_FIELD_CONST(d, struct conf_list);
    return list->n == 0 ? conf_dump_line(d, "none")
                        : conf_dump_words(d, list->v, list->n);
}

static bool parse_shown_list(struct conf_parse *p) {
    return conf_type_list_none.parse(p);
}

const struct conf_type conf_type_shown_list = {
    parse_shown_list, dump_shown_list, "WORD ... | none", sizeof(struct conf_list), 0};

// --- CanonicalDomains, CanonicalizePermittedCNAMEs

static bool parse_checked(struct conf_parse *p, bool (*is_good)(const char *),
                          const char *form) {
    if (p->argc == 1 && conf_is_none(p->argv[0]))
        return true;
    for (size_t i = 0; i < p->argc; i++)
        if (!is_good(p->argv[i]))
            return conf_bad(p, "%s: \"%s\" is not %s", p->option->name, p->argv[i], form);
    return conf_type_list_none.parse(p);
}

static bool parse_domains(struct conf_parse *p) {
    return parse_checked(p, canonical_domain_is_good, "a domain");
}

static bool parse_cnames(struct conf_parse *p) {
    return parse_checked(p, canonical_cname_is_good, "\"*\" or FROM:TO");
}

const struct conf_type conf_type_domains = {
    parse_domains, dump_shown_list, "DOMAIN ... | none", sizeof(struct conf_list), 0};

static enum err dump_cnames(const struct conf_dump *d) {
    const struct conf_list *list = CONF_FIELD_CONST(d, struct conf_list);
    static const char *const everything[] = {"*:*"};
    if (list->n == 1 && strcmp(list->v[0], "*") == 0)
        return conf_dump_words(d, everything, 1);
    return dump_shown_list(d);
}

const struct conf_type conf_type_cnames = {
    parse_cnames, dump_cnames, "* | FROM:TO ... | none", sizeof(struct conf_list), 0};

// --- ProxyJump [user@]host[:port],... | none

static bool parse_proxy_jump(struct conf_parse *p) {
    if (!conf_one_word(p))
        return false;
    const char **field = CONF_FIELD(p, const char *);
    if (p->argv[0][0] == '\0')
        return conf_bad(p, "%s needs a value", p->option->name);
    if (conf_is_none(p->argv[0])) {
        *field = NULL;
        return true;
    }
    for (const char *s = p->argv[0];;) {
        size_t n = strcspn(s, ",");
        if (n == 0 || *s == '-')
            return conf_bad(p, "%s: bad host in \"%s\"", p->option->name, p->argv[0]);
        if (s[n] == '\0')
            break;
        s += n + 1;
    }
    *field = conf_pool_text(&p->head->pool, view_text(p->argv[0]));
    return *field != NULL || conf_bad(p, "out of memory");
}

static enum err dump_proxy_jump(const struct conf_dump *d) {
    return conf_type_text.dump(d);
}

const struct conf_type conf_type_proxy_jump = {parse_proxy_jump, dump_proxy_jump,
                                               "[USER@]HOST[:PORT],... | none",
                                               sizeof(char *), 0};

// --- Session: what OpenSSH does not know is dumped only where it is set

// What a server calls a session that has no name: its connection's, "PORT-NUMBER", and
// ".N" behind it from the second one on.
static bool session_id_is_good(const char *name) {
    static const char *const between[] = {"-", ".", ""};
    for (size_t i = 0; i < 3; i++) {
        size_t n = strspn(name, "0123456789");
        name += n;
        if (n == 0 || strlen(name) > 32)
            return false;
        if (*name == '\0')
            return i > 0;
        if (*name++ != *between[i])
            return false;
    }
    return false;
}

static bool session_name_is_good(const char *name) {
    size_t n = strlen(name);
    bool letter = (*name | 32) >= 'a' && (*name | 32) <= 'z';
    return letter && n <= 32 &&
           strspn(name,
                  "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
               n;
}

static bool parse_session_name(struct conf_parse *p) {
    const char **field = CONF_FIELD(p, const char *);
    if (!conf_one_word(p))
        return false;
    *field = NULL;
    if (conf_is_none(p->argv[0]))
        return true;
    if (!session_name_is_good(p->argv[0]) && !session_id_is_good(p->argv[0]))
        return conf_bad(
            p,
            "%s: \"%s\" is no name: a letter, then letters, digits, '.', '_' or "
            "'-', at most 32 (or the id of one that has no name)",
            p->option->name, p->argv[0]);
    *field = conf_pool_text(&p->head->pool, view_text(p->argv[0]));
    return *field != NULL || conf_bad(p, "out of memory");
}

static enum err dump_session_name(const struct conf_dump *d) {
    return *CONF_FIELD_CONST(d, const char *) != NULL ? conf_type_text.dump(d) : OK;
}

const struct conf_type conf_type_session_name = {parse_session_name, dump_session_name,
                                                 "NAME | none", sizeof(char *), 0};
