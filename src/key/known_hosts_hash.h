// Hashed host names of known_hosts: |1|salt|HMAC-SHA1(salt, name), both in base64.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

// Is `field` the hash of the name? Not when it is no such field; errors are failures of
// ours.
must_check enum err known_hosts_hash_is(struct view field, const char *name, bool *is);
