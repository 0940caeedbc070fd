// Formats of the methods: round trips, RFC layouts byte by byte, and each way to be
// malformed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/hostbased.h"
#include "auth/kbdint.h"
#include "auth/password.h"
#include "auth/publickey.h"
#include "auth/resumption.h"

static struct buf made;

static struct view request(struct msg_userauth_request *m) {
    struct view v = buf_view(&made);
    struct fault fault = {0};
    assert_int_equal(message_decode(SSH_MSG_USERAUTH_REQUEST, v, m, &fault), OK);
    return v;
}

static int setup(void **state) {
    (void)state;
    buf_init(&made, 65536);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    buf_free(&made);
    return 0;
}

// A blob that names its type, which is all that auth looks at.
static const uint8_t ed_blob[] = "\0\0\0\x0bssh-ed25519\0\0\0\x02zz";
static const uint8_t ed_signature[] = "\0\0\0\x0bssh-ed25519\0\0\0\x02ss";

static struct publickey_request sample(void) {
    return (struct publickey_request){
        .user = view_text("root"),
        .service = view_text("ssh-connection"),
        .algorithm = view_text("ssh-ed25519"),
        .blob = view_of(ed_blob, sizeof ed_blob - 1),
        .has_signature = true,
        .signature = view_of(ed_signature, sizeof ed_signature - 1),
    };
}

static void test_publickey_round_trip(void **state) {
    (void)state;
    for (int hostbound = 0; hostbound < 2; hostbound++)
        for (int has_signature = 0; has_signature < 2; has_signature++) {
            struct publickey_request q = sample(), got;
            q.hostbound = hostbound != 0;
            q.has_signature = has_signature != 0;
            if (q.hostbound)
                q.host_key = view_text("host key");
            buf_clear(&made);
            struct writer w = writer_to_buf(&made);
            publickey_encode(&w, &q);
            assert_int_equal(writer_end(&w), OK);
            struct msg_userauth_request m;
            request(&m);
            struct fault fault = {0};
            assert_int_equal(publickey_decode(&m, &got, &fault), OK);
            assert_true(view_is(got.user, "root"));
            assert_int_equal(got.hostbound, q.hostbound);
            assert_int_equal(got.has_signature, q.has_signature);
            assert_true(view_equal(got.blob, q.blob));
            assert_true(view_equal(got.host_key, q.host_key));
            if (has_signature)
                assert_true(view_equal(got.signature, q.signature));
        }
}

// RFC 4252 s.7, byte by byte.
static void test_signed_data_is_the_rfcs(void **state) {
    (void)state;
    static const uint8_t want[] = "\0\0\0\x03SID"
                                  "\x32"
                                  "\0\0\0\x04root"
                                  "\0\0\0\x0essh-connection"
                                  "\0\0\0\x09publickey"
                                  "\x01"
                                  "\0\0\0\x0bssh-ed25519"
                                  "\0\0\0\x15\0\0\0\x0bssh-ed25519\0\0\0\x02zz";
    struct publickey_request q = sample();
    q.has_signature = false;  // the data says TRUE all the same
    struct writer w = writer_to_buf(&made);
    publickey_encode_signed(&w, view_text("SID"), &q);
    assert_int_equal(writer_end(&w), OK);
    assert_int_equal(buf_len(&made), sizeof want - 1);
    assert_memory_equal(buf_view(&made).p, want, sizeof want - 1);
}

// Every prefix and every tail is refused, and leaves nothing behind.
static void test_publickey_exact_end(void **state) {
    (void)state;
    struct publickey_request q = sample(), got;
    struct writer w = writer_to_buf(&made);
    publickey_encode(&w, &q);
    write_u8(&w, 0);
    assert_int_equal(writer_end(&w), OK);
    struct msg_userauth_request m;
    request(&m);
    size_t whole = m.fields.n - 1;
    for (size_t n = 0; n <= whole + 1; n++) {
        struct msg_userauth_request cut = m;
        cut.fields.n = n;
        struct fault fault = {0};
        enum err e = publickey_decode(&cut, &got, &fault);
        assert_int_equal(e == OK, n == whole);
        if (e != OK) {
            assert_null(got.blob.p);
            assert_int_equal(fault.message, SSH_MSG_USERAUTH_REQUEST);
        }
    }
}

static void test_algorithm_must_agree_everywhere(void **state) {
    (void)state;
    static const uint8_t rsa[] = "\0\0\0\x07ssh-rsa\0\0\0\0";
    struct publickey_request q = sample();
    const char *all = "ssh-ed25519,rsa-sha2-512,ecdsa-sha2-nistp256";
    assert_non_null(publickey_algorithm(&q, all));
    assert_null(publickey_algorithm(&q, "rsa-sha2-512"));  // not allowed
    assert_null(publickey_algorithm(&q, "ssh-ed25519-x,xssh-ed25519"));
    assert_null(publickey_algorithm(&q, ""));
    q.algorithm = view_text("rsa-sha2-512");  // not that of the key
    assert_null(publickey_algorithm(&q, all));
    q.blob = view_of(rsa, sizeof rsa - 1);  // not that of the signature
    assert_null(publickey_algorithm(&q, all));
    q.has_signature = false;
    assert_non_null(publickey_algorithm(&q, all));
    q.algorithm = view_text("ssh-rsa");  // SHA-1
    assert_null(publickey_algorithm(&q, all));
    q.algorithm = view_text("nonsense");
    assert_null(publickey_algorithm(&q, "nonsense"));
}

static void test_password_round_trip(void **state) {
    (void)state;
    for (int change = 0; change < 2; change++) {
        struct password_request q = {.user = view_text("u"),
                                     .service = view_text("ssh-connection"),
                                     .password = view_text("old"),
                                     .change = change != 0,
                                     .new_password = view_text("new")},
                                got;
        buf_clear(&made);
        struct writer w = writer_to_buf(&made);
        password_encode(&w, &q);
        assert_int_equal(writer_end(&w), OK);
        struct msg_userauth_request m;
        request(&m);
        struct fault fault = {0};
        assert_int_equal(password_decode(&m, &got, &fault), OK);
        assert_true(view_is(got.password, "old"));
        assert_int_equal(got.change, q.change);
        assert_int_equal(got.new_password.n, change ? 3 : 0);
    }
}

// dropbear 2022.83 lets `password\0junk` in.
static void test_password_with_nul_is_refused(void **state) {
    (void)state;
    struct password_request q = {.user = view_text("u"),
                                 .service = view_text("ssh-connection"),
                                 .password = view_of("secret\0junk", 11)},
                            got;
    struct writer w = writer_to_buf(&made);
    password_encode(&w, &q);
    assert_int_equal(writer_end(&w), OK);
    struct msg_userauth_request m;
    request(&m);
    struct fault fault = {0};
    assert_int_equal(password_decode(&m, &got, &fault), ERR_FORMAT);
}

static void test_prompts_round_trip(void **state) {
    (void)state;
    struct kbdint_prompts p = {.name = view_text("n"),
                               .instruction = view_text("i"),
                               .count = 2},
                          got;
    p.prompts[0].text = view_text("Password: ");
    p.prompts[1].text = view_text("Code: ");
    p.prompts[1].echo = true;
    struct writer w = writer_to_buf(&made);
    kbdint_encode_prompts(&w, &p);
    assert_int_equal(writer_end(&w), OK);
    struct fault fault = {0};
    struct view whole = buf_view(&made);
    assert_int_equal(kbdint_decode_prompts(whole, &got, &fault), OK);
    assert_int_equal(got.count, 2);
    assert_false(got.prompts[0].echo);
    assert_true(got.prompts[1].echo);
    assert_true(view_is(got.prompts[1].text, "Code: "));
    for (size_t n = 0; n < whole.n; n++) {
        fault_clear(&fault);
        assert_int_not_equal(kbdint_decode_prompts(view_of(whole.p, n), &got, &fault),
                             OK);
        assert_int_equal(got.count, 0);
    }
}

// CVE-2002-0639, CVE-2015-5600: counts from the wire are bounded before use.
static void test_counts_are_bounded(void **state) {
    (void)state;
    static const uint32_t counts[] = {LIMIT_KBDINT_PROMPTS + 1, 0x7fffffff, 0xffffffff,
                                      0x40000001};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        uint8_t response[64] = {SSH_MSG_USERAUTH_INFO_RESPONSE};
        store_u32(response + 1, counts[i]);
        struct kbdint_responses r;
        struct fault fault = {0};
        assert_int_equal(
            kbdint_decode_responses(view_of(response, sizeof response), &r, &fault),
            ERR_LIMIT);
        uint8_t prompts[64] = {SSH_MSG_USERAUTH_PK_OK};
        store_u32(prompts + 13, counts[i]);
        struct kbdint_prompts p;
        fault_clear(&fault);
        assert_int_equal(
            kbdint_decode_prompts(view_of(prompts, sizeof prompts), &p, &fault),
            ERR_LIMIT);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

// doc/resume.md: there and back.
static void test_resumption(void **state) {
    (void)state;
    uint8_t bytes[32] = {1, 2, 3};
    struct resumption_request got, q = {7, view_of(bytes, sizeof bytes)};
    struct msg_userauth_request m;
    struct fault fault = {0};
    scoped_buf b = {.max = 1024};
    struct writer w = writer_to_buf(&b);
    resumption_encode(&w, view_text("somebody"), view_text("ssh-connection"), &q);
    assert_int_equal(writer_end(&w), OK);
    assert_int_equal(message_decode(SSH_MSG_USERAUTH_REQUEST, buf_view(&b), &m, &fault),
                     OK);
    assert_true(view_is(m.method, RESUMPTION_METHOD) && view_is(m.user, "somebody"));
    assert_int_equal(resumption_decode(&m, &got, &fault), OK);
    assert_true(got.epoch == 7 && view_equal(got.proof, q.proof));
    // Cut anywhere, or with something behind it, it is none.
    struct view fields = m.fields;
    for (size_t n = 0; n < fields.n; n++) {
        m.fields = view_of(fields.p, n);
        assert_int_not_equal(resumption_decode(&m, &got, &fault), OK);
    }
    q.proof.n--;
    buf_clear(&b);
    w = writer_to_buf(&b);
    resumption_encode(&w, view_text("somebody"), view_text("ssh-connection"), &q);
    assert_int_equal(message_decode(SSH_MSG_USERAUTH_REQUEST, buf_view(&b), &m, &fault),
                     OK);
    assert_int_equal(resumption_decode(&m, &got, &fault), ERR_FORMAT);
}

// RFC 4252 s.9: there and back, what is signed, and each way to be malformed.
static void test_hostbased(void **state) {
    (void)state;
    struct hostbased_request got,
        q = {
            .user = view_text("root"),
            .service = view_text("ssh-connection"),
            .algorithm = view_text("ssh-ed25519"),
            .blob = view_of(ed_blob, sizeof ed_blob - 1),
            .host = view_text("far.example."),
            .client_user = view_text("ann"),
            .signature = view_of(ed_signature, sizeof ed_signature - 1),
        };
    struct fault fault = {0};
    struct msg_userauth_request m;
    struct view id;
    buf_clear(&made);
    struct writer w = writer_to_buf(&made);
    hostbased_encode(&w, &q);
    request(&m);
    assert_true(view_is(m.method, "hostbased"));
    assert_int_equal(hostbased_decode(&m, &got, &fault), OK);
    assert_true(view_is(got.host, "far.example.") && view_is(got.client_user, "ann"));
    assert_true(view_equal(got.signature, q.signature) && view_equal(got.blob, q.blob));
    assert_non_null(hostbased_algorithm(&got, NULL));
    assert_non_null(hostbased_algorithm(&got, "rsa-sha2-256,ssh-ed25519"));
    assert_null(hostbased_algorithm(&got, "rsa-sha2-256"));
    m.fields.n--;
    assert_int_not_equal(hostbased_decode(&m, &got, &fault), OK);

    buf_clear(&made);
    w = writer_to_buf(&made);
    hostbased_encode_signed(&w, view_text("session"), &q);
    struct view all = buf_view(&made);
    assert_int_equal(hostbased_decode_signed(all, &id, &got, &fault), OK);
    assert_true(view_is(id, "session") && view_is(got.user, "root"));
    assert_true(view_is(got.service, "ssh-connection") && got.signature.n == 0);
    for (size_t n = 0; n < all.n; n++)
        assert_int_not_equal(
            hostbased_decode_signed(view_of(all.p, n), &id, &got, &fault), OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_hostbased),
        TEST(test_resumption),
        TEST(test_publickey_round_trip),
        TEST(test_signed_data_is_the_rfcs),
        TEST(test_publickey_exact_end),
        TEST(test_algorithm_must_agree_everywhere),
        TEST(test_password_round_trip),
        TEST(test_password_with_nul_is_refused),
        TEST(test_prompts_round_trip),
        TEST(test_counts_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
