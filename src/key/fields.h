// The fields of a key as blobs and files have them; shared within this folder.
#pragma once

#include "key/key.h"
#include "wire/reader.h"
#include "wire/writer.h"

// Public fields behind the type's name, but for a security key's application; views into
// what is read.
void fields_read_public(struct reader *r, const struct key_type *type,
                        struct pk_parts *parts);
// The whole blob, name included.
void fields_write_public(struct writer *w, const struct key_type *type,
                         const struct pk_parts *parts);
