// server/ipc.h: what a process has no room for waits, comes in its order, and is bounded.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// cmocka wants the above
#include <cmocka.h>
#include <unistd.h>

#include "server/ipc.h"

static uint8_t bytes[LIMIT_IPC_MESSAGE];

// The id of the next LINK_AUTHED; 0: none is there.
static uint64_t next(int socket, struct ipc_side *side) {
    struct ipc_message m;
    struct fault fault = {0};
    bool ready;
    assert_int_equal(
        ipc_recv(socket, side, (struct span){bytes, sizeof bytes}, &m, &ready, &fault),
        OK);
    return ready ? m.body.link_authed.id : 0;
}

static void nothing_is_lost(void **state) {
    (void)state;
    int fds[2];
    struct ipc_outbox o = {0};
    struct ipc_side side = {IPC_KEEPER, IPC_LISTENER, .state = LINK_NONE};
    uint64_t told = 0, heard = 0;
    assert_int_equal(ipc_pair(fds), OK);
    while (!ipc_outbox_waits(&o) || told % 100 != 0) {
        struct ipc_link_authed m = {++told};
        assert_int_equal(ipc_outbox_send(&o, fds[0], IPC_LINK_AUTHED, &m), OK);
    }
    while (heard < told) {
        uint64_t id = next(fds[1], &side);
        if (id == 0) {
            assert_true(ipc_outbox_waits(&o));
            assert_int_equal(ipc_outbox_flush(&o, fds[0]), OK);
        } else {
            assert_int_equal(id, ++heard);
        }
    }
    assert_false(ipc_outbox_waits(&o));
    assert_int_equal(next(fds[1], &side), 0);
    ipc_outbox_free(&o);
    close(fds[0]);
    close(fds[1]);
}

static void it_is_bounded(void **state) {
    (void)state;
    int fds[2];
    struct ipc_outbox o = {0};
    struct ipc_link_authed m = {1};
    enum err e = OK;
    assert_int_equal(ipc_pair(fds), OK);
    for (unsigned i = 0; e == OK && i < LIMIT_IPC_WAITING; i++)
        e = ipc_outbox_send(&o, fds[0], IPC_LINK_AUTHED, &m);
    assert_int_equal(e, ERR_LIMIT);
    assert_true(buf_len(&o.waiting) <= LIMIT_IPC_WAITING);
    assert_int_equal(buf_len(&o.waiting) % 13, 0);  // whole messages
    close(fds[1]);
    assert_int_equal(ipc_outbox_flush(&o, fds[0]), ERR_CLOSED);
    ipc_outbox_free(&o);
    close(fds[0]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(it_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
