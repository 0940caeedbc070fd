// Base64 (RFC 4648 s.4): padded, strict: no blanks, no bits left over.
#pragma once

#include "base/buf.h"

// Characters for n bytes, without a NUL.
static inline size_t base64_encoded_len(size_t n) {
    return (n + 2) / 3 * 4;
}

// Appends the encoding of v.
must_check enum err base64_encode(struct buf *out, struct view v);

// Encodes into out, which has base64_encoded_len(v.n) bytes.
void base64_encode_to(uint8_t *out, struct view v);

// Appends the decoded bytes; ERR_FORMAT, and nothing appended, when `text` is no strict
// base64.
must_check enum err base64_decode(struct buf *out, struct view text);

// The same, but line ends, blanks and tabs are passed over (PEM-like armour).
must_check enum err base64_decode_lines(struct buf *out, struct view text);
