// Lines of known_hosts files: taken apart, matched, looked up.
#include "key/known_hosts.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "key/base64.h"
#include "key/known_hosts_hash.h"

#define PORT_DEFAULT 22

static struct view skip_blanks(struct view v) {
    while (v.n > 0 && (v.p[0] == ' ' || v.p[0] == '\t'))
        v = view_of(v.p + 1, v.n - 1);
    return v;
}

struct known_hosts_cursor known_hosts_cursor_of(const struct known_hosts_file *file) {
    return (struct known_hosts_cursor){.file = file};
}

// The next line without its end; false behind the last one.
static bool next_line(struct known_hosts_cursor *c, struct view *line) {
    struct view text = c->file->text;
    if (c->at >= text.n)
        return false;
    const uint8_t *p = text.p + c->at;
    const uint8_t *end = memchr(p, '\n', text.n - c->at);
    size_t n = end != NULL ? (size_t)(end - p) : text.n - c->at;
    c->at += n + (end != NULL);
    c->number++;
    if (n > 0 && p[n - 1] == '\r')
        n--;
    *line = view_of(p, n);
    return true;
}

static bool take_marker(struct view *rest, enum known_hosts_marker *marker) {
    *marker = KNOWN_HOSTS_PLAIN;
    if (rest->n == 0 || rest->p[0] != '@')
        return true;
    struct view word = text_next_word(rest);
    if (view_is(word, "@cert-authority"))
        *marker = KNOWN_HOSTS_CERT_AUTHORITY;
    else if (view_is(word, "@revoked"))
        *marker = KNOWN_HOSTS_REVOKED;
    else
        return false;
    return true;
}

enum known_hosts_kind known_hosts_next(struct known_hosts_cursor *c,
                                       struct known_hosts_line *line) {
    struct view text;
    if (!next_line(c, &text))
        return KNOWN_HOSTS_END;
    *line = (struct known_hosts_line){
        .file = c->file->name, .number = c->number, .text = text};
    struct view rest = skip_blanks(text);
    if (rest.n == 0 || rest.p[0] == '#')
        return KNOWN_HOSTS_COMMENT;
    if (text.n > LIMIT_TEXT_LINE || memchr(text.p, '\0', text.n) != NULL ||
        !take_marker(&rest, &line->marker))
        return KNOWN_HOSTS_DAMAGED;
    line->hosts = text_next_word(&rest);
    line->type = text_next_word(&rest);
    line->base64 = text_next_word(&rest);
    line->comment = skip_blanks(rest);
    return line->base64.n > 0 ? KNOWN_HOSTS_ENTRY : KNOWN_HOSTS_DAMAGED;
}

bool known_hosts_line_hashed(const struct known_hosts_line *line) {
    return line->hosts.n > 0 && line->hosts.p[0] == '|';
}

// One pattern against the name, letter case of the pattern aside.
static bool pattern_matches(struct view pattern, const char *name) {
    char text[256];
    if (!text_copy(text, sizeof text, pattern))
        return false;
    for (char *p = text; *p != '\0'; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    return text_match(text, name);
}

static bool patterns_match(struct view list, const char *name) {
    bool matched = false;
    while (list.n > 0) {
        const uint8_t *comma = memchr(list.p, ',', list.n);
        size_t n = comma != NULL ? (size_t)(comma - list.p) : list.n;
        struct view one = view_of(list.p, n);
        list = view_of(list.p + n + (comma != NULL), list.n - n - (comma != NULL));
        bool negated = one.n > 0 && one.p[0] == '!';
        if (negated)
            one = view_of(one.p + 1, one.n - 1);
        if (!pattern_matches(one, name))
            continue;
        if (negated)
            return false;
        matched = true;
    }
    return matched;
}

enum err known_hosts_line_match(const struct known_hosts_line *line, const char *name,
                                bool *is) {
    if (known_hosts_line_hashed(line))
        return known_hosts_hash_is(line->hosts, name, is);
    *is = patterns_match(line->hosts, name);
    return OK;
}

bool known_hosts_line_matches(const struct known_hosts_line *line, const char *name) {
    bool is;
    return known_hosts_line_match(line, name, &is) == OK && is;
}

enum err known_hosts_name(char *out, size_t size, const char *host, uint16_t port) {
    bool plain = port == 0 || port == PORT_DEFAULT;
    int n = plain ? snprintf(out, size, "%s", host)
                  : snprintf(out, size, "[%s]:%u", host, port);
    if (n < 0 || (size_t)n >= size)
        return ERR_LIMIT;
    for (char *p = out; *p != '\0'; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    return OK;
}

// --- writing
// ---------------------------------------------------------------------------------

enum err known_hosts_make(const char *name, bool hash, const struct key *k,
                          struct buf *out) {
    TRY(hash ? known_hosts_hash_name(name, out) : buf_append(out, view_text(name)));
    TRY(buf_append(out, view_text(" ")));
    TRY(buf_append(out, view_text(k->type->name)));
    TRY(buf_append(out, view_text(" ")));
    TRY(base64_encode(out, key_blob(k)));
    return buf_append(out, view_text("\n"));
}

enum err known_hosts_remove(const struct known_hosts_file *file, const char *name,
                            struct buf *out, size_t *removed) {
    struct known_hosts_cursor c = known_hosts_cursor_of(file);
    struct known_hosts_line line;
    enum known_hosts_kind kind;
    *removed = 0;
    for (size_t from = 0; (kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END;
         from = c.at) {
        if (kind == KNOWN_HOSTS_ENTRY && line.marker == KNOWN_HOSTS_PLAIN &&
            known_hosts_line_matches(&line, name)) {
            (*removed)++;
            continue;
        }
        TRY(buf_append(out, view_of(file->text.p + from, c.at - from)));
    }
    return OK;
}
