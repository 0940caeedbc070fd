#include "server/signer.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "io/process.h"
#include "key/key.h"
#include "server/ipc.h"
#include "signer/agent_link.h"
#include "signer/security_key.h"

// The keeper sees our end by the socket; it need not wait for us as its child, which a
// keeper that executes its successor could not.
static void leave_parent(void) {
    struct process p;
    if (process_fork(&p) != OK)
        _exit(1);
    if (p.pid > 0)
        _exit(0);
}

static void receive(int keeper, struct span room, struct ipc_message *m) {
    struct ipc_side side = {IPC_KEEPER, IPC_SIGNER, .state = LINK_NONE};
    struct pollfd wait = {.fd = keeper, .events = POLLIN};
    bool ready = false;
    while (!ready)
        if (poll(&wait, 1, -1) > 0 &&
            ipc_recv(keeper, &side, room, m, &ready, NULL) != OK)
            _exit(1);
    if (m->row->number != IPC_COMMISSION)
        _exit(1);
}

static enum err sign_by_agent(const struct ipc_commission *m, const struct key *key,
                              const struct signature_alg *alg, struct buf *out,
                              struct fault *f) {
    char path[108], clean[160];
    struct agent_link link;
    struct key_touch touch;
    if (!text_copy(path, sizeof path, m->agent))
        return fault_set(f, ERR_LIMIT, 0, "HostKeyAgent: the path is too long");
    TRY(agent_link_open(&link, path, f));
    enum err e = agent_link_sign(&link, m->key, alg, m->data, out);
    agent_link_close(&link);
    if (e == OK && key_verify_touch(key, alg, buf_view(out), m->data, &touch) != OK)
        e = ERR_SIGNATURE;
    return e == OK ? OK
                   : fault_set(f, e, 0, "the agent at %s does not sign: %s",
                               text_clean(clean, sizeof clean, m->agent),
                               e == ERR_REFUSED ? "it has no such key, or refuses"
                                                : err_text(e));
}

static enum err sign_by_token(const struct ipc_commission *m, struct key *key,
                              const struct signature_alg *alg, struct buf *out,
                              struct fault *f) {
    char provider[4096];
    struct log silent = {.level = LOG_LEVEL_QUIET};
    struct security_key_use use = {provider, &silent, true};
    if (!text_copy(provider, sizeof provider, m->provider))
        return ERR_LIMIT;
    TRY(key_set_handle(key, (uint8_t)m->flags, m->handle));
    return security_key_sign(key, &use, alg, m->data, out, f);
}

static enum err sign(const struct ipc_commission *m, struct buf *out, struct fault *f) {
    const struct alg *alg = alg_find(ALG_SIGNATURE, m->algorithm);
    struct key *key = NULL;
    char clean[80];
    if (alg == NULL)
        return fault_set(f, ERR_UNSUPPORTED, 0, "unknown signature algorithm %s",
                         text_clean(clean, sizeof clean, m->algorithm));
    TRY(key_from_blob(&key, m->key, f));
    enum err e = m->agent.n > 0 ? sign_by_agent(m, key, alg->signature, out, f)
                                : sign_by_token(m, key, alg->signature, out, f);
    key_free(key);
    return e;
}

_Noreturn void signer_run(int keeper) {
    static uint8_t room[LIMIT_IPC_MESSAGE];
    struct ipc_message m;
    struct fault f = {0};
    scoped_buf signature;
    leave_parent();
    process_title("sshd: signer");
    (void)alarm(SIGNER_SECONDS);
    buf_init(&signature, KEY_SIGNATURE_MAX);
    receive(keeper, (struct span){room, sizeof room}, &m);
    enum err e = sign(&m.body.commission, &signature, &f);
    struct ipc_delivery answer = {.signature = buf_view(&signature)};
    if (e != OK)
        answer = (struct ipc_delivery){
            .why = view_text(f.text[0] != '\0' ? f.text : err_text(e))};
    e = ipc_send(keeper, IPC_DELIVERY, &answer, -1);
    _exit(e == OK ? 0 : 1);
}
