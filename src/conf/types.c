// The plain types of values: yes/no, words, numbers, times, texts, lists, algorithm
// lists.
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/text.h"
#include "conf/option.h"

bool conf_bad(struct conf_parse *p, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    vsnprintf(p->why, sizeof p->why, format, ap);
    va_end(ap);
    return false;
}

bool conf_one_word(struct conf_parse *p) {
    if (p->argc == 0)
        return conf_bad(p, "%s needs a value", p->option->name);
    if (p->argc > 1)
        return conf_bad(p, "%s takes one value; left over: \"%s\"", p->option->name,
                        p->argv[1]);
    return true;
}

bool conf_is_none(const char *word) {
    return strcasecmp(word, "none") == 0;
}

enum err conf_append_text(struct buf *out, const char *text) {
    return buf_append(out, view_text(text));
}

enum err conf_append_word(struct buf *out, const char *word) {
    // An '=' is a separator at the front of a value only.
    bool plain =
        *word != '\0' && strchr("#=", *word) == NULL && strpbrk(word, " \t\"'\\") == NULL;
    if (plain)
        return conf_append_text(out, word);
    TRY(conf_append_text(out, "\""));
    for (; *word != '\0'; word++) {
        if (*word == '"' || *word == '\\')
            TRY(conf_append_text(out, "\\"));
        TRY(buf_append(out, view_of(word, 1)));
    }
    return conf_append_text(out, "\"");
}

static enum err begin_line(const struct conf_dump *d) {
    char name[64];
    size_t n = 0;
    for (const char *s = d->option->name; *s != '\0' && n < sizeof name - 1; s++)
        name[n++] = (char)tolower((unsigned char)*s);
    name[n] = '\0';
    return conf_append_text(d->out, name);
}

static enum err end_line(const struct conf_dump *d) {
    return conf_append_text(d->out, "\n");
}

enum err conf_dump_line(const struct conf_dump *d, const char *format, ...) {
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    TRY(begin_line(d));
    TRY(conf_append_text(d->out, " "));
    TRY(conf_append_text(d->out, text));
    return end_line(d);
}

enum err conf_dump_words(const struct conf_dump *d, const char *const *v, size_t n) {
    TRY(begin_line(d));
    for (size_t i = 0; i < n; i++) {
        TRY(conf_append_text(d->out, " "));
        TRY(conf_append_word(d->out, v[i]));
    }
    return end_line(d);
}

// --- yes or no

static const struct conf_word yes_no[] = {
    {"yes", 1}, {"no", 0}, {"true", 1}, {"false", 0}, {NULL, 0}};

static bool find_word(const struct conf_word *words, const char *word, int *value) {
    for (; words->word != NULL; words++) {
        if (strcasecmp(words->word, word) == 0) {
            *value = words->value;
            return true;
        }
    }
    return false;
}

static bool parse_flag(struct conf_parse *p) {
    int v = 0;
    if (!conf_one_word(p))
        return false;
    if (!find_word(yes_no, p->argv[0], &v))
        return conf_bad(p, "%s is yes or no, not \"%s\"", p->option->name, p->argv[0]);
    *CONF_FIELD(p, bool) = v != 0;
    return true;
}

static enum err dump_flag(const struct conf_dump *d) {
    return conf_dump_line(d, "%s", *CONF_FIELD_CONST(d, bool) ? "yes" : "no");
}

const struct conf_type conf_type_flag = {parse_flag, dump_flag, "yes | no", sizeof(bool),
                                         0};

// --- one of some words

static bool parse_word(struct conf_parse *p) {
    const struct conf_word *words = p->option->detail;
    char list[200] = "";
    size_t n = 0;
    if (!conf_one_word(p))
        return false;
    if (find_word(words, p->argv[0], CONF_FIELD(p, int)))
        return true;
    for (; words->word != NULL && n < sizeof list; words++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n > 0 ? ", " : "",
                              words->word);
    return conf_bad(p, "%s \"%s\" is none of: %s", p->option->name, p->argv[0], list);
}

static enum err dump_word(const struct conf_dump *d) {
    const struct conf_word *words = d->option->detail;
    int value = *CONF_FIELD_CONST(d, int);
    while (words->word != NULL && words->value != value)
        words++;
    return conf_dump_line(d, "%s", words->word != NULL ? words->word : "none");
}

const struct conf_type conf_type_word = {parse_word, dump_word, NULL, sizeof(int), 0};

// --- numbers and times

static const struct conf_range any_number = {0, INT32_MAX, NULL, 0};

static const struct conf_range *range_of(const struct conf_option *o) {
    return o->detail != NULL ? o->detail : &any_number;
}

static bool parse_number(struct conf_parse *p) {
    const struct conf_range *r = range_of(p->option);
    uint64_t v = 0;
    if (!conf_one_word(p))
        return false;
    if (r->none != NULL && strcasecmp(r->none, p->argv[0]) == 0)
        v = r->none_value;
    else if (!text_number(p->argv[0], r->min, r->max, &v))
        return conf_bad(p, "%s is a number from %u to %u%s%s, not \"%s\"",
                        p->option->name, r->min, r->max, r->none != NULL ? " or " : "",
                        r->none != NULL ? r->none : "", p->argv[0]);
    *CONF_FIELD(p, uint32_t) = (uint32_t)v;
    return true;
}

static enum err dump_number(const struct conf_dump *d) {
    const struct conf_range *r = range_of(d->option);
    uint32_t v = *CONF_FIELD_CONST(d, uint32_t);
    if (r->none != NULL && v == r->none_value)
        return conf_dump_line(d, "%s", r->none);
    return conf_dump_line(d, "%u", v);
}

const struct conf_type conf_type_number = {parse_number, dump_number, "NUMBER",
                                           sizeof(uint32_t), 0};

static bool parse_seconds(struct conf_parse *p) {
    if (!conf_one_word(p))
        return false;
    if (!text_duration(p->argv[0], CONF_FIELD(p, uint32_t)))
        return conf_bad(p, "%s is a time such as 30, 90s or 1h30m, not \"%s\"",
                        p->option->name, p->argv[0]);
    return true;
}

const struct conf_type conf_type_seconds = {parse_seconds, dump_number, "TIME",
                                            sizeof(uint32_t), 0};

static bool parse_seconds_none(struct conf_parse *p) {
    if (p->argc == 1 && conf_is_none(p->argv[0])) {
        *CONF_FIELD(p, uint32_t) = 0;
        return true;
    }
    return parse_seconds(p);
}

static enum err dump_seconds_none(const struct conf_dump *d) {
    uint32_t v = *CONF_FIELD_CONST(d, uint32_t);
    return v == 0 ? conf_dump_line(d, "none") : conf_dump_line(d, "%u", v);
}

const struct conf_type conf_type_seconds_none = {parse_seconds_none, dump_seconds_none,
                                                 "TIME | none", sizeof(uint32_t), 0};

static bool parse_octal(struct conf_parse *p) {
    uint32_t v = 0;
    if (!conf_one_word(p))
        return false;
    const char *s = p->argv[0];
    for (; *s >= '0' && *s <= '7' && v <= 0777; s++)
        v = v * 8 + (uint32_t)(*s - '0');
    if (*s != '\0' || s == p->argv[0] || v > 0777)
        return conf_bad(p, "%s is an octal mask such as 0177, not \"%s\"",
                        p->option->name, p->argv[0]);
    *CONF_FIELD(p, uint32_t) = v;
    return true;
}

static enum err dump_octal(const struct conf_dump *d) {
    return conf_dump_line(d, "0%o", *CONF_FIELD_CONST(d, uint32_t));
}

const struct conf_type conf_type_octal = {parse_octal, dump_octal, "OCTAL",
                                          sizeof(uint32_t), 0};

// --- texts

static bool set_text(struct conf_parse *p, const char *text) {
    const char **field = CONF_FIELD(p, const char *);
    *field = conf_pool_text(&p->head->pool, view_text(text));
    return *field != NULL || conf_bad(p, "out of memory");
}

static bool parse_text(struct conf_parse *p) {
    if (!conf_one_word(p))
        return false;
    if (p->argv[0][0] == '\0')
        return conf_bad(p, "%s needs a value that is not empty", p->option->name);
    return set_text(p, p->argv[0]);
}

static bool parse_text_none(struct conf_parse *p) {
    if (p->argc == 1 && conf_is_none(p->argv[0])) {
        *CONF_FIELD(p, const char *) = NULL;
        return true;
    }
    return parse_text(p);
}

static enum err dump_text(const struct conf_dump *d) {
    const char *v = *CONF_FIELD_CONST(d, const char *);
    if (v == NULL)
        return d->none_is_printed ? conf_dump_line(d, "none") : OK;
    return conf_dump_words(d, &v, 1);
}

const struct conf_type conf_type_text = {parse_text, dump_text, "TEXT", sizeof(char *),
                                         0};
const struct conf_type conf_type_text_none = {parse_text_none, dump_text, "TEXT | none",
                                              sizeof(char *), 0};

// A place for lines. What OpenSSH does not know is dumped only where it is set.
static bool parse_place(struct conf_parse *p) {
    if (!parse_text_none(p))
        return false;
    const char *v = *CONF_FIELD(p, const char *);
    return v == NULL || v[0] == '/' || strcmp(v, "syslog") == 0 ||
           conf_bad(p, "%s: \"%s\" is neither an absolute path nor syslog nor none",
                    p->option->name, v);
}

static enum err dump_place(const struct conf_dump *d) {
    return *CONF_FIELD_CONST(d, const char *) != NULL ? dump_text(d) : OK;
}

const struct conf_type conf_type_place = {parse_place, dump_place, "PATH | syslog | none",
                                          sizeof(char *), 0};

// The rest of the line, as a command is.
static bool parse_rest(struct conf_parse *p) {
    if (p->rest[0] == '\0')
        return conf_bad(p, "%s needs a value", p->option->name);
    if (conf_is_none(p->rest)) {
        *CONF_FIELD(p, const char *) = NULL;
        return true;
    }
    return set_text(p, p->rest);
}

static enum err dump_rest(const struct conf_dump *d) {
    const char *v = *CONF_FIELD_CONST(d, const char *);
    if (v == NULL)
        return d->none_is_printed ? conf_dump_line(d, "none") : OK;
    TRY(begin_line(d));
    TRY(conf_append_text(d->out, " "));
    TRY(conf_append_text(d->out, v));
    return end_line(d);
}

const struct conf_type conf_type_rest = {parse_rest, dump_rest, "COMMAND", sizeof(char *),
                                         0};

// --- lists

static bool append_words(struct conf_parse *p) {
    struct conf_list *list = CONF_FIELD(p, struct conf_list);
    if (p->argc == 0)
        return conf_bad(p, "%s needs a value", p->option->name);
    for (size_t i = 0; i < p->argc; i++) {
        bool known = false;
        for (size_t k = 0; k < list->n && !known; k++)
            known = strcmp(list->v[k], p->argv[i]) == 0;
        if (p->argv[i][0] == '\0')
            return conf_bad(p, "%s has an empty value", p->option->name);
        const char *word =
            known ? NULL : conf_pool_text(&p->head->pool, view_text(p->argv[i]));
        if (!known && (word == NULL || !conf_list_append(&p->head->pool, list, word)))
            return conf_bad(p, "out of memory");
    }
    return true;
}

static enum err dump_lines(const struct conf_dump *d) {
    const struct conf_list *list = CONF_FIELD_CONST(d, struct conf_list);
    for (size_t i = 0; i < list->n; i++)
        TRY(conf_dump_words(d, &list->v[i], 1));
    return OK;
}

static enum err dump_one_line(const struct conf_dump *d) {
    static const char *const none = "none";
    const struct conf_list *list = CONF_FIELD_CONST(d, struct conf_list);
    if (list->n == 0)
        return d->none_is_printed ? conf_dump_words(d, &none, 1) : OK;
    return conf_dump_words(d, list->v, list->n);
}

static bool parse_list_none(struct conf_parse *p) {
    if (p->argc == 1 && conf_is_none(p->argv[0]))
        return true;
    return append_words(p);
}

const struct conf_type conf_type_lines = {append_words, dump_lines, "WORD ...",
                                          sizeof(struct conf_list), 0};
const struct conf_type conf_type_one_line = {append_words, dump_one_line, "WORD ...",
                                             sizeof(struct conf_list), 0};
const struct conf_type conf_type_list_none = {
    parse_list_none, dump_one_line, "WORD ... | none", sizeof(struct conf_list), 0};

// --- algorithm lists

static bool parse_algorithms(struct conf_parse *p) {
    char list[4096];
    struct fault fault = {0};
    if (!conf_one_word(p))
        return false;
    if (p->argv[0][0] == '\0')
        return conf_bad(p, "%s needs a value", p->option->name);
    if (p->head->algorithms == NULL)
        return set_text(p, p->argv[0]);
    enum conf_algorithms kind = *(const enum conf_algorithms *)p->option->detail;
    if (p->head->algorithms(p->head->algorithms_ctx, kind, p->argv[0], list, sizeof list,
                            &fault) != OK)
        return conf_bad(p, "%s: %s", p->option->name, fault_text(&fault));
    return set_text(p, list);
}

static enum err dump_algorithms(const struct conf_dump *d) {
    const char *v = *CONF_FIELD_CONST(d, const char *);
    return v == NULL ? OK : conf_dump_words(d, &v, 1);
}

const struct conf_type conf_type_algorithms = {parse_algorithms, dump_algorithms,
                                               "[+|-|^]NAME,...", sizeof(char *), 0};

// --- keywords without a field: deprecated ones, blocks

static bool parse_nothing(struct conf_parse *p) {
    (void)p;
    return true;
}

static enum err dump_nothing(const struct conf_dump *d) {
    (void)d;
    return OK;
}

const struct conf_type conf_type_nothing = {parse_nothing, dump_nothing, NULL, 0, 0};
