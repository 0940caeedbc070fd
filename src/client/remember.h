// What is remembered of hosts between runs: whether a guessed key exchange is likely
// right. A tiny private file, one short line for each change, names only as hashes. It is
// a hint: whatever goes wrong with it is passed over.
#pragma once

#include <stdbool.h>

enum remember {
    REMEMBER_NOTHING,
    REMEMBER_GUESS,     // a guess is likely right
    REMEMBER_NO_GUESS,  // it was wrong
};

// `name` as in known_hosts.
enum remember remember_get(const char *home, const char *name);
void remember_put(const char *home, const char *name, enum remember what);
