// Signatures with host keys: at once where the secret half is here; by a signer
// (server/signer.h) where an agent or a security key has it, since the keeper never
// waits. A link has at most one of the gate's and one proof under way.
#include <stdlib.h>

#include "base/text.h"
#include "io/fd.h"
#include "server/keeper.h"

#define SIGN_RATE 1000u  // rekeys in a second, and in a burst
#define HASH_MIN 20u     // an exchange hash has at least the size of SHA-1
#define PROOFS_MAX 64u   // of host keys, for one link

typedef void signed_fn(struct link *l, struct view signature);

// A signer at work.
struct commission {
    struct link *link;
    int fd;
    struct loop_watch watch;
    signed_fn *done;
};

struct link_signing {
    struct commission to;
    uint32_t ticket, key;
    char algorithm[64];
    uint8_t hash[KEEPER_SESSION_ID_MAX];
    size_t hash_n;
};

struct link_proof {
    struct commission to;
    struct buf blobs, signatures;
    struct reader left;
    size_t n;
};

// ---- one signature elsewhere ----

static void on_fork_of_signer(void *arg, int status) {
    (void)status;  // it has left us its child
    free(arg);
}

static enum err start_signer(struct keeper *k, int theirs) {
    pid_t pid;
    struct loop_child *fork = malloc(sizeof *fork);
    if (fork == NULL)
        return ERR_MEMORY;
    enum err e = keeper_make(k, IPC_SIGNER, theirs, &pid);
    if (e == OK)
        e = loop_child(&k->loop, fork, pid, -1, on_fork_of_signer, fork);
    if (e != OK)
        free(fork);
    return e;
}

static void close_commission(struct commission *c) {
    if (c->fd < 0)
        return;
    loop_unwatch(&c->link->keeper->loop, &c->watch);
    fd_close(&c->fd);
}

static void on_delivery(void *arg, uint32_t ready) {
    struct commission *c = arg;
    struct link *l = c->link;
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    char clean[400];
    struct ipc_side side = {IPC_SIGNER, IPC_KEEPER, .state = LINK_NONE};
    struct ipc_message m;
    bool got = false;
    (void)ready;
    enum err e =
        ipc_recv(c->fd, &side, (struct span){bytes, sizeof bytes}, &m, &got, NULL);
    if (e == OK && !got)
        return;
    struct view signature = {0}, why = view_text("the agent or security key is silent");
    if (e == OK) {
        signature = m.body.delivery.signature;
        why = m.body.delivery.why;
    }
    if (signature.n == 0)
        log_error(&l->keeper->log, "a host key was not signed with: %s",
                  text_clean(clean, sizeof clean, why));
    close_commission(c);
    c->done(l, signature);
}

static enum err send_commission(const struct host_keys *k, uint32_t index,
                                const struct signature_alg *alg, struct view data,
                                int fd) {
    const struct key *key = k->signer[index];
    bool token = key->handle != NULL;
    struct ipc_commission m = {
        .agent = view_text(token ? "" : k->agent),
        .provider = view_text(token && k->provider != NULL ? k->provider : ""),
        .algorithm = view_text(alg->signature_name),
        .key = key_plain_blob(key),
        .handle = view_of(key->handle, key->handle_len),
        .flags = key->handle_flags,
        .data = data,
    };
    return ipc_send(fd, IPC_COMMISSION, &m, -1);
}

// *c is watched; its done is called later, with an empty signature if there is none.
static enum err commission(struct commission *c, struct link *l, uint32_t index,
                           struct view algorithm, struct view data, signed_fn *done) {
    const struct signature_alg *alg = host_keys_algorithm(l->host_keys, index, algorithm);
    int pair[2];
    *c = (struct commission){.link = l, .fd = -1, .done = done};
    if (alg == NULL)
        return ERR_REFUSED;
    TRY(ipc_pair(pair));
    scoped_fd ours = pair[0], theirs = pair[1];
    TRY(send_commission(l->host_keys, index, alg, data, ours));
    TRY(start_signer(l->keeper, theirs));
    TRY(loop_watch(&l->keeper->loop, &c->watch, ours, LOOP_IN, on_delivery, c));
    c->fd = ours;
    ours = -1;
    return OK;
}

// ---- for the gate ----

static bool may_sign(struct link *l) {
    uint64_t now = clock_ms();
    uint64_t add = (now - l->sign_at) * SIGN_RATE / 1000;
    if (add > 0) {
        l->sign_at = now;
        l->sign_tokens =
            add + l->sign_tokens > SIGN_RATE ? SIGN_RATE : (uint32_t)add + l->sign_tokens;
    }
    if (l->sign_tokens == 0)
        return false;
    l->sign_tokens--;
    return true;
}

static const char *deliver(struct link *l, const struct ipc_sign *m,
                           struct view signature) {
    struct ipc_signed answer = {m->ticket, signature};
    if (ipc_send(l->fd, IPC_SIGNED, &answer, -1) != OK)
        return "gate does not listen";
    if (l->state == LINK_NEW) {
        memcpy(l->session_id, m->hash.p, m->hash.n);
        l->session_id_n = m->hash.n;
        l->host_key = m->key;
        text_copy(l->host_algorithm, sizeof l->host_algorithm, m->algorithm);
        l->state = LINK_KEYED;
    }
    return NULL;
}

static void on_signed(struct link *l, struct view signature) {
    struct link_signing *s = l->signing;
    struct ipc_sign m = {s->ticket, s->key, view_text(s->algorithm),
                         view_of(s->hash, s->hash_n)};
    l->signing = NULL;
    const char *why = l->fd < 0          ? NULL
                      : signature.n == 0 ? "its host key could not be signed with"
                                         : deliver(l, &m, signature);
    free(s);
    if (why != NULL)
        link_end(l, why);
}

static const char *sign_elsewhere(struct link *l, const struct ipc_sign *m) {
    if (l->signing != NULL)
        return "SIGN: before the last one was answered";
    struct link_signing *s = calloc(1, sizeof *s);
    if (s == NULL)
        return "out of memory";
    s->ticket = m->ticket;
    s->key = m->key;
    text_copy(s->algorithm, sizeof s->algorithm, m->algorithm);
    memcpy(s->hash, m->hash.p, m->hash.n);
    s->hash_n = m->hash.n;
    if (commission(&s->to, l, m->key, m->algorithm, m->hash, on_signed) != OK) {
        free(s);
        return "SIGN: nobody can be asked to sign";
    }
    l->signing = s;
    return NULL;
}

const char *link_sign(struct link *l, const struct ipc_sign *m) {
    scoped_buf signature;
    buf_init(&signature, KEY_SIGNATURE_MAX);
    if (m->hash.n < HASH_MIN || m->hash.n > KEEPER_SESSION_ID_MAX)
        return "SIGN: not an exchange hash";
    if (!may_sign(l))
        return "SIGN: too many";
    if (m->key < l->host_keys->n && host_keys_elsewhere(l->host_keys, m->key))
        return sign_elsewhere(l, m);
    if (host_keys_sign(l->host_keys, m->key, m->algorithm, m->hash, &signature) != OK)
        return "SIGN: no such key or algorithm; its host key may have been removed";
    return deliver(l, m, buf_view(&signature));
}

// ---- for the holder: hostkeys-prove-00@openssh.com ----

static void free_proof(struct link *l) {
    struct link_proof *p = l->proof;
    l->proof = NULL;
    if (p == NULL)
        return;
    close_commission(&p->to);
    buf_free(&p->blobs);
    buf_free(&p->signatures);
    free(p);
}

static void answer_holder(struct link *l, struct view signatures) {
    struct ipc_proved answer = {signatures};
    enum err e =
        l->holder.fd >= 0 ? ipc_send(l->holder.fd, IPC_PROVED, &answer, -1) : ERR_CLOSED;
    (void)e;  // a holder that does not listen waits for nothing
    free_proof(l);
}

static enum err add_proof(struct link_proof *p, struct view signature) {
    struct writer w = writer_to_buf(&p->signatures);
    write_string(&w, signature);
    return writer_end(&w);
}

static void on_proof(struct link *l, struct view signature);

// The next signature. *later: a signer makes it.
static enum err prove_one(struct link *l, struct link_proof *p, bool *later) {
    const struct host_keys *k = l->host_keys;
    scoped_buf data, signature;
    uint32_t index = 0;
    buf_init(&data, LIMIT_PACKET_DEFAULT);
    buf_init(&signature, KEY_SIGNATURE_MAX);
    struct view blob = read_string(&p->left);
    if (p->left.err != OK || !host_keys_find(k, blob, &index) || p->n++ == k->n)
        return ERR_REFUSED;  // not ours, or one twice without end
    struct view name = host_keys_prove_algorithm(k, index, l->host_algorithm);
    TRY(host_keys_prove_data(k, index, view_of(l->session_id, l->session_id_n), &data));
    *later = host_keys_elsewhere(k, index);
    if (*later)
        return commission(&p->to, l, index, name, buf_view(&data), on_proof);
    TRY(host_keys_sign(k, index, name, buf_view(&data), &signature));
    return add_proof(p, buf_view(&signature));
}

static void go_on(struct link *l) {
    struct link_proof *p = l->proof;
    enum err e = OK;
    bool later = false;
    while (e == OK && !later && reader_left(&p->left) > 0)
        e = prove_one(l, p, &later);
    if (e != OK)
        answer_holder(l, view_of(NULL, 0));
    else if (!later)
        answer_holder(l, buf_view(&p->signatures));
}

static void on_proof(struct link *l, struct view signature) {
    if (signature.n == 0 || add_proof(l->proof, signature) != OK)
        answer_holder(l, view_of(NULL, 0));
    else
        go_on(l);
}

// A client asks when a host key is new to it, so rarely.
void link_prove(struct link *l, struct view blobs) {
    struct ipc_proved none = {view_of(NULL, 0)};
    bool busy = l->proof != NULL || l->proofs++ >= PROOFS_MAX;
    struct link_proof *p = busy ? NULL : calloc(1, sizeof *p);
    if (p == NULL) {
        enum err e = ipc_send(l->holder.fd, IPC_PROVED, &none, -1);
        (void)e;
        return;
    }
    l->proof = p;
    p->to = (struct commission){.link = l, .fd = -1};
    buf_init(&p->blobs, LIMIT_IPC_MESSAGE);
    buf_init(&p->signatures, LIMIT_IPC_MESSAGE / 2);
    if (buf_append(&p->blobs, blobs) != OK) {
        answer_holder(l, view_of(NULL, 0));
        return;
    }
    p->left = reader_of(buf_view(&p->blobs));
    go_on(l);
}

static void drop_signing(struct link *l) {
    if (l->signing != NULL)
        close_commission(&l->signing->to);
    free(l->signing);
    l->signing = NULL;
}

void link_signing_move(struct link *l, struct link *from) {
    drop_signing(l);
    l->signing = from->signing;
    from->signing = NULL;
    if (l->signing != NULL)
        l->signing->to.link = l;
}

void link_signing_forget(struct link *l) {
    drop_signing(l);
    free_proof(l);
}
