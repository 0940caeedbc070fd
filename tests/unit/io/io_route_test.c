// Ways and their changes (io/route.h), in a network name space of the test's own, whose
// loopback device has addresses that come and go.
#include "io/route.h"

#include "io_test.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/fd.h"

static struct sockaddr_in at(const char *address) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(9)};
    assert_int_equal(inet_pton(AF_INET, address, &a.sin_addr), 1);
    return a;
}

// A device, or an alias of it, gets an address and is up; NULL: it is down.
static void set(const char *device, const char *address) {
    struct ifreq r = {.ifr_flags = address != NULL ? IFF_UP : 0};
    scoped_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    strncpy(r.ifr_name, device, IFNAMSIZ - 1);
    if (address != NULL) {
        struct ifreq a = r;
        struct sockaddr_in s = at(address);
        memcpy(&a.ifr_addr, &s, sizeof s);
        assert_int_equal(ioctl(fd, SIOCSIFADDR, &a), 0);
    }
    assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
}

static int connected(const char *from, const char *to) {
    struct sockaddr_in local = at(from), peer = at(to);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    local.sin_port = 0;
    assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof local), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&peer, sizeof peer), 0);
    return fd;
}

static void expect(struct route_way *w, bool own, bool fresh) {
    struct route_changed changed = route_way_look(w);
    assert_int_equal(changed.own, own);
    assert_int_equal(changed.fresh, fresh);
}

static void what_touches_a_way(void **state) {
    (void)state;
    SKIP_UNLESS(unshare(CLONE_NEWNET) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0,
                "needs network namespaces");
    struct route_way mine, other, none;
    set("lo", "127.0.0.1");
    set("lo:1", "10.9.9.1");
    set("lo:3", "12.9.7.1");
    scoped_fd a = connected("127.0.0.1", "12.9.7.1"),
              b = connected("10.9.9.1", "12.9.7.1");
    route_way_note(&mine, a);
    route_way_note(&other, b);
    assert_true(mine.own.there && mine.fresh.there && other.own.there);
    expect(&mine, false, false);
    // Others' addresses come and go.
    set("lo:2", "11.9.8.1");
    expect(&mine, false, false);
    expect(&other, false, false);
    set("lo:2", NULL);
    expect(&mine, false, false);
    // One's own goes, and comes back; a new connection would have another.
    set("lo:1", NULL);
    expect(&mine, false, false);
    expect(&other, true, false);
    assert_true(!other.own.there && other.fresh.there);
    expect(&other, false, false);
    set("lo:1", "10.9.9.1");
    expect(&other, true, false);
    // There is no way to the peer any more.
    set("lo:3", NULL);
    expect(&mine, true, true);
    assert_true(!mine.own.there && !mine.fresh.there);
    expect(&mine, false, false);
    // No IP: nothing is known, and each change may be one.
    route_way_note(&none, STDIN_FILENO);
    expect(&none, true, true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_touches_a_way)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
