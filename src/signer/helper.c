#include "signer/helper.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"
#include "io/fault_errno.h"
#include "io/fd.h"
#include "io/file.h"

#define ANSWER_PIPE (1024 * 1024)  // bytes: a helper never waits for its reader

static const struct {
    const char *name, *variable;
} helpers[] = {
    [TOKEN_SECURITY_KEY] = {"ssh-sk-helper", "SSH_SK_HELPER"},
    [TOKEN_PKCS11] = {"ssh-pkcs11-helper", "SSH_PKCS11_HELPER"},
};

// ---- the helper ----

// In libexec beside the folder of the programs; a build has its programs one deeper.
enum err helper_path(const char *name, const char *variable, char *out, size_t size,
                     struct fault *f) {
    static const char *const places[] = {"/../libexec/", "/../../libexec/"};
    char self[PATH_MAX];
    const char *named = variable != NULL ? getenv(variable) : NULL;
    if (named != NULL && *named != '\0')
        return text_copy(out, size, view_text(named)) ? OK : ERR_LIMIT;
    TRY(process_self_path(self, sizeof self));
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    for (size_t i = 0; i < 2; i++) {
        snprintf(out, size, "%s%s%s", self, places[i], name);
        if (file_exists(out))
            return OK;
    }
    return fault_set(f, ERR_NOT_FOUND, 0, "%s is not installed", name);
}

// The request as a file without a name: the helper reads it at its own pace.
static enum err make_input(const struct token_request *m, int *fd) {
    scoped_buf text;
    struct span room;
    buf_init(&text, TOKEN_MESSAGE_MAX);
    TRY(buf_reserve(&text, TOKEN_MESSAGE_MAX, &room));
    struct writer w = writer_to_buf(&text);
    token_request_encode(&w, m);
    enum err e = writer_end(&w);
    *fd = memfd_create("token request", MFD_CLOEXEC);
    if (e == OK && *fd < 0)
        e = ERR_IO;
    if (e == OK)
        e = fd_write_full(*fd, buf_view(&text));
    if (e == OK && lseek(*fd, 0, SEEK_SET) != 0)
        e = ERR_IO;
    secret_wipe(text.p, text.room);
    return e;
}

enum err token_start(enum token_kind kind, const struct token_request *m,
                     struct process *p, int *out, struct fault *f) {
    char path[PATH_MAX + 64];
    char *argv[] = {(char *)(uintptr_t)helpers[kind].name, NULL};
    int ends[2];
    scoped_fd input = -1;
    *out = -1;
    TRY(helper_path(helpers[kind].name, helpers[kind].variable, path, sizeof path, f));
    TRY(make_input(m, &input));
    if (pipe(ends) != 0)
        return fault_errno(f, "pipe");
    struct process_spec spec = {.path = path,
                                .argv = argv,
                                .fd_in = input,
                                .fd_out = ends[1],
                                .fd_err = STDERR_FILENO,
                                .tty = -1};
    (void)fcntl(ends[0], F_SETPIPE_SZ, ANSWER_PIPE);
    enum err e = fd_set_cloexec(ends[0], true);
    if (e == OK)
        e = process_spawn(&spec, p, f);
    fd_close(&ends[1]);
    if (e != OK)
        fd_close(&ends[0]);
    *out = ends[0];
    return e;
}

// ---- waiting for its answer ----

// What an outcome is as an error.
static enum err token_error(uint32_t outcome) {
    static const enum err errors[] = {
        [TOKEN_DONE] = OK,
        [TOKEN_FAILED] = ERR_REFUSED,
        [TOKEN_NEEDS_PIN] = ERR_PASSPHRASE,
        [TOKEN_NO_DEVICE] = ERR_NOT_FOUND,
        [TOKEN_UNSUPPORTED] = ERR_UNSUPPORTED,
        [TOKEN_EXISTS] = ERR_REFUSED,
    };
    return outcome < sizeof errors / sizeof errors[0] ? errors[outcome] : ERR_FORMAT;
}

static enum err take_answer(struct view bytes, struct buf *out, bool *exists,
                            struct fault *f) {
    struct token_answer m;
    char clean[400];
    TRY(token_answer_decode(bytes, &m, f));
    enum err e = token_error(m.outcome);
    if (exists != NULL)
        *exists = m.outcome == TOKEN_EXISTS;
    return e == OK ? buf_append(out, m.text)
                   : fault_set(f, e, 0, "%s", text_clean(clean, sizeof clean, m.text));
}

enum err token_ask(enum token_kind kind, const struct token_request *m, struct buf *out,
                   bool *exists, struct fault *f) {
    scoped_buf answer;
    struct span room;
    struct process p;
    int from = -1, status = 0;
    size_t n = 0;
    buf_init(&answer, TOKEN_MESSAGE_MAX);
    TRY(buf_reserve(&answer, TOKEN_MESSAGE_MAX, &room));
    TRY(token_start(kind, m, &p, &from, f));
    enum err e = fd_read_full(from, room, &n);
    fd_close(&from);
    enum err waited = process_wait(&p, &status);
    TRY(e);
    TRY(waited);
    if (n == 0)
        return fault_set(f, ERR_CLOSED, 0, "%s ended without an answer",
                         helpers[kind].name);
    return take_answer(view_of(room.p, n), out, exists, f);
}
