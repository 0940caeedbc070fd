#include "transfer/say.h"
#include "transfer/sftp.h"

struct splitter {
    char word[NAME_PATH];
    size_t n;
    bool begun, full;
};

static void put(struct splitter *p, char c) {
    if (p->n + 1 < sizeof p->word)
        p->word[p->n++] = c;
    else
        p->full = true;
}

// A character that stands for itself.
static void put_literal(struct splitter *p, char c) {
    if (strchr("*?[]\\", c) != NULL)
        put(p, '\\');
    put(p, c);
}

static bool finish(struct splitter *p, struct words *out) {
    if (!p->begun)
        return true;
    p->begun = false;
    size_t n = p->n;
    p->n = 0;
    return words_add_view(out, view_of(p->word, n)) == OK;
}

// Within quotes a backslash escapes the quote and itself; elsewhere every character.
static const char *take_escaped(struct splitter *p, const char *at, char quote) {
    if (at[1] == '\0' || (quote != '\0' && at[1] != quote && at[1] != '\\')) {
        put_literal(p, '\\');
        return at + 1;
    }
    put_literal(p, at[1]);
    return at + 2;
}

static bool split(const char *line, struct splitter *p, struct words *out) {
    char quote = '\0';
    for (const char *at = line; *at != '\0';) {
        if (*at == '\\') {
            p->begun = true;
            at = take_escaped(p, at, quote);
            continue;
        }
        char c = *at++;
        if (quote != '\0' ? c == quote : c == '"' || c == '\'') {
            quote = quote != '\0' ? '\0' : c;
            p->begun = true;
        } else if (quote != '\0') {
            put_literal(p, c);
        } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            if (!finish(p, out))
                return false;
        } else if (c == '#' && !p->begun) {
            break;
        } else {
            p->begun = true;
            put(p, c);
        }
    }
    if (quote != '\0')
        say("Unterminated quoted argument");
    return quote == '\0' && finish(p, out);
}

bool sftp_words(const char *line, struct words *out) {
    struct splitter p = {.n = 0};
    if (!split(line, &p, out))
        return false;
    if (p.full)
        say("A word is longer than %u bytes", NAME_PATH - 1);
    return !p.full;
}
