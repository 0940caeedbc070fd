// Public keys as one line of text: type, base64, comment.
#include "base/limits.h"
#include "base/text.h"
#include "key/base64.h"
#include "key/key.h"
#include "wire/reader.h"

static bool is_blank(uint8_t c) {
    return c == ' ' || c == '\t';
}

static struct view next_word(struct view *line) {
    while (line->n > 0 && is_blank(line->p[0]))
        *line = view_of(line->p + 1, line->n - 1);
    size_t n = 0;
    while (n < line->n && !is_blank(line->p[n]))
        n++;
    struct view word = view_of(line->p, n);
    *line = view_of(line->p + n, line->n - n);
    return word;
}

static struct view trimmed(struct view v) {
    while (v.n > 0 && is_blank(v.p[0]))
        v = view_of(v.p + 1, v.n - 1);
    while (v.n > 0 &&
           (is_blank(v.p[v.n - 1]) || v.p[v.n - 1] == '\r' || v.p[v.n - 1] == '\n'))
        v.n--;
    return v;
}

enum err key_public_text(const struct key *k, struct buf *out) {
    TRY(buf_append(out, view_text(k->type->name)));
    TRY(buf_append(out, view_text(" ")));
    TRY(base64_encode(out, key_blob(k)));
    if (k->comment == NULL || k->comment[0] == '\0')
        return OK;
    TRY(buf_append(out, view_text(" ")));
    return buf_append(out, view_text(k->comment));
}

static enum err from_words(struct key **out, struct view name, struct view base64,
                           struct fault *fault) {
    scoped_buf blob;
    buf_init(&blob, LIMIT_TEXT_LINE);
    if (base64_decode(&blob, base64) != OK)
        return fault_set(fault, ERR_FORMAT, 0, "the key is not base64");
    struct reader r = reader_of(buf_view(&blob));
    struct view inside = read_string(&r);
    if (r.err == OK && !view_equal(inside, name))
        return fault_set(fault, ERR_KEY, 0, "the key is of another type than it says");
    return key_from_blob(out, buf_view(&blob), fault);
}

enum err key_from_public_text(struct key **out, struct view line, struct fault *fault) {
    line = trimmed(line);
    struct view name = next_word(&line), base64 = next_word(&line);
    if (name.n == 0 || base64.n == 0)
        return fault_set(fault, ERR_FORMAT, 0, "no public key: type and base64 expected");
    if (key_type_find(name) == NULL) {
        char clean[80];
        return fault_set(fault, ERR_UNSUPPORTED, 0, "unknown key type \"%s\"",
                         text_clean(clean, sizeof clean, name));
    }
    TRY(from_words(out, name, base64, fault));
    enum err e = key_set_comment(*out, trimmed(line));
    if (e != OK)
        key_free(*out);
    return e;
}
