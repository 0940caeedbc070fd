#include "wire/reader.h"

#include "base/limits.h"

struct reader reader_of(struct view v) {
    return (struct reader){v.p, v.n > 0 ? v.p + v.n : v.p, OK};
}

static void fail(struct reader *r, enum err e) {
    if (r->err == OK)
        r->err = e;
    r->p = r->end;
}

struct view read_bytes(struct reader *r, size_t n) {
    if (r->err != OK || n > (size_t)(r->end - r->p)) {
        fail(r, ERR_SHORT);
        return view_of(r->end, 0);
    }
    struct view v = {r->p, n};
    if (n > 0)
        r->p += n;
    return v;
}

uint8_t read_u8(struct reader *r) {
    struct view v = read_bytes(r, 1);
    return v.n == 1 ? v.p[0] : 0;
}

bool read_bool(struct reader *r) {
    return read_u8(r) != 0;
}

uint32_t read_u32(struct reader *r) {
    struct view v = read_bytes(r, 4);
    return v.n == 4 ? load_u32(v.p) : 0;
}

uint64_t read_u64(struct reader *r) {
    struct view v = read_bytes(r, 8);
    return v.n == 8 ? load_u64(v.p) : 0;
}

struct view read_string(struct reader *r) {
    uint32_t n = read_u32(r);
    return read_bytes(r, n);
}

struct view read_text(struct reader *r) {
    struct view v = read_string(r);
    if (v.n > 0 && memchr(v.p, 0, v.n) != NULL) {
        fail(r, ERR_FORMAT);
        return view_of(r->end, 0);
    }
    return v;
}

struct view read_name_list(struct reader *r) {
    struct view v = read_string(r);
    size_t names = v.n > 0;
    bool after_comma = true;
    for (size_t i = 0; i < v.n; i++) {
        bool comma = v.p[i] == ',';
        if (v.p[i] <= 0x20 || v.p[i] >= 0x7f || (comma && after_comma)) {
            fail(r, ERR_FORMAT);
            return view_of(r->end, 0);
        }
        names += comma;
        after_comma = comma;
    }
    // libssh 0.10 ends its cipher lists with a comma; that names nothing, and harms
    // nothing.
    if (v.n > 0 && after_comma)
        names--;
    if (names > LIMIT_NAME_LIST)
        fail(r, ERR_LIMIT);
    return r->err == OK ? v : view_of(r->end, 0);
}

struct view read_mpint(struct reader *r) {
    struct view v = read_string(r);
    if (v.n == 0)
        return v;
    bool negative = (v.p[0] & 0x80) != 0;
    bool padded = v.p[0] == 0 && (v.n == 1 || (v.p[1] & 0x80) == 0);
    if (negative || padded) {
        fail(r, ERR_FORMAT);
        return view_of(r->end, 0);
    }
    return v.p[0] == 0 ? view_of(v.p + 1, v.n - 1) : v;
}

struct view read_rest(struct reader *r) {
    return read_bytes(r, (size_t)(r->end - r->p));
}

enum err reader_end(const struct reader *r) {
    if (r->err != OK)
        return r->err;
    return r->p == r->end ? OK : ERR_TRAILING;
}
