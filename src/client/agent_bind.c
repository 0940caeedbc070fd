#include "client/agent_bind.h"

#include "io/fd.h"
#include "transport/transport.h"

#define REQUEST_MAX (64u * 1024u)

static enum err make_request(struct client *c, bool forwarding, struct buf *out) {
    scoped_buf contents;
    struct agent_session_bind m = {.forwarding = forwarding};
    buf_init(&contents, REQUEST_MAX);
    m.session_id = transport_session_id(c->link.transport);
    transport_proof(c->link.transport, &m.host_key, &m.signature);
    struct writer w = writer_to_buf(&contents);
    agent_encode_session_bind(&w, &m);
    TRY(writer_end(&w));
    return agent_ask_extension(AGENT_SESSION_BIND, buf_view(&contents), out);
}

void agent_bind_login(struct client *c, struct agent_link *l) {
    scoped_buf request;
    buf_init(&request, REQUEST_MAX);
    if (c->link.transport == NULL)  // -Z: there is no session
        return;
    enum err e = make_request(c, false, &request);
    if (e == OK)
        e = agent_link_do(l, &request);
    if (e != OK)
        log_debug(&c->log, "the agent takes no binding to this session: %s", err_text(e));
}

enum err agent_bind_forward(struct agent_bind *b, struct client *c, int fd) {
    scoped_buf request, frame;
    uint8_t head[4];
    size_t n = 0;
    buf_init(&request, REQUEST_MAX);
    buf_init(&frame, REQUEST_MAX + 4);
    TRY(make_request(c, true, &request));
    store_u32(head, (uint32_t)buf_len(&request));
    TRY(buf_append(&frame, view_of(head, 4)));
    TRY(buf_append(&frame, buf_view(&request)));
    TRY(fd_write_some(fd, buf_view(&frame), &n));
    *b = (struct agent_bind){.waits = true};
    return n == buf_len(&frame) ? OK : ERR_IO;
}

enum err agent_bind_skip(struct agent_bind *b, int fd) {
    uint8_t room[256];
    while (b->waits) {
        size_t n = 0, want = b->left < sizeof room ? b->left : sizeof room;
        bool head = b->head_n < 4;
        struct span to = head ? (struct span){b->head + b->head_n, 4 - b->head_n}
                              : (struct span){room, want};
        TRY(fd_read_some(fd, to, &n));
        if (n == 0)
            return OK;
        if (!head) {
            b->left -= (uint32_t)n;
        } else if ((b->head_n += n) == 4) {
            b->left = load_u32(b->head);
            if (b->left == 0 || b->left > AGENT_MESSAGE_MAX)
                return ERR_LIMIT;
        }
        b->waits = b->head_n < 4 || b->left > 0;
    }
    return OK;
}
