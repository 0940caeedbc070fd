// tcp, tcp_connect, unix_socket.
#include "io_test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fd.h"
#include "io/tcp.h"
#include "io/tcp_connect.h"
#include "io/unix_socket.h"

static int listen_loopback(uint16_t *port) {
    struct tcp_listen want = {.address = "127.0.0.1", .family = AF_UNSPEC, .backlog = 4};
    int fd;
    size_t n;
    struct endpoint a;
    assert_int_equal(tcp_listen(&want, &fd, 1, &n, NULL), OK);
    assert_int_equal(n, 1);
    endpoint_local(&a, fd);
    assert_string_equal(a.text, "127.0.0.1");
    *port = a.port;
    return fd;
}

static void tcp_both_ends(void **state) {
    (void)state;
    uint16_t port;
    int listener = listen_loopback(&port), fd, accepted, on = 0;
    socklen_t len = sizeof on;
    struct tcp_target t = {
        .host = "127.0.0.1", .port = port, .deadline = clock_ms() + 5000, .dscp = 0x48};
    assert_int_equal(tcp_accept(listener, &accepted, NULL), OK);
    assert_int_equal(accepted, -1);
    assert_int_equal(tcp_connect(&t, &fd, NULL, NULL, NULL), OK);
    struct endpoint peer;
    assert_int_equal(tcp_accept(listener, &accepted, &peer), OK);
    assert_true(accepted >= 0);
    assert_string_equal(peer.text, "127.0.0.1");
    for (int i = 0; i < 2; i++) {
        int end = i == 0 ? fd : accepted;
        assert_int_equal(getsockopt(end, IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
        assert_int_equal(on, 1);
        assert_true((fcntl(end, F_GETFL) & O_NONBLOCK) != 0);
        assert_int_equal(fcntl(end, F_GETFD), FD_CLOEXEC);
    }
    assert_int_equal(getsockopt(fd, IPPROTO_IP, IP_TOS, &on, &len), 0);
    assert_int_equal(on, 0x48);
    struct tcp_tuning tune = {
        .keepalive = true, .dscp = -1, .user_timeout_ms = 9000, .notsent_lowat = 65536};
    tcp_tune(fd, &tune);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &on, &len), 0);
    assert_int_equal(on, 9000);
    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, &len), 0);
    assert_int_equal(on, 1);
    struct tcp_info_short info;
    assert_true(tcp_info(fd, &info));
    assert_true(info.cwnd > 0);
    close(accepted);
    close(fd);
    close(listener);
}

static void tuning_of_a_pipe_is_no_error(void **state) {
    (void)state;
    int p[2];
    struct tcp_info_short info;
    struct tcp_tuning tune = {.keepalive = true, .dscp = 0x10, .notsent_lowat = 1};
    assert_int_equal(pipe(p), 0);
    tcp_tune(p[0], &tune);
    assert_false(tcp_info(p[0], &info));
    close(p[0]);
    close(p[1]);
}

static void count_notes(void *arg, const char *line) {
    int *n = arg;
    *n += strstr(line, "refused") != NULL;
}

static void connecting_fails_in_words(void **state) {
    (void)state;
    uint16_t port;
    int listener = listen_loopback(&port), fd = 0, refused = 0;
    close(listener);
    struct fault f = {0};
    struct tcp_target t = {
        .host = "127.0.0.1", .port = port, .deadline = clock_ms() + 5000, .dscp = -1};
    assert_int_equal(tcp_connect(&t, &fd, count_notes, &refused, &f), ERR_REFUSED);
    assert_int_equal(fd, -1);
    assert_int_equal(refused, 1);
    assert_non_null(strstr(f.text, "connect to host 127.0.0.1 port "));
    assert_non_null(strstr(f.text, "Connection refused"));
    t.host = "no such host";
    fault_clear(&f);
    assert_int_equal(tcp_connect(&t, &fd, NULL, NULL, &f), ERR_NOT_FOUND);
    assert_non_null(strstr(f.text, "Could not resolve hostname no such host: "));
}

// The first address swallows the SYN (its backlog is full): the deadline holds, whatever
// comes.
static void connecting_meets_its_deadline(void **state) {
    (void)state;
    struct tcp_listen want = {.address = "127.0.0.1", .family = AF_INET, .backlog = 1};
    int listener, filler[8], fd;
    size_t n;
    struct endpoint a;
    assert_int_equal(tcp_listen(&want, &listener, 1, &n, NULL), OK);
    endpoint_local(&a, listener);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a.port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 8; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(filler[i], (struct sockaddr *)&in, sizeof in);
    }
    uint64_t before = clock_ms();
    struct tcp_target t = {
        .host = "127.0.0.1", .port = a.port, .deadline = before + 200, .dscp = -1};
    assert_int_equal(tcp_connect(&t, &fd, NULL, NULL, NULL), ERR_TIMEOUT);
    assert_true(clock_ms() >= before + 200);
    t.deadline = clock_ms() + 60000;
    t.each_ms = 100;
    assert_int_equal(tcp_connect(&t, &fd, NULL, NULL, NULL), ERR_TIMEOUT);
    assert_true(clock_ms() < before + 30000);
    t.deadline = 0;  // past is past, never "none"
    assert_int_equal(tcp_connect(&t, &fd, NULL, NULL, NULL), ERR_TIMEOUT);
    for (int i = 0; i < 8; i++)
        close(filler[i]);
    close(listener);
}

// Runs a race to its end; returns how long it took, -1 if nobody won.
static int64_t race(struct tcp_connect *c) {
    uint64_t before = clock_ms();
    int fd;
    for (;;) {
        struct pollfd watched[TCP_CONNECT_ADDRESSES];
        enum err e = tcp_connect_step(c, clock_ms(), &fd, NULL);
        if (e != OK || fd >= 0)
            break;
        size_t n = tcp_connect_poll(c, watched, TCP_CONNECT_ADDRESSES);
        poll(watched, n, clock_poll_ms(clock_ms(), tcp_connect_deadline(c)));
    }
    bool won = fd >= 0;
    fd_close(&fd);
    tcp_connect_drop(c);
    return won ? (int64_t)(clock_ms() - before) : -1;
}

// The first address does not answer, the second does: it is asked 250 ms later, and wins.
// Where the first refuses, nobody waits.
static void second_address_wins(void **state) {
    (void)state;
    uint16_t port, full_port;
    int good = listen_loopback(&port), full = listen_loopback(&full_port), filler[8];
    size_t open = fd_count_open();
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(full_port)};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < 8; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(filler[i], (struct sockaddr *)&in, sizeof in);
    }
    struct tcp_connect *c;
    struct tcp_target t = {.host = "127.0.0.1",
                           .port = full_port,
                           .deadline = clock_ms() + 20000,
                           .dscp = -1};
    in.sin_port = htons(port);
    assert_int_equal(tcp_connect_new(&c, &t, NULL), OK);
    assert_true(tcp_connect_add(c, (struct sockaddr *)&in, sizeof in));
    int64_t took = race(c);
    assert_true(took >= TCP_CONNECT_STEP_MS - 2);
    assert_true(took < 15000);
    for (int i = 0; i < 8; i++)
        close(filler[i]);
    close(full);
    t.step_ms = 60000;
    assert_int_equal(tcp_connect_new(&c, &t, NULL), OK);
    assert_true(tcp_connect_add(c, (struct sockaddr *)&in, sizeof in));
    took = race(c);
    assert_true(took >= 0 && took < 15000);
    assert_int_equal(tcp_connect_new(&c, &t, NULL), OK);
    for (int i = 1; i < TCP_CONNECT_ADDRESSES; i++)
        assert_true(tcp_connect_add(c, (struct sockaddr *)&in, sizeof in));
    assert_false(tcp_connect_add(c, (struct sockaddr *)&in, sizeof in));
    tcp_connect_drop(c);
    assert_int_equal(fd_count_open(), open - 1);
    close(good);
}

static void messages_with_descriptors(void **state) {
    (void)state;
    int pair[2], p[2];
    bool sent;
    uint8_t room[64];
    struct unix_message m;
    size_t open = fd_count_open();
    assert_int_equal(unix_pair(pair, 96 * 1024), OK);
    assert_int_equal(pipe(p), 0);
    assert_int_equal(unix_recv(pair[1], (struct span){room, 64}, 2, &m), OK);
    assert_false(m.ready);
    struct view parts[] = {view_text("he"), view_text("llo")};
    assert_int_equal(unix_send(pair[0], parts, 2, p, 2, &sent), OK);
    assert_true(sent);
    assert_int_equal(unix_recv(pair[1], (struct span){room, 64}, 2, &m), OK);
    assert_true(m.ready);
    assert_memory_equal(room, "hello", 5);
    assert_int_equal(m.n, 5);
    assert_int_equal(m.fds_n, 2);
    assert_int_equal(fcntl(m.fds[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(write(m.fds[1], "z", 1), 1);
    assert_int_equal(read(p[0], room, 1), 1);
    unix_message_close(&m);
    // More descriptors than wanted: refused, and none is left open.
    assert_int_equal(unix_send(pair[0], parts, 2, p, 2, &sent), OK);
    assert_int_equal(unix_recv(pair[1], (struct span){room, 64}, 1, &m), ERR_PROTOCOL);
    assert_int_equal(m.fds_n, 0);
    assert_int_equal(unix_send(pair[0], parts, 2, p, 2, &sent), OK);
    assert_int_equal(unix_recv(pair[1], (struct span){room, 2}, 2, &m), ERR_LIMIT);
    close(p[0]);
    close(p[1]);
    assert_int_equal(fd_count_open(), open + 2);
    // The largest message, also while others wait.
    static uint8_t big[96 * 1024], got[96 * 1024];
    memset(big, 7, sizeof big);
    struct view whole = view_of(big, sizeof big);
    assert_int_equal(unix_send(pair[0], &whole, 1, NULL, 0, &sent), OK);
    assert_true(sent);
    int more = 0;
    for (; more < 1000 && sent; more++)
        assert_int_equal(unix_send(pair[0], parts, 1, NULL, 0, &sent), OK);
    assert_false(sent);
    assert_int_equal(unix_recv(pair[1], (struct span){got, sizeof got}, 0, &m), OK);
    assert_int_equal(m.n, sizeof got);
    struct unix_peer peer;
    assert_int_equal(unix_peer(pair[0], &peer), OK);
    assert_int_equal(peer.pid, getpid());
    assert_int_equal(peer.uid, getuid());
    close(pair[1]);
    assert_int_equal(unix_send(pair[0], parts, 1, NULL, 0, &sent), ERR_CLOSED);
    close(pair[0]);
    assert_int_equal(unix_pair(pair, 0), OK);
    close(pair[0]);
    assert_int_equal(unix_recv(pair[1], (struct span){room, 64}, 0, &m), ERR_CLOSED);
    close(pair[1]);
    assert_int_equal(fd_count_open(), open);
}

// A hundred descriptors in one message, from a peer that is not ours.
static void flood_of_descriptors(void **state) {
    (void)state;
    int pair[2], many[100];
    size_t open = fd_count_open();
    assert_int_equal(unix_pair(pair, 0), OK);
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof many)];
    } control;
    memset(&control, 0, sizeof control);
    for (int i = 0; i < 100; i++)
        many[i] = 0;
    struct iovec iov = {"x", 1};
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control.room};
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof many);
    memcpy(CMSG_DATA(c), many, sizeof many);
    assert_int_equal(sendmsg(pair[0], &h, 0), 1);
    uint8_t room[8];
    struct unix_message m;
    assert_int_equal(unix_recv(pair[1], (struct span){room, 8}, 99, &m), ERR_PROTOCOL);
    close(pair[0]);
    close(pair[1]);
    assert_int_equal(fd_count_open(), open);
}

static void unix_paths(void **state) {
    (void)state;
    char dir[64], path[128], longer[200];
    struct stat st;
    int listener, fd, accepted, again;
    struct fault f = {0};
    test_directory(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/s", dir);
    assert_int_equal(unix_listen(path, SOCK_STREAM, 0600, false, &listener, NULL), OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(unix_accept(listener, &accepted), OK);
    assert_int_equal(accepted, -1);
    assert_int_equal(unix_connect(path, SOCK_STREAM, &fd, NULL), OK);
    assert_int_equal(unix_accept(listener, &accepted), OK);
    assert_true(accepted >= 0);
    assert_int_equal(unix_listen(path, SOCK_STREAM, 0600, false, &again, &f),
                     ERR_REFUSED);
    assert_non_null(strstr(f.text, "exists already"));
    assert_int_equal(unix_listen(path, SOCK_STREAM, 0666, true, &again, NULL), OK);
    close(again);
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(unix_connect(longer, SOCK_STREAM, &again, NULL), ERR_LIMIT);
    snprintf(path, sizeof path, "%s/none", dir);
    assert_int_equal(unix_connect(path, SOCK_STREAM, &again, NULL), ERR_NOT_FOUND);
    close(fd);
    close(accepted);
    close(listener);
    test_directory_drop(dir);
}

// Those of nobody go; a bound one that does not listen, one that listens, other names and
// what is no socket stay.
static void stale_sockets(void **state) {
    (void)state;
    static const char *const names[] = {"a.stale", "a.listens", "a.bound", "b.stale",
                                        "a.file"};
    static const bool stays[] = {false, true, true, true, true};
    char folder[64], path[128];
    int fds[5];
    test_directory(folder, sizeof folder);
    for (size_t i = 0; i < 5; i++) {
        struct sockaddr_un un = {.sun_family = AF_UNIX};
        snprintf(un.sun_path, sizeof un.sun_path, "%.60s/%s", folder, names[i]);
        fds[i] = i == 4 ? open(un.sun_path, O_CREAT | O_WRONLY, 0600)
                        : socket(AF_UNIX, SOCK_SEQPACKET, 0);
        assert_true(fds[i] >= 0);
        assert_true(i == 4 || bind(fds[i], (struct sockaddr *)&un, sizeof un) == 0);
        assert_true(i != 1 || listen(fds[i], 1) == 0);
        if (i == 0 || i == 3)
            close(fds[i]);
    }
    unix_remove_stale(folder, "a.");
    for (size_t i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        assert_int_equal(access(path, F_OK) == 0, stays[i]);
        if (i != 0 && i != 3)
            close(fds[i]);
        unlink(path);
    }
    test_directory_drop(folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_both_ends),
        cmocka_unit_test(tuning_of_a_pipe_is_no_error),
        cmocka_unit_test(connecting_fails_in_words),
        cmocka_unit_test(connecting_meets_its_deadline),
        cmocka_unit_test(second_address_wins),
        cmocka_unit_test(messages_with_descriptors),
        cmocka_unit_test(flood_of_descriptors),
        cmocka_unit_test(unix_paths),
        cmocka_unit_test(stale_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
