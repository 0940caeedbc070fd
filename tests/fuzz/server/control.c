// Any bytes as a message over the control socket, from either side: refused, or what
// encodes back to as many bytes. And as penalties that another process hands over.
#include <stdlib.h>

#include "server/control.h"
#include "server/penalties.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void message(struct view v, bool from_tool) {
    static uint8_t again[65536];
    struct control_message m;
    struct fault fault = {0};
    size_t n;
    if (control_decode(v, from_tool, &m, &fault) != OK)
        return;
    if (control_encode(m.number, &m.body, (struct span){again, sizeof again}, &n) == OK &&
        n != v.n && m.number != CONTROL_SESSION)  // which may grow
        abort();
}

static void penalties(struct view v) {
    struct penalty_rules rules = {0};
    struct penalties p;
    struct reader r = reader_of(v);
    penalty_rules_read(&rules, &r);
    if (r.err != OK)
        return;
    penalties_init(&p, &rules, 1);
    if (penalties_read(&p, read_rest(&r)) == OK) {
        uint64_t left;
        (void)penalties_add(&p, "192.0.2.1", PENALTY_CRASH, 1, &left);
        (void)penalties_refuse(&p, "192.0.2.1", 2);
    }
    penalties_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 60000)
        return 0;
    struct view v = view_of(data + 1, size - 1);
    if (data[0] % 3 == 2)
        penalties(v);
    else
        message(v, data[0] % 3 == 1);
    return 0;
}
