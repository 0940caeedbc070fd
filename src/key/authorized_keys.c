// Lines of authorized_keys: options by one table, then the key.
#include "key/authorized_keys.h"

#include <stdlib.h>
#include <strings.h>

#include "base/limits.h"
#include "base/text.h"
#include "key/authkey_options.h"
#include "key/base64.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

bool authkey_starts_with_type(const char *text, size_t n) {
    static const char *const prefixes[] = {"ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"};
    if (key_type_find(view_of(text, n)) != NULL)
        return true;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t len = strlen(prefixes[i]);
        if (n > len && memcmp(text, prefixes[i], len) == 0 &&
            memchr(text, '=', n) == NULL)
            return true;
    }
    return false;
}

static enum err parse_text(struct authkey_line *line, const struct authkey_place *place) {
    char *at = line->text;
    while (is_blank(*at))
        at++;
    if (*at == '\0' || *at == '#')
        return ERR_NOT_FOUND;
    if (!authkey_starts_with_type(at, strcspn(at, " \t")))
        TRY(authkey_options_parse(line, &at, place));
    struct fault why = {0};
    enum err e = key_from_public_text(&line->key, view_text(at), &why);
    if (e != OK)
        return authkey_refuse(place, e, "%s", fault_text(&why));
    // Trust in a certificate is trust in its authority: the line holds the latter's key.
    if (line->key->certificate != NULL)
        return authkey_refuse(place, ERR_UNSUPPORTED,
                              "a certificate is no authorized key: its authority's key "
                              "is, with the option cert-authority");
    return OK;
}

static enum err copy_text(struct authkey_line *line, struct view text) {
    line->text = malloc(text.n + 1);
    if (line->text == NULL)
        return ERR_MEMORY;
    memcpy(line->text, text.p, text.n);
    line->text[text.n] = '\0';
    return OK;
}

enum err authkey_parse(struct authkey_line *line, struct view text, const char *file,
                       unsigned long number, struct fault *fault) {
    struct authkey_place place = {file, number, fault};
    if (text.n > 0 && text.p[text.n - 1] == '\r')
        text.n--;
    *line = (struct authkey_line){
        .permit = {true, true, true, true, true},
        .tunnel = AUTHKEY_TUNNEL_NONE,
        .number = number,
    };
    if (text.n > LIMIT_TEXT_LINE)
        return authkey_refuse(&place, ERR_CONFIG, "the line is too long");
    if (text.n > 0 && memchr(text.p, '\0', text.n) != NULL)
        return authkey_refuse(&place, ERR_CONFIG, "the line holds a NUL byte");
    TRY(copy_text(line, text));
    enum err e = parse_text(line, &place);
    if (e != OK)
        authkey_free(line);
    return e;
}

void authkey_free(struct authkey_line *line) {
    key_free(line->key);
    free(line->environment);
    free(line->open);
    free(line->listen);
    free(line->expires);
    free(line->text);
    *line = (struct authkey_line){0};
}

// --- looking for a key
// -------------------------------------------------------------------------

enum err authkey_scan_init(struct authkey_scan *s, struct view text, const char *file,
                           struct view blob) {
    *s = (struct authkey_scan){.text = text, .file = file, .number = 1};
    buf_init(&s->wanted, LIMIT_TEXT_LINE);
    return base64_encode(&s->wanted, blob);
}

void authkey_scan_free(struct authkey_scan *s) {
    buf_free(&s->wanted);
}

static bool ends_word(struct view text, size_t at) {
    return at >= text.n || text.p[at] == '\n' || text.p[at] == '\r' ||
           is_blank((char)text.p[at]);
}

// Moves s->at to the start of the line that holds byte `target`, counting lines.
static void go_to_line(struct authkey_scan *s, size_t target) {
    const uint8_t *end;
    while ((end = memchr(s->text.p + s->at, '\n', target - s->at)) != NULL) {
        s->at = (size_t)(end - s->text.p) + 1;
        s->number++;
    }
}

// The next line with the text of the key as a word, and moves behind it.
static bool next_candidate(struct authkey_scan *s, struct view *line,
                           unsigned long *number) {
    struct view want = buf_view(&s->wanted);
    size_t from = s->at;
    while (from < s->text.n) {
        const uint8_t *hit = memmem(s->text.p + from, s->text.n - from, want.p, want.n);
        if (hit == NULL)
            break;
        size_t at = (size_t)(hit - s->text.p);
        from = at + 1;
        if (!ends_word(s->text, at + want.n) || at == 0 ||
            !is_blank((char)s->text.p[at - 1]))
            continue;
        go_to_line(s, at);
        const uint8_t *start = s->text.p + s->at;
        const uint8_t *end = memchr(start, '\n', s->text.n - s->at);
        size_t n = end != NULL ? (size_t)(end - start) : s->text.n - s->at;
        *line = view_of(start, n);
        *number = s->number++;
        s->at += n + (end != NULL);
        return true;
    }
    s->at = s->text.n;
    return false;
}

enum err authkey_scan_next(struct authkey_scan *s, struct authkey_line *line,
                           struct fault *fault) {
    struct view text;
    unsigned long number;
    while (next_candidate(s, &text, &number)) {
        enum err e = authkey_parse(line, text, s->file, number, fault);
        if (e == ERR_NOT_FOUND)
            continue;
        if (e != OK)
            return e;
        // The text may have stood in a comment or an option: what counts is the line's
        // own key.
        uint8_t *base64 = s->wanted.p + s->wanted.start;
        struct view blob = key_blob(line->key);
        scoped_buf own;
        buf_init(&own, LIMIT_TEXT_LINE);
        e = base64_encode(&own, blob);
        if (e == OK && view_equal(buf_view(&own), view_of(base64, buf_len(&s->wanted))))
            return OK;
        authkey_free(line);
        TRY(e);
    }
    return ERR_NOT_FOUND;
}
