// The algorithms, one row each; everything that lists algorithms is driven by it:
// negotiation, defaults, -Q, configuration checks, manual pages, test matrices.
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "crypto/kex.h"
#include "crypto/packet_cipher.h"

enum alg_kind {
    ALG_KEX,
    ALG_SIGNATURE,  // host key and user key signature algorithms; see crypto/pk.h
    ALG_CIPHER,
    ALG_MAC,
    ALG_COMPRESSION,
    ALG_KINDS
};

// flags
#define ALG_DEFAULT_CLIENT 1u
#define ALG_DEFAULT_SERVER 2u
#define ALG_DEFAULT (ALG_DEFAULT_CLIENT | ALG_DEFAULT_SERVER)
#define ALG_POST_QUANTUM 4u
#define ALG_CERTIFICATE 8u  // a side that judges certificates adds it to its own

struct alg {
    enum alg_kind kind;
    const char *name;
    unsigned flags;
    union {
        const void *any;
        const struct kex_alg *kex;
        const struct cipher_alg *cipher;
        const struct mac_alg *mac;
        const struct signature_alg *signature;
    };
};

// Rows of one kind in order of preference; NULL past the end. The order of ciphers is AES
// first where the CPU has instructions for it (crypto_init() finds out),
// chacha20-poly1305 first where not.
const struct alg *alg_at(enum alg_kind kind, size_t index);
const struct alg *alg_find(enum alg_kind kind, struct view name);

// The default list of names for a side (ALG_DEFAULT_CLIENT or _SERVER), as a C string.
must_check enum err alg_default_list(enum alg_kind kind, unsigned side, struct buf *out);

// Applies OpenSSH's list syntax to the defaults: "a,b" replaces, "+a" appends, "-a*"
// removes by pattern, "^a" puts in front. The result is a C string in `out` (NUL
// counted). Names that OpenSSH has and we have not are left out. ERR_CONFIG with the
// fault naming the first unknown algorithm (and a similar one), or when nothing is left.
must_check enum err alg_list_apply(enum alg_kind kind, unsigned side, const char *spec,
                                   struct buf *out, struct fault *fault);
