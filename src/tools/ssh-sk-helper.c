// ssh-sk-helper: has a security key sign, make a key or tell those that it keeps, through
// a middleware library (OpenSSH's sk-api) or libfido2, in a process of its own: whatever
// the library does, no program that holds secrets has it loaded.
#include <string.h>

#include "crypto/crypto.h"
#include "key/key.h"
#include "tools/sk_api.h"
#include "tools/token_helper.h"

static const struct {
    int code;
    enum token_outcome outcome;
    const char *text;
} failures[] = {
    {SK_UNSUPPORTED, TOKEN_UNSUPPORTED, "the security key does not support that"},
    {SK_PIN_REQUIRED, TOKEN_NEEDS_PIN, "a PIN is required, or it was wrong"},
    {SK_NO_DEVICE, TOKEN_NO_DEVICE, "no security key is there (device not found)"},
    {SK_EXISTS, TOKEN_EXISTS, "a resident key for this application and user exists"},
};

static bool failed(struct token_work *w, int code) {
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (failures[i].code == code) {
            w->outcome = failures[i].outcome;
            return token_fail(w, failures[i].text, NULL);
        }
    return token_fail(w, "the security key refused, or nobody touched it", NULL);
}

// ---- whom we ask ----

static bool load_middleware(struct token_work *w, struct sk_api *api) {
    uint32_t (*version)(void) = NULL;
    void *library = token_load(w);
    if (library == NULL)
        return false;
    if (!token_find(library, "sk_api_version", (void *)&version, sizeof version) ||
        !token_find(library, "sk_sign", (void *)&api->sign, sizeof api->sign) ||
        !token_find(library, "sk_enroll", (void *)&api->enrol, sizeof api->enrol) ||
        !token_find(library, "sk_load_resident_keys", (void *)&api->resident,
                    sizeof api->resident))
        return token_fail(w, "the provider is no security key middleware", w->provider);
    if ((version() & SK_API_MAJOR) != SK_API_VERSION)
        return token_fail(w, "the provider speaks another version of sk-api",
                          w->provider);
    return true;
}

static bool load(struct token_work *w, struct sk_api *api) {
    const char *why = NULL;
    if (strcmp(w->provider, "internal") != 0)
        return load_middleware(w, api);
    crypto_share();  // libfido2 hashes and verifies with libcrypto
    const struct sk_api *own = sk_fido2(&why);
    if (own == NULL)
        return token_fail(w,
                          "libfido2 can not be loaded: install it, or name a middleware "
                          "library (SecurityKeyProvider, SSH_SK_PROVIDER)",
                          why);
    *api = *own;
    return true;
}

// The options of a request as the interface has them.
struct options {
    struct sk_option at[2], *list[3];
};

static struct sk_option **options_of(struct options *o, struct token_work *w) {
    size_t n = 0;
    if (w->device[0] != '\0')
        o->at[n++] = (struct sk_option){(char *)(uintptr_t) "device", w->device, 0};
    if (w->user[0] != '\0')
        o->at[n++] = (struct sk_option){(char *)(uintptr_t) "user", w->user, 0};
    for (size_t i = 0; i < n; i++)
        o->list[i] = &o->at[i];
    o->list[n] = NULL;
    return n > 0 ? o->list : NULL;
}

static const char *pin_of(const struct token_work *w) {
    return w->pin[0] != '\0' ? w->pin : NULL;
}

// ---- signing ----

static enum err write_ecdsa(struct writer *w, const struct sk_signature *s) {
    uint8_t room[256];
    struct writer inner = writer_to_span((struct span){room, sizeof room});
    write_mpint(&inner, view_of(s->r, s->r_n));
    write_mpint(&inner, view_of(s->s, s->s_n));
    TRY(writer_end(&inner));
    write_string(w, view_of(room, inner.n));
    return OK;
}

static bool write_signature(struct token_work *w, const struct key_type *type,
                            const struct sk_signature *s) {
    struct writer out = writer_to_buf(&w->out);
    enum err e = OK;
    write_text(&out, type->name);
    if (type->kind == PK_ECDSA)
        e = write_ecdsa(&out, s);
    else
        write_string(&out, view_of(s->r, s->r_n));
    write_u8(&out, s->flags);
    write_u32(&out, s->counter);
    return e == OK && writer_end(&out) == OK
               ? true
               : token_fail(w, "a malformed signature", NULL);
}

static uint32_t algorithm_of(const struct key_type *type) {
    return type->kind == PK_ECDSA ? SK_ECDSA : SK_ED25519;
}

static bool sign(struct token_work *w, const struct sk_api *api,
                 const struct key_type *type) {
    struct sk_signature *s = NULL;
    struct options room;
    int code = api->sign(algorithm_of(type), w->m.data.p, w->m.data.n, w->application,
                         w->m.handle.p, w->m.handle.n, (uint8_t)w->m.flags, pin_of(w),
                         options_of(&room, w), &s);
    bool done = code == 0 && s != NULL ? write_signature(w, type, s) : failed(w, code);
    sk_signature_free(s);
    return done;
}

// ---- keys ----

// The public blob of what a token has made.
static enum err write_blob(struct writer *w, const struct key_type *type,
                           const char *application, const struct sk_enrolled *e) {
    write_text(w, type->name);
    if (type->kind == PK_ECDSA)
        write_text(w, type->curve_name);
    write_string(w, view_of(e->public_key, e->public_key_n));
    write_text(w, application);
    return writer_end(w);
}

static enum err write_key(struct buf *out, const struct key_type *type,
                          const char *application, const struct sk_enrolled *e,
                          uint8_t flags, struct view user) {
    uint8_t room[2048];
    struct writer blob = writer_to_span((struct span){room, sizeof room});
    struct writer w = writer_to_buf(out);
    TRY(write_blob(&blob, type, application, e));
    struct token_key key = {.blob = view_of(room, blob.n),
                            .handle = view_of(e->handle, e->handle_n),
                            .flags = flags,
                            .user = user,
                            .certificate = view_of(e->certificate, e->certificate_n),
                            .signature = view_of(e->signature, e->signature_n),
                            .authdata = view_of(e->authdata, e->authdata_n)};
    token_key_encode(&w, &key);
    return writer_end(&w);
}

static bool enrol(struct token_work *w, const struct sk_api *api,
                  const struct key_type *type) {
    struct sk_enrolled *e = NULL;
    struct options room;
    int code = api->enrol(algorithm_of(type), w->m.data.p, w->m.data.n, w->application,
                          (uint8_t)w->m.flags, pin_of(w), options_of(&room, w), &e);
    bool done = code == 0 && e != NULL;
    if (!done)
        (void)failed(w, code);
    // Flags of its own the token says in what it made; those of the request hold else.
    else if (write_key(&w->out, type, w->application, e,
                       e->flags != 0 ? e->flags : (uint8_t)w->m.flags,
                       (struct view){0}) != OK)
        done = token_fail(w, "the security key made a malformed key", NULL);
    sk_enrolled_free(e);
    return done;
}

static enum err write_resident(struct buf *out, const struct sk_resident *r) {
    static const char *const names[] = {
        [SK_ECDSA] = "sk-ecdsa-sha2-nistp256@openssh.com",
        [SK_ED25519] = "sk-ssh-ed25519@openssh.com",
    };
    scoped_buf one;
    buf_init(&one, TOKEN_MESSAGE_MAX);
    if (r->algorithm > SK_ED25519 || r->application == NULL)
        return OK;  // none that SSH has
    TRY(write_key(&one, key_type_find(view_text(names[r->algorithm])), r->application,
                  &r->key, r->flags, view_of(r->user, r->user_n)));
    struct writer w = writer_to_buf(out);
    write_string(&w, buf_view(&one));
    return writer_end(&w);
}

static bool resident(struct token_work *w, const struct sk_api *api) {
    struct sk_resident **list = NULL;
    struct options room;
    size_t n = 0;
    int code = api->resident(pin_of(w), options_of(&room, w), &list, &n);
    bool done = code == 0 || failed(w, code);
    for (size_t i = 0; done && i < n; i++)
        if (write_resident(&w->out, list[i]) != OK)
            done = token_fail(w, "the security key told a malformed key", NULL);
    sk_resident_free(list, n);
    return done;
}

static bool work(struct token_work *w) {
    struct sk_api api = {0};
    const struct key_type *type = key_type_find(w->m.type);
    if (w->m.operation == TOKEN_RESIDENT)
        return load(w, &api) && resident(w, &api);
    if (type == NULL || !type->security_key || type->plain != NULL)
        return token_fail(w, "no type of security keys", NULL);
    if (!load(w, &api))
        return false;
    return w->m.operation == TOKEN_ENROL ? enrol(w, &api, type) : sign(w, &api, type);
}

int main(void) {
    return token_main(work);
}
