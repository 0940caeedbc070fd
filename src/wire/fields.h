// Field tables: a struct's members as they stand on the wire (RFC 4251 s.5), for
// messages, channel requests, agent and process messages alike. One table decodes with
// exact end, encodes and traces.
//
// Decoded structs hold views into the payload that they were decoded from.
#pragma once

#include "base/fault.h"
#include "wire/reader.h"
#include "wire/writer.h"

enum field_kind {
    FIELD_END,
    FIELD_BOOL,
    FIELD_U32,
    FIELD_PORT,  // u32, at most 65535 (a greater one would be taken modulo 65536 by the
                 // system)
    FIELD_U64,
    FIELD_STRING,
    FIELD_TEXT,  // string without NUL
    FIELD_NAME_LIST,
    FIELD_BYTES16,  // 16 bytes as they are
    FIELD_REST,     // whatever is left
};

struct message_field {
    enum field_kind kind;
    size_t offset;
    const char *name;
};

#define FIELDS_END                                                                       \
    { FIELD_END, 0, NULL }
#define FIELD(kind, type, member)                                                        \
    { FIELD_##kind, offsetof(struct type, member), #member }

// What is decoded: for the fault's text and for the size of the struct.
struct fields_of {
    uint8_t message;                     // for the fault
    const char *name;                    // "CHANNEL_OPEN", "pty-req"
    size_t size;                         // of the struct
    const struct message_field *fields;  // ends with FIELD_END
};

// Decodes all fields and demands the end. On failure the fault names what and field, and
// *out is all zero.
must_check enum err fields_decode(const struct fields_of *of, struct reader *r, void *out,
                                  struct fault *fault);

// The same for what another version of the program wrote: fields behind the first `least`
// may be missing (they are zero), bytes behind the last are ignored.
must_check enum err fields_decode_loose(const struct fields_of *of, size_t least,
                                        struct reader *r, void *out, struct fault *fault);

void fields_encode(struct writer *w, const struct message_field *fields, const void *in);

// A message of one byte, its number, and the fields. *used: bytes.
must_check enum err fields_message(const struct fields_of *of, const void *in,
                                   struct span room, size_t *used);

// " name=value" for each field, foreign text cleaned, data as its length. Returns the
// length.
size_t fields_trace(char *out, size_t size, struct reader *r,
                    const struct message_field *fields);
