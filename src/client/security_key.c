#include "client/security_key.h"

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
#include "io/prompt.h"

#define ANSWER_PIPE (1024 * 1024)  // bytes: a helper never waits for its reader

static const struct {
    const char *name, *variable;
} helpers[] = {
    [TOKEN_SECURITY_KEY] = {"ssh-sk-helper", "SSH_SK_HELPER"},
    [TOKEN_PKCS11] = {"ssh-pkcs11-helper", "SSH_PKCS11_HELPER"},
};

// ---- the helper ----

// In libexec beside the folder of the programs; a build has its programs one deeper.
static enum err find_helper(enum token_kind kind, char *out, size_t size,
                            struct fault *f) {
    static const char *const places[] = {"/../libexec/", "/../../libexec/"};
    char self[PATH_MAX];
    const char *named = getenv(helpers[kind].variable);
    if (named != NULL && *named != '\0')
        return text_copy(out, size, view_text(named)) ? OK : ERR_LIMIT;
    TRY(process_self_path(self, sizeof self));
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    for (size_t i = 0; i < 2; i++) {
        snprintf(out, size, "%s%s%s", self, places[i], helpers[kind].name);
        if (file_exists(out))
            return OK;
    }
    return fault_set(f, ERR_NOT_FOUND, 0, "%s is not installed", helpers[kind].name);
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
    TRY(find_helper(kind, path, sizeof path, f));
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

// ---- the whole ----

static enum err ask_pin(const struct key *k, char *pin, struct fault *f) {
    char print[KEY_FINGERPRINT_SIZE], question[KEY_FINGERPRINT_SIZE + 80];
    if ((k->handle_flags & KEY_HANDLE_VERIFY) == 0)
        return OK;
    key_fingerprint(print, sizeof print, key_blob(k), &digest_sha256);
    snprintf(question, sizeof question, "Enter PIN for %s key %s: ", k->type->short_name,
             print);
    return prompt_ask(question, 0, pin, PROMPT_MAX, f);
}

static void ask_touch(const struct key *k, const struct log *log) {
    char print[KEY_FINGERPRINT_SIZE];
    if ((k->handle_flags & KEY_HANDLE_TOUCH) == 0)
        return;
    log_info(log, "Confirm user presence for key %s %s", k->type->short_name,
             key_fingerprint(print, sizeof print, key_blob(k), &digest_sha256));
}

static enum err take_answer(const struct key *k, const struct signature_alg *alg,
                            struct view data, struct view answer, struct buf *out,
                            struct fault *f) {
    struct token_answer m;
    struct key_touch touch;
    char clean[200];
    TRY(token_answer_decode(answer, &m, f));
    if (!m.signed_)
        return fault_set(f, ERR_REFUSED, 0, "%s",
                         text_clean(clean, sizeof clean, m.text));
    if (key_verify_touch(k, alg, m.text, data, &touch) != OK)
        return fault_set(f, ERR_SIGNATURE, 0, "the token made a wrong signature");
    return buf_append(out, m.text);
}

enum err security_key_sign(const struct key *k, const char *provider,
                           const struct signature_alg *alg, struct view data,
                           const struct log *log, struct buf *out, struct fault *f) {
    char pin[PROMPT_MAX] = "";
    uint8_t room[KEY_SIGNATURE_MAX];
    struct process p;
    int from = -1, status = 0;
    size_t n = 0;
    TRY(ask_pin(k, pin, f));
    struct token_request m = {.provider = view_text(provider),
                              .type = view_text(key_type_plain(k->type)->name),
                              .application = k->application,
                              .handle = view_of(k->handle, k->handle_len),
                              .flags = k->handle_flags,
                              .pin = view_text(pin),
                              .data = data};
    ask_touch(k, log);
    enum err e = token_start(TOKEN_SECURITY_KEY, &m, &p, &from, f);
    secret_wipe(pin, sizeof pin);
    TRY(e);
    e = fd_read_full(from, (struct span){room, sizeof room}, &n);
    fd_close(&from);
    enum err waited = process_wait(&p, &status);
    TRY(e);
    TRY(waited);
    return take_answer(k, alg, data, view_of(room, n), out, f);
}
