// Hashes (FIPS 180-4, RFC 1321), HMAC (RFC 4231) and the padding pool.
#include "vector.h"

#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "crypto/random.h"

// "abc", from FIPS 180-4's examples and RFC 1321 A.5
static const struct {
    const struct digest_alg *alg;
    const char *hex;
} ABC[] = {
    {&digest_md5, "900150983cd24fb0d6963f7d28e17f72"},
    {&digest_sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {&digest_sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {&digest_sha384, "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
                     "8086072ba1e7cc2358baeca134c825a7"},
    {&digest_sha512, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                     "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
};

static void hashes_abc(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof ABC / sizeof *ABC; i++) {
        uint8_t out[DIGEST_MAX];
        const struct digest_alg *alg = ABC[i].alg;
        struct view parts[] = {view_text("a"), view_of(NULL, 0), view_text("bc")};
        assert_int_equal(digest_parts(alg, parts, 3, out), OK);
        assert_vector(out, alg->size, ABC[i].hex);
        struct digest *d = NULL;
        assert_int_equal(digest_new(&d, alg), OK);
        for (int round = 0; round < 2; round++) {  // it starts again after the end
            assert_int_equal(digest_add(d, view_text("ab")), OK);
            assert_int_equal(digest_add(d, view_text("c")), OK);
            assert_int_equal(digest_end(d, out), OK);
            assert_vector(out, alg->size, ABC[i].hex);
        }
        digest_free(d);
        assert_ptr_equal(digest_find(alg->name), alg);
    }
    assert_null(digest_find("sha3"));
    digest_free(NULL);
}

static void hmac_matches_rfc4231(void **state) {
    (void)state;
    uint8_t key[131], out[DIGEST_MAX];
    memset(key, 0x0b, 20);
    struct view hi = view_text("Hi There"), jefe = view_text("Jefe");
    struct view what = view_text("what do ya want for nothing?");
    struct view longer =
        view_text("Test Using Larger Than Block-Size Key - Hash Key First");
    assert_int_equal(digest_hmac(&digest_sha256, view_of(key, 20), hi, out), OK);
    assert_vector(out, 32,
                  "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    assert_int_equal(digest_hmac(&digest_sha512, view_of(key, 20), hi, out), OK);
    assert_vector(out, 64,
                  "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                  "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854");
    assert_int_equal(digest_hmac(&digest_sha256, jefe, what, out), OK);
    assert_vector(out, 32,
                  "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    assert_int_equal(digest_hmac(&digest_sha256, view_of(key, sizeof key), longer, out),
                     OK);
    assert_vector(out, 32,
                  "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    // The empty key and text: HMAC-SHA1, known from many places (hashcat's and
    // Wikipedia's lists).
    assert_int_equal(digest_hmac(&digest_sha1, view_of(NULL, 0), view_of(NULL, 0), out),
                     OK);
    assert_vector(out, 20, "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
}

static void random_is_not_constant(void **state) {
    (void)state;
    uint8_t a[64] = {0}, b[64] = {0}, big[9000];
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    assert_memory_not_equal(a, b, sizeof a);
    random_padding(big, sizeof big);  // more than the pool holds
    for (int i = 0; i < 500; i++) {   // several refills
        random_padding(a, sizeof a);
        assert_memory_not_equal(a, b, sizeof a);
        memcpy(b, a, sizeof b);
        if (i % 100 == 0)
            random_padding_idle();
    }
}

// Parent and children share the pool's past but not its future.
static void children_have_padding_of_their_own(void **state) {
    (void)state;
    uint8_t drawn[3][32];
    random_padding(drawn[0], 32);
    for (int child = 0; child < 2; child++) {
        int pipes[2];
        assert_int_equal(pipe(pipes), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            random_padding(drawn[0], 32);
            _exit(write(pipes[1], drawn[0], 32) == 32 ? 0 : 1);
        }
        assert_int_equal(read(pipes[0], drawn[child], 32), 32);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        close(pipes[0]);
        close(pipes[1]);
    }
    random_padding(drawn[2], 32);
    assert_memory_not_equal(drawn[0], drawn[1], 32);
    assert_memory_not_equal(drawn[0], drawn[2], 32);
    assert_memory_not_equal(drawn[1], drawn[2], 32);
}

int main(void) {
    if (crypto_init() != OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_abc),
        cmocka_unit_test(hmac_matches_rfc4231),
        cmocka_unit_test(random_is_not_constant),
        cmocka_unit_test(children_have_padding_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
