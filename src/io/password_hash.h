// Passwords against the hashes of shadow(5), by crypt(3).
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define PASSWORD_MAX 1024u  // bytes; longer ones are wrong without work (CVE-2016-6515)
#define PASSWORD_HASH_SIZE 512

// Does the password give this hash? The work is done in any case; false for hashes that
// none can give. Both are C strings; what is in between is wiped.
bool password_matches(const char *password, const char *hash);

// A hash with the same cost as this machine's own passwords, that no password gives: for
// users that there are not. Returns out.
const char *password_hash_stand_in(char *out, size_t size);
