// Random bytes. Failure of the system's generator ends the process: there is nothing to
// go on with.
#pragma once

#include "base/bytes.h"

// For keys, nonces, cookies: straight from the system's generator.
void random_bytes(void *p, size_t n);

// For padding: from a pool in user space that a fork wipes and refills; no system call a
// packet.
void random_padding(void *p, size_t n);
// The pool's page goes back; the next call fills it anew.
void random_padding_idle(void);
