// The registry: rows that agree with themselves, and OpenSSH's list syntax.
#include "vector.h"

#include "crypto/crypto.h"
#include "crypto/fetched.h"
#include "crypto/pk.h"
#include "crypto/registry.h"

#define KEX_SERVER                                                                       \
    "mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com,"   \
    "curve25519-sha256,curve25519-sha256@libssh.org,"                                    \
    "ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521"
#define KEX_FIELDS                                                                       \
    ",diffie-hellman-group-exchange-sha256,diffie-hellman-group16-sha512,"               \
    "diffie-hellman-group18-sha512,diffie-hellman-group14-sha256"
#define MAC_ALL                                                                          \
    "umac-64-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-256-etm@openssh.com,"    \
    "hmac-sha2-512-etm@openssh.com,hmac-sha1-etm@openssh.com,umac-64@openssh.com,"       \
    "umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,hmac-sha1"

static void assert_list(enum alg_kind kind, const char *spec, const char *want) {
    scoped_buf out;
    struct fault fault = {0};
    buf_init(&out, 4096);
    assert_int_equal(alg_list_apply(kind, ALG_DEFAULT_CLIENT, spec, &out, &fault), OK);
    assert_int_equal(buf_len(&out), strlen((const char *)buf_view(&out).p) + 1);
    assert_string_equal((const char *)buf_view(&out).p, want);
}

static void assert_bad(enum alg_kind kind, const char *spec, const char *want) {
    scoped_buf out;
    struct fault fault = {0};
    buf_init(&out, 4096);
    assert_int_equal(alg_list_apply(kind, ALG_DEFAULT_SERVER, spec, &out, &fault),
                     ERR_CONFIG);
    assert_string_equal(fault_text(&fault), want);
}

static void rows_agree_with_their_objects(void **state) {
    (void)state;
    const struct alg *a;
    for (int kind = 0; kind < ALG_KINDS; kind++) {
        size_t n = 0;
        for (; (a = alg_at((enum alg_kind)kind, n)) != NULL; n++) {
            assert_int_equal(a->kind, kind);
            assert_ptr_equal(alg_find(a->kind, view_text(a->name)), a);
            if (kind != ALG_COMPRESSION)  // the name comes first in every object
                assert_string_equal(*(const char *const *)a->any, a->name);
        }
        assert_true(n > 0);
        assert_null(alg_at((enum alg_kind)kind, n));
        assert_null(alg_find((enum alg_kind)kind, view_text("")));
    }
}

static void ciphers_follow_the_processor(void **state) {
    (void)state;
    const char *first = alg_at(ALG_CIPHER, 0)->name;
    assert_string_equal(first, fetched()->aes_in_hardware
                                   ? "aes128-gcm@openssh.com"
                                   : "chacha20-poly1305@openssh.com");
}

static void lists_are_applied(void **state) {
    (void)state;
    assert_list(ALG_KEX, "curve25519-sha256,ecdh-sha2-nistp256",
                "curve25519-sha256,ecdh-sha2-nistp256");
    assert_list(ALG_MAC, "+hmac-sha2-256", MAC_ALL);
    assert_list(ALG_MAC, "^hmac-sha1",
                "hmac-sha1,umac-64-etm@openssh.com,umac-128-etm@openssh.com,"
                "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
                "hmac-sha1-etm@openssh.com,umac-64@openssh.com,umac-128@openssh.com,"
                "hmac-sha2-256,hmac-sha2-512");
    assert_list(ALG_MAC, "-umac*,hmac-sha1*,hmac-sha2-512",
                "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
                "hmac-sha2-256");
    assert_list(ALG_MAC, "-*etm*",
                "umac-64@openssh.com,umac-128@openssh.com,hmac-sha2-256,hmac-sha2-512,"
                "hmac-sha1");
    assert_list(ALG_MAC, "hmac-sha2-*-etm@openssh.com",
                "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com");
    assert_list(ALG_KEX, "-no-such-method,*sha1", KEX_SERVER KEX_FIELDS);
    assert_list(
        ALG_KEX, "^ecdh*,mlkem*",
        "ecdh-sha2-nistp256,ecdh-sha2-nistp384,ecdh-sha2-nistp521,mlkem768x25519-sha256,"
        "mlkem768nistp256-sha256,sntrup761x25519-sha512,"
        "sntrup761x25519-sha512@openssh.com,"
        "curve25519-sha256,curve25519-sha256@libssh.org" KEX_FIELDS);
    assert_list(ALG_KEX, "curve25519-sha256,curve25519-sha256", "curve25519-sha256");
    assert_list(ALG_COMPRESSION, "none", "none");
    assert_list(ALG_SIGNATURE, "rsa-sha2-???", "rsa-sha2-512,rsa-sha2-256");
}

static void bad_lists_are_named(void **state) {
    (void)state;
    assert_bad(ALG_KEX, "curve25519-sha265",
               "unknown key exchange algorithm \"curve25519-sha265\"; did you mean "
               "\"curve25519-sha256\"?");
    assert_bad(ALG_CIPHER, "+rot13", "unknown cipher \"rot13\"");
    assert_bad(ALG_CIPHER, "aes128-ctr,,aes256-ctr", "unknown cipher \"\"");
    assert_bad(ALG_MAC, "-*", "no MAC is left");
    assert_bad(ALG_MAC, "", "no MAC is left");
    assert_bad(ALG_MAC, "x*", "no MAC is left");
    assert_bad(ALG_SIGNATURE, "ssh-rs\x1b",
               "unknown signature algorithm \"ssh-rs\\033\"; did you mean "
               "\"ssh-rsa\"?");
}

// Lists written for OpenSSH are taken, as far as they can be.
static void absent_names_are_left_out(void **state) {
    (void)state;
    assert_list(ALG_SIGNATURE, "ssh-mldsa44-ed25519@openssh.com,ssh-ed25519",
                "ssh-ed25519");
    assert_bad(ALG_SIGNATURE, "ssh-mldsa44-ed25519@openssh.com",
               "no signature algorithm is left: Bowline has no "
               "ssh-mldsa44-ed25519@openssh.com");
    assert_bad(ALG_MAC, "hmac-sha9,hmac-sha1",
               "unknown MAC \"hmac-sha9\"; did you mean \"hmac-sha1\"?");
}

// What is only for old peers has to be asked for.
static void weak_names_are_not_defaults(void **state) {
    (void)state;
    assert_list(ALG_MAC, "hmac-md5,hmac-sha1-96-etm@openssh.com",
                "hmac-md5,hmac-sha1-96-etm@openssh.com");
    assert_list(ALG_MAC, "+hmac-md5", MAC_ALL ",hmac-md5");
    assert_list(ALG_SIGNATURE, "ssh-rsa*", "ssh-rsa,ssh-rsa-cert-v01@openssh.com");
    assert_list(ALG_CIPHER, "*-cbc", "aes128-cbc,aes192-cbc,aes256-cbc,3des-cbc");
}

static void defaults_are_listed(void **state) {
    (void)state;
    scoped_buf out;
    buf_init(&out, 4096);
    assert_int_equal(alg_default_list(ALG_KEX, ALG_DEFAULT_SERVER, &out), OK);
    assert_string_equal((const char *)buf_view(&out).p, KEX_SERVER);
    assert_int_equal(alg_default_list(ALG_MAC, ALG_DEFAULT_CLIENT, &out), OK);
    assert_string_equal((const char *)buf_view(&out).p, MAC_ALL);
    assert_int_equal(alg_default_list(ALG_COMPRESSION, ALG_DEFAULT_CLIENT, &out), OK);
    assert_string_equal((const char *)buf_view(&out).p, "none,zlib@openssh.com");
}

int main(void) {
    if (crypto_init() != OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_agree_with_their_objects),
        cmocka_unit_test(ciphers_follow_the_processor),
        cmocka_unit_test(lists_are_applied),
        cmocka_unit_test(bad_lists_are_named),
        cmocka_unit_test(absent_names_are_left_out),
        cmocka_unit_test(weak_names_are_not_defaults),
        cmocka_unit_test(defaults_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
