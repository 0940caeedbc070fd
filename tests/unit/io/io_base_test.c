// clock, fault_errno, fd, env, address, file, account, log_sink.
#include "io_test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <syslog.h>

#include "io/account.h"
#include "io/clock.h"
#include "io/endpoint.h"
#include "io/env.h"
#include "io/fault_errno.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/hostname.h"
#include "io/log_sink.h"

static void clock_arithmetic(void **state) {
    (void)state;
    uint64_t a = clock_ms(), b = clock_ms();
    assert_true(b >= a);
    assert_true(clock_boot_ms() + 1000 >= a);
    assert_true(clock_wall_s() > 1700000000u);
    assert_int_equal(clock_after(5, 7), 12);
    assert_true(clock_after(5, CLOCK_NEVER) == CLOCK_NEVER);
    assert_true(clock_after(CLOCK_NEVER, 1) == CLOCK_NEVER);
    assert_int_equal(clock_poll_ms(10, CLOCK_NEVER), -1);
    assert_int_equal(clock_poll_ms(10, 10), 0);
    assert_int_equal(clock_poll_ms(10, 3), 0);
    assert_int_equal(clock_poll_ms(10, 25), 15);
    assert_int_equal(clock_poll_ms(0, 1ull << 40), INT32_MAX);
}

static void errno_in_words(void **state) {
    (void)state;
    struct fault f = {0};
    errno = ENOENT;
    assert_int_equal(fault_errno(&f, "open %s", "x"), ERR_NOT_FOUND);
    assert_string_equal(f.text, "open x: No such file or directory");
    assert_int_equal(errno, ENOENT);
    assert_int_equal(err_of_errno(EMFILE), ERR_LIMIT);
    assert_int_equal(err_of_errno(EIO), ERR_IO);
    errno = 0;
    assert_int_equal(fault_errno(NULL, "lost"), ERR_IO);
}

static void fd_close_all_but_keeps_the_listed(void **state) {
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        for (int i = 10; i < 30; i++)
            dup2(0, i);
        const int keep[] = {17, 2, -1, 12, 0};
        fd_close_all_but(keep, 5);
        bool good = true;
        for (int i = 0; i < 64; i++) {
            bool open = fcntl(i, F_GETFD) >= 0;
            good &= open == (i == 17 || i == 2 || i == 12 || i == 0);
        }
        _exit(good ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void fd_fills_closed_standards(void **state) {
    (void)state;
    pid_t pid = fork();
    if (pid == 0) {
        close(0);
        close(2);
        bool good =
            fd_fill_standard() == OK && fcntl(0, F_GETFD) >= 0 && fcntl(2, F_GETFD) >= 0;
        good = good && fd_to_null(1) == OK && write(1, "x", 1) == 1;
        _exit(good ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static void fd_whole_and_some(void **state) {
    (void)state;
    int p[2];
    uint8_t room[8];
    size_t n = 99;
    assert_int_equal(pipe(p), 0);
    assert_int_equal(fd_set_nonblock(p[0], true), OK);
    assert_int_equal(fd_set_cloexec(p[0], true), OK);
    assert_int_equal(fcntl(p[0], F_GETFD), FD_CLOEXEC);
    assert_int_equal(fd_read_some(p[0], (struct span){room, 8}, &n), OK);
    assert_int_equal(n, 0);
    assert_int_equal(fd_write_full(p[1], view_text("hello")), OK);
    assert_int_equal(fd_read_some(p[0], (struct span){room, 2}, &n), OK);
    assert_int_equal(n, 2);
    fd_close(&p[1]);
    assert_int_equal(p[1], -1);
    assert_int_equal(fd_read_full(p[0], (struct span){room, 8}, &n), OK);
    assert_int_equal(n, 3);
    assert_int_equal(fd_read_some(p[0], (struct span){room, 8}, &n), ERR_CLOSED);
    fd_close(&p[0]);
    assert_int_equal(fd_read_some(-1, (struct span){room, 8}, &n), ERR_IO);
    size_t open = fd_count_open();
    int more = fd_dup_above(0, 40);
    assert_true(more >= 40);
    assert_int_equal(fd_count_open(), open + 1);
    fd_close(&more);
    assert_true(fd_limits_now().soft >= 3);
}

static void env_list_rules(void **state) {
    (void)state;
    scoped_env e;
    env_init(&e);
    assert_null(env_list(&e)[0]);
    assert_int_equal(env_set(&e, "A", "1"), OK);
    assert_int_equal(env_set(&e, "AB", "2"), OK);
    assert_int_equal(env_set(&e, "A", "3"), OK);
    assert_int_equal(e.n, 2);
    assert_string_equal(env_get(&e, "A"), "3");
    assert_string_equal(env_get(&e, "AB"), "2");
    assert_null(env_get(&e, "B"));
    assert_int_equal(env_set(&e, "", "x"), ERR_FORMAT);
    assert_int_equal(env_set(&e, "X=Y", "x"), ERR_FORMAT);
    assert_int_equal(env_set_view(&e, view_text("X"), view_of("a\0b", 3)), ERR_FORMAT);
    env_unset(&e, "A");
    assert_null(env_get(&e, "A"));
    assert_int_equal(
        env_read_lines(&e, "# no\nexport P=\"q r\"\nbad\n=x\n S = t \nLAST='z'"), OK);
    assert_string_equal(env_get(&e, "P"), "q r");
    assert_string_equal(env_get(&e, "LAST"), "z");
    assert_int_equal(env_list(&e)[e.n] == NULL, 1);
    char name[16];
    enum err last = OK;
    for (int i = 0; i < ENV_MAX + 5 && last == OK; i++) {
        snprintf(name, sizeof name, "V%d", i);
        last = env_set(&e, name, "");
    }
    assert_int_equal(last, ERR_LIMIT);
    setenv("BOWLINE_T", "v", 1);
    env_unset(&e, "V0");
    assert_int_equal(env_inherit(&e, "BOWLINE_NONE"), OK);
    assert_int_equal(env_inherit(&e, "BOWLINE_T"), OK);
    assert_string_equal(env_get(&e, "BOWLINE_T"), "v");
}

static void addresses_as_text(void **state) {
    (void)state;
    struct endpoint a;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(22)};
    inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr);
    endpoint_of(&a, (struct sockaddr *)&in6, sizeof in6);
    assert_string_equal(a.text, "192.0.2.1");
    assert_int_equal(a.family, AF_INET);
    assert_int_equal(a.port, 22);
    inet_pton(AF_INET6, "fe80::1", &in6.sin6_addr);
    in6.sin6_scope_id = 1;
    endpoint_of(&a, (struct sockaddr *)&in6, sizeof in6);
    assert_string_equal(a.text, "fe80::1%lo");
    endpoint_of(&a, (struct sockaddr *)&in6, 2);
    assert_string_equal(a.text, "UNKNOWN");
    int p[2];
    assert_int_equal(pipe(p), 0);
    endpoint_peer(&a, p[0]);
    assert_string_equal(a.text, "UNKNOWN");
    assert_int_equal(a.port, 65535);
    close(p[0]);
    close(p[1]);
}

static void files_whole_and_bounded(void **state) {
    (void)state;
    char dir[64], path[128], other[128];
    struct fault f = {0};
    struct buf b;
    test_directory(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/f", dir);
    snprintf(other, sizeof other, "%s/link", dir);
    assert_int_equal(file_read(path, 0, 100, &b, &f), ERR_NOT_FOUND);
    assert_int_equal(file_write(path, view_text("one\ntwo"), 0640, NULL), OK);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(file_append_line(path, view_text("three"), 0600, NULL), OK);
    assert_int_equal(file_read(path, 0, 14, &b, NULL), OK);
    assert_int_equal(buf_len(&b), 14);
    assert_string_equal((char *)buf_view(&b).p, "one\ntwo\nthree\n");
    buf_free(&b);
    fault_clear(&f);
    assert_int_equal(file_read(path, 0, 13, &b, &f), ERR_LIMIT);
    assert_non_null(strstr(f.text, "longer than 13"));
    assert_int_equal(file_create(path, view_text("x"), 0600, NULL), ERR_REFUSED);
    assert_int_equal(symlink(path, other), 0);
    assert_int_equal(file_read(other, FILE_NOFOLLOW, 100, &b, NULL), ERR_REFUSED);
    assert_int_equal(file_write(other, view_text("new"), 0600, NULL), OK);
    assert_int_equal(lstat(other, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(file_read(path, 0, 3, &b, NULL), OK);
    assert_string_equal((char *)buf_view(&b).p, "new");
    buf_free(&b);
    assert_int_equal(file_write(path, view_of(NULL, 0), 0600, NULL), OK);
    assert_int_equal(file_read(path, 0, 0, &b, NULL), OK);
    assert_int_equal(buf_len(&b), 0);
    buf_free(&b);
    // A file without a size in its inode.
    assert_int_equal(file_read("/proc/self/status", 0, 100000, &b, NULL), OK);
    assert_true(buf_len(&b) > 100);
    buf_free(&b);
    test_directory_drop(dir);
}

static void files_that_would_block(void **state) {
    (void)state;
    char dir[64], path[128];
    struct fault f = {0};
    struct buf b;
    test_directory(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    alarm(10);
    assert_int_equal(file_read(path, 0, 100, &b, &f), ERR_REFUSED);
    assert_non_null(strstr(f.text, "not a regular file"));
    assert_int_equal(file_read("/dev/zero", 0, 100, &b, NULL), ERR_REFUSED);
    // A stream that the person named is read to its end, and no further than the limit.
    int ends[2];
    char name[64];
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "a key", 5), 5);
    close(ends[1]);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[0]);
    assert_true(file_is_stream(name));
    assert_int_equal(file_read(name, FILE_STREAM, 100, &b, NULL), OK);
    assert_true(view_equal(buf_view(&b), view_text("a key")));
    buf_free(&b);
    close(ends[0]);
    assert_int_equal(file_read("/dev/zero", FILE_STREAM, 100, &b, NULL), ERR_LIMIT);
    assert_int_equal(file_read("/", FILE_STREAM, 100, &b, NULL), ERR_REFUSED);
    assert_int_equal(file_read(dir, 0, 100, &b, NULL), ERR_REFUSED);
    assert_int_equal(file_append_line(path, view_text("x"), 0600, NULL), ERR_REFUSED);
    alarm(0);
    test_directory_drop(dir);
}

static void files_owner_check(void **state) {
    (void)state;
    char dir[64], home[128], path[192];
    struct fault f = {0};
    test_directory(dir, sizeof dir);
    snprintf(home, sizeof home, "%s/a/home", dir);
    snprintf(path, sizeof path, "%s/.ssh", home);
    assert_int_equal(file_make_directory(path, NULL), OK);
    assert_int_equal(file_make_directory(path, NULL), OK);
    snprintf(path, sizeof path, "%s/.ssh/keys", home);
    assert_int_equal(file_create(path, view_text("k"), 0600, NULL), OK);
    assert_int_equal(file_make_directory(path, NULL), ERR_REFUSED);
    int fd;
    assert_int_equal(file_open(path, 0, &fd, NULL), OK);
    // /tmp above is writable for all: only the home bounds it.
    assert_int_equal(file_check_owner(fd, path, home, getuid(), NULL), OK);
    assert_int_equal(file_check_owner(fd, path, "/nowhere", getuid(), &f), ERR_REFUSED);
    assert_non_null(strstr(f.text, "/tmp is writable"));
    assert_int_equal(file_check_private(fd, path, NULL), OK);
    // A group may write if it is nobody's but the user's: not so with all others.
    assert_int_equal(fchmod(fd, 0622), 0);
    assert_int_equal(file_check_owner(fd, path, home, getuid(), NULL), ERR_REFUSED);
    assert_int_equal(file_check_private(fd, path, NULL), ERR_REFUSED);
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(chmod(home, 0777), 0);
    fault_clear(&f);
    assert_int_equal(file_check_owner(fd, path, home, getuid(), &f), ERR_REFUSED);
    assert_non_null(strstr(f.text, "home is writable"));
    assert_int_equal(chmod(home, 0700), 0);
    if (getuid() == 0) {
        assert_int_equal(chown(path, 12345, 12345), 0);
        assert_int_equal(file_check_owner(fd, path, home, 1, NULL), ERR_REFUSED);
        assert_int_equal(file_check_owner(fd, path, home, 12345, NULL), OK);
    }
    close(fd);
    test_directory_drop(dir);
}

static void accounts(void **state) {
    (void)state;
    scoped_account a = {0};
    scoped_account same = {0};
    scoped_account none = {0};
    char name[64];
    struct fault f = {0};
    assert_int_equal(account_by_name("root", &a, NULL), OK);
    assert_int_equal(a.uid, 0);
    assert_int_equal(a.directory[0], '/');
    assert_true(a.groups_n >= 1);
    assert_int_equal(account_by_uid(0, &same, NULL), OK);
    assert_string_equal(a.name, same.name);
    assert_int_equal(account_by_name("no-such-user-here", &none, &f), ERR_NOT_FOUND);
    assert_string_equal(f.text, "no such account");
    assert_null(none.name);
    assert_true(account_group_name(0, name, sizeof name));
    assert_string_equal(name, "root");
    assert_false(account_group_name(0, name, 3));
    assert_int_equal(account_check_shell(&a, NULL), OK);
    free(a.shell);
    a.shell = strdup("/etc/passwd");
    assert_int_equal(account_check_shell(&a, NULL), ERR_REFUSED);
    assert_false(account_nologin(&a, name, sizeof name));
    if (getuid() == 0)
        assert_true(a.shadow_known);
}

static void log_lines(void **state) {
    (void)state;
    char dir[64], path[128];
    struct log_sink sink;
    struct log log;
    struct buf b;
    int facility = 0;
    test_directory(dir, sizeof dir);
    snprintf(path, sizeof path, "%s/log", dir);
    assert_int_equal(log_sink_file(&sink, &log, "t", path, LOG_LEVEL_INFO, NULL), OK);
    log_info(&log, "hello\nthere");
    log_debug(&log, "not this");
    log_sink_close(&sink);
    assert_int_equal(file_read(path, 0, 1000, &b, NULL), OK);
    const char *text = (const char *)buf_view(&b).p;
    assert_non_null(strstr(text, ": hello\\012there\n"));
    assert_null(strstr(text, "not this"));
    assert_ptr_equal(strchr(text, '\n') + 1, text + buf_len(&b));
    buf_free(&b);
    assert_int_equal(log_sink_file(&sink, &log, "t", "/nowhere/x", LOG_LEVEL_INFO, NULL),
                     ERR_NOT_FOUND);
    log_info(&log, "goes nowhere");
    log_sink_syslog(&sink, &log, "t", LOG_AUTH, LOG_LEVEL_INFO);
    log_info(&log, "test of the syslog sink");
    log_sink_close(&sink);
    assert_true(log_facility_parse("local3", &facility));
    assert_int_equal(facility, LOG_LOCAL3);
    assert_false(log_facility_parse("KERN", &facility));
    test_directory_drop(dir);
    hostname_get(path, sizeof path);
    assert_true(path[0] != '\0');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock_arithmetic),
        cmocka_unit_test(errno_in_words),
        cmocka_unit_test(fd_close_all_but_keeps_the_listed),
        cmocka_unit_test(fd_fills_closed_standards),
        cmocka_unit_test(fd_whole_and_some),
        cmocka_unit_test(env_list_rules),
        cmocka_unit_test(addresses_as_text),
        cmocka_unit_test(files_whole_and_bounded),
        cmocka_unit_test(files_that_would_block),
        cmocka_unit_test(files_owner_check),
        cmocka_unit_test(accounts),
        cmocka_unit_test(log_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
