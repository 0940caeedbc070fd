// The frame of the tests that prove code constant in time: run under valgrind with every
// secret marked undefined, a branch or an index that depends on one is an error. Without
// valgrind's header or program: skipped (77).
//
// The code under test is compiled into the test, behind this header, with now_public()
// telling valgrind what has become public by the algorithm's own definition. The test
// defines run() where HAVE_MEMCHECK is, and has CONSTANT_TIME_MAIN behind it.
#pragma once

#if defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define HAVE_MEMCHECK 1
#endif
#endif

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"

#define SKIPPED 77

#ifdef HAVE_MEMCHECK
#define secret(p, n) VALGRIND_MAKE_MEM_UNDEFINED((p), (n))
#define now_public(p, n) VALGRIND_MAKE_MEM_DEFINED((p), (n))

static int failed(const char *what) {
    fprintf(stderr, "constant time: %s\n", what);
    return 1;
}

static int run(void);

#define PROBED 42

// Runs this program again under valgrind; its exit status.
static int under_valgrind(const char *self, const char *word) {
    pid_t pid = fork();
    if (pid == 0) {
        execlp("valgrind", "valgrind", "-q", "--error-exitcode=1",
               "--max-stackframe=8000000", self, word, (char *)NULL);
        _exit(SKIPPED);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return SKIPPED;
    return WEXITSTATUS(status);
}

static int constant_time_main(int argc, char **argv) {
    if (RUNNING_ON_VALGRIND) {
        if (argc > 1 && strcmp(argv[1], "probe") == 0)
            return PROBED;
        if (crypto_init() != OK || run() != 0)
            return 1;
        return VALGRIND_COUNT_ERRORS > 0 ? 1 : 0;
    }
    // An old valgrind cannot read every compiler's debugging data, and none likes a
    // sanitizer.
    if (under_valgrind(argv[0], "probe") != PROBED)
        return SKIPPED;
    return under_valgrind(argv[0], "run");
}
#else
static int constant_time_main(int argc, char **argv) {
    (void)argc, (void)argv;
    return SKIPPED;
}
#endif
