// Asks ssh-keysign by its protocol, OpenSSH's: on its standard input a message {version
// 2, number of the descriptor that is the connection, what is to be signed}, on its
// standard output {version 2, signature}; each behind its length.
#include "client/host_identities.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "io/account.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/hostname.h"
#include "io/process.h"
#include "signer/helper.h"

#define PUBLIC_MAX 16384
#define ANSWER_MAX 65536
#define KEYSIGN_VERSION 2

// ---- which keys ----

static const char *const files[HOST_IDENTITIES_MAX] = {
    "/etc/ssh/ssh_host_ed25519_key-cert.pub", "/etc/ssh/ssh_host_ecdsa_key-cert.pub",
    "/etc/ssh/ssh_host_rsa_key-cert.pub",     "/etc/ssh/ssh_host_ed25519_key.pub",
    "/etc/ssh/ssh_host_ecdsa_key.pub",        "/etc/ssh/ssh_host_rsa_key.pub",
};

static struct key *read_key(struct client *c, const char *path) {
    scoped_buf text = {0};
    struct fault fault = {0};
    struct key *key = NULL;
    enum err e = file_read(path, 0, PUBLIC_MAX, &text, &fault);
    if (e == OK)
        e = key_from_public_text(&key, view_until(buf_view(&text), '\n'), &fault);
    if (e != OK)
        log_debug(&c->log, "hostbased: %s: %s", path, fault_text(&fault));
    return key;
}

static void open_keys(struct host_identities *h, struct client *c) {
    struct account me = {0};
    struct fault fault = {0};
    h->opened = true;
    h->algorithms = view_text(c->config.hostbased_accepted_algorithms);
    if (account_by_uid(getuid(), &me, &fault) != OK)
        log_error(&c->log, "hostbased: %s", fault_text(&fault));
    text_copy(h->user, sizeof h->user, view_text(me.name != NULL ? me.name : ""));
    account_drop(&me);
    // The dot says that nothing is missing at its end.
    hostname_of_socket(c->link.fd, h->host, sizeof h->host - 1);
    memcpy(h->host + strlen(h->host), ".", 2);
    for (size_t i = 0; i < HOST_IDENTITIES_MAX && h->user[0] != '\0'; i++)
        h->keys[i] = read_key(c, files[i]);
}

void host_identities_close(struct host_identities *h) {
    for (size_t i = 0; i < HOST_IDENTITIES_MAX; i++)
        key_free(h->keys[i]);
    *h = (struct host_identities){0};
}

bool host_identities_next(struct host_identities *h, struct client *c,
                          struct auth_host_identity *out) {
    if (!h->opened)
        open_keys(h, c);
    while (h->algorithms.n > 0) {
        struct view name = view_until(h->algorithms, ',');
        const struct alg *alg = alg_find(ALG_SIGNATURE, name);
        while (alg != NULL && h->next < HOST_IDENTITIES_MAX) {
            const struct key *key = h->keys[h->next++];
            if (key == NULL || strcmp(alg->signature->key_type, key->type->name) != 0)
                continue;
            *out = (struct auth_host_identity){key_blob(key), alg->signature, h->host,
                                               h->user};
            log_debug(&c->log, "hostbased: as %s of %s with %s", h->user, h->host,
                      alg->name);
            return true;
        }
        h->algorithms = view_after(h->algorithms, ',');
        h->next = 0;
    }
    return false;
}

// ---- ssh-keysign ----

// As a file without a name: it is read at the helper's own pace.
static enum err make_request(int connection, struct view data, int *fd) {
    scoped_buf message = {0};
    buf_init(&message, LIMIT_PACKET);
    struct writer w = writer_to_buf(&message);
    write_u32(&w, (uint32_t)(1 + 4 + 4 + data.n));
    write_u8(&w, KEYSIGN_VERSION);
    write_u32(&w, (uint32_t)connection);
    write_string(&w, data);
    TRY(writer_end(&w));
    *fd = memfd_create("ssh-keysign request", MFD_CLOEXEC);
    if (*fd < 0)
        return ERR_IO;
    TRY(fd_write_full(*fd, buf_view(&message)));
    return lseek(*fd, 0, SEEK_SET) == 0 ? OK : ERR_IO;
}

static enum err read_answer(struct view answer, struct buf *out, struct fault *fault) {
    struct reader r = reader_of(answer), body = reader_of(read_string(&r));
    uint8_t version = read_u8(&body);
    struct view signature = read_string(&body);
    if (reader_end(&r) != OK || reader_end(&body) != OK || version != KEYSIGN_VERSION ||
        signature.n == 0)
        return fault_set(fault, ERR_REFUSED, 0,
                         "ssh-keysign does not sign: does it belong to root with the "
                         "set-user-ID bit, and does /etc/ssh/ssh_config say "
                         "EnableSSHKeysign yes?");
    return buf_append(out, signature);
}

// It ends after one answer, or without any.
static enum err converse(struct process_spec *spec, struct buf *answer,
                         struct fault *fault) {
    struct process p;
    struct span room;
    size_t n = 0;
    int status, ends[2];
    TRY(buf_reserve(answer, ANSWER_MAX, &room));
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault_set(fault, ERR_IO, 0, "out of descriptors");
    scoped_fd from = ends[0], to = ends[1];
    spec->fd_out = to;
    TRY(process_spawn(spec, &p, fault));
    fd_close(&to);
    enum err e = fd_read_full(from, room, &n);
    buf_added(answer, n);
    enum err waited = process_wait(&p, &status);
    return e != OK ? e : waited;
}

enum err host_identities_sign(const struct client *c, struct view data, struct buf *out,
                              struct fault *fault) {
    char path[PATH_MAX + 64];
    char *argv[] = {path, NULL};
    scoped_buf answer = {0};
    TRY(helper_path("ssh-keysign", NULL, path, sizeof path, fault));
    // It looks at the near end's address: the one descriptor that it gets beside its own.
    scoped_fd connection = dup(c->link.fd), input = -1;
    if (connection < 0 || make_request(connection, data, &input) != OK)
        return fault_set(fault, ERR_IO, 0,
                         "ssh-keysign cannot be asked: out of descriptors or memory");
    struct process_spec spec = {.path = path,
                                .argv = argv,
                                .fd_in = input,
                                .fd_err = STDERR_FILENO,
                                .tty = -1,
                                .keep_nice_fds = true};
    buf_init(&answer, ANSWER_MAX);
    TRY(converse(&spec, &answer, fault));
    return read_answer(buf_view(&answer), out, fault);
}
