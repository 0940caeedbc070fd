// The table of messages between processes: compared with a reviewed file, tried there and
// back, and from every role in every state.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the above
#include <cmocka.h>
#include <unistd.h>

#include "io/fd.h"
#include "server/ipc.h"
#include "unit/server/ipc_golden.h"

static void table_is_reviewed(void **state) {
    (void)state;
    static char now[8192], golden[8192];
    size_t n = 0;
    for (unsigned i = 0; i < IPC_NUMBERS; i++) {
        char line[512];
        if (ipc_row(i) != NULL)
            n += (size_t)snprintf(now + n, sizeof now - n, "%s\n",
                                  ipc_row_text(ipc_row(i), line, sizeof line));
    }
    FILE *f = fopen(GOLDEN, "r");
    assert_non_null(f);
    golden[fread(golden, 1, sizeof golden - 1, f)] = '\0';
    fclose(f);
    if (strcmp(now, golden) != 0)
        fprintf(stderr, "the table is now:\n%s", now);
    assert_string_equal(now, golden);
}

// A body of zeros is a good message of every row.
static size_t encode_zero(unsigned number, uint8_t *room, size_t size) {
    union ipc_body body;
    size_t n = 0;
    memset(&body, 0, sizeof body);
    assert_int_equal(ipc_encode(number, &body, (struct span){room, size}, &n), OK);
    return n;
}

static void every_row_there_and_back(void **state) {
    (void)state;
    for (unsigned i = 1; i < IPC_NUMBERS; i++) {
        uint8_t bytes[512];
        const struct ipc_row *row = ipc_row(i);
        assert_non_null(row);
        size_t n = encode_zero(i, bytes, sizeof bytes);
        bool fd = (row->flags & IPC_FD) != 0;
        struct ipc_message m;
        struct fault fault = {0};
        for (size_t cut = 0; cut <= n; cut++) {
            struct ipc_side side = {row->from, row->to, .state = LINK_NONE};
            enum err e = ipc_decode(&side, view_of(bytes, cut), fd, &m, &fault);
            assert_true(cut == n ? e == OK : e != OK);
        }
        struct ipc_side side = {row->from, row->to, .state = LINK_NONE};
        bytes[n] = 0;
        assert_int_not_equal(ipc_decode(&side, view_of(bytes, n + 1), fd, &m, &fault),
                             OK);
        assert_int_not_equal(ipc_decode(&side, view_of(bytes, n), !fd, &m, &fault), OK);
    }
}

static void only_the_right_role_and_state(void **state) {
    (void)state;
    for (unsigned i = 1; i < IPC_NUMBERS; i++)
        for (unsigned from = 1; from <= IPC_HOLDER; from <<= 1)
            for (unsigned to = 1; to <= IPC_HOLDER; to <<= 1)
                for (unsigned s = 1; s <= LINK_CLOSING; s <<= 1) {
                    uint8_t bytes[512];
                    const struct ipc_row *row = ipc_row(i);
                    size_t n = encode_zero(i, bytes, sizeof bytes);
                    struct ipc_side side = {from, to, .state = s};
                    struct ipc_message m;
                    bool good = (row->from & from) && (row->to & to) &&
                                (row->states == LINK_NONE || (row->states & s));
                    enum err e = ipc_decode(&side, view_of(bytes, n),
                                            (row->flags & IPC_FD) != 0, &m, NULL);
                    assert_int_equal(e == OK, good);
                    // Once is once.
                    if (good && (row->flags & IPC_ONCE))
                        assert_int_not_equal(ipc_decode(&side, view_of(bytes, n),
                                                        (row->flags & IPC_FD) != 0, &m,
                                                        NULL),
                                             OK);
                }
}

// What can end in access comes from nobody but a gate's question and a judge's word.
static void only_the_judge_decides(void **state) {
    (void)state;
    const struct ipc_row *verdict = ipc_row(IPC_VERDICT);
    assert_int_equal(verdict->from, IPC_JUDGE);
    assert_int_equal(verdict->to, IPC_KEEPER);
    assert_int_equal(verdict->states, LINK_USER);
    assert_int_equal(verdict->flags, IPC_ONCE | IPC_DECIDES);
    for (unsigned i = 1; i < IPC_NUMBERS; i++)
        if (ipc_row(i)->from & IPC_HOLDER)
            assert_false(ipc_row(i)->flags & IPC_DECIDES);
}

// Sessions outlive an upgrade: what a version before said is still good, and what is said
// to it has not changed.
static void version_goes_on(const char *path, unsigned version) {
    static char golden[8192];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    golden[fread(golden, 1, sizeof golden - 1, f)] = '\0';
    fclose(f);
    char *rest = NULL;
    for (char *line = strtok_r(golden, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char now[512];
        const struct ipc_row *row = ipc_row((unsigned)strtoul(line, NULL, 10));
        assert_non_null(row);
        ipc_row_text(row, now, sizeof now);
        if (row->grew > version && row->to == IPC_KEEPER)
            assert_memory_equal(now, line, strlen(line));
        else
            assert_string_equal(now, line);
    }
}

static void versions_go_on(void **state) {
    (void)state;
    version_goes_on(GOLDEN_1, 1);
    version_goes_on(GOLDEN_2, 2);
    version_goes_on(GOLDEN_3, 3);
    version_goes_on(GOLDEN_4, 4);
}

// A holder of version 1 says how it is: recorded bytes, without what came later.
static void status_of_version_1(void **state) {
    (void)state;
    static const uint8_t recorded[] = {
        19, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0,   0,   0,   0,   0, 9, 0, 0, 0,   0,  0,
        0,  1, 0, 0, 0, 0, 7, 0, 0, 0, 4, 'p', 't', 's', '3', 0, 0, 0, 2, 's', 'h'};
    struct view bytes = view_of(recorded, sizeof recorded);
    struct ipc_side side = {IPC_HOLDER, IPC_KEEPER, .state = LINK_OPEN, .version = 1};
    struct ipc_message m;
    struct fault fault = {0};
    assert_int_equal(ipc_decode(&side, bytes, false, &m, &fault), OK);
    assert_int_equal(m.body.status.channels, 2);
    assert_int_equal(m.body.status.idle, 7);
    assert_true(view_is(m.body.status.tty, "pts3"));
    assert_true(view_is(m.body.status.command, "sh"));
    assert_int_equal(m.body.status.forwards, 0);
    for (size_t cut = 0; cut < sizeof recorded; cut++)
        assert_int_not_equal(ipc_decode(&side, view_of(recorded, cut), false, &m, &fault),
                             OK);
    side.version = 0;  // of ours it must be whole
    assert_int_not_equal(ipc_decode(&side, bytes, false, &m, &fault), OK);
}

// The keeper was set back to an older version: more than it knows is no fault.
static void later_versions_may_say_more(void **state) {
    (void)state;
    struct ipc_side side = {IPC_HOLDER, IPC_KEEPER, .state = LINK_OPEN,
                            .version = IPC_VERSION + 1};
    uint8_t bytes[512];
    struct ipc_message m;
    struct fault fault = {0};
    size_t n = encode_zero(IPC_STATUS, bytes, sizeof bytes);
    memset(bytes + n, 7, 5);
    assert_int_equal(ipc_decode(&side, view_of(bytes, n + 5), false, &m, &fault), OK);
    bytes[0] = IPC_NUMBERS;
    assert_int_equal(ipc_decode(&side, view_of(bytes, n), false, &m, &fault),
                     ERR_UNSUPPORTED);
}

static void over_a_socket_with_a_descriptor(void **state) {
    (void)state;
    int pair[2];
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    assert_int_equal(ipc_pair(pair), OK);
    struct ipc_link_new sent = {
        7, view_text("192.0.2.1"), 1234, view_text("192.0.2.2"), 22, 4711};
    assert_int_equal(ipc_send(pair[0], IPC_LINK_NEW, &sent, 1), OK);
    struct ipc_side side = {IPC_LISTENER, IPC_KEEPER, .state = LINK_NONE};
    struct ipc_message m;
    struct fault fault = {0};
    bool ready;
    struct span room = {bytes, sizeof bytes};
    assert_int_equal(ipc_recv(pair[1], &side, room, &m, &ready, &fault), OK);
    assert_true(ready && m.fd >= 0);
    assert_int_equal(m.body.link_new.id, 7);
    assert_true(view_is(m.body.link_new.peer, "192.0.2.1"));
    fd_close(&m.fd);
    size_t open = fd_count_open();
    // A descriptor that does not belong is closed again.
    struct ipc_stop stop = {true};
    assert_int_equal(ipc_send(pair[0], IPC_STOP, &stop, 1), OK);
    side = (struct ipc_side){IPC_KEEPER, IPC_LISTENER, .state = LINK_NONE};
    assert_int_not_equal(ipc_recv(pair[1], &side, room, &m, &ready, &fault), OK);
    assert_int_equal(fd_count_open(), open);
    fd_close(&pair[0]);
    assert_int_equal(ipc_recv(pair[1], &side, room, &m, &ready, &fault), ERR_CLOSED);
    fd_close(&pair[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_reviewed),
        cmocka_unit_test(every_row_there_and_back),
        cmocka_unit_test(only_the_right_role_and_state),
        cmocka_unit_test(only_the_judge_decides),
        cmocka_unit_test(versions_go_on),
        cmocka_unit_test(status_of_version_1),
        cmocka_unit_test(later_versions_may_say_more),
        cmocka_unit_test(over_a_socket_with_a_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
