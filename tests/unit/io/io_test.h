// What the tests of this layer share.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif

#define SKIP_UNLESS(condition, reason)                                                   \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            print_message("skipped: %s\n", reason);                                      \
            skip();                                                                      \
        }                                                                                \
    } while (0)

// A directory of the test's own; test_directory_drop() removes it with its (flat)
// contents.
static inline char *test_directory(char *out, size_t size) {
    snprintf(out, size, "/tmp/bowline-test.XXXXXX");
    assert_non_null(mkdtemp(out));
    return out;
}

static inline void test_directory_drop(const char *path) {
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
}
