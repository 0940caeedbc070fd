#include "signer/agent_link.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/secret.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/unix_socket.h"

#define WAIT_MS 300000  // a person may be asked, or a token touched

static enum err read_exactly(int fd, uint8_t *p, size_t n, uint64_t deadline) {
    while (n > 0) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, clock_poll_ms(clock_ms(), deadline)) <= 0)
            return ERR_TIMEOUT;
        size_t got = 0;
        TRY(fd_read_some(fd, (struct span){p, n}, &got));
        p += got;
        n -= got;
    }
    return OK;
}

static enum err read_answer(struct agent_link *l, struct buf *answer) {
    uint64_t deadline = clock_after(clock_ms(), WAIT_MS);
    uint8_t head[4];
    TRY(read_exactly(l->fd, head, 4, deadline));
    uint32_t n = load_u32(head);
    if (n < 1 || n > AGENT_MESSAGE_MAX)
        return ERR_LIMIT;
    struct span room;
    TRY(buf_reserve(answer, n, &room));
    TRY(read_exactly(l->fd, room.p, n, deadline));
    buf_added(answer, n);
    return OK;
}

enum err agent_link_exchange(struct agent_link *l, struct buf *request,
                             struct buf *answer) {
    uint8_t head[4];
    store_u32(head, (uint32_t)buf_len(request));
    enum err e = fd_write_full(l->fd, view_of(head, 4));
    if (e == OK)
        e = fd_write_full(l->fd, buf_view(request));
    secret_wipe(request->p, request->room);
    buf_clear(request);
    return e == OK ? read_answer(l, answer) : e;
}

enum err agent_link_do(struct agent_link *l, struct buf *request) {
    scoped_buf answer;
    buf_init(&answer, AGENT_MESSAGE_MAX);
    TRY(agent_link_exchange(l, request, &answer));
    return agent_take_success(buf_view(&answer));
}

enum err agent_link_open(struct agent_link *l, const char *path, struct fault *fault) {
    *l = (struct agent_link){.fd = -1};
    buf_init(&l->list, AGENT_MESSAGE_MAX);
    return unix_connect(path, SOCK_STREAM, &l->fd, fault);
}

void agent_link_close(struct agent_link *l) {
    fd_close(&l->fd);
    buf_free(&l->list);
    free(l->keys);
    l->keys = NULL;
    l->n = 0;
}

enum err agent_link_list(struct agent_link *l) {
    scoped_buf request;
    struct agent_identities m;
    buf_init(&request, 64);
    buf_clear(&l->list);
    l->n = 0;
    TRY(agent_ask(AGENTC_REQUEST_IDENTITIES, &request));
    TRY(agent_link_exchange(l, &request, &l->list));
    TRY(agent_take_identities(buf_view(&l->list), &m));
    if (m.count > AGENT_LINK_KEYS_MAX)
        return ERR_LIMIT;
    free(l->keys);
    l->keys = calloc(m.count + 1, sizeof l->keys[0]);
    if (l->keys == NULL)
        return ERR_MEMORY;
    while (l->n < m.count &&
           agent_next_identity(&m.keys, &l->keys[l->n].blob, &l->keys[l->n].comment))
        l->n++;
    return OK;
}

const struct agent_link_key *agent_link_find(const struct agent_link *l,
                                             struct view blob) {
    for (size_t i = 0; i < l->n; i++)
        if (view_equal(l->keys[i].blob, blob))
            return &l->keys[i];
    return NULL;
}

enum err agent_link_sign(struct agent_link *l, struct view blob,
                         const struct signature_alg *alg, struct view data,
                         struct buf *out) {
    scoped_buf request, answer;
    struct view signature;
    buf_init(&request, AGENT_MESSAGE_MAX);
    buf_init(&answer, AGENT_MESSAGE_MAX);
    TRY(agent_ask_sign(blob, alg, data, &request));
    TRY(agent_link_exchange(l, &request, &answer));
    TRY(agent_take_signature(buf_view(&answer), alg, &signature));
    return buf_append(out, signature);
}
