#include "wire/writer.h"

struct writer writer_to_buf(struct buf *b) {
    return (struct writer){.buf = b};
}

struct writer writer_to_span(struct span s) {
    return (struct writer){.p = s.p, .end = s.n > 0 ? s.p + s.n : s.p};
}

void write_bytes(struct writer *w, struct view v) {
    if (w->err != OK)
        return;
    if (w->buf != NULL) {
        w->err = buf_append(w->buf, v);
    } else if (v.n > (size_t)(w->end - w->p)) {
        w->err = ERR_LIMIT;
    } else if (v.n > 0) {
        memcpy(w->p, v.p, v.n);
        w->p += v.n;
    }
    if (w->err == OK)
        w->n += v.n;
}

void write_u8(struct writer *w, uint8_t v) {
    write_bytes(w, view_of(&v, 1));
}

void write_bool(struct writer *w, bool v) {
    write_u8(w, v ? 1 : 0);
}

void write_u32(struct writer *w, uint32_t v) {
    uint8_t b[4];
    store_u32(b, v);
    write_bytes(w, view_of(b, 4));
}

void write_u64(struct writer *w, uint64_t v) {
    uint8_t b[8];
    store_u64(b, v);
    write_bytes(w, view_of(b, 8));
}

void write_string(struct writer *w, struct view v) {
    if (v.n > UINT32_MAX) {
        w->err = ERR_LIMIT;
        return;
    }
    write_u32(w, (uint32_t)v.n);
    write_bytes(w, v);
}

void write_text(struct writer *w, const char *text) {
    write_string(w, view_text(text));
}

void write_mpint(struct writer *w, struct view m) {
    while (m.n > 0 && m.p[0] == 0)
        m = view_of(m.p + 1, m.n - 1);
    bool sign = m.n > 0 && (m.p[0] & 0x80) != 0;
    write_u32(w, (uint32_t)(m.n + sign));
    if (sign)
        write_u8(w, 0);
    write_bytes(w, m);
}

enum err writer_end(const struct writer *w) {
    return w->err;
}
