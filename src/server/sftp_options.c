#include "server/sftp_options.h"

#include <stdlib.h>
#include <syslog.h>

#include "base/text.h"
#include "conf/tokens.h"
#include "io/log_sink.h"

#define WORDS_MAX 64

struct parse {
    struct sftp_options *o;
    const struct sftp_user *user;
    struct fault *fault;
    uint64_t denied;
};

static enum err operations(struct parse *p, const char *list, uint64_t *set) {
    char bad[64], shown[200];
    if (sftp_operations_parse(list, set, bad, sizeof bad))
        return OK;
    return fault_set(p->fault, ERR_CONFIG, 0,
                     "unknown request \"%s\"; -Q requests lists those there are",
                     text_clean(shown, sizeof shown, view_text(bad)));
}

static enum err take_start(struct parse *p, const char *text) {
    // As OpenSSH has them: %d, %u, %%.
    const struct token tokens[] = {{'d', p->user->home}, {'u', p->user->name}, {0, NULL}};
    return tokens_expand(TOKENS_SFTP_START, tokens, text, p->o->start, sizeof p->o->start,
                         p->fault);
}

static enum err take_facility(struct parse *p, const char *text) {
    return log_facility_parse(text, &p->o->facility)
               ? OK
               : fault_set(p->fault, ERR_CONFIG, 0, "invalid log facility \"%s\"", text);
}

static enum err take_level(struct parse *p, const char *text) {
    return log_level_parse(text, &p->o->level)
               ? OK
               : fault_set(p->fault, ERR_CONFIG, 0, "invalid log level \"%s\"", text);
}

static enum err take_denied(struct parse *p, const char *text) {
    return operations(p, text, &p->denied);
}

static enum err take_allowed(struct parse *p, const char *text) {
    return operations(p, text, &p->o->allowed);
}

static enum err take_query(struct parse *p, const char *text) {
    p->o->query = text;
    return strcmp(text, "requests") == 0
               ? OK
               : fault_set(p->fault, ERR_CONFIG, 0,
                           "invalid query type \"%s\"; there is: requests", text);
}

static enum err take_mask(struct parse *p, const char *text) {
    char *end;
    unsigned long mask = strtoul(text, &end, 8);
    if (text[0] < '0' || text[0] > '7' || *end != '\0' || mask > 0777)
        return fault_set(p->fault, ERR_CONFIG, 0,
                         "invalid umask \"%s\"; wanted is an octal number", text);
    p->o->masked = true;
    p->o->mask = (mode_t)mask;
    return OK;
}

static enum err take_read_only(struct parse *p, const char *text) {
    (void)text;
    p->o->read_only = true;
    return OK;
}

static enum err take_stderr(struct parse *p, const char *text) {
    (void)text;
    p->o->to_stderr = true;
    return OK;
}

static enum err take_help(struct parse *p, const char *text) {
    (void)text;
    p->o->help = true;
    return OK;
}

static const struct row {
    char letter;
    bool argument;
    enum err (*take)(struct parse *p, const char *text);
} rows[] = {
    {'d', true, take_start},   {'e', false, take_stderr}, {'f', true, take_facility},
    {'h', false, take_help},   {'l', true, take_level},   {'P', true, take_denied},
    {'p', true, take_allowed}, {'Q', true, take_query},   {'R', false, take_read_only},
    {'u', true, take_mask},
};

static const struct row *find_row(char letter) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].letter == letter)
            return &rows[i];
    return NULL;
}

// One word of flags, "-eR" or "-lINFO"; *next is what follows it, taken if wanted.
static enum err take_word(struct parse *p, const char *word, const char *next,
                          bool *taken) {
    for (const char *at = word + 1; *at != '\0'; at++) {
        const struct row *row = find_row(*at);
        if (row == NULL)
            return fault_set(p->fault, ERR_CONFIG, 0, "unknown option -%c",
                             *at > ' ' && *at <= '~' ? *at : '?');
        if (!row->argument) {
            TRY(row->take(p, NULL));
            continue;
        }
        *taken = at[1] == '\0';
        const char *argument = *taken ? next : at + 1;
        if (argument == NULL)
            return fault_set(p->fault, ERR_CONFIG, 0, "option -%c wants an argument",
                             *at);
        return row->take(p, argument);
    }
    return OK;
}

enum err sftp_options_parse(struct sftp_options *o, int argc, char *const *argv,
                            const struct sftp_user *user, struct fault *fault) {
    struct parse p = {o, user, fault, 0};
    *o = (struct sftp_options){
        .level = LOG_LEVEL_ERROR, .facility = LOG_AUTH, .allowed = SFTP_OPERATIONS_ALL};
    for (int i = 1; i < argc; i++) {
        bool taken = false;
        if (strcmp(argv[i], "--") == 0)  // scp -D has ssh's arguments behind it
            break;
        if (argv[i][0] != '-' || argv[i][1] == '\0')
            return fault_set(fault, ERR_CONFIG, 0, "unexpected argument \"%s\"", argv[i]);
        TRY(take_word(&p, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &taken));
        i += taken;
    }
    o->allowed &= ~p.denied;
    return OK;
}

enum err sftp_options_parse_text(struct sftp_options *o, const char *text,
                                 const struct sftp_user *user, struct fault *fault) {
    char *copy = strdup(text), *cursor = copy, *word;
    char *words[WORDS_MAX] = {(char *)"internal-sftp"};
    int n = 1;
    bool bad = false;
    if (copy == NULL)
        return ERR_MEMORY;
    while (n < WORDS_MAX && !bad && (word = text_word(&cursor, false, &bad)) != NULL)
        words[n++] = word;
    enum err e = bad ? fault_set(fault, ERR_CONFIG, 0, "a quote is left open")
                     : sftp_options_parse(o, n, words, user, fault);
    free(copy);
    o->query = NULL;
    return e;
}
