// Warming up: everything that libcrypto looks up or allocates once.
#pragma once

#include "base/err.h"

// Fetches every algorithm, so that processes forked later pay nothing. Once for each
// process tree, before any other call of this layer (the registry's order depends on it,
// too). Afterwards everything here works in forks and in sandboxes that may open nothing.
// Loads no configuration file of libcrypto's.
must_check enum err crypto_init(void);

// The same for a process that forks nothing and is not confined: what is not needed is
// not warmed up.
must_check enum err crypto_init_short(void);

// For a process that loads libraries of others which use libcrypto too: they find it as
// they expect it, with all that it has. What was warmed up stays with us.
void crypto_share(void);
