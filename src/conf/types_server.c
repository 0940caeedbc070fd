// Types of values that sshd_config alone has.
#include <stdio.h>
#include <strings.h>

#include "base/address.h"
#include "base/limits.h"
#include "base/text.h"
#include "conf/option.h"
#include "conf/server_config.h"

// --- Port, several times

static bool parse_ports(struct conf_parse *p) {
    struct server_ports *ports = CONF_FIELD(p, struct server_ports);
    uint64_t number;
    if (!conf_one_word(p))
        return false;
    if (!text_number(p->argv[0], 1, 65535, &number))
        return conf_bad(p, "%s is a number from 1 to 65535, not \"%s\"", p->option->name,
                        p->argv[0]);
    uint16_t *v = conf_pool_take(&p->head->pool, (ports->n + 1) * sizeof *v);
    if (v == NULL)
        return conf_bad(p, "out of memory");
    if (ports->n > 0)
        memcpy(v, ports->v, ports->n * sizeof *v);
    v[ports->n] = (uint16_t)number;
    ports->v = v;
    ports->n++;
    return ports->n <= 256 || conf_bad(p, "%s: more than 256", p->option->name);
}

static enum err dump_ports(const struct conf_dump *d) {
    const struct server_ports *ports = CONF_FIELD_CONST(d, struct server_ports);
    for (size_t i = 0; i < ports->n; i++)
        TRY(conf_dump_line(d, "%u", ports->v[i]));
    return OK;
}

const struct conf_type conf_type_ports = {parse_ports, dump_ports, "NUMBER",
                                          sizeof(struct server_ports), 0};

// --- ListenAddress HOST[:PORT] [rdomain DOMAIN]; kept as "HOST[:PORT]" or "HOST[:PORT]
// DOMAIN"

static bool parse_listen(struct conf_parse *p) {
    struct conf_list *list = CONF_FIELD(p, struct conf_list);
    char host[256], text[400];
    uint16_t port = 1;
    if (p->argc != 1 && !(p->argc == 3 && strcasecmp(p->argv[1], "rdomain") == 0))
        return conf_bad(p, "%s takes an address, and perhaps: rdomain NAME",
                        p->option->name);
    if (address_split_port(p->argv[0], host, sizeof host, &port) != OK || port == 0)
        return conf_bad(p, "%s: bad address \"%s\"", p->option->name, p->argv[0]);
    if (strpbrk(p->argv[0], " \t") != NULL)
        return conf_bad(p, "%s: blanks in \"%s\"", p->option->name, p->argv[0]);
    int n = snprintf(text, sizeof text, "%s%s%s", p->argv[0], p->argc == 3 ? " " : "",
                     p->argc == 3 ? p->argv[2] : "");
    if (n >= (int)sizeof text)
        return conf_bad(p, "%s: too long", p->option->name);
    char *copy = conf_pool_text(&p->head->pool, view_text(text));
    if (copy == NULL || !conf_list_append(&p->head->pool, list, copy))
        return conf_bad(p, "out of memory");
    return list->n <= 256 || conf_bad(p, "%s: more than 256", p->option->name);
}

static enum err dump_listen_one(const struct conf_dump *d, const char *host,
                                const struct server_listen *l) {
    bool brackets = strchr(host, ':') != NULL;
    return conf_dump_line(
        d, "%s%s%s:%u%s%s", brackets ? "[" : "", host, brackets ? "]" : "", l->port,
        l->rdomain != NULL ? " rdomain " : "", l->rdomain != NULL ? l->rdomain : "");
}

static enum err dump_listen(const struct conf_dump *d) {
    const struct server_listens *all = CONF_ALSO_CONST(d, struct server_listens);
    const struct server_config *c = d->base;
    for (size_t i = 0; i < all->n; i++) {
        const struct server_listen *l = &all->v[i];
        if (l->host != NULL) {
            TRY(dump_listen_one(d, l->host, l));
            continue;
        }
        if (c->address_family != CONF_ADDRESS_FAMILY_INET)
            TRY(dump_listen_one(d, "::", l));
        if (c->address_family != CONF_ADDRESS_FAMILY_INET6)
            TRY(dump_listen_one(d, "0.0.0.0", l));
    }
    return OK;
}

const struct conf_type conf_type_listen = {
    parse_listen, dump_listen, "HOST[:PORT] [rdomain NAME]", sizeof(struct conf_list), 0};

// --- MaxStartups BEGIN[:RATE:FULL]

// Numbers between colons; how many there were, 0 if malformed.
static size_t split_numbers(const char *text, uint32_t *v, size_t max) {
    size_t n = 0;
    for (;;) {
        char part[16];
        uint64_t number;
        size_t length = strcspn(text, ":");
        if (n == max || !text_copy(part, sizeof part, view_of(text, length)) ||
            !text_number(part, 0, INT32_MAX, &number))
            return 0;
        v[n++] = (uint32_t)number;
        if (text[length] == '\0')
            return n;
        text += length + 1;
    }
}

static bool parse_max_startups(struct conf_parse *p) {
    struct server_max_startups *m = CONF_FIELD(p, struct server_max_startups);
    uint32_t v[3];
    if (!conf_one_word(p))
        return false;
    size_t n = split_numbers(p->argv[0], v, 3);
    if (n == 1 && v[0] > 0)
        *m = (struct server_max_startups){v[0], 30, v[0]};
    else if (n == 3 && v[0] > 0 && v[0] <= v[2] && v[1] >= 1 && v[1] <= 100)
        *m = (struct server_max_startups){v[0], v[1], v[2]};
    else
        return conf_bad(p, "%s is like 10:30:100 (begin, percent, full), not \"%s\"",
                        p->option->name, p->argv[0]);
    return true;
}

static enum err dump_max_startups(const struct conf_dump *d) {
    const struct server_max_startups *m = CONF_FIELD_CONST(d, struct server_max_startups);
    return conf_dump_line(d, "%u:%u:%u", m->begin, m->rate, m->full);
}

const struct conf_type conf_type_max_startups = {parse_max_startups, dump_max_startups,
                                                 "BEGIN[:RATE:FULL]",
                                                 sizeof(struct server_max_startups), 0};

// --- PerSourceNetBlockSize IP4BITS[:IP6BITS]

static bool parse_netblock(struct conf_parse *p) {
    struct server_netblock *b = CONF_FIELD(p, struct server_netblock);
    uint32_t v[2] = {32, 128};
    if (!conf_one_word(p))
        return false;
    if (split_numbers(p->argv[0], v, 2) == 0 || v[0] > 32 || v[1] > 128)
        return conf_bad(p, "%s is like 32:128, not \"%s\"", p->option->name, p->argv[0]);
    *b = (struct server_netblock){v[0], v[1]};
    return true;
}

static enum err dump_netblock(const struct conf_dump *d) {
    const struct server_netblock *b = CONF_FIELD_CONST(d, struct server_netblock);
    return conf_dump_line(d, "%u:%u", b->ip4_bits, b->ip6_bits);
}

const struct conf_type conf_type_netblock = {parse_netblock, dump_netblock, "BITS[:BITS]",
                                             sizeof(struct server_netblock), 0};

// --- PerSourcePenalties

enum penalty_kind {
    PENALTY_TIME,
    PENALTY_COUNT,
    PENALTY_OVERFLOW
};

static const struct {
    const char *name;
    size_t offset;
    enum penalty_kind kind;
} penalty_fields[] = {
    {"crash", offsetof(struct server_penalties, crash_ms), PENALTY_TIME},
    {"authfail", offsetof(struct server_penalties, authfail_ms), PENALTY_TIME},
    {"invaliduser", offsetof(struct server_penalties, invaliduser_ms), PENALTY_TIME},
    {"noauth", offsetof(struct server_penalties, noauth_ms), PENALTY_TIME},
    {"grace-exceeded", offsetof(struct server_penalties, grace_exceeded_ms),
     PENALTY_TIME},
    {"refuseconnection", offsetof(struct server_penalties, refuseconnection_ms),
     PENALTY_TIME},
    {"max", offsetof(struct server_penalties, max_ms), PENALTY_TIME},
    {"min", offsetof(struct server_penalties, min_ms), PENALTY_TIME},
    {"max-sources4", offsetof(struct server_penalties, max_sources4), PENALTY_COUNT},
    {"max-sources6", offsetof(struct server_penalties, max_sources6), PENALTY_COUNT},
    {"overflow", offsetof(struct server_penalties, overflow4_deny_all), PENALTY_OVERFLOW},
    {"overflow6", offsetof(struct server_penalties, overflow6_deny_all),
     PENALTY_OVERFLOW},
};

#define PENALTY_FIELDS (sizeof penalty_fields / sizeof penalty_fields[0])

static const struct server_penalties penalties_default = {
    .enabled = true,
    .crash_ms = 90000,
    .authfail_ms = 5000,
    .invaliduser_ms = 5000,
    .noauth_ms = 1000,
    .grace_exceeded_ms = 10000,
    .refuseconnection_ms = 10000,
    .max_ms = 600000,
    .min_ms = 15000,
    .max_sources4 = 65536,
    .max_sources6 = 65536,
};

// A time, with a fraction of a second where it is plain seconds: "0.5", "1.25s", "2m".
static bool parse_milliseconds(const char *text, uint32_t *ms) {
    char whole[32];
    size_t n = strcspn(text, ".");
    uint32_t seconds, fraction = 0, scale = 100;
    if (!text_copy(whole, sizeof whole, view_of(text, n)) ||
        !text_duration(whole, &seconds))
        return false;
    if (text[n] == '.') {
        const char *s = text + n + 1;
        // "1m.5" makes no sense: digits alone before the point.
        if (strspn(whole, "0123456789") != n || *s < '0' || *s > '9')
            return false;
        for (; *s >= '0' && *s <= '9'; s++, scale /= 10)
            fraction += (uint32_t)(*s - '0') * scale;
        if (*s != '\0' && strcasecmp(s, "s") != 0)
            return false;
    }
    if (seconds > UINT32_MAX / 1000 - 1)
        return false;
    *ms = seconds * 1000 + fraction;
    return true;
}

static bool parse_penalty_value(const char *value, enum penalty_kind kind, void *field) {
    uint64_t number;
    switch (kind) {
    case PENALTY_TIME:
        return parse_milliseconds(value, field);
    case PENALTY_COUNT:
        if (!text_number(value, 1, LIMIT_PENALTY_SOURCES, &number))
            return false;
        *(uint32_t *)field = (uint32_t)number;
        return true;
    case PENALTY_OVERFLOW:
        *(bool *)field = strcasecmp(value, "deny-all") == 0;
        return *(bool *)field || strcasecmp(value, "permissive") == 0;
    }
    return false;
}

static bool parse_penalty(struct server_penalties *out, const char *word) {
    const char *colon = strchr(word, ':');
    if (colon == NULL)
        return false;
    for (size_t i = 0; i < PENALTY_FIELDS; i++) {
        size_t n = strlen(penalty_fields[i].name);
        if ((size_t)(colon - word) == n &&
            strncasecmp(word, penalty_fields[i].name, n) == 0)
            return parse_penalty_value(colon + 1, penalty_fields[i].kind,
                                       (char *)out + penalty_fields[i].offset);
    }
    return false;
}

static bool parse_penalties(struct conf_parse *p) {
    struct server_penalties *out = CONF_FIELD(p, struct server_penalties);
    *out = penalties_default;
    if (p->argc == 0)
        return conf_bad(p, "%s needs a value", p->option->name);
    if (p->argc == 1 && strcasecmp(p->argv[0], "yes") == 0)
        return true;
    if (p->argc == 1 && strcasecmp(p->argv[0], "no") == 0) {
        out->enabled = false;
        return true;
    }
    for (size_t i = 0; i < p->argc; i++)
        if (!parse_penalty(out, p->argv[i]))
            return conf_bad(p, "%s: \"%s\" is not like authfail:5s", p->option->name,
                            p->argv[i]);
    return true;
}

static enum err dump_penalties(const struct conf_dump *d) {
    const struct server_penalties *v = CONF_FIELD_CONST(d, struct server_penalties);
    char text[480];
    size_t n = 0;
    if (!v->enabled)
        return conf_dump_line(d, "no");
    for (size_t i = 0; i < PENALTY_FIELDS; i++) {
        const void *field = (const char *)v + penalty_fields[i].offset;
        const char *name = penalty_fields[i].name, *blank = i > 0 ? " " : "";
        uint32_t number =
            penalty_fields[i].kind != PENALTY_OVERFLOW ? *(const uint32_t *)field : 0;
        size_t left = sizeof text - n;
        if (penalty_fields[i].kind == PENALTY_OVERFLOW)
            n += (size_t)snprintf(text + n, left, "%s%s:%s", blank, name,
                                  *(const bool *)field ? "deny-all" : "permissive");
        else if (penalty_fields[i].kind == PENALTY_COUNT)
            n += (size_t)snprintf(text + n, left, "%s%s:%u", blank, name, number);
        else if (number % 1000 == 0)
            n += (size_t)snprintf(text + n, left, "%s%s:%u", blank, name, number / 1000);
        else
            n += (size_t)snprintf(text + n, left, "%s%s:%u.%03u", blank, name,
                                  number / 1000, number % 1000);
    }
    return conf_dump_line(d, "%s", text);
}

const struct conf_type conf_type_penalties = {parse_penalties, dump_penalties,
                                              "yes | no | EVENT:TIME ...",
                                              sizeof(struct server_penalties), 0};

// --- Subsystem NAME COMMAND

static bool parse_subsystem(struct conf_parse *p) {
    struct server_subsystems *all = CONF_FIELD(p, struct server_subsystems);
    if (p->argc < 2 || p->argv[0][0] == '\0')
        return conf_bad(p, "%s takes a name and a command", p->option->name);
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->v[i].name, p->argv[0]) == 0)
            return conf_bad(p, "%s \"%s\" is there already", p->option->name, p->argv[0]);
    // The command as it stands in the line, behind the name.
    const char *command = p->rest + strcspn(p->rest, " \t");
    command += strspn(command, " \t");
    struct server_subsystem *v = conf_pool_take(&p->head->pool, (all->n + 1) * sizeof *v);
    if (v == NULL || all->n >= 256)
        return conf_bad(p, "%s: too many", p->option->name);
    if (all->n > 0)
        memcpy(v, all->v, all->n * sizeof *v);
    v[all->n].name = conf_pool_text(&p->head->pool, view_text(p->argv[0]));
    v[all->n].command = conf_pool_text(&p->head->pool, view_text(command));
    if (v[all->n].name == NULL || v[all->n].command == NULL)
        return conf_bad(p, "out of memory");
    all->v = v;
    all->n++;
    return true;
}

static enum err dump_subsystem(const struct conf_dump *d) {
    const struct server_subsystems *all = CONF_FIELD_CONST(d, struct server_subsystems);
    for (size_t i = 0; i < all->n; i++)
        TRY(conf_dump_line(d, "%s %s", all->v[i].name, all->v[i].command));
    return OK;
}

const struct conf_type conf_type_subsystem = {
    parse_subsystem, dump_subsystem, "NAME COMMAND", sizeof(struct server_subsystems), 0};

// --- PubkeyAuthOptions

static const struct conf_word pubkey_words[] = {
    {"none", 0},
    {"touch-required", PUBKEY_TOUCH_REQUIRED},
    {"verify-required", PUBKEY_VERIFY_REQUIRED},
    {NULL, 0}};

static bool parse_pubkey_options(struct conf_parse *p) {
    int *bits = CONF_FIELD(p, int);
    *bits = 0;
    if (p->argc == 0)
        return conf_bad(p, "%s needs a value", p->option->name);
    for (size_t i = 0; i < p->argc; i++) {
        const struct conf_word *w = pubkey_words;
        while (w->word != NULL && strcasecmp(w->word, p->argv[i]) != 0)
            w++;
        if (w->word == NULL || (w->value == 0 && p->argc > 1))
            return conf_bad(p, "%s: unknown option \"%s\"", p->option->name, p->argv[i]);
        *bits |= w->value;
    }
    return true;
}

static enum err dump_pubkey_options(const struct conf_dump *d) {
    int bits = *CONF_FIELD_CONST(d, int);
    return conf_dump_line(d, "%s%s%s", bits == 0 ? "none" : "",
                          bits & PUBKEY_TOUCH_REQUIRED ? "touch-required" : "",
                          bits == PUBKEY_VERIFY_REQUIRED  ? "verify-required"
                          : bits & PUBKEY_VERIFY_REQUIRED ? " verify-required"
                                                          : "");
}

const struct conf_type conf_type_pubkey_options = {
    parse_pubkey_options, dump_pubkey_options, "none | touch-required | verify-required",
    sizeof(int), 0};

// --- AuthenticationMethods METHOD[,METHOD ...] ... | any

static bool method_is_known(struct view name) {
    static const char *const methods[] = {
        "publickey", "password",        "keyboard-interactive",
        "hostbased", "gssapi-with-mic", "none"};
    const uint8_t *colon = memchr(name.p, ':', name.n);
    struct view base = colon != NULL ? view_of(name.p, (size_t)(colon - name.p)) : name;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (view_is(base, methods[i]))
            return colon == NULL || i == 2;
    return false;
}

static bool parse_auth_methods(struct conf_parse *p) {
    bool any = p->argc == 1 && strcmp(p->argv[0], "any") == 0;
    for (size_t i = 0; i < p->argc && !any; i++) {
        for (const char *s = p->argv[i];;) {
            size_t n = strcspn(s, ",");
            if (!method_is_known(view_of(s, n)))
                return conf_bad(p, "%s: unknown method in \"%s\"", p->option->name,
                                p->argv[i]);
            if (s[n] == '\0')
                break;
            s += n + 1;
        }
    }
    return conf_type_one_line.parse(p);
}

static enum err dump_auth_methods(const struct conf_dump *d) {
    return conf_type_one_line.dump(d);
}

const struct conf_type conf_type_auth_methods = {parse_auth_methods, dump_auth_methods,
                                                 "METHOD,... ... | any",
                                                 sizeof(struct conf_list), 0};

// --- a list of networks

static bool parse_cidr_list(struct conf_parse *p) {
    if (!conf_type_text_none.parse(p))
        return false;
    const char *list = *CONF_FIELD(p, const char *);
    if (list != NULL && address_match_cidr_list(list, NULL) == ADDRESS_MATCH_ERROR)
        return conf_bad(p, "%s: \"%s\" is no list of networks", p->option->name, list);
    return true;
}

static enum err dump_cidr_list(const struct conf_dump *d) {
    return conf_type_text_none.dump(d);
}

const struct conf_type conf_type_cidr_list = {parse_cidr_list, dump_cidr_list,
                                              "NETWORK,... | none", sizeof(char *), 0};

// --- users: patterns, perhaps with @hosts

static bool parse_users(struct conf_parse *p) {
    for (size_t i = 0; i < p->argc; i++) {
        const char *at = strrchr(p->argv[i], '@');
        if (at != NULL && address_match_list(at + 1, NULL, NULL) == ADDRESS_MATCH_ERROR)
            return conf_bad(p, "%s: bad hosts in \"%s\"", p->option->name, p->argv[i]);
    }
    return conf_type_lines.parse(p);
}

static enum err dump_users(const struct conf_dump *d) {
    return conf_type_lines.dump(d);
}

const struct conf_type conf_type_users = {parse_users, dump_users, "USER[@HOSTS] ...",
                                          sizeof(struct conf_list), 0};

// --- ResumeGrace TERMINAL [OTHERS]

static bool parse_resume_grace(struct conf_parse *p) {
    struct server_resume_grace *g = CONF_FIELD(p, struct server_resume_grace);
    uint32_t v[2];
    if (p->argc == 0 || p->argc > 2)
        return conf_bad(p, "%s takes one time or two, such as: 24h 1h", p->option->name);
    for (size_t i = 0; i < p->argc; i++)
        if (!text_duration(p->argv[i], &v[i]))
            return conf_bad(p, "%s: \"%s\" is no time such as 24h; 0 is off",
                            p->option->name, p->argv[i]);
    g->terminal = v[0];
    g->others = p->argc == 2 ? v[1] : v[0];
    return true;
}

static enum err dump_resume_grace(const struct conf_dump *d) {
    const struct server_resume_grace *g = CONF_FIELD_CONST(d, struct server_resume_grace);
    return conf_dump_line(d, "%u %u", g->terminal, g->others);
}

const struct conf_type conf_type_resume_grace = {parse_resume_grace, dump_resume_grace,
                                                 "TERMINAL [OTHERS]",
                                                 sizeof(struct server_resume_grace), 0};
