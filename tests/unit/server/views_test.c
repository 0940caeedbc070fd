// Who gets which session, by its name, at the keeper.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/fd.h"
#include "io/unix_socket.h"
#include "server/keeper_views.h"
#include "wire/writer.h"

#define ALICE 40001u
#define BOB 40002u
#define STRANGER 40003u

static struct keeper keeper;
static struct server_config config;

struct holder_end {
    struct link *link;
    int fd;
};

// A connection of that user's whose holder says that it has that terminal.
static struct holder_end connection(uint64_t serial, uint32_t uid, const char *name) {
    int pair[2];
    uint8_t room[512];
    struct link *l = link_make(&keeper, serial);
    assert_non_null(l);
    assert_int_equal(ipc_pair(pair), OK);
    l->uid = uid;
    l->local_port = 22;
    l->authenticated = l->holder.alive = true;
    l->holder.fd = pair[0];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    write_text(&w, name);
    for (int i = 0; i < 3; i++)
        write_u32(&w, i == 0 ? TERMINAL_LEFT : 0);
    link_sessions(l, view_of(room, w.n));
    return (struct holder_end){l, pair[1]};
}

// Has it been asked for a view?
static bool asked(struct holder_end *h) {
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    struct ipc_side side = {IPC_KEEPER, IPC_HOLDER, .state = LINK_NONE};
    struct ipc_message m;
    struct fault fault = {0};
    bool ready = false;
    assert_int_equal(
        ipc_recv(h->fd, &side, (struct span){bytes, sizeof bytes}, &m, &ready, &fault),
        OK);
    if (ready)
        fd_close(&m.fd);
    return ready && m.row->number == IPC_VIEW;
}

static bool gets(uint32_t uid, const char *name, char *why, size_t size) {
    int fd = keeper_view(&keeper, uid, view_text(name), 0, "somebody", why, size);
    bool good = fd >= 0;
    fd_close(&fd);
    return good;
}

static void end(struct holder_end *h, size_t n) {
    for (size_t i = 0; i < n; i++) {
        fd_close(&h[i].fd);
        fd_close(&h[i].link->holder.fd);
        link_sessions_forget(h[i].link);
        free(h[i].link);
    }
    memset(&keeper, 0, sizeof keeper);
    keeper.config = &config;
}

static void who_may(void **state) {
    (void)state;
    char why[128];
    struct holder_end h[] = {connection(1, ALICE, "work")};
    assert_true(gets(ALICE, "work", why, sizeof why));
    assert_true(asked(&h[0]));
    assert_true(gets(ALICE, "", why, sizeof why));
    assert_true(gets(ALICE, "22-1", why, sizeof why));
    assert_true(gets(0, "work", why, sizeof why));
    assert_true(asked(&h[0]) && asked(&h[0]) && asked(&h[0]));
    assert_false(gets(BOB, "work", why, sizeof why));
    assert_false(gets(BOB, "22-1", why, sizeof why));
    assert_false(gets(STRANGER, "", why, sizeof why));
    assert_string_equal(why, "no session of yours is there");
    assert_false(asked(&h[0]));
    end(h, 1);
}

// Root says whose it means.
static void same_names(void **state) {
    (void)state;
    char why[128];
    struct holder_end h[] = {connection(1, ALICE, "work"), connection(2, BOB, "work")};
    assert_false(gets(0, "work", why, sizeof why));
    assert_string_equal(why, "sessions of several users have that name; say which by its "
                             "connection's ID: bowline sessions");
    assert_true(gets(0, "22-1", why, sizeof why));
    assert_true(asked(&h[0]));
    assert_true(gets(BOB, "work", why, sizeof why));
    assert_true(asked(&h[1]) && !asked(&h[0]));
    end(h, 2);
}

// A holder cannot have its terminal called as another connection is.
static void names_that_are_others(void **state) {
    (void)state;
    char why[128];
    static const char *const names[] = {"22-1", "22-1.2", "22-11",   "22",
                                        "-2",   "",       "\x1b[2J", "22-20"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct holder_end h[] = {connection(1, ALICE, "work"),
                                 connection(2, BOB, names[i])};
        (void)gets(0, names[i], why, sizeof why);
        assert_false(asked(&h[1]));
        assert_false(gets(BOB, "", why, sizeof why));
        end(h, 2);
    }
    // Its own, whatever port it came by.
    struct holder_end h[] = {connection(2, BOB, "2222-2.3")};
    assert_true(gets(BOB, "2222-2.3", why, sizeof why));
    end(h, 1);
}

// Somebody who logs in gets what is his, also where his login sees everybody's.
static void claims(void **state) {
    (void)state;
    struct holder_end h[] = {connection(1, 0, "work"), connection(2, BOB, "work"),
                             connection(3, 0, "other")};
    struct ipc_claim m = {7, view_text("work"), 0};
    link_claim(h[2].link, &m);
    assert_true(asked(&h[0]));
    assert_false(asked(&h[1]));
    end(h, 3);
}

static int set_up(void **state) {
    (void)state;
    static const struct keeper_options options = {.inetd = false};
    keeper.options = &options;
    keeper.config = &config;
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who_may, set_up),
        cmocka_unit_test_setup(same_names, set_up),
        cmocka_unit_test_setup(names_that_are_others, set_up),
        cmocka_unit_test_setup(claims, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
