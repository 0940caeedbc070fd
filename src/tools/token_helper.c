#include "tools/token_helper.h"

#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"
#include "crypto/crypto.h"
#include "io/fd.h"
#include "io/process.h"

bool token_fail(struct token_work *w, const char *what, const char *detail) {
    char clean[400];
    snprintf(w->why, sizeof w->why, "%s%s%s", what, detail != NULL ? ": " : "",
             detail != NULL ? text_clean(clean, sizeof clean, view_text(detail)) : "");
    return false;
}

// A dlsym() result is an object pointer; ISO C has no way from it to a function but
// bytes.
bool token_find(void *library, const char *name, void *fn, size_t n) {
    void *at = dlsym(library, name);
    memcpy(fn, &at, n);
    return at != NULL;
}

void *token_load(struct token_work *w) {
    crypto_share();
    // A name without a path is looked for where libraries are.
    bool definite = w->provider[0] == '/' || strchr(w->provider, '/') == NULL;
    void *library = definite ? dlopen(w->provider, RTLD_NOW) : NULL;
    if (library == NULL)
        (void)token_fail(w, "the provider can not be loaded",
                         definite ? dlerror() : "a path must begin at the root");
    return library;
}

static bool take(struct token_work *w, struct view request) {
    struct fault f = {0};
    if (token_request_decode(request, &w->m, &f) != OK)
        return token_fail(w, fault_text(&f), NULL);
    return text_copy(w->provider, sizeof w->provider, w->m.provider) &&
                   text_copy(w->application, sizeof w->application, w->m.application) &&
                   text_copy(w->pin, sizeof w->pin, w->m.pin) &&
                   text_copy(w->device, sizeof w->device, w->m.device) &&
                   text_copy(w->user, sizeof w->user, w->m.user)
               ? true
               : token_fail(w, "the request is too long", NULL);
}

static enum err write_answer(const struct token_work *w, bool done, int fd) {
    scoped_buf answer;
    buf_init(&answer, TOKEN_MESSAGE_MAX);
    struct token_answer m = {done ? TOKEN_DONE : w->outcome,
                             done ? buf_view(&w->out) : view_text(w->why)};
    struct writer text = writer_to_buf(&answer);
    token_answer_encode(&text, &m);
    TRY(writer_end(&text));
    return fd_write_full(fd, buf_view(&answer));
}

int token_main(bool (*work)(struct token_work *w)) {
    static struct token_work w;
    struct buf request;
    struct span room;
    size_t n = 0;
    process_reset_signals();
    w.outcome = TOKEN_FAILED;
    buf_init(&w.out, TOKEN_MESSAGE_MAX / 2);
    buf_init(&request, TOKEN_MESSAGE_MAX);
    if (fd_fill_standard() != OK || crypto_init() != OK ||
        buf_reserve(&request, TOKEN_MESSAGE_MAX, &room) != OK ||
        fd_read_full(STDIN_FILENO, room, &n) != OK)
        return 1;
    // What a library prints must not be taken for the answer.
    int out = fd_dup_above(STDOUT_FILENO, 3);
    if (out < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return 1;
    bool done = take(&w, view_of(room.p, n)) && work(&w);
    enum err e = write_answer(&w, done, out);
    secret_wipe(w.pin, sizeof w.pin);
    secret_wipe(room.p, room.n);
    return e == OK ? 0 : 1;
}
