#include "server/rhosts.h"

#include <strings.h>

#include "base/text.h"

#define NAME_SIZE 1024

struct rhosts_scan rhosts_scan_of(struct view text) {
    return (struct rhosts_scan){.rest = text};
}

// "-", "+" and "@" in front. False: a bare sign, which would be everybody.
static bool take_signs(struct view *word, bool *negated, bool *group) {
    if (word->n > 0 && (word->p[0] == '-' || word->p[0] == '+')) {
        *negated = *negated || word->p[0] == '-';
        *word = view_of(word->p + 1, word->n - 1);
    }
    *group = word->n > 0 && word->p[0] == '@';
    if (*group)
        *word = view_of(word->p + 1, word->n - 1);
    return word->n > 0;
}

static bool parse(struct view text, struct rhosts_line *line) {
    line->host = text_next_word(&text);
    line->user = text_next_word(&text);
    if (text_next_word(&text).n > 0)
        return false;
    if (!take_signs(&line->host, &line->negated, &line->host_group))
        return false;
    return line->user.n == 0 ||
           take_signs(&line->user, &line->negated, &line->user_group);
}

bool rhosts_next(struct rhosts_scan *s, struct rhosts_line *line) {
    while (s->rest.n > 0) {
        struct view text = view_until(s->rest, '\n');
        s->rest = view_after(s->rest, '\n');
        *line = (struct rhosts_line){.number = ++s->number};
        struct view look = text, first = text_next_word(&look);
        if (first.n == 0 || first.p[0] == '#' || view_is(first, "NO_PLUS"))
            continue;
        if (parse(text, line))
            return true;
        s->ignored++;
    }
    return false;
}

// ---- whom a line is for ----

static bool host_is(const struct rhosts_line *line, const struct rhosts_case *c) {
    char name[NAME_SIZE];
    if (!text_copy(name, sizeof name, line->host))
        return false;
    if (line->host_group)
        return c->netgroup(name, c->host, NULL) || c->netgroup(name, c->address, NULL);
    return strcasecmp(name, c->host) == 0 || strcmp(name, c->address) == 0;
}

static bool user_is(const struct rhosts_line *line, const struct rhosts_case *c) {
    char name[NAME_SIZE];
    if (line->user.n == 0)
        return strcmp(c->client_user, c->user) == 0;
    if (!text_copy(name, sizeof name, line->user))
        return false;
    return line->user_group ? c->netgroup(name, NULL, c->client_user)
                            : strcmp(name, c->client_user) == 0;
}

enum rhosts_result rhosts_search(struct view text, const struct rhosts_case *c,
                                 unsigned long *number) {
    struct rhosts_scan scan = rhosts_scan_of(text);
    struct rhosts_line line;
    while (rhosts_next(&scan, &line)) {
        if (!host_is(&line, c) || !user_is(&line, c))
            continue;
        *number = line.number;
        return line.negated ? RHOSTS_REFUSED : RHOSTS_ALLOWED;
    }
    return RHOSTS_NOTHING;
}
