// ssh-sk-helper: signs with a security key through a middleware library (OpenSSH's
// sk-api), in a process of its own: whatever the library does, no program that holds
// secrets has it loaded.
#include <stdlib.h>
#include <string.h>

#include "key/key.h"
#include "tools/token_helper.h"

// ---- the middleware's interface, version 10 ----

#define API_VERSION 0x000a0000u
#define API_MAJOR 0xffff0000u

enum {
    API_ECDSA = 0,
    API_ED25519 = 1,
};

struct api_signature {
    uint8_t flags;
    uint32_t counter;
    uint8_t *r;
    size_t r_n;
    uint8_t *s;
    size_t s_n;
};

typedef uint32_t api_version_fn(void);
typedef int api_sign_fn(uint32_t alg, const uint8_t *data, size_t data_n,
                        const char *application, const uint8_t *handle, size_t handle_n,
                        uint8_t flags, const char *pin, void **options,
                        struct api_signature **out);

static const struct {
    int code;
    const char *text;
} failures[] = {
    {-2, "not supported by the device"},
    {-3, "a PIN is required, or it was wrong"},
    {-4, "device not found"},
};

static const char *failure(int code) {
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (failures[i].code == code)
            return failures[i].text;
    return "the device refused, or nobody touched it";
}

// ---- one request ----

static bool load(struct token_work *w, api_sign_fn **sign) {
    api_version_fn *version = NULL;
    if (strcmp(w->provider, "internal") == 0)
        return token_fail(w,
                          "no support for devices is built in: name a middleware library "
                          "(SecurityKeyProvider, SSH_SK_PROVIDER)",
                          NULL);
    void *library = token_load(w);
    if (library == NULL)
        return false;
    if (!token_find(library, "sk_api_version", (void *)&version, sizeof version) ||
        !token_find(library, "sk_sign", (void *)sign, sizeof *sign))
        return token_fail(w, "the provider is no security key middleware", w->provider);
    if ((version() & API_MAJOR) != API_VERSION)
        return token_fail(w, "the provider speaks another version of sk-api",
                          w->provider);
    return true;
}

static enum err write_ecdsa(struct writer *w, const struct api_signature *s) {
    uint8_t room[256];
    struct writer inner = writer_to_span((struct span){room, sizeof room});
    write_mpint(&inner, view_of(s->r, s->r_n));
    write_mpint(&inner, view_of(s->s, s->s_n));
    TRY(writer_end(&inner));
    write_string(w, view_of(room, inner.n));
    return OK;
}

static bool write_signature(struct token_work *w, const struct key_type *type,
                            const struct api_signature *s) {
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

static bool sign(struct token_work *w, const struct key_type *type) {
    api_sign_fn *fn = NULL;
    struct api_signature *s = NULL;
    if (!load(w, &fn))
        return false;
    int code = fn(type->kind == PK_ECDSA ? API_ECDSA : API_ED25519, w->m.data.p,
                  w->m.data.n, w->application, w->m.handle.p, w->m.handle.n,
                  (uint8_t)w->m.flags, w->pin[0] != '\0' ? w->pin : NULL, NULL, &s);
    if (code != 0 || s == NULL)
        return token_fail(w, failure(code), NULL);
    bool done = write_signature(w, type, s);
    // By the interface these are ours now.
    free(s->r);
    free(s->s);
    free(s);
    return done;
}

static bool work(struct token_work *w) {
    const struct key_type *type = key_type_find(w->m.type);
    if (type == NULL || !type->security_key || type->plain != NULL)
        return token_fail(w, "no type of security keys", NULL);
    return sign(w, type);
}

int main(void) {
    return token_main(work);
}
