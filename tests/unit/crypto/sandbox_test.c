// After crypto_init() everything works in a fork that may open nothing: a seccomp filter
// kills the child at the first call that is not on the short list.
#include "vector.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "crypto/pk.h"
#include "crypto/random.h"
#include "crypto/registry.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#endif

#define ALLOW(name)                                                                      \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##name, 0, 1),                               \
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void filter_or_exit(void) {
#ifdef SANITIZED
    _exit(77);  // it makes system calls of its own
#endif
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(read),
        ALLOW(write),
        ALLOW(mmap),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(brk),
        ALLOW(madvise),
        ALLOW(mlock),
        ALLOW(getrandom),
        ALLOW(getpid),
        ALLOW(futex),
        ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
}

static bool exchange(const struct kex_alg *alg) {
    uint8_t q_c[KEX_BLOB_MAX], q_s[KEX_BLOB_MAX], k[2][KEX_SECRET_MAX], out[64];
    struct span s[2] = {{k[0], KEX_SECRET_MAX}, {k[1], KEX_SECRET_MAX}};
    struct kex_offer *o = NULL;
    struct span c = {q_c, sizeof q_c}, r = {q_s, sizeof q_s};
    static struct kex_group group;
    if (alg->group_exchange &&
        kex_group_choose(&group, view_of(NULL, 0), 2048, 2048, 8192) != OK)
        return false;
    const struct kex_group *g = alg->group_exchange ? &group : NULL;
    bool good = kex_offer_new(&o, alg, g, &c) == OK &&
                kex_answer(alg, g, view_of(c.p, c.n), &r, &s[0]) == OK &&
                kex_offer_finish(o, view_of(r.p, r.n), &s[1]) == OK &&
                kex_derive(alg->hash, view_of(k[0], s[0].n), view_of(q_c, 32),
                           view_text("A"), view_of(q_c, 32), out, sizeof out) == OK;
    kex_offer_free(o);
    return good;
}

static bool seal(const struct cipher_alg *cipher, const struct mac_alg *mac) {
    static uint8_t packet[4096], key[64];
    struct packet_cipher *c = NULL;
    random_padding(packet, 16);
    bool good = packet_cipher_new(&c, cipher, mac, view_of(key, cipher->key_len),
                                  view_of(key, cipher->iv_len),
                                  view_of(key, mac->key_len), true) == OK &&
                packet_cipher_seal(c, 1, packet, 1024, packet) == OK;
    packet_cipher_free(c);
    return good;
}

static bool sign(const struct signature_alg *alg) {
    struct pk *k = NULL;
    uint8_t signature[1024];
    size_t n = sizeof signature;
    bool good = pk_generate(&k, alg->kind, alg->curve, 2048) == OK &&
                pk_sign(k, alg, view_text("data"), signature, &n) == OK &&
                pk_verify(k, alg, view_text("data"), view_of(signature, n)) == OK;
    pk_free(k);
    return good;
}

static bool use_everything(void) {
    const struct alg *a;
    for (size_t i = 0; (a = alg_at(ALG_KEX, i)) != NULL; i++)
        if (!exchange(a->kex))
            return false;
    for (size_t i = 0; (a = alg_at(ALG_CIPHER, i)) != NULL; i++)
        for (size_t j = 0; alg_at(ALG_MAC, j) != NULL; j++)
            if (!seal(a->cipher, alg_at(ALG_MAC, j)->mac))
                return false;
    for (size_t i = 0; (a = alg_at(ALG_SIGNATURE, i)) != NULL; i++)
        if (!sign(a->signature))
            return false;
    uint8_t out[DIGEST_MAX];
    return digest_hmac(&digest_sha1, view_text("key"), view_text("text"), out) == OK;
}

static void everything_works_in_a_sandbox(void **state) {
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        filter_or_exit();
        _exit(use_everything() ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
        print_message("skipped: a sanitizer needs calls that the sandbox refuses\n");
        skip();
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
    if (crypto_init() != OK)
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(everything_works_in_a_sandbox)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
