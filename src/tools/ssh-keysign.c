// ssh-keysign: signs with this host's keys for ssh(1), so that a server may trust this
// host about its users (hostbased authentication, RFC 4252 s.9).
//
// It runs with root's rights by its set-user-ID bit, or is of no use. Invariants: what it
// needs root for, opening the keys, comes first, and nothing given to it is looked at
// before those rights are gone for good. It signs nothing but a hostbased request that is
// true: for the user who called it, by the name that this host has on the connection that
// it was handed, with one of this host's own keys. /etc/ssh/ssh_config must say
// EnableSSHKeysign yes.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/hostbased.h"
#include "base/limits.h"
#include "base/text.h"
#include "client/algorithms.h"
#include "conf/client_config.h"
#include "conf/files.h"
#include "crypto/crypto.h"
#include "io/account.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/hostname.h"
#include "io/privilege.h"
#include "io/process.h"
#include "key/private_key.h"

#define CONFIG "/etc/ssh/ssh_config"
#define KEYSIGN_VERSION 2
#define NAME_SIZE 1100

static const char *const key_files[] = {"/etc/ssh/ssh_host_ed25519_key",
                                        "/etc/ssh/ssh_host_ecdsa_key",
                                        "/etc/ssh/ssh_host_rsa_key"};
#define KEYS (sizeof key_files / sizeof key_files[0])

struct keysign {
    int files[KEYS];
    struct key *keys[KEYS];
    struct account me;
    struct fault fault;
};

static enum err refuse(struct keysign *s, const char *why) {
    return fault_set(&s->fault, ERR_REFUSED, 0, "%s", why);
}

// ---- rights ----

static void open_keys(struct keysign *s) {
    for (size_t i = 0; i < KEYS; i++)
        if (file_open(key_files[i], 0, &s->files[i], NULL) != OK)
            s->files[i] = -1;
}

static enum err give_up_rights(struct keysign *s) {
    TRY(account_by_uid(getuid(), &s->me, &s->fault));
    struct privilege mine = {getuid(), getgid(), s->me.groups, s->me.groups_n};
    // Without root's rights there are none to give up, and no keys either.
    return geteuid() == 0 ? privilege_drop(&mine, &s->fault) : OK;
}

static enum err parse_keys(struct keysign *s) {
    size_t found = 0;
    for (size_t i = 0; i < KEYS; i++) {
        scoped_buf text = {0};
        if (s->files[i] < 0)
            continue;
        struct fault fault = {0};
        enum err e =
            file_read_fd(s->files[i], key_files[i], LIMIT_KEY_FILE, &text, &fault);
        if (e == OK)
            e = private_key_parse(&s->keys[i], buf_view(&text), view_text(""), &fault);
        if (text.p != NULL)
            secret_wipe(text.p, text.room);
        if (e != OK)
            fprintf(stderr, "ssh-keysign: %s: %s\n", key_files[i], fault_text(&fault));
        found += e == OK;
        fd_close(&s->files[i]);
    }
    return found > 0 ? OK
                     : refuse(s, "no host key can be read: this program must belong to "
                                 "root and have the set-user-ID bit");
}

static enum err is_enabled(struct keysign *s) {
    scoped_client_config config;
    struct conf_problems problems = {0};
    struct client_subject subject = {
        .host = "localhost", .local_user = s->me.name, .home = s->me.directory};
    struct client_config_input input = {
        .source = &conf_files, .system_file = CONFIG, .algorithms = algorithms_list};
    enum err e = client_config_load(&config, &input, &subject, &problems);
    if (e != OK)
        return refuse(s, CONFIG " has errors (ssh -G shows them)");
    return config.enable_ssh_keysign
               ? OK
               : refuse(s, "not enabled: " CONFIG " does not say EnableSSHKeysign yes");
}

// ---- the request ----

static enum err read_request(struct keysign *s, struct buf *message, struct view *data,
                             int *connection) {
    uint8_t head[4];
    struct span room;
    size_t n = 0;
    TRY(fd_read_full(STDIN_FILENO, (struct span){head, sizeof head}, &n));
    uint32_t length = n == sizeof head ? load_u32(head) : 0;
    if (length == 0 || length > LIMIT_PACKET)
        return refuse(s, "no request on standard input: ssh(1) starts this program");
    buf_init(message, LIMIT_PACKET);
    TRY(buf_reserve(message, length, &room));
    TRY(fd_read_full(STDIN_FILENO, (struct span){room.p, length}, &n));
    buf_added(message, n);
    struct reader r = reader_of(buf_view(message));
    uint8_t version = read_u8(&r);
    *connection = (int)read_u32(&r);
    *data = read_string(&r);
    if (n != length || reader_end(&r) != OK || version != KEYSIGN_VERSION)
        return refuse(s, "malformed request");
    return *connection > STDERR_FILENO && fcntl(*connection, F_GETFD) != -1
               ? OK
               : refuse(s, "the connection's descriptor is not open");
}

// Which of the keys; NULL and the reason when the request is not true.
static const struct key *judge(struct keysign *s, struct view data, int connection,
                               const struct signature_alg **alg) {
    struct hostbased_request q;
    struct view session_id;
    char host[NAME_SIZE];
    const char *why = NULL;
    if (hostbased_decode_signed(data, &session_id, &q, &s->fault) != OK)
        return NULL;
    hostname_of_socket(connection, host, sizeof host - 1);
    memcpy(host + strlen(host), ".", 2);
    *alg = hostbased_algorithm(&q, NULL);
    if (session_id.n < 20 || session_id.n > 64)
        why = "that is no session id";
    else if (!view_is(q.service, "ssh-connection"))
        why = "another service than ssh-connection";
    else if (!view_is(q.client_user, s->me.name))
        why = "another user than the one who asks";
    else if (!view_is(q.host, host))
        why = "another host name than this one's on that connection";
    else if (*alg == NULL)
        why = "unknown signature algorithm";
    for (size_t i = 0; i < KEYS && why == NULL; i++)
        if (s->keys[i] != NULL && view_equal(q.blob, key_blob(s->keys[i])))
            return s->keys[i];
    (void)refuse(s, why != NULL ? why : "no key of this host");
    return NULL;
}

static enum err answer(struct keysign *s, const struct key *key,
                       const struct signature_alg *alg, struct view data) {
    scoped_buf signature = {0}, out = {0};
    buf_init(&signature, KEY_SIGNATURE_MAX);
    buf_init(&out, KEY_SIGNATURE_MAX + 64);
    if (key_sign(key, alg, data, &signature) != OK)
        return refuse(s, "the key does not sign");
    struct writer w = writer_to_buf(&out);
    write_u32(&w, (uint32_t)(1 + 4 + buf_len(&signature)));
    write_u8(&w, KEYSIGN_VERSION);
    write_string(&w, buf_view(&signature));
    TRY(writer_end(&w));
    return fd_write_full(STDOUT_FILENO, buf_view(&out));
}

static enum err run(struct keysign *s) {
    scoped_buf message = {0};
    struct view data;
    int connection = -1;
    const struct signature_alg *alg = NULL;
    open_keys(s);
    TRY(give_up_rights(s));
    process_reset_signals();
    TRY(crypto_init_short());
    TRY(is_enabled(s));
    TRY(parse_keys(s));
    TRY(read_request(s, &message, &data, &connection));
    const struct key *key = judge(s, data, connection, &alg);
    return key != NULL ? answer(s, key, alg, data) : s->fault.code;
}

int main(void) {
    struct keysign s = {.files = {-1, -1, -1}};
    umask(077);
    if (fd_fill_standard() != OK)
        return 1;
    enum err e = run(&s);
    for (size_t i = 0; i < KEYS; i++)
        key_free(s.keys[i]);
    account_drop(&s.me);
    if (e != OK)
        fprintf(stderr, "ssh-keysign: %s\n",
                s.fault.code != OK ? fault_text(&s.fault) : err_text(e));
    return e == OK ? 0 : 1;
}
