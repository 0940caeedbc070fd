// The interface to security keys, version 10 of OpenSSH's sk-api: what a middleware
// library offers under the names sk_api_version, sk_enroll, sk_sign and
// sk_load_resident_keys, and what our own implementation over libfido2 (sk_fido2.c)
// offers in the same form.
//
// Results are allocated with malloc() and the caller's: every pointer in them is freed
// one by one (sk_api.c).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SK_API_VERSION 0x000a0000u
#define SK_API_MAJOR 0xffff0000u

enum sk_algorithm {
    SK_ECDSA = 0,
    SK_ED25519 = 1,
};

enum sk_error {
    SK_ERROR = -1,
    SK_UNSUPPORTED = -2,
    SK_PIN_REQUIRED = -3,
    SK_NO_DEVICE = -4,
    SK_EXISTS = -5,
};

struct sk_enrolled {
    uint8_t flags;
    uint8_t *public_key;  // Ed25519: 32 bytes; ECDSA: SEC1 point, uncompressed
    size_t public_key_n;
    uint8_t *handle;
    size_t handle_n;
    uint8_t *signature;
    size_t signature_n;
    uint8_t *certificate;
    size_t certificate_n;
    uint8_t *authdata;
    size_t authdata_n;
};

struct sk_signature {
    uint8_t flags;
    uint32_t counter;
    uint8_t *r;  // Ed25519: the whole
    size_t r_n;
    uint8_t *s;
    size_t s_n;
};

struct sk_resident {
    uint32_t algorithm;
    size_t slot;
    char *application;
    struct sk_enrolled key;
    uint8_t flags;
    uint8_t *user;
    size_t user_n;
};

struct sk_option {
    char *name, *value;
    uint8_t required;  // who does not know it must fail
};

// The functions of one implementation; options is a list that ends with NULL, or NULL.
struct sk_api {
    int (*enrol)(uint32_t algorithm, const uint8_t *challenge, size_t challenge_n,
                 const char *application, uint8_t flags, const char *pin,
                 struct sk_option **options, struct sk_enrolled **out);
    int (*sign)(uint32_t algorithm, const uint8_t *data, size_t data_n,
                const char *application, const uint8_t *handle, size_t handle_n,
                uint8_t flags, const char *pin, struct sk_option **options,
                struct sk_signature **out);
    int (*resident)(const char *pin, struct sk_option **options,
                    struct sk_resident ***out, size_t *n);
};

// Our own; NULL and the loader's words in *why when libfido2 is not installed.
const struct sk_api *sk_fido2(const char **why);

// All wipe nothing: what they hold is public, or means something to its token alone.
void sk_enrolled_free(struct sk_enrolled *e);
void sk_signature_free(struct sk_signature *s);
void sk_resident_free(struct sk_resident **list, size_t n);
