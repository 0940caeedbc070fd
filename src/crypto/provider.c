// The random method and the legacy tables of names are deprecated, not gone: the first
// spares three generators with their state in each process, the second is what
// PEM's "DEK-Info" is looked up in.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/provider.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <string.h>

#include "crypto/random.h"

#define ROWS_MAX 16

// One kind of operation, and what of it is handed on.
struct narrowed {
    int operation;
    const char *const *names;  // ended by NULL
    OSSL_ALGORITHM rows[ROWS_MAX + 1];
};

static const char *const ciphers[] = {"ChaCha20",    "AES-128-ECB", "AES-128-GCM",
                                      "AES-256-GCM", "AES-128-CTR", "AES-192-CTR",
                                      "AES-256-CTR", "AES-256-CBC", NULL};
static const char *const keys[] = {"X25519", "ED25519", "EC", "RSA", "ML-KEM-768", NULL};
static const char *const exchanges[] = {"X25519", "ECDH", NULL};
static const char *const signatures[] = {"ED25519", "ECDSA", "RSA", NULL};
static const char *const kems[] = {"ML-KEM-768", NULL};
static const char *const macs[] = {"HMAC", "POLY1305", NULL};
static const char *const none[] = {NULL};

static struct narrowed kinds[] = {
    {.operation = OSSL_OP_CIPHER, .names = ciphers},
    {.operation = OSSL_OP_KEYMGMT, .names = keys},
    {.operation = OSSL_OP_KEYEXCH, .names = exchanges},
    {.operation = OSSL_OP_SIGNATURE, .names = signatures},
    {.operation = OSSL_OP_KEM, .names = kems},
    {.operation = OSSL_OP_MAC, .names = macs},
    {.operation = OSSL_OP_DIGEST, .names = none},
};

static OSSL_PROVIDER *whole;
static OSSL_LIB_CTX *wide, *narrow, *before;
static bool widened;

// An algorithm's names are separated by colons.
static bool has_name(const char *names, const char *wanted) {
    size_t n = strlen(wanted);
    for (const char *at = names; at != NULL; at = strchr(at, ':')) {
        at += *at == ':';
        if (strncasecmp(at, wanted, n) == 0 && (at[n] == ':' || at[n] == '\0'))
            return true;
    }
    return false;
}

static bool is_wanted(const struct narrowed *kind, const char *names) {
    for (size_t i = 0; kind->names[i] != NULL; i++)
        if (has_name(names, kind->names[i]))
            return true;
    return false;
}

static void pick(struct narrowed *kind) {
    int no_cache;
    const OSSL_ALGORITHM *all =
        OSSL_PROVIDER_query_operation(whole, kind->operation, &no_cache);
    size_t n = 0;
    for (; all != NULL && all->algorithm_names != NULL && n < ROWS_MAX; all++)
        if (is_wanted(kind, all->algorithm_names))
            kind->rows[n++] = *all;
}

static const OSSL_ALGORITHM *query(void *context, int operation, int *no_cache) {
    (void)context;
    *no_cache = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].operation == operation)
            return kinds[i].rows;
    return NULL;
}

static int start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                 const OSSL_DISPATCH **out, void **context) {
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query}, {0, NULL}};
    (void)handle, (void)in;
    *out = functions;
    // What the rows' functions work with is the default provider's.
    *context = OSSL_PROVIDER_get0_provider_ctx(whole);
    return 1;
}

static int give_random(unsigned char *p, int n) {
    random_bytes(p, (size_t)n);
    return 1;
}

static int random_ready(void) {
    return 1;
}

static bool set_random(void) {
    static const RAND_METHOD system = {
        .bytes = give_random, .pseudorand = give_random, .status = random_ready};
    return RAND_set_rand_method(&system) == 1;
}

enum err provider_narrow(void) {
    // Without libcrypto's tables of old names, its texts of errors and its cleaning up.
    if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT |
                                OPENSSL_INIT_NO_LOAD_CRYPTO_STRINGS |
                                OPENSSL_INIT_NO_ADD_ALL_CIPHERS |
                                OPENSSL_INIT_NO_ADD_ALL_DIGESTS,
                            NULL) != 1 ||
        !set_random())
        return ERR_CRYPTO;
    // Not the context that there is anyhow: a provider in that one takes NULL to mean it,
    // and NULL will mean another.
    wide = OSSL_LIB_CTX_new();
    narrow = OSSL_LIB_CTX_new();
    whole = wide != NULL ? OSSL_PROVIDER_load(wide, "default") : NULL;
    if (whole == NULL || narrow == NULL)
        return ERR_CRYPTO;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        pick(&kinds[i]);
    if (OSSL_PROVIDER_add_builtin(narrow, "bowline", start) != 1 ||
        OSSL_PROVIDER_load(narrow, "bowline") == NULL)
        return ERR_CRYPTO;
    before = OSSL_LIB_CTX_set0_default(narrow);
    return before != NULL ? OK : ERR_CRYPTO;
}

void provider_restore(void) {
    if (before != NULL)
        (void)OSSL_LIB_CTX_set0_default(before);
}

OSSL_LIB_CTX *provider_wide(void) {
    return wide;
}

enum err provider_widen(void) {
    if (widened)
        return OK;
    const EVP_CIPHER *const named_ciphers[] = {EVP_aes_128_cbc(), EVP_aes_192_cbc(),
                                               EVP_aes_256_cbc(), EVP_des_ede3_cbc(),
                                               EVP_des_cbc()};
    const EVP_MD *const named_digests[] = {EVP_md5(), EVP_sha1(), EVP_sha256(),
                                           EVP_sha512()};
    bool good = OSSL_PROVIDER_load(narrow, "default") != NULL;
    for (size_t i = 0; good && i < sizeof named_ciphers / sizeof *named_ciphers; i++)
        good = EVP_add_cipher(named_ciphers[i]) == 1;
    for (size_t i = 0; good && i < sizeof named_digests / sizeof *named_digests; i++)
        good = EVP_add_digest(named_digests[i]) == 1;
    widened = good;
    return good ? OK : ERR_CRYPTO;
}
