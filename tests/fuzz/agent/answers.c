// What an agent answers, taken apart by those who asked; and constraints and destinations
// that come back as they were.
#include <stdlib.h>

#include "agent/client.h"
#include "crypto/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void identities(struct view answer) {
    struct agent_identities m;
    struct view blob, comment;
    uint32_t n = 0;
    if (agent_take_identities(answer, &m) != OK)
        return;
    while (m.keys.n > 0 && agent_next_identity(&m.keys, &blob, &comment))
        n++;
    if (n != m.count)
        abort();
}

static void constraints(struct view v, bool smartcard) {
    struct agent_constraints c, again;
    struct reader r = reader_of(v);
    scoped_buf out;
    buf_init(&out, 1u << 22);
    if (agent_constraints_read(&c, &r, smartcard, NULL) != OK)
        return;
    struct writer w = writer_to_buf(&out);
    agent_constraints_write(&w, &c);
    r = reader_of(buf_view(&out));
    if (writer_end(&w) != OK ||
        agent_constraints_read(&again, &r, smartcard, NULL) != OK ||
        again.lifetime_s != c.lifetime_s || again.confirm != c.confirm ||
        again.destinations.n != c.destinations.n ||
        again.certificates_n != c.certificates_n)
        abort();
    agent_constraints_free(&again);
    agent_constraints_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view v = view_of(data, size), out;
    if (crypto_init() != OK)
        abort();
    const struct alg *alg = alg_find(ALG_SIGNATURE, view_text("ssh-ed25519"));
    identities(v);
    (void)!agent_take_success(v);
    (void)!agent_take_signature(v, alg->signature, &out);
    (void)!agent_take_extension(v, "query", &out);
    constraints(v, false);
    constraints(v, true);
    return 0;
}
