// The one place that looks algorithms up in libcrypto (crypto/fetched.h).
//
// The table below is the only state of this layer besides the padding pool (random.c); it
// is written by crypto_init() and constant from then on, but for ciphers of old modes.
#include "crypto/crypto.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>
#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "crypto/fetched.h"
#include "crypto/memory.h"
#include "crypto/pk.h"
#include "crypto/provider.h"
#include "crypto/random.h"

static struct fetched state;
static bool looked_up, warm;

#define X(id, name) name,
static const char *const md_names[] = {FETCHED_MDS(X)};
static const char *const cipher_names[] = {FETCHED_CIPHERS(X)};
#undef X

const struct fetched *fetched(void) {
    return &state;
}

const EVP_MD *fetched_md(const struct digest_alg *alg) {
    return state.md[alg->id];
}

// Of the old modes PEM files want objects of their own, made when libcrypto has its
// tables of names; and looking one up builds all ciphers that the default provider has,
// so only whoever uses one pays for it.
const EVP_CIPHER *fetched_cipher(enum fetched_cipher id) {
    if (state.cipher[id] == NULL)
        state.cipher[id] = EVP_CIPHER_fetch(provider_wide(), cipher_names[id], NULL);
    return state.cipher[id];
}

enum err fetched_failed(enum err e) {
    ERR_clear_error();
    return e;
}

// libcrypto has asked the CPU already; asking it again costs a trap in a virtual machine.
static bool aes_in_hardware(void) {
#if defined(__aarch64__)
    return (getauxval(AT_HWCAP) & HWCAP_AES) != 0;
#elif defined(__x86_64__)
    const char *text = OPENSSL_info(OPENSSL_INFO_CPU_SETTINGS);
    const char *number = text != NULL ? strchr(text, '=') : NULL;
    if (number == NULL)
        return false;
    // CPUID 1, EDX in the low half and ECX in the high one: bit 25 of ECX.
    return (strtoull(number + 1, NULL, 16) >> 57 & 1) != 0;
#else
    return false;
#endif
}

static bool fetch_hmac(void) {
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    bool good = hmac != NULL;
    for (size_t i = 0; good && i < FETCHED_HMACS; i++) {
        char name[32];
        memcpy(name, md_names[i], strlen(md_names[i]) + 1);
        OSSL_PARAM params[] = {
            OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
            OSSL_PARAM_construct_end()};
        state.hmac[i] = EVP_MAC_CTX_new(hmac);
        good =
            state.hmac[i] != NULL && EVP_MAC_CTX_set_params(state.hmac[i], params) == 1;
    }
    EVP_MAC_free(hmac);  // the contexts hold their own references
    return good;
}

static bool fetch_all(void) {
    for (size_t i = 0; i < FETCHED_MD_COUNT; i++) {
        state.md[i] = EVP_MD_fetch(provider_wide(), md_names[i], NULL);
        if (state.md[i] == NULL)
            return false;
    }
    for (size_t i = 0; i < FETCHED_AES_128_CBC; i++) {
        state.cipher[i] = EVP_CIPHER_fetch(NULL, cipher_names[i], NULL);
        if (state.cipher[i] == NULL)
            return false;
    }
    state.poly1305 = EVP_MAC_fetch(NULL, "POLY1305", NULL);
    return state.poly1305 != NULL && fetch_hmac();
}

// Found once, it stays in libcrypto's store.
static bool find_exchange(const char *name) {
    EVP_KEYEXCH *exchange = EVP_KEYEXCH_fetch(NULL, name, NULL);
    EVP_KEYEXCH_free(exchange);
    return exchange != NULL;
}

// libcrypto loads its tables of key types and of exchanges at their first use: once for
// all that are forked. One key of each kind warms them up.
static bool warm_up(void) {
    uint8_t unused[16];
    EVP_PKEY *x = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
    EVP_PKEY *e = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    bool good =
        x != NULL && e != NULL && find_exchange("X25519") && find_exchange("ECDH");
    EVP_PKEY_free(x);
    EVP_PKEY_free(e);
    random_padding(unused, sizeof unused);
    return good;
}

EVP_PKEY *fetched_ml_kem_key(void) {
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "ML-KEM-768", NULL);
    EVP_PKEY *key = NULL;
    if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
        EVP_PKEY_generate(ctx, &key) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    return key;
}

// Making a key also loads what a sandboxed process could not.
static bool ml_kem_works(void) {
    EVP_KEM *kem = EVP_KEM_fetch(NULL, "ML-KEM-768", NULL);
    EVP_PKEY *key = kem != NULL ? fetched_ml_kem_key() : NULL;
    bool works = key != NULL;
    EVP_PKEY_free(key);
    EVP_KEM_free(kem);
    return works;
}

static enum err look_up(void) {
    if (provider_narrow() != OK || !fetch_all())
        return fetched_failed(ERR_CRYPTO);
    state.ml_kem = ml_kem_works();
    state.aes_in_hardware = aes_in_hardware();
    looked_up = true;
    return fetched_failed(OK);
}

enum err crypto_init_short(void) {
    return looked_up ? OK : look_up();
}

enum err crypto_init(void) {
    if (warm)
        return OK;
    memory_gather();
    enum err e = crypto_init_short();
    if (e == OK && (!warm_up() || pk_init() != OK))
        e = ERR_CRYPTO;
    memory_gathered();
    if (e != OK)
        return fetched_failed(e);
    warm = true;
    return fetched_failed(OK);
}

void crypto_share(void) {
    provider_restore();
}
