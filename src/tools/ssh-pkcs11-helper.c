// ssh-pkcs11-helper: lists the public keys of PKCS#11 tokens and signs with their private
// halves, in a process of its own and for one request.
#include <p11-kit/pkcs11.h>
#include <stdlib.h>
#include <string.h>

#include "key/key.h"
#include "tools/token_helper.h"
#include "wire/writer.h"

#define SLOTS_MAX 16
#define KEYS_MAX 64  // of one token
#define VALUE_MAX 4096

struct token {
    struct token_work *w;
    CK_FUNCTION_LIST *f;
    CK_SESSION_HANDLE session;
};

// ---- attributes ----

struct value {
    uint8_t bytes[VALUE_MAX];
    size_t n;
};

static bool get(const struct token *t, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                struct value *v) {
    CK_ATTRIBUTE a = {type, v->bytes, sizeof v->bytes};
    v->n = 0;
    if (t->f->C_GetAttributeValue(t->session, object, &a, 1) != CKR_OK ||
        a.ulValueLen > sizeof v->bytes)
        return false;
    v->n = a.ulValueLen;
    return true;
}

static struct view trimmed(const struct value *v) {
    size_t n = 0;
    while (n < v->n && v->bytes[n] == 0)
        n++;
    return view_of(v->bytes + n, v->n - n);
}

// ---- public keys as blobs ----

static enum err write_rsa(const struct token *t, CK_OBJECT_HANDLE o, struct writer *w) {
    static struct value n, e;
    if (!get(t, o, CKA_MODULUS, &n) || !get(t, o, CKA_PUBLIC_EXPONENT, &e))
        return ERR_KEY;
    write_text(w, "ssh-rsa");
    write_mpint(w, trimmed(&e));
    write_mpint(w, trimmed(&n));
    return OK;
}

// Curves by their object identifiers (DER).
static const struct {
    const char *der;
    size_t n;
    const char *type, *curve;
} curves[] = {
    {"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", 10, "ecdsa-sha2-nistp256", "nistp256"},
    {"\x06\x05\x2b\x81\x04\x00\x22", 7, "ecdsa-sha2-nistp384", "nistp384"},
    {"\x06\x05\x2b\x81\x04\x00\x23", 7, "ecdsa-sha2-nistp521", "nistp521"},
    {"\x06\x03\x2b\x65\x70", 5, "ssh-ed25519", NULL},
    {"\x13\x0c"
     "edwards25519",
     14, "ssh-ed25519", NULL},
};

// What stands in the DER string around a point; some tokens give the point itself.
static struct view unwrap(const struct value *v) {
    if (v->n > 2 && v->bytes[0] == 0x04 && v->bytes[1] < 0x80 && v->n == 2u + v->bytes[1])
        return view_of(v->bytes + 2, v->n - 2);
    if (v->n > 3 && v->bytes[0] == 0x04 && v->bytes[1] == 0x81 &&
        v->n == 3u + v->bytes[2])
        return view_of(v->bytes + 3, v->n - 3);
    return view_of(v->bytes, v->n);
}

static enum err write_ec(const struct token *t, CK_OBJECT_HANDLE o, struct writer *w) {
    static struct value params, point;
    if (!get(t, o, CKA_EC_PARAMS, &params) || !get(t, o, CKA_EC_POINT, &point))
        return ERR_KEY;
    for (size_t i = 0; i < sizeof curves / sizeof curves[0]; i++) {
        if (!view_equal(view_of(params.bytes, params.n),
                        view_of(curves[i].der, curves[i].n)))
            continue;
        write_text(w, curves[i].type);
        if (curves[i].curve != NULL)
            write_text(w, curves[i].curve);
        write_string(w, unwrap(&point));
        return OK;
    }
    return ERR_UNSUPPORTED;
}

// The key of a public object; NULL when it is none that SSH has.
static struct key *key_of(const struct token *t, CK_OBJECT_HANDLE o) {
    struct value type;
    uint8_t room[4096];
    CK_KEY_TYPE kind = 0;
    struct key *key = NULL;
    struct writer w = writer_to_span((struct span){room, sizeof room});
    if (!get(t, o, CKA_KEY_TYPE, &type) || type.n != sizeof kind)
        return NULL;
    memcpy(&kind, type.bytes, sizeof kind);
    enum err e = kind == CKK_RSA                            ? write_rsa(t, o, &w)
                 : kind == CKK_EC || kind == CKK_EC_EDWARDS ? write_ec(t, o, &w)
                                                            : ERR_UNSUPPORTED;
    if (e != OK || writer_end(&w) != OK ||
        key_from_blob(&key, view_of(room, w.n), NULL) != OK)
        return NULL;
    return key;
}

// ---- objects ----

static size_t find_all(const struct token *t, CK_OBJECT_CLASS class,
                       const struct value *id, CK_OBJECT_HANDLE *out) {
    CK_ATTRIBUTE want[2] = {{CKA_CLASS, &class, sizeof class}, {CKA_ID, NULL, 0}};
    CK_ULONG n = 0;
    if (id != NULL) {
        want[1].pValue = (void *)(uintptr_t)id->bytes;
        want[1].ulValueLen = id->n;
    }
    if (t->f->C_FindObjectsInit(t->session, want, id != NULL ? 2 : 1) != CKR_OK)
        return 0;
    if (t->f->C_FindObjects(t->session, out, KEYS_MAX, &n) != CKR_OK)
        n = 0;
    (void)t->f->C_FindObjectsFinal(t->session);
    return n;
}

// ---- listing ----

static void list_token(const struct token *t, struct writer *out) {
    CK_OBJECT_HANDLE keys[KEYS_MAX];
    size_t n = find_all(t, CKO_PUBLIC_KEY, NULL, keys);
    for (size_t i = 0; i < n; i++) {
        static struct value label;
        struct key *key = key_of(t, keys[i]);
        if (key == NULL)
            continue;
        write_string(out, key_blob(key));
        if (!get(t, keys[i], CKA_LABEL, &label) ||
            memchr(label.bytes, 0, label.n) != NULL)
            label.n = 0;
        write_string(out, label.n > 0 ? view_of(label.bytes, label.n)
                                      : view_text(t->w->provider));
        key_free(key);
    }
}

// ---- signing ----

// DigestInfo (RFC 8017 s.9.2) in front of the hash.
static const struct {
    const struct digest_alg *hash;
    const char *der;
} infos[] = {
    {&digest_sha256, "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05"
                     "\x00\x04\x20"},
    {&digest_sha512, "\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05"
                     "\x00\x04\x40"},
};
#define INFO_SIZE 19

// What the token gets to sign: a hash with or without its name, or the data.
static enum err make_input(const struct signature_alg *alg, struct view data,
                           struct buf *out) {
    uint8_t md[DIGEST_MAX];
    if (alg->kind == PK_ED25519)
        return buf_append(out, data);
    TRY(digest_parts(alg->hash, &data, 1, md));
    for (size_t i = 0; alg->kind == PK_RSA && i < 2; i++)
        if (infos[i].hash == alg->hash)
            TRY(buf_append(out, view_of(infos[i].der, INFO_SIZE)));
    return buf_append(out, view_of(md, alg->hash->size));
}

static enum err write_signature(const struct signature_alg *alg, const uint8_t *raw,
                                size_t n, struct buf *out) {
    struct writer w = writer_to_buf(out);
    write_text(&w, alg->signature_name);
    if (alg->kind == PK_ECDSA) {
        uint8_t room[256];
        struct writer inner = writer_to_span((struct span){room, sizeof room});
        write_mpint(&inner, view_of(raw, n / 2));
        write_mpint(&inner, view_of(raw + n / 2, n / 2));
        TRY(writer_end(&inner));
        write_string(&w, view_of(room, inner.n));
    } else {
        write_string(&w, view_of(raw, n));
    }
    return writer_end(&w);
}

static bool login(const struct token *t, CK_USER_TYPE who) {
    const char *pin = t->w->pin;
    CK_RV rv = t->f->C_Login(t->session, who, (CK_UTF8CHAR *)(uintptr_t)pin, strlen(pin));
    return rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN;
}

static bool sign_with(const struct token *t, CK_OBJECT_HANDLE private,
                      const struct signature_alg *alg) {
    static const CK_MECHANISM_TYPE mechanisms[] = {
        [PK_ED25519] = CKM_EDDSA, [PK_ECDSA] = CKM_ECDSA, [PK_RSA] = CKM_RSA_PKCS};
    CK_MECHANISM mechanism = {mechanisms[alg->kind], NULL, 0};
    static struct value raw, always;
    CK_ULONG n = sizeof raw.bytes;
    scoped_buf input;
    buf_init(&input, TOKEN_MESSAGE_MAX);
    if (make_input(alg, t->w->m.data, &input) != OK ||
        t->f->C_SignInit(t->session, &mechanism, private) != CKR_OK)
        return token_fail(t->w, "the token does not sign so", alg->name);
    if (get(t, private, CKA_ALWAYS_AUTHENTICATE, &always) && always.n == 1 &&
        always.bytes[0] != 0 && !login(t, CKU_CONTEXT_SPECIFIC))
        return token_fail(t->w, "the token wants its PIN for each signature", NULL);
    struct view v = buf_view(&input);
    if (t->f->C_Sign(t->session, (CK_BYTE *)(uintptr_t)v.p, v.n, raw.bytes, &n) != CKR_OK)
        return token_fail(t->w, "the token refused to sign", NULL);
    return write_signature(alg, raw.bytes, n, &t->w->out) == OK;
}

// True: this token has the key, and the outcome is known.
static bool sign_token(const struct token *t, const struct signature_alg *alg,
                       bool *done) {
    CK_OBJECT_HANDLE keys[KEYS_MAX], private[KEYS_MAX];
    size_t n = find_all(t, CKO_PUBLIC_KEY, NULL, keys);
    for (size_t i = 0; i < n; i++) {
        static struct value id;
        struct key *key = key_of(t, keys[i]);
        bool ours = key != NULL && view_equal(key_blob(key), t->w->m.handle) &&
                    key_can_sign_with(key, alg);
        key_free(key);
        if (!ours || !get(t, keys[i], CKA_ID, &id) ||
            find_all(t, CKO_PRIVATE_KEY, &id, private) == 0)
            continue;
        *done = sign_with(t, private[0], alg);
        return true;
    }
    return false;
}

// ---- all tokens ----

static bool open_token(struct token *t, CK_SLOT_ID slot) {
    CK_TOKEN_INFO info;
    if (t->f->C_GetTokenInfo(slot, &info) != CKR_OK ||
        (info.flags & CKF_TOKEN_INITIALIZED) == 0 ||
        t->f->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &t->session) != CKR_OK)
        return false;
    // Without a PIN at least what is public can be listed.
    if ((info.flags & CKF_LOGIN_REQUIRED) == 0 || t->w->pin[0] == '\0' ||
        login(t, CKU_USER))
        return true;
    t->w->outcome = TOKEN_NEEDS_PIN;
    (void)token_fail(t->w, "the token does not take the PIN", NULL);
    (void)t->f->C_CloseSession(t->session);
    return false;
}

static bool each_token(struct token *t, const struct signature_alg *alg) {
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX;
    struct writer list = writer_to_buf(&t->w->out);
    bool done = false, known = false;
    (void)token_fail(t->w, "the provider has no such key", NULL);
    if (t->f->C_GetSlotList(CK_TRUE, slots, &n) != CKR_OK)
        return token_fail(t->w, "the provider tells no tokens", NULL);
    for (CK_ULONG i = 0; i < n && i < SLOTS_MAX && !known; i++) {
        if (!open_token(t, slots[i]))
            continue;
        if (alg != NULL)
            known = sign_token(t, alg, &done);
        else
            list_token(t, &list);
        (void)t->f->C_CloseSession(t->session);
    }
    return alg != NULL ? done : writer_end(&list) == OK && buf_len(&t->w->out) > 0;
}

static bool work(struct token_work *w) {
    CK_RV (*functions)(CK_FUNCTION_LIST **) = NULL;
    struct token t = {.w = w};
    const struct alg *alg = NULL;
    if (w->m.operation != TOKEN_LIST &&
        (alg = alg_find(ALG_SIGNATURE, w->m.type)) == NULL)
        return token_fail(w, "unknown signature algorithm", NULL);
    void *library = token_load(w);
    if (library == NULL)
        return false;
    if (!token_find(library, "C_GetFunctionList", (void *)&functions, sizeof functions) ||
        functions(&t.f) != CKR_OK || t.f->C_Initialize(NULL) != CKR_OK)
        return token_fail(w, "the provider is no PKCS#11 library", w->provider);
    bool done = each_token(&t, alg != NULL ? alg->signature : NULL);
    (void)t.f->C_Finalize(NULL);
    return done;
}

int main(void) {
    return token_main(work);
}
