// A server's host key for fuzzed transports.
#pragma once

#include <stdlib.h>

#include "crypto/crypto.h"
#include "key/key.h"
#include "transport/transport.h"

static struct key *host_key;
static struct transport_host_key key_row;

static inline void must(bool ok) {
    if (!ok)
        abort();
}

static inline void prepare(void) {
    // A fresh key each run: no decision depends on its bytes.
    struct pk *pk;
    must(crypto_init() == OK);
    must(pk_generate(&pk, PK_ED25519, PK_P256, 0) == OK);
    must(key_from_pk(&host_key, pk) == OK);
    key_row = (struct transport_host_key){key_blob(host_key), "ssh-ed25519"};
}
