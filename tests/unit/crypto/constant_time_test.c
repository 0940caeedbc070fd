// ML-KEM-768 is constant in time: run under valgrind with every secret marked undefined,
// a branch or an index that depends on one is an error. Without valgrind's header or
// program: skipped (77).
//
// The code under test is compiled in here, with now_public() telling valgrind what has
// become public by the algorithm's own definition.
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

#ifdef HAVE_MEMCHECK
#define secret(p, n) VALGRIND_MAKE_MEM_UNDEFINED((p), (n))
#define now_public(p, n) VALGRIND_MAKE_MEM_DEFINED((p), (n))
#include "crypto/pq/mlkem768.c"
#endif

#define SKIPPED 77

#ifdef HAVE_MEMCHECK
static int failed(const char *what) {
    fprintf(stderr, "constant_time_test: %s\n", what);
    return 1;
}

// One round: the same key, a good ciphertext and a bad one.
static int run(void) {
    uint8_t ek[MLKEM768_PUBLIC], dk[MLKEM768_SECRET], c[MLKEM768_CIPHERTEXT];
    uint8_t seeds[3 * MLKEM768_SEED], shared[3][MLKEM768_SHARED];
    for (size_t i = 0; i < sizeof seeds; i++)
        seeds[i] = (uint8_t)(i * 37 + 11);
    secret(seeds, sizeof seeds);
    enum err e = mlkem768_keygen(ek, dk, seeds, seeds + MLKEM768_SEED);
    if (e != OK)
        return failed("keygen");
    now_public(dk + 3 * 384, MLKEM768_PUBLIC + 32);  // the copy of ek and its hash
    if (mlkem768_encaps(c, shared[0], ek, seeds + 2 * MLKEM768_SEED) != OK)
        return failed("encaps");
    if (mlkem768_decaps(shared[1], dk, c) != OK)
        return failed("decaps");
    c[17] ^= 4;
    if (mlkem768_decaps(shared[2], dk, c) != OK)
        return failed("decaps of a bad ciphertext");
    now_public(shared, sizeof shared);
    if (memcmp(shared[0], shared[1], 32) != 0 || memcmp(shared[0], shared[2], 32) == 0)
        return failed("secrets");
    return 0;
}
#endif

#ifdef HAVE_MEMCHECK
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

int main(int argc, char **argv) {
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
int main(void) {
    return SKIPPED;
}
#endif
