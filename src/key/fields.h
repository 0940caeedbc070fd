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

// The fields of a secret key behind the type's name, as openssh-key-v1 and the agent
// protocol (draft-ietf-sshm-ssh-agent s.3.2) have them.
void fields_read_secret(struct reader *r, const struct key_type *type,
                        struct pk_parts *parts);
void fields_write_secret(struct writer *w, const struct key_type *type,
                         const struct pk_parts *parts);
