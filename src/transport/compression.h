// zlib@openssh.com (RFC 4253 s.6.2 over RFC 1950): one stream for each direction and each
// set of keys, begun after authentication.
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct compression;

must_check enum err compression_new(struct compression **out, bool deflates);
void compression_free(struct compression *c);  // also of NULL

// Puts a payload through; `out` then holds what it came to, and nothing else. One of at
// most LIMIT_PACKET bytes; a packet that inflates to more is ERR_LIMIT, and one that ends
// the stream or is none ERR_FORMAT.
must_check enum err compression_run(struct compression *c, struct view payload,
                                    struct buf *out);
