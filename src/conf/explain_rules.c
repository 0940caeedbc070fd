// What is judged without knowing who logs in: settings that are risky, blocks that never
// hold.
#include <stdio.h>
#include <strings.h>

#include "base/text.h"
#include "conf/explain.h"
#include "conf/script.h"

// ---- risks ----

struct risk {
    const char *keyword;
    const char *values;  // patterns, comma-separated, in lower case
    const char *why;
};

// Each word of a line (and each name of a list) is held against the patterns.
#define WEAK_CIPHERS "*-cbc,*-cbc@*,3des*,arcfour*,blowfish*"
#define WEAK_MACS "hmac-md5*,hmac-sha1-96*,hmac-ripemd*,umac-64*"
#define WEAK_KEX "*-sha1"
#define WEAK_KEYS "ssh-rsa,ssh-rsa-cert*,ssh-dss*"
#define OLD_ALGORITHMS "an algorithm that is no longer safe"

static const struct risk server_risks[] = {
    {"PermitRootLogin", "yes", "root may log in with a password"},
    {"PermitEmptyPasswords", "yes", "accounts without a password are open to everybody"},
    {"StrictModes", "no", "key files that others can write are trusted"},
    {"PermitUserEnvironment", "yes", "users can set LD_PRELOAD and so get round rules"},
    {"HostbasedAuthentication", "yes", "whoever controls a trusted host is any user"},
    {"IgnoreRhosts", "no", "users decide themselves which hosts are trusted"},
    {"GatewayPorts", "yes", "forwarded ports are open to the whole network"},
    {"PermitTunnel", "yes,ethernet,point-to-point", "users can join networks"},
    {"X11Forwarding", "yes", "a client's display is reachable from this host"},
    {"X11UseLocalhost", "no", "forwarded displays are open to the network"},
    {"LoginGraceTime", "0", "links that never log in are never closed"},
    {"MaxAuthTries", "??,???,????", "many guesses on one connection"},
    {"PerSourcePenalties", "no", "sources that guess passwords are not slowed down"},
    {"LogLevel", "debug*", "the log holds private data"},
    {"RequiredRSASize", "1???,???,??", "short RSA keys are accepted"},
    {"Ciphers", WEAK_CIPHERS, OLD_ALGORITHMS},
    {"MACs", WEAK_MACS, OLD_ALGORITHMS},
    {"KexAlgorithms", WEAK_KEX, OLD_ALGORITHMS},
    {"HostKeyAlgorithms", WEAK_KEYS, OLD_ALGORITHMS},
    {"PubkeyAcceptedAlgorithms", WEAK_KEYS, OLD_ALGORITHMS},
    {"CASignatureAlgorithms", WEAK_KEYS, OLD_ALGORITHMS},
    {NULL, NULL, NULL},
};

static const struct risk client_risks[] = {
    {"StrictHostKeyChecking", "no,off", "a false server is not noticed"},
    {"UserKnownHostsFile", "/dev/null", "a false server is not noticed"},
    {"NoHostAuthenticationForLocalhost", "yes", "a false server is not noticed"},
    {"VerifyHostKeyDNS", "yes", "who controls the DNS answers controls the host key"},
    {"ForwardAgent", "yes", "root of the server can use the keys of your agent"},
    {"ForwardX11Trusted", "yes", "the server can read and type on your display"},
    {"GatewayPorts", "yes", "forwarded ports are open to the whole network"},
    {"PermitLocalCommand", "yes", "LocalCommand runs programs here"},
    {"Tunnel", "yes,ethernet,point-to-point", "the server can join your network"},
    {"RequiredRSASize", "1???,???,??", "short RSA keys are accepted"},
    {"Ciphers", WEAK_CIPHERS, OLD_ALGORITHMS},
    {"MACs", WEAK_MACS, OLD_ALGORITHMS},
    {"KexAlgorithms", WEAK_KEX, OLD_ALGORITHMS},
    {"HostKeyAlgorithms", WEAK_KEYS, OLD_ALGORITHMS},
    {"PubkeyAcceptedAlgorithms", WEAK_KEYS, OLD_ALGORITHMS},
    {"CASignatureAlgorithms", WEAK_KEYS, OLD_ALGORITHMS},
    {NULL, NULL, NULL},
};

// A word of a list may be "a,b,c", with + or ^ in front of it; with - it takes away.
static bool word_is_risky(const struct risk *r, const char *word) {
    if (*word == '-')
        return false;
    if (*word == '+' || *word == '^')
        word++;
    while (*word != '\0') {
        char name[128];
        size_t n = strcspn(word, ",");
        if (text_copy(name, sizeof name, view_of(word, n)) &&
            text_match_list(r->values, name, true) == 1)
            return true;
        word += n + (word[n] == ',');
    }
    return false;
}

const char *explain_risk(const struct conf_table *t, const struct conf_directive *d) {
    const struct risk *r = t->client ? client_risks : server_risks;
    for (; r->keyword != NULL; r++) {
        if (strcmp(r->keyword, d->option->name) != 0)
            continue;
        for (size_t i = 0; i < d->argc; i++)
            if (word_is_risky(r, d->argv[i]))
                return r->why;
    }
    return NULL;
}

// ---- blocks ----

static bool takes_list(enum conf_criterion_kind kind) {
    switch (kind) {
    case CONF_CRITERION_ALL:
    case CONF_CRITERION_INVALID_USER:
    case CONF_CRITERION_CANONICAL:
    case CONF_CRITERION_FINAL:
    case CONF_CRITERION_EXEC:
    case CONF_CRITERION_LOCAL_PORT:
    case CONF_CRITERION_LOCAL_NETWORK:
    case CONF_CRITERION_HOST_LINE:
        return false;
    default:
        return true;
    }
}

static bool only_negated(const char *list) {
    if (*list == '\0')
        return false;
    for (;;) {
        if (*list != '!')
            return false;
        size_t n = strcspn(list, ",");
        if (list[n] == '\0')
            return true;
        list += n + 1;
    }
}

// Whether a plain name can be in the other list too.
static bool lists_meet(const char *names, const char *patterns) {
    while (*names != '\0') {
        char name[256];
        size_t n = strcspn(names, ",");
        if (!text_copy(name, sizeof name, view_of(names, n)) ||
            text_match_list(patterns, name, true) == 1)
            return true;
        names += n + (names[n] == ',');
    }
    return false;
}

static bool one_value(enum conf_criterion_kind kind) {
    return kind == CONF_CRITERION_USER || kind == CONF_CRITERION_HOST ||
           kind == CONF_CRITERION_ORIGINAL_HOST || kind == CONF_CRITERION_LOCAL_USER;
}

static bool contradict(const struct conf_criterion *a, const struct conf_criterion *b) {
    if (a->kind != b->kind || a->kind == CONF_CRITERION_HOST_LINE)
        return false;
    if (a->negated != b->negated)
        return a->argument == NULL || strcmp(a->argument, b->argument) == 0;
    if (a->negated || !one_value(a->kind))
        return false;
    return (strpbrk(a->argument, "*?!") == NULL && !lists_meet(a->argument, b->argument));
}

static bool port_is_listened(const struct explain *x, const char *text) {
    uint64_t port;
    if (x->ports_n == 0 || !text_number(text, 1, 65535, &port))
        return true;
    for (size_t i = 0; i < x->ports_n; i++)
        if (x->ports[i] == port)
            return true;
    return false;
}

static const char *criterion_never(const struct explain *x, const struct conf_block *b,
                                   size_t i) {
    const struct conf_criterion *c = &b->v[i];
    if (c->kind == CONF_CRITERION_ALL && c->negated)
        return "not all is nobody";
    if (takes_list(c->kind) && !c->negated && c->argument != NULL &&
        only_negated(c->argument))
        return "a list of nothing but negated patterns matches nothing; put * behind it";
    if (c->kind == CONF_CRITERION_LOCAL_PORT && !c->negated &&
        !port_is_listened(x, c->argument))
        return "the server does not listen on that port";
    for (size_t j = 0; j < b->n; j++)
        if (j != i && contradict(c, &b->v[j]))
            return "two of its criteria exclude each other";
    return NULL;
}

static const char *host_line_never(const struct conf_block *b) {
    for (size_t i = 0; i < b->n; i++)
        if (!b->v[i].negated)
            return NULL;
    return "nothing but negated patterns matches nothing; put * behind them";
}

const char *explain_never(const struct explain *x, const struct conf_script *s,
                          uint32_t block) {
    const struct conf_block *b = &s->blocks[block];
    if (block == CONF_BLOCK_GLOBAL)
        return NULL;
    if (b->is_host)
        return host_line_never(b);
    for (size_t i = 0; i < b->n; i++) {
        const char *why = criterion_never(x, b, i);
        if (why != NULL)
            return why;
    }
    return b->parent != CONF_BLOCK_GLOBAL && explain_never(x, s, b->parent) != NULL
               ? "the block that it is in never does"
               : NULL;
}
