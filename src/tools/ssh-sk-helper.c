// ssh-sk-helper: signs with a security key through a middleware library (OpenSSH's
// sk-api), in a process of its own: whatever the library does, no program that holds
// secrets has it loaded.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/token.h"
#include "base/secret.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/process.h"
#include "key/key.h"

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

struct work {
    struct token_request m;
    const struct key_type *type;
    char provider[4096], application[1024], pin[1024];
    struct buf out;  // signature blob
    char why[512];
};

static bool fail(struct work *w, const char *what, const char *detail) {
    char clean[400];
    snprintf(w->why, sizeof w->why, "%s%s%s", what, detail != NULL ? ": " : "",
             detail != NULL ? text_clean(clean, sizeof clean, view_text(detail)) : "");
    return false;
}

// A dlsym() result is an object pointer; ISO C has no way from it to a function but
// bytes.
static bool find(void *library, const char *name, void *fn, size_t n) {
    void *at = dlsym(library, name);
    memcpy(fn, &at, n);
    return at != NULL;
}

static bool load(struct work *w, api_sign_fn **sign) {
    api_version_fn *version = NULL;
    if (strcmp(w->provider, "internal") == 0)
        return fail(w,
                    "no support for devices is built in: name a middleware library "
                    "(SecurityKeyProvider, SSH_SK_PROVIDER)",
                    NULL);
    void *library = w->provider[0] == '/' ? dlopen(w->provider, RTLD_NOW) : NULL;
    if (library == NULL)
        return fail(w, "the provider can not be loaded",
                    w->provider[0] == '/' ? dlerror() : "no absolute path");
    if (!find(library, "sk_api_version", (void *)&version, sizeof version) ||
        !find(library, "sk_sign", (void *)sign, sizeof *sign))
        return fail(w, "the provider is no security key middleware", w->provider);
    if ((version() & API_MAJOR) != API_VERSION)
        return fail(w, "the provider speaks another version of sk-api", w->provider);
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

static bool write_signature(struct work *w, const struct api_signature *s) {
    struct writer out = writer_to_buf(&w->out);
    enum err e = OK;
    write_text(&out, w->type->name);
    if (w->type->kind == PK_ECDSA)
        e = write_ecdsa(&out, s);
    else
        write_string(&out, view_of(s->r, s->r_n));
    write_u8(&out, s->flags);
    write_u32(&out, s->counter);
    return e == OK && writer_end(&out) == OK ? true
                                             : fail(w, "a malformed signature", NULL);
}

static bool sign(struct work *w) {
    api_sign_fn *fn = NULL;
    struct api_signature *s = NULL;
    if (!load(w, &fn))
        return false;
    int code = fn(w->type->kind == PK_ECDSA ? API_ECDSA : API_ED25519, w->m.data.p,
                  w->m.data.n, w->application, w->m.handle.p, w->m.handle.n,
                  (uint8_t)w->m.flags, w->pin[0] != '\0' ? w->pin : NULL, NULL, &s);
    if (code != 0 || s == NULL)
        return fail(w, failure(code), NULL);
    return write_signature(w, s);
}

static bool take(struct work *w, struct view request) {
    struct fault f = {0};
    if (token_request_decode(request, &w->m, &f) != OK)
        return fail(w, fault_text(&f), NULL);
    w->type = key_type_find(w->m.type);
    if (w->type == NULL || !w->type->security_key || w->type->plain != NULL)
        return fail(w, "no type of security keys", NULL);
    return (text_copy(w->provider, sizeof w->provider, w->m.provider) &&
            text_copy(w->application, sizeof w->application, w->m.application) &&
            text_copy(w->pin, sizeof w->pin, w->m.pin))
               ? true
               : fail(w, "the request is too long", NULL);
}

int main(void) {
    static struct work w;
    struct buf request, answer;
    struct span room;
    size_t n = 0;
    process_reset_signals();
    buf_init(&w.out, KEY_SIGNATURE_MAX);
    buf_init(&request, TOKEN_MESSAGE_MAX);
    buf_init(&answer, TOKEN_MESSAGE_MAX);
    if (fd_fill_standard() != OK ||
        buf_reserve(&request, TOKEN_MESSAGE_MAX, &room) != OK ||
        fd_read_full(STDIN_FILENO, room, &n) != OK)
        return 1;
    // What a library prints must not be taken for the answer.
    int out = fd_dup_above(STDOUT_FILENO, 3);
    if (out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return 1;
    bool done = take(&w, view_of(room.p, n)) && sign(&w);
    struct token_answer m = {done, done ? buf_view(&w.out) : view_text(w.why)};
    struct writer text = writer_to_buf(&answer);
    token_answer_encode(&text, &m);
    enum err e = writer_end(&text);
    if (e == OK)
        e = fd_write_full(out, buf_view(&answer));
    secret_wipe(w.pin, sizeof w.pin);
    secret_wipe(room.p, room.n);
    return e == OK ? 0 : 1;
}
