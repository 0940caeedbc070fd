#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"

struct json json_to_buf(struct buf *b) {
    return (struct json){.buf = b};
}

static void fail(struct json *j, enum err e) {
    if (j->err == OK)
        j->err = e;
}

static void put(struct json *j, const void *p, size_t n) {
    if (j->err == OK)
        j->err = buf_append(j->buf, view_of(p, n));
}

static uint32_t level(const struct json *j) {
    return j->depth == 0 ? 0 : 1u << (j->depth - 1);
}

static bool in_object(const struct json *j) {
    return j->depth > 0 && (j->arrays & level(j)) == 0;
}

static void comma(struct json *j) {
    if ((j->started & level(j)) != 0)
        put(j, ",", 1);
    j->started |= level(j);
}

// Whether a value may stand here, and the comma before it.
static void before_value(struct json *j) {
    if (in_object(j) != j->named || j->complete)
        fail(j, ERR_FORMAT);
    if (!j->named)
        comma(j);
    j->named = false;
    j->complete = j->depth == 0;
}

// ---- strings ----

static void put_rune_escape(struct json *j, uint8_t c) {
    static const struct {
        char byte;
        const char *escape;
    } shorts[] = {
        {'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\t', "\\t"}, {'\r', "\\r"}};
    for (size_t i = 0; i < sizeof shorts / sizeof shorts[0]; i++) {
        if (c == (uint8_t)shorts[i].byte) {
            put(j, shorts[i].escape, 2);
            return;
        }
    }
    char escape[8];
    snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
    put(j, escape, 6);
}

static void put_string(struct json *j, struct view v) {
    put(j, "\"", 1);
    for (size_t i = 0; i < v.n;) {
        uint32_t rune;
        size_t n = text_utf8(view_of(v.p + i, v.n - i), &rune);
        if (n == 0)
            put(j, "\xef\xbf\xbd", 3);
        else if (n == 1 && (rune < 0x20 || rune == '"' || rune == '\\' || rune == 0x7f))
            put_rune_escape(j, v.p[i]);
        else
            put(j, v.p + i, n);
        i += n > 0 ? n : 1;
    }
    put(j, "\"", 1);
}

// ---- structure ----

static void open_level(struct json *j, bool array) {
    before_value(j);
    j->complete = false;
    if (j->depth == JSON_DEPTH_MAX) {
        fail(j, ERR_LIMIT);
        return;
    }
    put(j, array ? "[" : "{", 1);
    j->depth++;
    j->started &= ~level(j);
    j->arrays = array ? j->arrays | level(j) : j->arrays & ~level(j);
}

static void close_level(struct json *j, bool array) {
    if (j->depth == 0 || in_object(j) == array || j->named) {
        fail(j, ERR_FORMAT);
        return;
    }
    put(j, array ? "]" : "}", 1);
    j->depth--;
    j->complete = j->depth == 0;
}

void json_object(struct json *j) {
    open_level(j, false);
}

void json_object_end(struct json *j) {
    close_level(j, false);
}

void json_array(struct json *j) {
    open_level(j, true);
}

void json_array_end(struct json *j) {
    close_level(j, true);
}

void json_name(struct json *j, const char *name) {
    if (!in_object(j) || j->named)
        fail(j, ERR_FORMAT);
    comma(j);
    put_string(j, view_text(name));
    put(j, ":", 1);
    j->named = true;
}

// ---- values ----

void json_string(struct json *j, struct view v) {
    before_value(j);
    put_string(j, v);
}

static void put_word(struct json *j, const char *word) {
    before_value(j);
    put(j, word, strlen(word));
}

void json_text(struct json *j, const char *text) {
    if (text != NULL)
        json_string(j, view_text(text));
    else
        json_null(j);
}

void json_u64(struct json *j, uint64_t v) {
    char digits[24];
    snprintf(digits, sizeof digits, "%" PRIu64, v);
    put_word(j, digits);
}

void json_bool(struct json *j, bool v) {
    put_word(j, v ? "true" : "false");
}

void json_null(struct json *j) {
    put_word(j, "null");
}

void json_member_string(struct json *j, const char *name, struct view v) {
    json_name(j, name);
    json_string(j, v);
}

void json_member_text(struct json *j, const char *name, const char *text) {
    json_name(j, name);
    json_text(j, text);
}

void json_member_u64(struct json *j, const char *name, uint64_t v) {
    json_name(j, name);
    json_u64(j, v);
}

void json_member_bool(struct json *j, const char *name, bool v) {
    json_name(j, name);
    json_bool(j, v);
}

enum err json_end(const struct json *j) {
    if (j->err != OK)
        return j->err;
    return j->complete ? OK : ERR_FORMAT;
}
