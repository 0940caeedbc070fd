// A JSON writer (RFC 8259) into a struct buf: for `--json`, events and tests. Sticky like
// the wire writer: the first failure is kept and json_end() tells it.
//
// Strings are bytes of anybody's: what is not valid UTF-8 becomes U+FFFD, controls are
// escaped, so that the output is always one line of valid JSON. Nesting is bounded;
// commas are put by the writer.
#pragma once

#include "base/buf.h"

#define JSON_DEPTH_MAX 32

struct json {
    struct buf *buf;
    enum err err;
    unsigned depth;
    uint32_t arrays;   // bit for each level: 1 array, 0 object
    uint32_t started;  // bit for each level: it has a member
    bool named;        // json_name() came, and its value did not
    bool complete;     // the value at the top is done
};

struct json json_to_buf(struct buf *b);

void json_object(struct json *j);
void json_object_end(struct json *j);
void json_array(struct json *j);
void json_array_end(struct json *j);

// The name of the next member; only and always in an object.
void json_name(struct json *j, const char *name);

void json_string(struct json *j, struct view v);
void json_text(struct json *j, const char *text);  // NULL: null
void json_u64(struct json *j, uint64_t v);
void json_bool(struct json *j, bool v);
void json_null(struct json *j);

// Name and value in one.
void json_member_string(struct json *j, const char *name, struct view v);
void json_member_text(struct json *j, const char *name, const char *text);
void json_member_u64(struct json *j, const char *name, uint64_t v);
void json_member_bool(struct json *j, const char *name, bool v);

// ERR_LIMIT: nested too deep, or the buffer is full; ERR_FORMAT: not balanced, a name
// missing or too many, more or less than one value at the top.
must_check enum err json_end(const struct json *j);
