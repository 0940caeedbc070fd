// Security keys at this machine's USB, over libfido2, in the form of a middleware library
// (sk_api.h). The library is loaded at the first use: systems without it lack only this.
#include <fido.h>
#include <fido/credman.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/random.h"
#include "io/library.h"
#include "key/key.h"
#include "signer/token.h"
#include "tools/sk_api.h"

#define LIBRARY "libfido2.so.1"
#define DEVICES_MAX 64
#define USER_SIZE 32
#define TOUCH_STEP_MS 100
#define TOUCH_STEPS 150  // a quarter of a minute to choose one of several keys

// ---- the library ----

#define FUNCTIONS(X)                                                                     \
    X(fido_init)                                                                         \
    X(fido_dev_info_new)                                                                 \
    X(fido_dev_info_free)                                                                \
    X(fido_dev_info_manifest)                                                            \
    X(fido_dev_info_ptr)                                                                 \
    X(fido_dev_info_path)                                                                \
    X(fido_dev_new)                                                                      \
    X(fido_dev_free)                                                                     \
    X(fido_dev_open)                                                                     \
    X(fido_dev_close)                                                                    \
    X(fido_dev_has_uv)                                                                   \
    X(fido_dev_supports_cred_prot)                                                       \
    X(fido_dev_get_touch_begin)                                                          \
    X(fido_dev_get_touch_status)                                                         \
    X(fido_dev_cancel)                                                                   \
    X(fido_dev_make_cred)                                                                \
    X(fido_dev_get_assert)                                                               \
    X(fido_cred_new)                                                                     \
    X(fido_cred_free)                                                                    \
    X(fido_cred_set_type)                                                                \
    X(fido_cred_set_clientdata)                                                          \
    X(fido_cred_set_rk)                                                                  \
    X(fido_cred_set_user)                                                                \
    X(fido_cred_set_rp)                                                                  \
    X(fido_cred_set_prot)                                                                \
    X(fido_cred_verify)                                                                  \
    X(fido_cred_verify_self)                                                             \
    X(fido_cred_type)                                                                    \
    X(fido_cred_prot)                                                                    \
    X(fido_cred_x5c_ptr)                                                                 \
    X(fido_cred_x5c_len)                                                                 \
    X(fido_cred_sig_ptr)                                                                 \
    X(fido_cred_sig_len)                                                                 \
    X(fido_cred_authdata_ptr)                                                            \
    X(fido_cred_authdata_len)                                                            \
    X(fido_cred_pubkey_ptr)                                                              \
    X(fido_cred_pubkey_len)                                                              \
    X(fido_cred_id_ptr)                                                                  \
    X(fido_cred_id_len)                                                                  \
    X(fido_cred_user_id_ptr)                                                             \
    X(fido_cred_user_id_len)                                                             \
    X(fido_assert_new)                                                                   \
    X(fido_assert_free)                                                                  \
    X(fido_assert_set_clientdata)                                                        \
    X(fido_assert_set_rp)                                                                \
    X(fido_assert_allow_cred)                                                            \
    X(fido_assert_set_up)                                                                \
    X(fido_assert_set_uv)                                                                \
    X(fido_assert_count)                                                                 \
    X(fido_assert_flags)                                                                 \
    X(fido_assert_sigcount)                                                              \
    X(fido_assert_sig_ptr)                                                               \
    X(fido_assert_sig_len)                                                               \
    X(fido_assert_user_id_ptr)                                                           \
    X(fido_assert_user_id_len)                                                           \
    X(fido_credman_metadata_new)                                                         \
    X(fido_credman_metadata_free)                                                        \
    X(fido_credman_get_dev_metadata)                                                     \
    X(fido_credman_rk_existing)                                                          \
    X(fido_credman_rp_new)                                                               \
    X(fido_credman_rp_free)                                                              \
    X(fido_credman_rp_count)                                                             \
    X(fido_credman_rp_id)                                                                \
    X(fido_credman_get_dev_rp)                                                           \
    X(fido_credman_rk_new)                                                               \
    X(fido_credman_rk_free)                                                              \
    X(fido_credman_rk_count)                                                             \
    X(fido_credman_rk)                                                                   \
    X(fido_credman_get_dev_rk)

static struct {
#define X(name) __typeof__(name) *name;
    FUNCTIONS(X)
#undef X
} lib;

static const struct {
    const char *name;
    size_t at;
} functions[] = {
#define X(name) {#name, offsetof(__typeof__(lib), name)},
    FUNCTIONS(X)
#undef X
};

static enum err load_library(struct fault *f) {
    void *library = NULL;
    TRY(library_load(LIBRARY, &library, f));
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        TRY(library_find(library, functions[i].name, (char *)&lib + functions[i].at, f));
    lib.fido_init(0);
    return OK;
}

// ---- what is returned ----

static int code_of(int r) {
    switch (r) {
    case FIDO_OK:
        return 0;
    case FIDO_ERR_PIN_REQUIRED:
    case FIDO_ERR_UNAUTHORIZED_PERM:
    case FIDO_ERR_PIN_INVALID:
    case FIDO_ERR_OPERATION_DENIED:
        return SK_PIN_REQUIRED;
    case FIDO_ERR_UNSUPPORTED_OPTION:
    case FIDO_ERR_UNSUPPORTED_ALGORITHM:
    case FIDO_ERR_UNSUPPORTED_EXTENSION:
        return SK_UNSUPPORTED;
    case FIDO_ERR_NO_CREDENTIALS:
        return SK_NO_DEVICE;
    default:
        return SK_ERROR;
    }
}

static bool copy(uint8_t **out, size_t *n, const uint8_t *p, size_t size) {
    *n = 0;
    if (p == NULL || size == 0)
        return true;
    *out = malloc(size);
    if (*out == NULL)
        return false;
    memcpy(*out, p, size);
    *n = size;
    return true;
}

static const char *option(struct sk_option **options, const char *name) {
    for (; options != NULL && *options != NULL; options++)
        if (strcmp((*options)->name, name) == 0)
            return (*options)->value;
    return NULL;
}

static bool options_known(struct sk_option **options) {
    for (; options != NULL && *options != NULL; options++)
        if ((*options)->required != 0 && strcmp((*options)->name, "device") != 0 &&
            strcmp((*options)->name, "user") != 0)
            return false;
    return true;
}

// ---- devices ----

struct devices {
    fido_dev_t *at[DEVICES_MAX];
    size_t n;
};

static void close_one(fido_dev_t **d) {
    if (*d != NULL) {
        (void)lib.fido_dev_close(*d);
        lib.fido_dev_free(d);
    }
    *d = NULL;
}

static void close_all(struct devices *d) {
    for (size_t i = 0; i < d->n; i++)
        close_one(&d->at[i]);
    d->n = 0;
}

static void open_path(struct devices *d, const char *path) {
    fido_dev_t *one = lib.fido_dev_new();
    if (one != NULL && path != NULL && lib.fido_dev_open(one, path) == FIDO_OK)
        d->at[d->n++] = one;
    else if (one != NULL)
        lib.fido_dev_free(&one);
}

// That of the option, or all that are there.
static void open_all(struct devices *d, struct sk_option **options) {
    const char *named = option(options, "device");
    size_t n = 0;
    d->n = 0;
    if (named != NULL) {
        open_path(d, named);
        return;
    }
    fido_dev_info_t *list = lib.fido_dev_info_new(DEVICES_MAX);
    if (list != NULL && lib.fido_dev_info_manifest(list, DEVICES_MAX, &n) == FIDO_OK)
        for (size_t i = 0; i < n && d->n < DEVICES_MAX; i++)
            open_path(d, lib.fido_dev_info_path(lib.fido_dev_info_ptr(list, i)));
    lib.fido_dev_info_free(&list, DEVICES_MAX);
}

// Leaves one: the only one, or that which somebody touches.
static bool choose_touched(struct devices *d) {
    int chosen = d->n == 1 ? 0 : -1;
    for (size_t i = 0; d->n > 1 && i < d->n; i++)
        if (lib.fido_dev_get_touch_begin(d->at[i]) != FIDO_OK)
            close_one(&d->at[i]);
    for (unsigned step = 0; chosen < 0 && d->n > 1 && step < TOUCH_STEPS; step++) {
        for (size_t i = 0; chosen < 0 && i < d->n; i++) {
            int touched = 0;
            if (d->at[i] != NULL &&
                lib.fido_dev_get_touch_status(d->at[i], &touched, TOUCH_STEP_MS / 4) ==
                    FIDO_OK &&
                touched)
                chosen = (int)i;
        }
        if (chosen < 0)
            (void)poll(NULL, 0, TOUCH_STEP_MS);
    }
    for (size_t i = 0; d->n > 1 && i < d->n; i++) {
        if ((int)i == chosen || d->at[i] == NULL)
            continue;
        (void)lib.fido_dev_cancel(d->at[i]);
        close_one(&d->at[i]);
    }
    if (chosen > 0) {
        d->at[0] = d->at[chosen];
        d->at[chosen] = NULL;
    }
    return chosen >= 0;
}

// ---- signing ----

struct question {
    const uint8_t *data, *handle;
    size_t data_n, handle_n;
    const char *application;
    uint8_t flags;
};

static fido_assert_t *new_assert(const struct question *q, bool touch) {
    fido_assert_t *a = lib.fido_assert_new();
    if (a != NULL && lib.fido_assert_set_clientdata(a, q->data, q->data_n) == FIDO_OK &&
        lib.fido_assert_set_rp(a, q->application) == FIDO_OK &&
        (q->handle_n == 0 ||
         lib.fido_assert_allow_cred(a, q->handle, q->handle_n) == FIDO_OK) &&
        lib.fido_assert_set_up(a, touch ? FIDO_OPT_TRUE : FIDO_OPT_FALSE) == FIDO_OK)
        return a;
    lib.fido_assert_free(&a);
    return NULL;
}

// Does the device know the handle? Nobody needs to touch it for that.
static bool knows(fido_dev_t *d, const struct question *q) {
    fido_assert_t *a = new_assert(q, false);
    int r = a != NULL ? lib.fido_dev_get_assert(d, a, NULL) : FIDO_ERR_INTERNAL;
    lib.fido_assert_free(&a);
    return r == FIDO_OK || r == FIDO_ERR_USER_PRESENCE_REQUIRED ||
           r == FIDO_ERR_PIN_REQUIRED || r == FIDO_ERR_UV_BLOCKED;
}

static fido_dev_t *choose_knowing(struct devices *d, const struct question *q) {
    for (size_t i = 0; d->n > 1 && i < d->n; i++)
        if (!knows(d->at[i], q))
            close_one(&d->at[i]);
    for (size_t i = 0; i < d->n; i++)
        if (d->at[i] != NULL)
            return d->at[i];
    return NULL;
}

// SEQUENCE { INTEGER r, INTEGER s } (RFC 3279 s.2.2.3), as short as DER has it: both are
// of P-256, so every length is one byte.
static bool split_der(const uint8_t *p, size_t n, struct sk_signature *s) {
    if (n < 8 || p[0] != 0x30 || p[1] != n - 2 || p[2] != 0x02)
        return false;
    size_t r = p[3];
    if (r == 0 || r > 33 || 4 + r + 2 > n || p[4 + r] != 0x02)
        return false;
    size_t m = p[5 + r];
    return m != 0 && m <= 33 && 6 + r + m == n && copy(&s->r, &s->r_n, p + 4, r) &&
           copy(&s->s, &s->s_n, p + 6 + r, m);
}

static bool fill_signature(uint32_t algorithm, const fido_assert_t *a,
                           struct sk_signature *s) {
    const uint8_t *p = lib.fido_assert_sig_ptr(a, 0);
    size_t n = lib.fido_assert_sig_len(a, 0);
    s->flags = lib.fido_assert_flags(a, 0);
    s->counter = lib.fido_assert_sigcount(a, 0);
    if (p == NULL)
        return false;
    return algorithm == SK_ECDSA ? split_der(p, n, s)
                                 : n == 64 && copy(&s->r, &s->r_n, p, n);
}

static int take_signature(uint32_t algorithm, const fido_assert_t *a,
                          struct sk_signature **out) {
    struct sk_signature *s = calloc(1, sizeof *s);
    if (s != NULL && fill_signature(algorithm, a, s)) {
        *out = s;
        return 0;
    }
    sk_signature_free(s);
    return SK_ERROR;
}

static int sign_with(fido_dev_t *d, uint32_t algorithm, const struct question *q,
                     const char *pin, struct sk_signature **out) {
    bool verify = (q->flags & KEY_HANDLE_VERIFY) != 0 && pin == NULL;
    // A reader of fingerprints on it does instead of a PIN.
    if (verify && !lib.fido_dev_has_uv(d))
        return SK_PIN_REQUIRED;
    fido_assert_t *a = new_assert(q, (q->flags & KEY_HANDLE_TOUCH) != 0);
    int r = a != NULL ? FIDO_OK : FIDO_ERR_INTERNAL;
    if (r == FIDO_OK && verify)
        r = lib.fido_assert_set_uv(a, FIDO_OPT_TRUE);
    if (r == FIDO_OK)
        r = lib.fido_dev_get_assert(d, a, pin);
    int code = r == FIDO_OK ? take_signature(algorithm, a, out) : code_of(r);
    lib.fido_assert_free(&a);
    return code;
}

static int sign(uint32_t algorithm, const uint8_t *data, size_t data_n,
                const char *application, const uint8_t *handle, size_t handle_n,
                uint8_t flags, const char *pin, struct sk_option **options,
                struct sk_signature **out) {
    struct question q = {data, handle, data_n, handle_n, application, flags};
    struct devices all;
    if (!options_known(options))
        return SK_UNSUPPORTED;
    open_all(&all, options);
    fido_dev_t *d = choose_knowing(&all, &q);
    int code = d != NULL ? sign_with(d, algorithm, &q, pin, out) : SK_NO_DEVICE;
    close_all(&all);
    return code;
}

// ---- a new key ----

struct wish {
    uint32_t algorithm;
    const uint8_t *challenge;
    size_t challenge_n;
    const char *application, *name, *pin;
    uint8_t user[USER_SIZE];
    uint8_t flags;
};

// 0: the device keeps no key for this application and user; else why it is not to be.
static int check_absent(fido_dev_t *d, const struct wish *w) {
    uint8_t anything[32];
    struct question q = {anything, NULL, sizeof anything, 0, w->application, 0};
    random_bytes(anything, sizeof anything);
    fido_assert_t *a = new_assert(&q, false);
    int r = a != NULL ? lib.fido_dev_get_assert(d, a, w->pin) : FIDO_ERR_INTERNAL;
    int code = r == FIDO_ERR_NO_CREDENTIALS ? 0 : code_of(r);
    for (size_t i = 0; r == FIDO_OK && i < lib.fido_assert_count(a); i++)
        if (lib.fido_assert_user_id_len(a, i) == USER_SIZE &&
            memcmp(lib.fido_assert_user_id_ptr(a, i), w->user, USER_SIZE) == 0)
            code = SK_EXISTS;
    lib.fido_assert_free(&a);
    return code;
}

static int set_protection(fido_dev_t *d, fido_cred_t *c, uint8_t flags) {
    if ((flags & (KEY_HANDLE_RESIDENT | KEY_HANDLE_VERIFY)) == 0)
        return FIDO_OK;
    if (!lib.fido_dev_supports_cred_prot(d))
        return FIDO_ERR_UNSUPPORTED_OPTION;
    return lib.fido_cred_set_prot(c, (flags & KEY_HANDLE_VERIFY) != 0
                                         ? FIDO_CRED_PROT_UV_REQUIRED
                                         : FIDO_CRED_PROT_UV_OPTIONAL_WITH_ID);
}

static int describe(fido_dev_t *d, fido_cred_t *c, const struct wish *w) {
    bool resident = (w->flags & KEY_HANDLE_RESIDENT) != 0;
    int r = lib.fido_cred_set_type(c, w->algorithm == SK_ECDSA ? COSE_ES256 : COSE_EDDSA);
    if (r == FIDO_OK)
        r = lib.fido_cred_set_clientdata(c, w->challenge, w->challenge_n);
    if (r == FIDO_OK)
        r = lib.fido_cred_set_rk(c, resident ? FIDO_OPT_TRUE : FIDO_OPT_OMIT);
    if (r == FIDO_OK)
        r = lib.fido_cred_set_user(c, w->user, USER_SIZE, w->name, w->name, NULL);
    if (r == FIDO_OK)
        r = lib.fido_cred_set_rp(c, w->application, NULL);
    return r == FIDO_OK ? set_protection(d, c, w->flags) : r;
}

// COSE keys by libfido2: an ECDSA point without the byte that says it is not compressed.
static bool take_public(uint32_t algorithm, const fido_cred_t *c, struct sk_enrolled *e) {
    const uint8_t *p = lib.fido_cred_pubkey_ptr(c);
    size_t n = lib.fido_cred_pubkey_len(c);
    if (p == NULL || n != (algorithm == SK_ECDSA ? 64 : 32))
        return false;
    if (algorithm != SK_ECDSA)
        return copy(&e->public_key, &e->public_key_n, p, n);
    e->public_key = malloc(n + 1);
    if (e->public_key == NULL)
        return false;
    e->public_key[0] = 0x04;
    memcpy(e->public_key + 1, p, n);
    e->public_key_n = n + 1;
    return true;
}

static bool take_made(uint32_t algorithm, const fido_cred_t *c, struct sk_enrolled *e) {
    return take_public(algorithm, c, e) &&
           copy(&e->handle, &e->handle_n, lib.fido_cred_id_ptr(c),
                lib.fido_cred_id_len(c)) &&
           copy(&e->signature, &e->signature_n, lib.fido_cred_sig_ptr(c),
                lib.fido_cred_sig_len(c)) &&
           copy(&e->certificate, &e->certificate_n, lib.fido_cred_x5c_ptr(c),
                lib.fido_cred_x5c_len(c)) &&
           copy(&e->authdata, &e->authdata_n, lib.fido_cred_authdata_ptr(c),
                lib.fido_cred_authdata_len(c));
}

static int make(fido_dev_t *d, fido_cred_t *c, const struct wish *w,
                struct sk_enrolled **out) {
    int r = describe(d, c, w);
    if (r == FIDO_OK)
        r = lib.fido_dev_make_cred(d, c, w->pin);
    if (r != FIDO_OK)
        return code_of(r);
    r = lib.fido_cred_x5c_ptr(c) != NULL ? lib.fido_cred_verify(c)
                                         : lib.fido_cred_verify_self(c);
    struct sk_enrolled *e = calloc(1, sizeof *e);
    if (r != FIDO_OK || e == NULL || !take_made(w->algorithm, c, e)) {
        sk_enrolled_free(e);
        return SK_ERROR;
    }
    e->flags = w->flags;
    *out = e;
    return 0;
}

static int enrol_at(fido_dev_t *d, const struct wish *w, struct sk_enrolled **out) {
    bool resident = (w->flags & KEY_HANDLE_RESIDENT) != 0;
    if ((w->flags & KEY_HANDLE_VERIFY) != 0 && w->pin == NULL && !lib.fido_dev_has_uv(d))
        return SK_PIN_REQUIRED;
    int code = resident && (w->flags & TOKEN_FORCE) == 0 ? check_absent(d, w) : 0;
    if (code != 0)
        return code;
    fido_cred_t *c = lib.fido_cred_new();
    code = c != NULL ? make(d, c, w, out) : SK_ERROR;
    lib.fido_cred_free(&c);
    return code;
}

static int enrol(uint32_t algorithm, const uint8_t *challenge, size_t challenge_n,
                 const char *application, uint8_t flags, const char *pin,
                 struct sk_option **options, struct sk_enrolled **out) {
    struct wish w = {.algorithm = algorithm,
                     .challenge = challenge,
                     .challenge_n = challenge_n,
                     .application = application,
                     .name = "openssh",
                     .pin = pin,
                     .flags = flags};
    struct devices all;
    const char *user = option(options, "user");
    if (!options_known(options) || (user != NULL && strlen(user) >= USER_SIZE))
        return SK_UNSUPPORTED;
    if (user != NULL) {
        memcpy(w.user, user, strlen(user));
        w.name = user;
    }
    open_all(&all, options);
    int code = all.n == 0              ? SK_NO_DEVICE
               : !choose_touched(&all) ? SK_ERROR
                                       : enrol_at(all.at[0], &w, out);
    close_all(&all);
    return code;
}

// ---- keys that the device keeps ----

struct list {
    struct sk_resident **at;
    size_t n;
};

static struct sk_resident *resident_of(const fido_cred_t *c, const char *application) {
    struct sk_resident *r = calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->algorithm = lib.fido_cred_type(c) == COSE_ES256 ? SK_ECDSA : SK_ED25519;
    r->flags = KEY_HANDLE_TOUCH | KEY_HANDLE_RESIDENT;
    if (lib.fido_cred_prot(c) == FIDO_CRED_PROT_UV_REQUIRED)
        r->flags |= KEY_HANDLE_VERIFY;
    r->application = strdup(application);
    if (r->application != NULL && take_public(r->algorithm, c, &r->key) &&
        copy(&r->key.handle, &r->key.handle_n, lib.fido_cred_id_ptr(c),
             lib.fido_cred_id_len(c)) &&
        copy(&r->user, &r->user_n, lib.fido_cred_user_id_ptr(c),
             lib.fido_cred_user_id_len(c)))
        return r;
    struct sk_resident **one = malloc(sizeof *one);
    if (one != NULL)
        *one = r;
    sk_resident_free(one, 1);
    return NULL;
}

static void add(struct list *l, const fido_cred_t *c, const char *application) {
    int type = lib.fido_cred_type(c);
    if (type != COSE_ES256 && type != COSE_EDDSA)
        return;
    struct sk_resident **more = realloc(l->at, (l->n + 1) * sizeof *more);
    if (more == NULL)
        return;
    l->at = more;
    l->at[l->n] = resident_of(c, application);
    if (l->at[l->n] != NULL)
        l->n++;
}

// SSH's applications begin with "ssh:"; the others are websites.
static int read_application(fido_dev_t *d, const char *id, const char *pin,
                            struct list *l) {
    if (id == NULL || strncmp(id, "ssh:", 4) != 0)
        return FIDO_OK;
    fido_credman_rk_t *keys = lib.fido_credman_rk_new();
    int r =
        keys != NULL ? lib.fido_credman_get_dev_rk(d, id, keys, pin) : FIDO_ERR_INTERNAL;
    for (size_t i = 0; r == FIDO_OK && i < lib.fido_credman_rk_count(keys); i++)
        add(l, lib.fido_credman_rk(keys, i), id);
    lib.fido_credman_rk_free(&keys);
    return r;
}

static int read_applications(fido_dev_t *d, const char *pin, struct list *l) {
    fido_credman_rp_t *rps = lib.fido_credman_rp_new();
    int r = rps != NULL ? lib.fido_credman_get_dev_rp(d, rps, pin) : FIDO_ERR_INTERNAL;
    for (size_t i = 0; r == FIDO_OK && i < lib.fido_credman_rp_count(rps); i++)
        r = read_application(d, lib.fido_credman_rp_id(rps, i), pin, l);
    lib.fido_credman_rp_free(&rps);
    return r;
}

static int read_device(fido_dev_t *d, const char *pin, struct list *l) {
    fido_credman_metadata_t *about = lib.fido_credman_metadata_new();
    int r = about != NULL ? lib.fido_credman_get_dev_metadata(d, about, pin)
                          : FIDO_ERR_INTERNAL;
    if (r == FIDO_OK && lib.fido_credman_rk_existing(about) > 0)
        r = read_applications(d, pin, l);
    lib.fido_credman_metadata_free(&about);
    // What a device says that can not keep keys at all.
    return r == FIDO_ERR_INVALID_COMMAND ? SK_UNSUPPORTED : code_of(r);
}

static int resident(const char *pin, struct sk_option **options,
                    struct sk_resident ***out, size_t *n) {
    struct list l = {0};
    struct devices all;
    if (!options_known(options))
        return SK_UNSUPPORTED;
    if (pin == NULL)
        return SK_PIN_REQUIRED;
    open_all(&all, options);
    int code = all.n == 0              ? SK_NO_DEVICE
               : !choose_touched(&all) ? SK_ERROR
                                       : read_device(all.at[0], pin, &l);
    close_all(&all);
    if (code != 0) {
        sk_resident_free(l.at, l.n);
        l = (struct list){0};
    }
    *out = l.at;
    *n = l.n;
    return code;
}

static const struct sk_api own = {enrol, sign, resident};

const struct sk_api *sk_fido2(const char **why) {
    static struct fault fault;
    if (load_library(&fault) == OK)
        return &own;
    *why = fault_text(&fault);
    return NULL;
}
