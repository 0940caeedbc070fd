#include "conf/canonical.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "base/address.h"
#include "base/text.h"

#define NAME_SIZE 1025

bool canonical_domain_is_good(const char *word) {
    if (*word == '\0' || *word == '-' || strstr(word, "..") != NULL)
        return false;
    for (const char *s = word; *s != '\0'; s++)
        if (!isalnum((unsigned char)*s) && strchr("._-", *s) == NULL)
            return false;
    return true;
}

bool canonical_cname_is_good(const char *word) {
    const char *colon = strchr(word, ':');
    return strcmp(word, "*") == 0 || (colon != NULL && colon != word && colon[1] != '\0');
}

// --- aliases

static bool rule_allows(const char *rule, const char *name, const char *alias) {
    char from[NAME_SIZE];
    const char *colon = strchr(rule, ':');
    if (colon == NULL)
        return strcmp(rule, "*") == 0;
    return text_copy(from, sizeof from, view_of(rule, (size_t)(colon - rule))) &&
           text_match_list(from, name, true) == 1 &&
           text_match_list(colon + 1, alias, true) == 1;
}

// The name that the first one is an alias of, where that may be followed.
static void follow(const struct canonical *rules, char *name, size_t size,
                   const char *alias) {
    if (*alias == '\0' || strcmp(name, alias) == 0)
        return;
    for (size_t i = 0; i < rules->cnames->n; i++)
        if (rule_allows(rules->cnames->v[i], name, alias)) {
            (void)text_copy(name, size, view_text(alias));
            return;
        }
}

// --- looking up

struct look {
    const struct client_subject *subject;
    const struct client_config *c;
    char alias[NAME_SIZE];
};

static bool is_there(struct look *l, const char *name) {
    l->alias[0] = '\0';
    return l->subject->resolve != NULL &&
           l->subject->resolve(l->subject->hook_ctx, l->c, name, l->alias,
                               sizeof l->alias);
}

static void lower(char *s) {
    for (; *s != '\0'; s++)
        *s = (char)tolower((unsigned char)*s);
}

// With each domain, anchored so that the resolver adds none of its own.
static bool search(const struct canonical *rules, struct look *l, const char *host,
                   char *out, size_t size) {
    char anchored[NAME_SIZE];
    for (size_t i = 0; i < rules->domains->n; i++) {
        int n = snprintf(anchored, sizeof anchored, "%s.%s.", host, rules->domains->v[i]);
        if (n >= (int)sizeof anchored || !is_there(l, anchored))
            continue;
        return text_copy(out, size, view_of(anchored, (size_t)n - 1));
    }
    return false;
}

static bool has_dots(const char *host, uint32_t more_than) {
    uint32_t dots = 0;
    for (const char *s = host; *s != '\0'; s++)
        dots += *s == '.';
    return dots > more_than;
}

static bool is_anchored(const char *host) {
    size_t n = strlen(host);
    return n > 1 && host[n - 1] == '.';
}

// Found: out is the name. Else out is untouched.
static enum err find(const struct canonical *rules, struct look *l, const char *host,
                     char *out, size_t size, bool *found) {
    *found = false;
    if (is_anchored(host))
        *found =
            is_there(l, host) && text_copy(out, size, view_of(host, strlen(host) - 1));
    else if (has_dots(host, rules->max_dots))
        return OK;
    else
        *found = search(rules, l, host, out, size);
    return *found || rules->fallback_local ? OK : ERR_NOT_FOUND;
}

enum err canonical_name(const struct canonical *rules,
                        const struct client_subject *subject,
                        const struct client_config *c, const char *host, char *out,
                        size_t size) {
    struct look l = {.subject = subject, .c = c};
    struct address numeric;
    bool found;
    if (!text_copy(out, size, view_text(host)))
        return ERR_LIMIT;
    if (subject->resolve == NULL || address_parse(&numeric, host) ||
        rules->how == CANONICALIZE_NO ||
        (!rules->direct && rules->how != CANONICALIZE_ALWAYS))
        return OK;
    TRY(find(rules, &l, host, out, size, &found));
    // The name as it is may still be an alias.
    if (found || (rules->cnames->n > 0 && is_there(&l, host)))
        follow(rules, out, size, l.alias);
    lower(out);
    return OK;
}
