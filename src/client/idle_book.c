#include "client/idle_book.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define HEAD "bowline-idle 1"
#define FIELDS 5
#define LINE_MAX_SIZE 128

// ---- reading ----

static bool take_line(struct view *rest, char *out, size_t size) {
    const uint8_t *end = memchr(rest->p, '\n', rest->n);
    // A last line without its end was cut off.
    if (end == NULL || !text_copy(out, size, view_of(rest->p, (size_t)(end - rest->p))) ||
        strlen(out) != (size_t)(end - rest->p))
        return false;
    size_t n = (size_t)(end - rest->p) + 1;
    *rest = view_of(rest->p + n, rest->n - n);
    return true;
}

static bool take_key(const char *line, char *key) {
    if (strspn(line, "0123456789abcdef") != IDLE_BOOK_KEY)
        return false;
    memcpy(key, line, IDLE_BOOK_KEY);
    key[IDLE_BOOK_KEY] = 0;
    return true;
}

static bool take_numbers(char *text, uint64_t *v) {
    char *at = text;
    for (size_t i = 0; i < FIELDS; i++) {
        if (*at != ' ')
            return false;
        char *number = ++at;
        at += strcspn(at, " ");
        char after = *at;
        *at = 0;
        if (!text_number(number, 0, i + 1 < FIELDS ? UINT32_MAX : INT64_MAX, &v[i]))
            return false;
        *at = after;
    }
    return *at == 0;
}

static bool take_entry(struct idle_book *b, char *line) {
    uint64_t v[FIELDS];
    char key[IDLE_BOOK_KEY + 1];
    if (b->n == IDLE_BOOK_MAX || !take_key(line, key) ||
        !take_numbers(line + IDLE_BOOK_KEY, v) || idle_book_find(b, key) != NULL)
        return false;
    struct idle_limit limit = {(uint32_t)v[0], (uint32_t)v[1], (uint32_t)v[2],
                               (uint32_t)v[3], v[4]};
    memcpy(b->at[b->n].key, key, sizeof key);
    b->at[b->n++].limit = limit;
    return idle_limit_is_valid(&limit);
}

bool idle_book_parse(struct idle_book *b, struct view text, unsigned *line) {
    char one[LINE_MAX_SIZE];
    *line = 1;
    b->n = 0;
    bool good =
        text.n == 0 || (take_line(&text, one, sizeof one) && strcmp(one, HEAD) == 0);
    while (good && text.n > 0) {
        ++*line;
        good = take_line(&text, one, sizeof one) && take_entry(b, one);
    }
    if (!good)
        b->n = 0;
    return good;
}

// ---- writing ----

enum err idle_book_format(const struct idle_book *b, struct buf *out) {
    TRY(buf_append(out, view_text(HEAD "\n")));
    for (size_t i = 0; i < b->n; i++) {
        const struct idle_limit *l = &b->at[i].limit;
        char line[LINE_MAX_SIZE];
        snprintf(line, sizeof line, "%s %u %u %u %u %llu\n", b->at[i].key, l->interval_s,
                 l->answered, l->bears_s, l->fails_s, (unsigned long long)l->failed_at);
        TRY(buf_append(out, view_text(line)));
    }
    return OK;
}

// ---- entries ----

static size_t place_of(const struct idle_book *b, const char *key) {
    size_t i = 0;
    while (i < b->n && strcmp(b->at[i].key, key) != 0)
        i++;
    return i;
}

const struct idle_limit *idle_book_find(const struct idle_book *b, const char *key) {
    size_t i = place_of(b, key);
    return i < b->n ? &b->at[i].limit : NULL;
}

void idle_book_put(struct idle_book *b, const char *key, const struct idle_limit *l) {
    size_t i = place_of(b, key);
    if (i == IDLE_BOOK_MAX)
        i = 0;
    if (i < b->n) {
        memmove(&b->at[i], &b->at[i + 1], (b->n - i - 1) * sizeof b->at[0]);
        b->n--;
    }
    snprintf(b->at[b->n].key, sizeof b->at[0].key, "%s", key);
    b->at[b->n++].limit = *l;
}
