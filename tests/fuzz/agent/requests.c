// An agent with a key, and whatever a client sends: messages with their lengths, one
// after the other. Questions are answered yes. The list must always be told.
#include <stdlib.h>

#include "agent/client.h"
#include "agent/server.h"
#include "crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_list(struct agent_server *s) {
    struct agent_client c;
    struct agent_question q;
    struct fault f = {0};
    struct agent_identities m;
    scoped_buf answer;
    uint8_t list = AGENTC_REQUEST_IDENTITIES;
    buf_init(&answer, AGENT_MESSAGE_MAX);
    agent_client_init(&c, s);
    if (agent_client_request(&c, view_of(&list, 1), (struct agent_now){1, 1}, &answer, &q,
                             &f) != OK ||
        agent_take_identities(buf_view(&answer), &m) != OK)
        abort();
    agent_client_drop(&c);
}

static void one(struct agent_client *c, struct view message, uint64_t ms) {
    struct agent_question q;
    struct agent_reply yes = {.yes = true, .path = "/lib/x.so"};
    struct agent_now now = {ms, 1750000000};
    scoped_buf answer;
    buf_init(&answer, AGENT_MESSAGE_MAX);
    struct fault f = {0};
    if (agent_client_request(c, message, now, &answer, &q, &f) != OK)
        return;
    for (int i = 0; i < 4 && q.want != AGENT_WANT_NOTHING; i++) {
        now.ms += 100000;
        fault_clear(&f);
        if (agent_client_answer(c, &yes, now, &answer, &q, &f) != OK)
            abort();
        yes.signature = view_text("signature");
    }
    if (q.want == AGENT_WANT_NOTHING && agent_schema(buf_view(&answer).p[0]) == NULL)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct agent_server *s = calloc(1, sizeof *s);
    struct agent_client c;
    if (crypto_init() != OK || s == NULL)
        abort();
    agent_server_init(s, &(struct agent_options){0});
    agent_client_init(&c, s);
    for (uint64_t ms = 1; size > 4 && ms < 64; ms++) {
        uint32_t n = load_u32(data);
        data += 4;
        size -= 4;
        if (n > size)
            n = (uint32_t)size;
        if (n > 0 && buf_len(&c.request) == 0)
            one(&c, view_of(data, n), ms);
        data += n;
        size -= n;
    }
    agent_client_drop(&c);
    check_list(s);
    agent_server_drop(s);
    free(s);
    return 0;
}
