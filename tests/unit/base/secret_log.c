// Secrets: arenas that a child does not see, and that are gone when dropped. Logs: one
// line a call.
#include "base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

static void arenas_hand_out_zeroed_aligned_pieces(void **state) {
    (void)state;
    struct secret_arena a;
    assert_int_equal(secret_arena_init(&a, 100, 0), OK);
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(a.size, page);
    uint8_t *last = NULL;
    for (size_t n = 0; n < page; n += 48) {
        uint8_t *p = secret_alloc(&a, 33);
        if (n + 48 > page) {
            assert_null(p);
            break;
        }
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(last == NULL || p >= last + 33);
        for (int i = 0; i < 33; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, 33);
        last = p;
    }
    assert_null(secret_alloc(&a, page));
    assert_null(secret_alloc(&a, SIZE_MAX));
    assert_null(secret_alloc(&a, SIZE_MAX - 20));
    secret_arena_drop(&a);
    assert_null(a.p);
    secret_arena_drop(&a);
    struct secret_arena zero = {0};
    secret_arena_drop(&zero);
}

static int child_sum(const uint8_t *p, size_t n) {
    pid_t pid = fork();
    if (pid == 0) {
        int found = 0;
        for (size_t i = 0; i < n; i++)
            found |= p[i];
        _exit(found);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_child_finds_zeros_if_asked(void **state) {
    (void)state;
    for (unsigned wipe = 0; wipe < 2; wipe++) {
        scoped_secret a = {0};
        assert_int_equal(secret_arena_init(&a, 1, wipe ? SECRET_WIPE_ON_FORK : 0), OK);
        uint8_t *p = secret_alloc(&a, 64);
        memset(p, 0x55, 64);
        assert_int_equal(child_sum(p, 64), wipe ? 0 : 0x55);
        assert_int_equal(p[63], 0x55);
    }
}

static void comparing_and_wiping(void **state) {
    (void)state;
    uint8_t a[32], b[32];
    memset(a, 7, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(secret_equal(a, b, 32));
    assert_true(secret_equal(a, b, 0));
    for (int bit = 0; bit < 256; bit++) {
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(secret_equal(a, b, 32));
        b[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    secret_wipe(a, 31);
    for (int i = 0; i < 31; i++)
        assert_int_equal(a[i], 0);
    assert_int_equal(a[31], 7);
    secret_wipe(NULL, 0);
}

struct sink {
    int lines;
    enum log_level level;
    char last[8192];
};

static void to_sink(void *arg, enum log_level level, const char *line) {
    struct sink *s = arg;
    s->lines++;
    s->level = level;
    snprintf(s->last, sizeof s->last, "%s", line);
    assert_null(strchr(line, '\n'));
    assert_null(strchr(line, '\033'));
}

static void one_line_for_each_call(void **state) {
    (void)state;
    struct sink sink = {0};
    struct log log = {LOG_LEVEL_INFO, "7: ", to_sink, &sink};
    log_info(&log, "hello %s", "world");
    assert_string_equal(sink.last, "7: hello world");
    // What slipped in uncleaned makes no second line, and what was cleaned is not cleaned
    // twice.
    log_error(&log, "user %s", "root\nfake: Accepted\033[2J");
    assert_string_equal(sink.last, "7: user root\\012fake: Accepted\\033[2J");
    log_error(&log, "user %s", "\\033 C:\\dir");
    assert_string_equal(sink.last, "7: user \\033 C:\\dir");
    assert_int_equal(sink.lines, 3);
    assert_int_equal(sink.level, LOG_LEVEL_ERROR);
    log_verbose(&log, "above the level");
    assert_int_equal(sink.lines, 3);
    char longer[5000];
    memset(longer, '\n', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    log_info(&log, "%s", longer);
    assert_int_equal(sink.lines, 4);
    assert_true(strlen(sink.last) < 4096);
    log_info(NULL, "nobody");
    log.write = NULL;
    log_info(&log, "nobody");
    assert_int_equal(sink.lines, 4);
}

static void levels_have_names(void **state) {
    (void)state;
    enum log_level level;
    for (int i = LOG_LEVEL_QUIET; i <= LOG_LEVEL_DEBUG3; i++) {
        assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
        assert_int_equal(level, i);
    }
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG1);
    assert_true(log_level_parse("Verbose", &level));
    assert_false(log_level_parse("DEBUG4", &level));
    assert_false(log_level_parse("", &level));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arenas_hand_out_zeroed_aligned_pieces),
        cmocka_unit_test(a_child_finds_zeros_if_asked),
        cmocka_unit_test(comparing_and_wiping),
        cmocka_unit_test(one_line_for_each_call),
        cmocka_unit_test(levels_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
