// The keeper's end of one link: any messages of its gate, its judge and its holder, in
// any order. Nobody is in without a verdict of the judge's that was asked for; a bad
// message ends the link and nothing else. What stands on its links goes there and back by
// a record.
//
// Messages: {from u8, number u8, length u16, fields}; from: 0 gate, 1 judge, 2 holder, 3
// the holder of a connection that has no link;
// bit 7: with a descriptor; 0x40: the other end is closed instead.
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "io/fd.h"
#include "io/process.h"
#include "io/unix_socket.h"
#include "server/keeper.h"
#include "server/seam.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    GATE,
    JUDGE,
    HOLDER,
    OTHER,  // the holder of another connection, which is suspended
    ENDS
};

static struct {
    struct keeper keeper;
    int ends[ENDS];
    pid_t children[8];
    size_t children_n;
} f;

// ---- in place of the nursery: children that do nothing, and we are what they say ----

static pid_t idle_child(void) {
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    if (f.children_n < sizeof f.children / sizeof f.children[0])
        f.children[f.children_n++] = pid;
    return pid;
}

enum err keeper_make(struct keeper *k, enum ipc_role role, int theirs, pid_t *pid) {
    (void)k;
    int *end = &f.ends[role == IPC_JUDGE ? JUDGE : HOLDER];
    fd_close(end);
    *end = fd_dup_above(theirs, 3);
    *pid = idle_child();
    return *end >= 0 && *pid > 0 ? OK : ERR_IO;
}

enum err keeper_start_nursery(struct keeper *k, struct fault *fault) {
    (void)k;
    (void)fault;
    return OK;
}

enum err keeper_check_libraries(const struct server_config *config, struct fault *fault) {
    (void)config;
    (void)fault;
    return OK;
}

void keeper_forget(struct keeper *k) {
    (void)k;
}

// ---- one conversation ----

static struct host_keys *host_keys(void) {
    static struct host_keys keys = {.refs = 1};
    struct pk *pk = NULL;
    if (keys.n == 0 && pk_generate(&pk, PK_ED25519, 0, 0) == OK &&
        key_from_pk(&keys.keys[0], pk) == OK) {
        keys.signer[0] = keys.keys[0];
        keys.algorithms[0] = strdup("ssh-ed25519");
        keys.n = 1;
    }
    return &keys;
}

static struct server_config *config(void) {
    static struct server_config c;
    static struct conf_problems problems;
    struct server_config_input input = {0};
    if (c.max_auth_tries == 0 && server_config_load(&c, &input, &problems) != OK)
        abort();
    return &c;
}

// A connection without a link that a login may come back to, and its holder, who may say
// what he likes too.
static void suspend(void) {
    struct link *o = link_make(&f.keeper, 1000);
    int pair[2];
    if (o == NULL || ipc_pair(pair) != OK)
        abort();
    o->host_keys = f.keeper.host_keys;
    o->host_keys->refs++;
    o->authenticated = o->resumable = true;
    o->state = LINK_CLOSING;
    o->identity_n = sizeof o->identity;  // and all are zero, as handle and uid
    o->suspended_at = o->suspended_grace = 1;
    o->holder.fd = pair[0];
    o->holder.side = (struct ipc_side){IPC_HOLDER, IPC_KEEPER, .state = LINK_OPEN};
    f.ends[OTHER] = pair[1];
    if (link_watch_exit(&o->holder, idle_child(), -1) != OK || link_watch_holder(o) != OK)
        abort();
}

static void begin(void) {
    struct keeper *k = &f.keeper;
    static const struct keeper_options options = {.inetd = false, .grace_s = 0};
    struct keeper_listener listener = {.keeper = k, .side = {0}};
    struct ipc_link_new m = {1, view_text("192.0.2.1"), 4711, view_text("192.0.2.2"), 22,
                             0};
    int pair[2];
    memset(k, 0, sizeof *k);
    k->options = &options;
    k->config = config();
    k->host_keys = host_keys();
    for (size_t i = 0; i < ENDS; i++)
        f.ends[i] = -1;
    if (loop_init(&k->loop) != OK || ipc_pair(pair) != OK)
        abort();
    link_new(&listener, &m, pair[0]);
    f.ends[GATE] = pair[1];
    suspend();
}

static void finish(void) {
    struct keeper *k = &f.keeper;
    for (size_t i = 0; i < ENDS; i++)
        fd_close(&f.ends[i]);
    for (size_t i = 0; i < f.children_n; i++)
        kill(f.children[i], SIGKILL);
    for (int i = 0; i < 1000 && k->links != NULL; i++)
        if (loop_turn(&k->loop, 10) != OK)
            abort();
    for (size_t i = 0; i < f.children_n; i++)
        waitpid(f.children[i], NULL, 0);
    f.children_n = 0;
    if (k->links != NULL || k->links_n != 0 || k->host_keys->refs != 1)
        abort();
    loop_drop(&k->loop);
}

static void send_one(unsigned from, unsigned number, struct view fields, bool with_fd) {
    static uint8_t bytes[LIMIT_IPC_MESSAGE];
    bool sent;
    int fd = 0;
    if (f.ends[from] < 0 || fields.n + 1 > sizeof bytes)
        return;
    bytes[0] = (uint8_t)number;
    memcpy(bytes + 1, fields.p, fields.n);
    struct view part = view_of(bytes, fields.n + 1);
    enum err e = unix_send(f.ends[from], &part, 1, &fd, with_fd ? 1 : 0, &sent);
    (void)e;  // it may be closed by now
}

static void drain(void) {
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    for (size_t i = 0; i < ENDS; i++) {
        struct unix_message m;
        while (f.ends[i] >= 0 &&
               unix_recv(f.ends[i], (struct span){bytes, sizeof bytes}, 4, &m) == OK &&
               m.ready)
            unix_message_close(&m);
    }
}

static void check_record(const struct link *l) {
    scoped_buf record;
    struct link_record r;
    int fds[LINK_FDS];
    buf_init(&record, LINK_RECORD_MAX);
    if (link_record_of(l, &record, fds) != OK ||
        link_record_read(&r, buf_view(&record), NULL) != OK || r.serial != l->serial ||
        r.state != (uint32_t)l->state || !view_is(r.user, l->user) ||
        r.authenticated != l->authenticated || r.session_id.n != l->session_id_n)
        abort();
}

static void check(bool verdict) {
    const struct link *l = f.keeper.links;
    for (const struct link *o = l; o != NULL; o = o->next)
        if (o->serial == 1000 && o->fd >= 0 && !verdict)
            abort();  // a link for it without a login
    while (l != NULL && l->serial == 1000)
        l = l->next;
    if (l == NULL)
        return;
    if (l->authenticated && !verdict)
        abort();
    if (l->holder.alive && !l->authenticated && l->state > LINK_USER &&
        l->state != LINK_CLOSING)
        abort();
    check_record(l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool verdict = false;
    if (crypto_init() != OK)
        abort();
    begin();
    for (int turns = 0; size >= 4 && turns < 40; turns++) {
        unsigned from = (data[0] & 0x3f) % ENDS, number = data[1] % (IPC_NUMBERS + 1);
        size_t n = (size_t)data[2] << 8 | data[3];
        bool with_fd = data[0] & 0x80, closes = data[0] & 0x40;
        data += 4;
        size -= 4;
        n = n < size ? n : size;
        verdict = verdict || (from == JUDGE && number == IPC_VERDICT);
        if (closes)
            fd_close(&f.ends[from]);
        else
            send_one(from, number, view_of(data, n), with_fd);
        if (loop_turn(&f.keeper.loop, 0) != OK)
            abort();
        drain();
        check(verdict);
        data += n;
        size -= n;
    }
    finish();
    return 0;
}
