// The client's side of the agent protocol.
#include "client/agent.h"

#include <poll.h>
#include <sys/socket.h>

#include "io/fd.h"
#include "io/unix_socket.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define AGENT_MESSAGE_MAX (256u * 1024u)
#define AGENT_WAIT_MS 60000  // a confirmation may be asked of a person

enum {
    AGENTC_REQUEST_IDENTITIES = 11,
    AGENT_IDENTITIES_ANSWER = 12,
    AGENTC_SIGN_REQUEST = 13,
    AGENT_SIGN_RESPONSE = 14,
};
#define AGENT_RSA_SHA2_256 2u
#define AGENT_RSA_SHA2_512 4u

static enum err read_exactly(int fd, uint8_t *p, size_t n) {
    while (n > 0) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, AGENT_WAIT_MS) <= 0)
            return ERR_TIMEOUT;
        size_t got = 0;
        TRY(fd_read_some(fd, (struct span){p, n}, &got));
        p += got;
        n -= got;
    }
    return OK;
}

// One request, one answer of the type wanted; its payload behind the type goes to
// `answer`.
static enum err exchange(struct agent *a, struct buf *request, uint8_t wanted,
                         struct buf *answer) {
    uint8_t head[5];
    store_u32(head, (uint32_t)buf_len(request));
    TRY(fd_write_full(a->fd, view_of(head, 4)));
    TRY(fd_write_full(a->fd, buf_view(request)));
    TRY(read_exactly(a->fd, head, 5));
    uint32_t n = load_u32(head);
    if (n < 1 || n > AGENT_MESSAGE_MAX)
        return ERR_LIMIT;
    struct span room;
    TRY(buf_reserve(answer, n, &room));
    TRY(read_exactly(a->fd, room.p, n - 1));
    buf_added(answer, n - 1);
    return head[4] == wanted ? OK : ERR_REFUSED;
}

static enum err list_keys(struct agent *a) {
    scoped_buf request;
    buf_init(&request, 64);
    struct writer w = writer_to_buf(&request);
    write_u8(&w, AGENTC_REQUEST_IDENTITIES);
    TRY(writer_end(&w));
    TRY(exchange(a, &request, AGENT_IDENTITIES_ANSWER, &a->list));
    struct reader r = reader_of(buf_view(&a->list));
    uint32_t count = read_u32(&r);
    for (uint32_t i = 0; i < count && r.err == OK && a->n < AGENT_KEYS_MAX; i++) {
        struct agent_key key = {.blob = read_string(&r)};
        key.comment = read_string(&r);
        if (r.err == OK)
            a->keys[a->n++] = key;
    }
    return r.err;
}

enum err agent_open(struct agent *a, const char *path, struct fault *fault) {
    a->n = 0;
    a->fd = -1;
    buf_init(&a->list, AGENT_MESSAGE_MAX);
    TRY(unix_connect(path, SOCK_STREAM, &a->fd, fault));
    enum err e = list_keys(a);
    if (e != OK) {
        agent_close(a);
        return fault_set(fault, e, 0, "agent at %s: %s", path, err_text(e));
    }
    return OK;
}

void agent_close(struct agent *a) {
    fd_close(&a->fd);
    buf_free(&a->list);
    a->n = 0;
}

const struct agent_key *agent_find(const struct agent *a, struct view blob) {
    for (size_t i = 0; i < a->n; i++)
        if (view_equal(a->keys[i].blob, blob))
            return &a->keys[i];
    return NULL;
}

static uint32_t sign_flags(const struct signature_alg *alg) {
    if (alg->kind != PK_RSA)
        return 0;
    return alg->hash == &digest_sha256 ? AGENT_RSA_SHA2_256 : AGENT_RSA_SHA2_512;
}

enum err agent_sign(struct agent *a, struct view blob, const struct signature_alg *alg,
                    struct view data, struct buf *out) {
    scoped_buf request, answer;
    buf_init(&request, AGENT_MESSAGE_MAX);
    buf_init(&answer, AGENT_MESSAGE_MAX);
    struct writer w = writer_to_buf(&request);
    write_u8(&w, AGENTC_SIGN_REQUEST);
    write_string(&w, blob);
    write_string(&w, data);
    write_u32(&w, sign_flags(alg));
    TRY(writer_end(&w));
    TRY(exchange(a, &request, AGENT_SIGN_RESPONSE, &answer));
    struct reader r = reader_of(buf_view(&answer));
    struct view signature = read_string(&r);
    TRY(reader_end(&r));
    struct reader s = reader_of(signature);
    // An old agent may sign with another algorithm than asked for; the server would
    // refuse it.
    struct view name = read_string(&s);
    if (!view_is(name, alg->signature_name))
        return ERR_UNSUPPORTED;
    return buf_append(out, signature);
}
