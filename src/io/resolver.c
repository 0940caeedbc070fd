#include "io/resolver.h"

#include <netinet/in.h>
#include <resolv.h>

#include "base/text.h"

#define ANSWER_MAX 65535
#define CLASS_IN 1

// res_nquery(3) keeps the answer of a name that does not exist to itself, so the two
// steps that it is made of are taken here.
static int ask(res_state state, const char *name, uint16_t type, struct span answer) {
    uint8_t question[1024];
    int n = res_nmkquery(state, 0, name, CLASS_IN, type, NULL, 0, NULL, question,
                         sizeof question);
    return n < 0 ? -1 : res_nsend(state, question, n, answer.p, (int)answer.n);
}

enum err resolver_ask(const char *name, uint16_t type, struct buf *out, struct fault *f) {
    struct __res_state state = {0};
    struct span room;
    char clean[256];
    TRY(buf_reserve(out, ANSWER_MAX, &room));
    if (res_ninit(&state) != 0)
        return fault_set(f, ERR_NOT_FOUND, 0, "no resolver is configured");
    // The answer is to say whether it is authentic.
    state.options |= RES_USE_EDNS0 | RES_USE_DNSSEC;
    int n = ask(&state, name, type, (struct span){room.p, ANSWER_MAX});
    res_nclose(&state);
    if (n < 0 || n > ANSWER_MAX)
        return fault_set(f, ERR_NOT_FOUND, 0, "no answer about %s",
                         text_clean(clean, sizeof clean, view_text(name)));
    buf_added(out, (size_t)n);
    return OK;
}
