// Public keys as one line of text: type, base64, comment.
#include "base/limits.h"
#include "base/text.h"
#include "key/base64.h"
#include "key/key.h"
#include "wire/reader.h"

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
    line = text_trimmed(line);
    struct view name = text_next_word(&line), base64 = text_next_word(&line);
    if (name.n == 0 || base64.n == 0)
        return fault_set(fault, ERR_FORMAT, 0, "no public key: type and base64 expected");
    if (key_type_find(name) == NULL) {
        char clean[80];
        return fault_set(fault, ERR_UNSUPPORTED, 0, "unknown key type \"%s\"",
                         text_clean(clean, sizeof clean, name));
    }
    TRY(from_words(out, name, base64, fault));
    enum err e = key_set_comment(*out, text_trimmed(line));
    if (e != OK)
        key_free(*out);
    return e;
}
