// Types of values that both sides have: RekeyLimit, IPQoS, ChannelTimeout, SetEnv,
// host:port lists.
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/address.h"
#include "base/log.h"
#include "base/text.h"
#include "conf/option.h"

const struct conf_word conf_words_log_level[] = {{"SILENT", LOG_LEVEL_QUIET},
                                                 {"QUIET", LOG_LEVEL_QUIET},
                                                 {"FATAL", LOG_LEVEL_FATAL},
                                                 {"ERROR", LOG_LEVEL_ERROR},
                                                 {"INFO", LOG_LEVEL_INFO},
                                                 {"VERBOSE", LOG_LEVEL_VERBOSE},
                                                 {"DEBUG", LOG_LEVEL_DEBUG1},
                                                 {"DEBUG1", LOG_LEVEL_DEBUG1},
                                                 {"DEBUG2", LOG_LEVEL_DEBUG2},
                                                 {"DEBUG3", LOG_LEVEL_DEBUG3},
                                                 {NULL, 0}};

// syslog(3) facilities, shifted as openlog(3) wants them.
const struct conf_word conf_words_facility[] = {{"DAEMON", 3 << 3},
                                                {"USER", 1 << 3},
                                                {"AUTH", 4 << 3},
                                                {"AUTHPRIV", 10 << 3},
                                                {"LOCAL0", 16 << 3},
                                                {"LOCAL1", 17 << 3},
                                                {"LOCAL2", 18 << 3},
                                                {"LOCAL3", 19 << 3},
                                                {"LOCAL4", 20 << 3},
                                                {"LOCAL5", 21 << 3},
                                                {"LOCAL6", 22 << 3},
                                                {"LOCAL7", 23 << 3},
                                                {NULL, 0}};

const struct conf_word conf_words_address_family[] = {
    {"any", CONF_ADDRESS_FAMILY_ANY},
    {"inet", CONF_ADDRESS_FAMILY_INET},
    {"inet6", CONF_ADDRESS_FAMILY_INET6},
    {NULL, 0}};

const struct conf_word conf_words_fingerprint[] = {{"MD5", 0}, {"SHA256", 1}, {NULL, 0}};

// --- RekeyLimit BYTES [TIME]

static bool parse_rekey(struct conf_parse *p) {
    struct conf_rekey *r = CONF_FIELD(p, struct conf_rekey);
    if (p->argc == 0 || p->argc > 2)
        return conf_bad(p, "%s takes a size and a time", p->option->name);
    if (strcasecmp(p->argv[0], "default") != 0 && !conf_is_none(p->argv[0]) &&
        !text_size(p->argv[0], &r->bytes))
        return conf_bad(p, "%s: \"%s\" is no size such as 500M or 1G", p->option->name,
                        p->argv[0]);
    if (r->bytes != 0 && r->bytes < 16)
        return conf_bad(p, "%s: %s is too small", p->option->name, p->argv[0]);
    if (p->argc == 2 && !conf_is_none(p->argv[1]) &&
        !text_duration(p->argv[1], &r->seconds))
        return conf_bad(p, "%s: \"%s\" is no time such as 1h", p->option->name,
                        p->argv[1]);
    return true;
}

static enum err dump_rekey(const struct conf_dump *d) {
    const struct conf_rekey *r = CONF_FIELD_CONST(d, struct conf_rekey);
    return conf_dump_line(d, "%llu %u", (unsigned long long)r->bytes, r->seconds);
}

const struct conf_type conf_type_rekey = {parse_rekey, dump_rekey, "SIZE [TIME]",
                                          sizeof(struct conf_rekey), 0};

// --- IPQoS INTERACTIVE [BULK]

static const struct conf_word dscp[] = {
    {"none", -1},
    {"af11", 0x28},
    {"af12", 0x30},
    {"af13", 0x38},
    {"af21", 0x48},
    {"af22", 0x50},
    {"af23", 0x58},
    {"af31", 0x68},
    {"af32", 0x70},
    {"af33", 0x78},
    {"af41", 0x88},
    {"af42", 0x90},
    {"af43", 0x98},
    {"cs0", 0x00},
    {"cs1", 0x20},
    {"cs2", 0x40},
    {"cs3", 0x60},
    {"cs4", 0x80},
    {"cs5", 0xa0},
    {"cs6", 0xc0},
    {"cs7", 0xe0},
    {"ef", 0xb8},
    {"le", 0x04},
    {"va", 0xb0},
    // Type-of-service words of IPv4: since OpenSSH 10.1 they leave the choice to the
    // system.
    {"lowdelay", -1},
    {"throughput", -1},
    {"reliability", -1},
    {NULL, 0}};

static bool parse_dscp(const char *word, int *value) {
    for (const struct conf_word *w = dscp; w->word != NULL; w++) {
        if (strcasecmp(w->word, word) == 0) {
            *value = w->value;
            return true;
        }
    }
    char *end;
    bool hex = strncasecmp(word, "0x", 2) == 0;
    unsigned long v = strtoul(word, &end, hex ? 16 : 10);
    if (*word < '0' || *word > '9' || *end != '\0' || v > 255)
        return false;
    *value = (int)v;
    return true;
}

static bool parse_ipqos(struct conf_parse *p) {
    struct conf_ipqos *q = CONF_FIELD(p, struct conf_ipqos);
    if (p->argc == 0 || p->argc > 2)
        return conf_bad(p, "%s takes one or two DSCP values", p->option->name);
    if (!parse_dscp(p->argv[0], &q->interactive))
        return conf_bad(p, "%s: unknown DSCP value \"%s\"", p->option->name, p->argv[0]);
    q->bulk = q->interactive;
    if (p->argc == 2 && !parse_dscp(p->argv[1], &q->bulk))
        return conf_bad(p, "%s: unknown DSCP value \"%s\"", p->option->name, p->argv[1]);
    return true;
}

static const char *dscp_text(int value, char out[8]) {
    for (const struct conf_word *w = dscp; w->word != NULL; w++)
        if (w->value == value)
            return w->word;
    snprintf(out, 8, "0x%02x", (unsigned)value & 0xffu);
    return out;
}

static enum err dump_ipqos(const struct conf_dump *d) {
    const struct conf_ipqos *q = CONF_FIELD_CONST(d, struct conf_ipqos);
    char a[8], b[8];
    return conf_dump_line(d, "%s %s", dscp_text(q->interactive, a),
                          dscp_text(q->bulk, b));
}

const struct conf_type conf_type_ipqos = {parse_ipqos, dump_ipqos, "DSCP [DSCP]",
                                          sizeof(struct conf_ipqos), 0};

// --- ChannelTimeout TYPE=TIME ...

static bool parse_channel_timeout(struct conf_parse *p) {
    struct conf_channel_timeouts *t = CONF_FIELD(p, struct conf_channel_timeouts);
    if (p->argc == 0)
        return conf_bad(p, "%s needs a value", p->option->name);
    if (p->argc == 1 && conf_is_none(p->argv[0]))
        return true;
    t->v = conf_pool_take(&p->head->pool, p->argc * sizeof *t->v);
    if (t->v == NULL)
        return conf_bad(p, "out of memory");
    for (size_t i = 0; i < p->argc; i++) {
        const char *equals = strchr(p->argv[i], '=');
        struct conf_channel_timeout *one = &t->v[t->n];
        if (equals == NULL || equals == p->argv[i] ||
            (!conf_is_none(equals + 1) && !text_duration(equals + 1, &one->seconds)))
            return conf_bad(p, "%s: \"%s\" is not like session=10m", p->option->name,
                            p->argv[i]);
        one->type = conf_pool_text(&p->head->pool,
                                   view_of(p->argv[i], (size_t)(equals - p->argv[i])));
        if (one->type == NULL)
            return conf_bad(p, "out of memory");
        t->n++;
    }
    return true;
}

static enum err dump_channel_timeout(const struct conf_dump *d) {
    const struct conf_channel_timeouts *t =
        CONF_FIELD_CONST(d, struct conf_channel_timeouts);
    char text[480] = "none";
    size_t n = 0;
    for (size_t i = 0; i < t->n && n < sizeof text; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s=%u", i > 0 ? " " : "",
                              t->v[i].type, t->v[i].seconds);
    if (t->n == 0 && !d->none_is_printed)
        return OK;
    return conf_dump_line(d, "%s", text);
}

const struct conf_type conf_type_channel_timeout = {
    parse_channel_timeout, dump_channel_timeout, "TYPE=TIME ... | none",
    sizeof(struct conf_channel_timeouts), 0};

// --- SetEnv NAME=VALUE ...

static bool has_name_of(const struct conf_list *list, const char *pair) {
    size_t n = strcspn(pair, "=") + 1;
    for (size_t i = 0; i < list->n; i++) {
        if (strncmp(list->v[i], pair, n) == 0)
            return true;
    }
    return false;
}

// Of several values of one name the first counts.
static bool parse_set_env(struct conf_parse *p) {
    struct conf_list *list = CONF_FIELD(p, struct conf_list);
    if (p->argc == 0)
        return conf_type_one_line.parse(p);
    for (size_t i = 0; i < p->argc; i++) {
        const char *equals = strchr(p->argv[i], '=');
        if (equals == NULL || equals == p->argv[i])
            return conf_bad(p, "%s: \"%s\" is not like NAME=value", p->option->name,
                            p->argv[i]);
        if (has_name_of(list, p->argv[i]))
            continue;
        const char *word = conf_pool_text(&p->head->pool, view_text(p->argv[i]));
        if (word == NULL || !conf_list_append(&p->head->pool, list, word))
            return conf_bad(p, "%s: out of memory", p->option->name);
    }
    return true;
}

static enum err dump_set_env(const struct conf_dump *d) {
    const struct conf_list *list = CONF_FIELD_CONST(d, struct conf_list);
    return list->n == 0 ? OK : conf_dump_words(d, list->v, list->n);
}

const struct conf_type conf_type_set_env = {parse_set_env, dump_set_env, "NAME=VALUE ...",
                                            sizeof(struct conf_list), 0};

// --- PermitOpen and its kind: host:port ..., any, none

static bool host_port_is_good(const char *text) {
    char host[1024];
    uint16_t port = 0;
    size_t n = strlen(text);
    // A port that is a star, or a port alone (PermitListen).
    if (n > 2 && strcmp(text + n - 2, ":*") == 0) {
        char copy[1024];
        return text_copy(copy, sizeof copy, view_of(text, n - 2)) &&
               address_split_port(copy, host, sizeof host, &port) == OK;
    }
    uint64_t number;
    if (text_number(text, 0, 65535, &number) || strcmp(text, "*") == 0)
        return true;
    return address_split_port(text, host, sizeof host, &port) == OK &&
           strchr(text, ':') != NULL;
}

static bool parse_host_ports(struct conf_parse *p) {
    bool word =
        p->argc == 1 && (conf_is_none(p->argv[0]) || strcasecmp(p->argv[0], "any") == 0);
    for (size_t i = 0; i < p->argc && !word; i++)
        if (!host_port_is_good(p->argv[i]))
            return conf_bad(p, "%s: \"%s\" is not like host:port", p->option->name,
                            p->argv[i]);
    return conf_type_one_line.parse(p);
}

static enum err dump_host_ports(const struct conf_dump *d) {
    return conf_type_one_line.dump(d);
}

const struct conf_type conf_type_host_ports = {parse_host_ports, dump_host_ports,
                                               "HOST:PORT ... | any | none",
                                               sizeof(struct conf_list), 0};

// --- yes, no, or a text (PermitUserEnvironment, ForwardAgent): two fields

static bool parse_flag_or_text(struct conf_parse *p) {
    if (!conf_one_word(p))
        return false;
    *CONF_ALSO(p, const char *) = NULL;
    if (conf_type_flag.parse(p))
        return true;
    p->why[0] = '\0';
    const char *text = conf_pool_text(&p->head->pool, view_text(p->argv[0]));
    if (text == NULL || *text == '\0')
        return conf_bad(p, "%s needs a value", p->option->name);
    *CONF_FIELD(p, bool) = true;
    *CONF_ALSO(p, const char *) = text;
    return true;
}

static enum err dump_flag_or_text(const struct conf_dump *d) {
    const char *text = *CONF_ALSO_CONST(d, const char *);
    return text != NULL ? conf_dump_words(d, &text, 1) : conf_type_flag.dump(d);
}

const struct conf_type conf_type_flag_or_text = {parse_flag_or_text, dump_flag_or_text,
                                                 "yes | no | TEXT", sizeof(bool),
                                                 sizeof(char *)};
