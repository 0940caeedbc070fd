// A middleware library for tests (OpenSSH's sk-api 10): Ed25519 keys whose handle is
// their seed. What the real ones do and OpenSSH's dummy does not: it wants a PIN
// (TOKEN_PIN) for keys with user verification and for the list of resident keys, which
// it keeps in a folder (TOKEN_FOLDER), one file each: name "application:user",
// contents flags and seed.
#include <dirent.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/sk_api.h"

#define SEED 32
#define PRESENCE 0x01u
#define VERIFICATION 0x04u
#define FORCE 0x10u
#define RESIDENT 0x20u

uint32_t sk_api_version(void);
int sk_enroll(uint32_t algorithm, const uint8_t *challenge, size_t challenge_n,
              const char *application, uint8_t flags, const char *pin,
              struct sk_option **options, struct sk_enrolled **out);
int sk_sign(uint32_t algorithm, const uint8_t *data, size_t data_n,
            const char *application, const uint8_t *handle, size_t handle_n,
            uint8_t flags, const char *pin, struct sk_option **options,
            struct sk_signature **out);
int sk_load_resident_keys(const char *pin, struct sk_option **options,
                          struct sk_resident ***out, size_t *n);

uint32_t sk_api_version(void) {
    return SK_API_VERSION;
}

static bool pin_good(const char *pin) {
    const char *want = getenv("TOKEN_PIN");
    return want != NULL && pin != NULL && strcmp(pin, want) == 0;
}

static const char *option(struct sk_option **options, const char *name) {
    for (; options != NULL && *options != NULL; options++)
        if (strcmp((*options)->name, name) == 0)
            return (*options)->value;
    return "";
}

static EVP_PKEY *key_of(const uint8_t *seed) {
    return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SEED);
}

static uint8_t *copy(const void *p, size_t n) {
    uint8_t *out = malloc(n + 1);
    if (out == NULL)
        abort();
    memcpy(out, p, n);
    out[n] = 0;
    return out;
}

static void fill(struct sk_enrolled *e, const uint8_t *seed) {
    uint8_t public[32];
    size_t n = sizeof public;
    EVP_PKEY *key = key_of(seed);
    if (key == NULL || EVP_PKEY_get_raw_public_key(key, public, &n) != 1)
        abort();
    EVP_PKEY_free(key);
    e->public_key = copy(public, e->public_key_n = n);
    e->handle = copy(seed, e->handle_n = SEED);
    e->certificate = copy("certificate", e->certificate_n = 11);
    e->signature = copy("signature", e->signature_n = 9);
    e->authdata = copy("authdata", e->authdata_n = 8);
}

static void path_of(char *out, size_t size, const char *application, const char *user) {
    const char *folder = getenv("TOKEN_FOLDER");
    snprintf(out, size, "%s/%s:%s", folder != NULL ? folder : "/nowhere", application,
             user);
}

static int keep(const char *application, const char *user, uint8_t flags,
                const uint8_t *seed) {
    char path[PATH_MAX];
    path_of(path, sizeof path, application, user);
    FILE *f = fopen(path, (flags & FORCE) != 0 ? "w" : "wx");
    if (f == NULL)
        return SK_EXISTS;
    fputc(flags & (PRESENCE | VERIFICATION | RESIDENT), f);
    fwrite(seed, 1, SEED, f);
    return fclose(f) == 0 ? 0 : SK_ERROR;
}

int sk_enroll(uint32_t algorithm, const uint8_t *challenge, size_t challenge_n,
              const char *application, uint8_t flags, const char *pin,
              struct sk_option **options, struct sk_enrolled **out) {
    uint8_t seed[SEED];
    FILE *random = fopen("/dev/urandom", "r");
    bool good = random != NULL && fread(seed, 1, SEED, random) == SEED;
    if (random != NULL)
        fclose(random);
    if (!good || challenge == NULL || challenge_n == 0)
        return SK_ERROR;
    if (algorithm != SK_ED25519)
        return SK_UNSUPPORTED;
    if ((flags & (VERIFICATION | RESIDENT)) != 0 && !pin_good(pin))
        return SK_PIN_REQUIRED;
    int code = (flags & RESIDENT) != 0
                   ? keep(application, option(options, "user"), flags, seed)
                   : 0;
    if (code != 0)
        return code;
    struct sk_enrolled *e = calloc(1, sizeof *e);
    if (e == NULL)
        abort();
    fill(e, seed);
    e->flags = flags & (PRESENCE | VERIFICATION | RESIDENT);
    *out = e;
    return 0;
}

static void hash(const void *p, size_t n, uint8_t *out) {
    if (EVP_Digest(p, n, out, NULL, EVP_sha256(), NULL) != 1)
        abort();
}

int sk_sign(uint32_t algorithm, const uint8_t *data, size_t data_n,
            const char *application, const uint8_t *handle, size_t handle_n,
            uint8_t flags, const char *pin, struct sk_option **options,
            struct sk_signature **out) {
    uint8_t said[32 + 1 + 4 + 32] = {0}, signature[64];
    size_t n = sizeof signature;
    (void)options;
    if (algorithm != SK_ED25519 || handle_n != SEED)
        return SK_ERROR;
    if ((flags & VERIFICATION) != 0 && !pin_good(pin))
        return SK_PIN_REQUIRED;
    hash(application, strlen(application), said);
    said[32] = flags & (PRESENCE | VERIFICATION);
    said[36] = 7;  // the counter
    hash(data, data_n, said + 37);
    EVP_PKEY *key = key_of(handle);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (key == NULL || ctx == NULL ||
        EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1 ||
        EVP_DigestSign(ctx, signature, &n, said, sizeof said) != 1)
        abort();
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    struct sk_signature *s = calloc(1, sizeof *s);
    if (s == NULL)
        abort();
    s->flags = said[32];
    s->counter = 7;
    s->r = copy(signature, s->r_n = n);
    *out = s;
    return 0;
}

static struct sk_resident *read_key(const char *folder, const char *name) {
    char path[PATH_MAX];
    uint8_t bytes[1 + SEED];
    const char *user = strrchr(name, ':');
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = user != NULL ? fopen(path, "r") : NULL;
    if (f == NULL)
        return NULL;
    bool good = fread(bytes, 1, sizeof bytes, f) == sizeof bytes;
    fclose(f);
    struct sk_resident *r = good ? calloc(1, sizeof *r) : NULL;
    if (r == NULL)
        return NULL;
    r->algorithm = SK_ED25519;
    r->flags = bytes[0];
    r->application = strndup(name, (size_t)(user - name));
    r->user_n = 32;
    r->user = calloc(1, 32);
    if (r->user == NULL)
        abort();
    memcpy(r->user, user + 1, strnlen(user + 1, 32));
    fill(&r->key, bytes + 1);
    return r;
}

int sk_load_resident_keys(const char *pin, struct sk_option **options,
                          struct sk_resident ***out, size_t *n) {
    const char *folder = getenv("TOKEN_FOLDER");
    struct sk_resident **list = calloc(16, sizeof *list);
    (void)options;
    *n = 0;
    if (!pin_good(pin) || list == NULL || folder == NULL) {
        free(list);
        return SK_PIN_REQUIRED;
    }
    struct dirent **names;
    int count = scandir(folder, &names, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        struct sk_resident *r = *n < 16 ? read_key(folder, names[i]->d_name) : NULL;
        if (r != NULL)
            list[(*n)++] = r;
        free(names[i]);
    }
    if (count >= 0)
        free(names);
    *out = list;
    return 0;
}
