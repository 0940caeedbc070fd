// Options are taken in their order: "restrict,pty" permits a terminal, "pty,restrict"
// none.
#include "key/authkey_options.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/text.h"

enum err authkey_refuse(const struct authkey_place *place, enum err code,
                        const char *format, ...) {
    char text[FAULT_TEXT_SIZE];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return fault_set(place->fault, code, 0, "%s:%lu: %s", place->file, place->number,
                     text);
}

struct option;

// One use of an option; value NULL: none was given.
struct use {
    struct authkey_line *line;
    const struct option *option;
    char *value;
    bool negated;  // "no-" stood in front
    const struct authkey_place *place;
};

struct option {
    const char *name;
    enum err (*take)(const struct use *use);
    size_t field;  // in struct authkey_line
    bool negatable;
    bool valued;
};

static void *field_of(const struct use *u) {
    return (char *)u->line + u->option->field;
}

static enum err bad_value(const struct use *u) {
    char clean[80];
    return authkey_refuse(u->place, ERR_CONFIG, "bad value \"%s\" of option %s",
                          text_clean(clean, sizeof clean, view_text(u->value)),
                          u->option->name);
}

static enum err take_flag(const struct use *u) {
    *(bool *)field_of(u) = !u->negated;
    return OK;
}

// Touch is required where nothing is said: the field holds the opposite.
static enum err take_touch(const struct use *u) {
    *(bool *)field_of(u) = u->negated;
    return OK;
}

static enum err take_restrict(const struct use *u) {
    u->line->restricted = true;
    u->line->permit = (struct authkey_permits){0};
    return OK;
}

static enum err take_text(const struct use *u) {
    const char **field = field_of(u);
    if (*field != NULL)
        return authkey_refuse(u->place, ERR_CONFIG, "option %s is given twice",
                              u->option->name);
    *field = u->value;
    return OK;
}

// Room for one more in an array of the line's.
static enum err grow(void **array, size_t count, size_t size, const struct use *u) {
    if (count >= AUTHKEY_LIST_MAX)
        return authkey_refuse(u->place, ERR_CONFIG, "option %s is given too often",
                              u->option->name);
    void *p = reallocarray(*array, count + 1, size);
    if (p == NULL)
        return ERR_MEMORY;
    *array = p;
    return OK;
}

static bool is_name(const char *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '_'))
            return false;
    }
    return n > 0;
}

static enum err take_environment(const struct use *u) {
    const char *equals = strchr(u->value, '=');
    if (equals == NULL || !is_name(u->value, (size_t)(equals - u->value)))
        return bad_value(u);
    void *list = u->line->environment;
    TRY(grow(&list, u->line->environment_count, sizeof(char *), u));
    u->line->environment = list;
    u->line->environment[u->line->environment_count++] = u->value;
    return OK;
}

static bool take_port(const char *text, uint16_t *port) {
    uint64_t n;
    if (strcmp(text, "*") == 0) {
        *port = AUTHKEY_PORT_ANY;
        return true;
    }
    if (!text_number(text, 1, 65535, &n))
        return false;
    *port = (uint16_t)n;
    return true;
}

// "host:port" or "[host]:port", cut in place; `bare`: a port alone stands for any host.
static bool take_address(char *value, bool bare, struct authkey_address *a) {
    char *colon = strrchr(value, ':');
    if (colon == NULL) {
        a->host = "*";
        return bare && take_port(value, &a->port);
    }
    *colon = '\0';
    size_t n = strlen(value);
    if (n >= 2 && value[0] == '[' && value[n - 1] == ']') {
        value[n - 1] = '\0';
        value++;
    } else if (strchr(value, ':') != NULL) {
        return false;  // an IPv6 address needs its brackets
    }
    a->host = value;
    return value[0] != '\0' && strpbrk(value, "[]/ \t") == NULL &&
           take_port(colon + 1, &a->port);
}

static enum err add_address(const struct use *u, struct authkey_address **list,
                            size_t *count, bool bare) {
    char whole[128];
    struct authkey_address a;
    text_clean(whole, sizeof whole, view_text(u->value));
    if (!take_address(u->value, bare, &a))
        return authkey_refuse(u->place, ERR_CONFIG, "bad value \"%s\" of option %s",
                              whole, u->option->name);
    void *array = *list;
    TRY(grow(&array, *count, sizeof a, u));
    *list = array;
    (*list)[(*count)++] = a;
    return OK;
}

static enum err take_permitopen(const struct use *u) {
    return add_address(u, &u->line->open, &u->line->open_count, false);
}

static enum err take_permitlisten(const struct use *u) {
    return add_address(u, &u->line->listen, &u->line->listen_count, true);
}

static int digits(const char *s, size_t n) {
    int v = 0;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (s[i] - '0');
    return v;
}

static bool is_date(const struct date *t) {
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = t->year % 4 == 0 && (t->year % 100 != 0 || t->year % 400 == 0);
    return t->year >= 1970 && t->month >= 1 && t->month <= 12 && t->day >= 1 &&
           t->day <= days[t->month - 1] && !(t->month == 2 && t->day == 29 && !leap) &&
           t->hour < 24 && t->minute < 60 && t->second < 60;
}

bool authkey_time_parse(const char *s, struct date *t) {
    size_t n = strspn(s, "0123456789");
    bool utc = strcasecmp(s + n, "Z") == 0 || strcasecmp(s + n, "UTC") == 0;
    if ((n != 8 && n != 12 && n != 14) || (!utc && s[n] != '\0'))
        return false;
    *t = (struct date){
        .year = digits(s, 4),
        .month = digits(s + 4, 2),
        .day = digits(s + 6, 2),
        .hour = n > 8 ? digits(s + 8, 2) : 0,
        .minute = n > 8 ? digits(s + 10, 2) : 0,
        .second = n > 12 ? digits(s + 12, 2) : 0,
        .utc = utc,
    };
    return is_date(t);
}

static enum err take_expiry(const struct use *u) {
    struct date t;
    if (!authkey_time_parse(u->value, &t))
        return bad_value(u);
    void *list = u->line->expires;
    TRY(grow(&list, u->line->expires_count, sizeof t, u));
    u->line->expires = list;
    u->line->expires[u->line->expires_count++] = t;
    return OK;
}

static enum err take_tunnel(const struct use *u) {
    uint64_t n;
    if (strcasecmp(u->value, "any") == 0)
        u->line->tunnel = AUTHKEY_TUNNEL_ANY;
    else if (text_number(u->value, 0, AUTHKEY_TUNNEL_ANY - 2, &n))
        u->line->tunnel = (int)n;
    else
        return bad_value(u);
    return OK;
}

#define FIELD(name) offsetof(struct authkey_line, name)
static const struct option options[] = {
    // name, taken by, field, negatable, valued
    {"restrict", take_restrict, 0, false, false},
    {"cert-authority", take_flag, FIELD(cert_authority), false, false},
    {"port-forwarding", take_flag, FIELD(permit.port_forwarding), true, false},
    {"agent-forwarding", take_flag, FIELD(permit.agent_forwarding), true, false},
    {"X11-forwarding", take_flag, FIELD(permit.x11_forwarding), true, false},
    {"pty", take_flag, FIELD(permit.pty), true, false},
    {"user-rc", take_flag, FIELD(permit.user_rc), true, false},
    {"touch-required", take_touch, FIELD(no_touch_required), true, false},
    {"verify-required", take_flag, FIELD(verify_required), true, false},
    {"command", take_text, FIELD(command), false, true},
    {"principals", take_text, FIELD(principals), false, true},
    {"from", take_text, FIELD(from), false, true},
    {"environment", take_environment, 0, false, true},
    {"permitopen", take_permitopen, 0, false, true},
    {"permitlisten", take_permitlisten, 0, false, true},
    {"expiry-time", take_expiry, 0, false, true},
    {"tunnel", take_tunnel, 0, false, true},
};
#define OPTIONS (sizeof options / sizeof options[0])

static const char *option_name_at(size_t index, const void *arg) {
    (void)arg;
    return index < OPTIONS ? options[index].name : NULL;
}

static const struct option *option_find(const char *name, size_t n) {
    for (size_t i = 0; i < OPTIONS; i++) {
        if (strlen(options[i].name) == n && strncasecmp(options[i].name, name, n) == 0)
            return &options[i];
    }
    return NULL;
}

static enum err unknown_option(const char *name, size_t n,
                               const struct authkey_place *place) {
    char word[64], clean[64];
    (void)text_copy(word, sizeof word, view_of(name, n));
    const char *like = text_suggest(word, option_name_at, NULL);
    text_clean(clean, sizeof clean, view_text(word));
    return authkey_refuse(place, ERR_CONFIG, "unknown option \"%s\"%s%s%s", clean,
                          like != NULL ? " (did you mean " : "", like != NULL ? like : "",
                          like != NULL ? "?)" : "");
}

// The quoted text at *at, in place: \" is a quote; leaves *at behind the closing quote.
static char *take_quoted(char **at) {
    char *p = *at;
    if (*p != '"')
        return NULL;
    char *start = ++p, *to = start;
    while (*p != '"') {
        if (*p == '\0')
            return NULL;
        if (p[0] == '\\' && p[1] == '"')
            p++;
        *to++ = *p++;
    }
    *to = '\0';
    *at = p + 1;
    return start;
}

static enum err take_value(struct use *u, char **at) {
    if (!u->option->valued)
        return **at != '=' ? OK
                           : authkey_refuse(u->place, ERR_CONFIG,
                                            "option %s takes no value", u->option->name);
    if (**at != '=')
        return authkey_refuse(u->place, ERR_CONFIG, "option %s needs a value",
                              u->option->name);
    (*at)++;
    if (**at != '"')
        return authkey_refuse(u->place, ERR_CONFIG,
                              "the value of option %s is not quoted", u->option->name);
    u->value = take_quoted(at);
    return u->value != NULL
               ? OK
               : authkey_refuse(u->place, ERR_CONFIG,
                                "the quote of option %s is not closed", u->option->name);
}

static enum err take_one(struct authkey_line *line, char **at,
                         const struct authkey_place *place) {
    size_t n = strcspn(*at, "=, \t");
    const char *name = *at;
    struct use u = {.line = line, .place = place, .option = option_find(name, n)};
    if (u.option == NULL && n > 3 && strncasecmp(name, "no-", 3) == 0) {
        u.option = option_find(name + 3, n - 3);
        u.negated = true;
    }
    if (u.option == NULL || (u.negated && !u.option->negatable))
        return unknown_option(name, n, place);
    *at += n;
    TRY(take_value(&u, at));
    return u.option->take(&u);
}

enum err authkey_options_parse(struct authkey_line *line, char **at,
                               const struct authkey_place *place) {
    for (;;) {
        TRY(take_one(line, at, place));
        if (**at == ' ' || **at == '\t')
            return OK;
        if (**at != ',')
            return authkey_refuse(place, ERR_CONFIG, "%s",
                                  **at == '\0'
                                      ? "options without a key"
                                      : "a comma or blank is missing behind an option");
        (*at)++;
    }
}
