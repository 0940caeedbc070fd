#include "wire/fields.h"

#include <assert.h>
#include <stdio.h>

#include "base/text.h"

static uint32_t read_port(struct reader *r) {
    uint32_t port = read_u32(r);
    if (port > 65535 && r->err == OK) {
        r->err = ERR_FORMAT;
        r->p = r->end;
    }
    return port;
}

static void decode_field(struct reader *r, const struct message_field *f, uint8_t *base) {
    void *at = base + f->offset;
    switch (f->kind) {
    case FIELD_BOOL:
        *(bool *)at = read_bool(r);
        break;
    case FIELD_U32:
        *(uint32_t *)at = read_u32(r);
        break;
    case FIELD_PORT:
        *(uint32_t *)at = read_port(r);
        break;
    case FIELD_U64:
        *(uint64_t *)at = read_u64(r);
        break;
    case FIELD_STRING:
        *(struct view *)at = read_string(r);
        break;
    case FIELD_TEXT:
        *(struct view *)at = read_text(r);
        break;
    case FIELD_NAME_LIST:
        *(struct view *)at = read_name_list(r);
        break;
    case FIELD_BYTES16:
        *(struct view *)at = read_bytes(r, 16);
        break;
    case FIELD_REST:
        *(struct view *)at = read_rest(r);
        break;
    case FIELD_END:
        break;
    }
}

static enum err failed(const struct fields_of *of, const struct message_field *f,
                       enum err e, void *out, struct fault *fault) {
    memset(out, 0, of->size);
    if (f == NULL)
        return fault_set(fault, e, of->message, "%s: %s", of->name, err_text(e));
    return fault_set(fault, e, of->message, "%s: field %s: %s", of->name, f->name,
                     err_text(e));
}

enum err fields_decode(const struct fields_of *of, struct reader *r, void *out,
                       struct fault *fault) {
    TRY(fields_decode_loose(of, SIZE_MAX, r, out, fault));
    enum err e = reader_end(r);
    return e == OK ? OK : failed(of, NULL, e, out, fault);
}

enum err fields_decode_loose(const struct fields_of *of, size_t least, struct reader *r,
                             void *out, struct fault *fault) {
    const struct message_field *f = of->fields;
    memset(out, 0, of->size);
    for (size_t i = 0; f->kind != FIELD_END; f++, i++) {
        if (i >= least && reader_left(r) == 0)
            return OK;
        decode_field(r, f, out);
        if (r->err != OK)
            return failed(of, f, r->err, out, fault);
    }
    return OK;
}

static void encode_field(struct writer *w, const struct message_field *f,
                         const void *at) {
    switch (f->kind) {
    case FIELD_BOOL:
        write_bool(w, *(const bool *)at);
        break;
    case FIELD_U32:
    case FIELD_PORT:
        write_u32(w, *(const uint32_t *)at);
        break;
    case FIELD_U64:
        write_u64(w, *(const uint64_t *)at);
        break;
    case FIELD_STRING:
    case FIELD_TEXT:
    case FIELD_NAME_LIST:
        write_string(w, *(const struct view *)at);
        break;
    case FIELD_BYTES16:
        assert(((const struct view *)at)->n == 16);
        write_bytes(w, *(const struct view *)at);
        break;
    case FIELD_REST:
        write_bytes(w, *(const struct view *)at);
        break;
    case FIELD_END:
        break;
    }
}

void fields_encode(struct writer *w, const struct message_field *fields, const void *in) {
    for (const struct message_field *f = fields; f->kind != FIELD_END; f++)
        encode_field(w, f, (const uint8_t *)in + f->offset);
}

enum err fields_message(const struct fields_of *of, const void *in, struct span room,
                        size_t *used) {
    struct writer w = writer_to_span(room);
    write_u8(&w, of->message);
    fields_encode(&w, of->fields, in);
    *used = w.n;
    return writer_end(&w);
}

static size_t trace_field(char *out, size_t size, struct reader *r,
                          const struct message_field *f) {
    char clean[160];
    struct view v;
    int n = 0;
    switch (f->kind) {
    case FIELD_BOOL:
        n = snprintf(out, size, " %s=%s", f->name, read_bool(r) ? "yes" : "no");
        break;
    case FIELD_U32:
    case FIELD_PORT:
        n = snprintf(out, size, " %s=%u", f->name, read_u32(r));
        break;
    case FIELD_U64:
        n = snprintf(out, size, " %s=%llu", f->name, (unsigned long long)read_u64(r));
        break;
    case FIELD_TEXT:
    case FIELD_NAME_LIST:
        v = read_string(r);
        n = snprintf(out, size, " %s=\"%s\"", f->name,
                     text_clean(clean, sizeof clean, v));
        break;
    case FIELD_STRING:
        v = read_string(r);
        n = snprintf(out, size, " %s[%zu]", f->name, v.n);
        break;
    case FIELD_BYTES16:
        read_bytes(r, 16);
        break;
    case FIELD_REST:
        v = read_rest(r);
        n = snprintf(out, size, " +%zu", v.n);
        break;
    case FIELD_END:
        break;
    }
    return n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
}

size_t fields_trace(char *out, size_t size, struct reader *r,
                    const struct message_field *fields) {
    size_t at = 0;
    for (const struct message_field *f = fields; f->kind != FIELD_END && at + 1 < size;
         f++)
        at += trace_field(out + at, size - at, r, f);
    return at;
}
