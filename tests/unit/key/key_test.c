// Blobs, public text, fingerprints and signatures against OpenSSH's and OpenSSL's.
#include "key_test_support.h"

#include <stdlib.h>

#include "key/base64.h"
#include "wire/writer.h"

static size_t unhex(const char *hex, uint8_t *out) {
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static void public_text_comes_back(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        struct key *k = key_of(fixtures[i].name), *again = NULL;
        scoped_buf out;
        buf_init(&out, 8192);
        assert_int_equal(key_public_text(k, &out), OK);
        assert_true(view_is(buf_view(&out), fixtures[i].public_line));
        assert_int_equal(key_from_blob(&again, key_blob(k), NULL), OK);
        assert_ptr_equal(again->type, k->type);
        key_free(again);
        key_free(k);
    }
}

static void fingerprints_are_those_of_openssh(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        const struct fixture *f = &fixtures[i];
        char text[KEY_FINGERPRINT_SIZE], art[KEY_ART_SIZE];
        struct key *k = key_of(f->name);
        assert_string_equal(
            key_fingerprint(text, sizeof text, key_blob(k), &digest_sha256), f->sha256);
        assert_string_equal(key_fingerprint(text, sizeof text, key_blob(k), &digest_md5),
                            f->md5);
        assert_string_equal(key_art(art, k, &digest_sha256), f->art);
        key_free(k);
    }
}

static void verifies_signatures_of_openssl(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof signed_fixtures / sizeof signed_fixtures[0]; i++) {
        const struct signed_fixture *f = &signed_fixtures[i];
        uint8_t blob[1024], sig[1024];
        size_t blob_n = unhex(f->public_blob, blob), n = unhex(f->signature, sig);
        const struct signature_alg *alg = signature_named(f->alg);
        struct view data = view_text(FIXTURE_DATA);
        struct key *k = NULL;
        assert_int_equal(key_from_blob(&k, view_of(blob, blob_n), NULL), OK);
        assert_int_equal(key_verify(k, alg, view_of(sig, n), data), OK);
        assert_int_equal(key_verify(k, alg, view_of(sig, n), view_text("else")),
                         ERR_SIGNATURE);
        for (size_t at = 0; at < n; at++) {
            sig[at] ^= 1;
            assert_int_not_equal(key_verify(k, alg, view_of(sig, n), data), OK);
            sig[at] ^= 1;
        }
        for (size_t cut = 0; cut < n; cut++)
            assert_int_not_equal(key_verify(k, alg, view_of(sig, cut), data), OK);
        sig[n] = 0;
        assert_int_equal(key_verify(k, alg, view_of(sig, n + 1), data), ERR_TRAILING);
        key_free(k);
    }
}

static struct key *secret_of(const char *name) {
    struct key *k = NULL;
    assert_int_equal(private_key_parse(&k, view_text(fixture_named(name)->text),
                                       (struct view){0}, NULL),
                     OK);
    return k;
}

static void signs_with_every_algorithm(void **state) {
    (void)state;
    static const char *const names[] = {"ed25519", "ecdsa256", "ecdsa384", "ecdsa521",
                                        "rsa2048"};
    for (size_t i = 0; i < 5; i++) {
        struct key *k = secret_of(names[i]), *pub = key_of(names[i]);
        const struct alg *a;
        size_t used = 0;
        for (size_t j = 0; (a = alg_at(ALG_SIGNATURE, j)) != NULL; j++) {
            scoped_buf out;
            buf_init(&out, KEY_SIGNATURE_MAX);
            enum err e = key_sign(k, a->signature, view_text("data"), &out);
            assert_int_equal(e == OK, key_can_make(k, a->signature));
            if (!key_can_sign_with(k, a->signature)) {
                // No signature of another kind of key is even looked at.
                assert_true(e == ERR_KEY || a->signature->signature_name != a->name);
                assert_int_equal(
                    key_verify(pub, a->signature, buf_view(&out), view_text("data")),
                    ERR_KEY);
                continue;
            }
            used++;
            assert_int_equal(
                key_verify(pub, a->signature, buf_view(&out), view_text("data")), OK);
            assert_int_equal(
                key_verify(pub, a->signature, buf_view(&out), view_text("datb")),
                ERR_SIGNATURE);
        }
        assert_int_equal(used, i == 4 ? 3 : 1);
        key_free(k);
        key_free(pub);
    }
}

static void algorithm_must_be_the_one_agreed_on(void **state) {
    (void)state;
    struct key *k = secret_of("rsa2048");
    scoped_buf out;
    buf_init(&out, KEY_SIGNATURE_MAX);
    assert_int_equal(key_sign(k, signature_named("rsa-sha2-256"), view_text("d"), &out),
                     OK);
    assert_int_equal(
        key_verify(k, signature_named("rsa-sha2-512"), buf_view(&out), view_text("d")),
        ERR_SIGNATURE);
    key_free(k);
}

static void a_public_key_does_not_sign(void **state) {
    (void)state;
    struct key *k = key_of("ed25519");
    scoped_buf out;
    buf_init(&out, KEY_SIGNATURE_MAX);
    assert_int_equal(key_sign(k, signature_named("ssh-ed25519"), view_text("d"), &out),
                     ERR_KEY);
    key_free(k);
}

static void blobs_are_exact(void **state) {
    (void)state;
    static const char *const names[] = {"ed25519", "ecdsa256", "rsa1024"};
    for (size_t i = 0; i < 3; i++) {
        struct key *k = key_of(names[i]), *other = NULL;
        uint8_t blob[1024];
        memcpy(blob, k->blob, k->blob_len);
        blob[k->blob_len] = 0;
        assert_int_equal(key_from_blob(&other, view_of(blob, k->blob_len + 1), NULL),
                         ERR_TRAILING);
        for (size_t n = 0; n < k->blob_len; n++)
            assert_int_not_equal(key_from_blob(&other, view_of(blob, n), NULL), OK);
        assert_null(other);
        key_free(k);
    }
}

static void names_curves_and_points_agree(void **state) {
    (void)state;
    struct key *k = key_of("ecdsa256"), *other = NULL;
    uint8_t blob[256];
    memcpy(blob, k->blob, k->blob_len);
    // "ecdsa-sha2-nistp256" with the curve "nistp384": [4]name[4]curve
    blob[4 + 19 + 4 + 5] = '3';
    blob[4 + 19 + 4 + 6] = '8';
    blob[4 + 19 + 4 + 7] = '4';
    assert_int_equal(key_from_blob(&other, view_of(blob, k->blob_len), NULL), ERR_KEY);
    memcpy(blob, k->blob, k->blob_len);
    blob[k->blob_len - 1] ^= 1;  // off the curve
    assert_int_equal(key_from_blob(&other, view_of(blob, k->blob_len), NULL), ERR_KEY);
    struct fault f = {0};
    assert_int_equal(key_from_blob(&other, view_of("\0\0\0\3d\033a", 7), &f),
                     ERR_UNSUPPORTED);
    assert_null(strchr(f.text, 033));
    key_free(k);
}

static void write_rsa(struct buf *out, size_t bytes, uint8_t first, const char *e,
                      size_t e_n) {
    uint8_t n[2100];
    memset(n, 0xff, sizeof n);
    n[0] = first;
    struct writer w = writer_to_buf(out);
    write_text(&w, "ssh-rsa");
    write_mpint(&w, view_of(e, e_n));
    write_mpint(&w, view_of(n, bytes));
    assert_int_equal(writer_end(&w), OK);
}

static void rsa_sizes_are_bounded(void **state) {
    (void)state;
    static const struct {
        size_t bytes;
        uint8_t first;
        const char *e;
        size_t e_n;
        enum err want;
    } rows[] = {
        {128, 0x80, "\x01\x00\x01", 3, OK},
        {128, 0x7f, "\x01\x00\x01", 3, ERR_KEY},   // 1023 bits
        {2048, 0x80, "\x01\x00\x01", 3, OK},       // 16384
        {2049, 0x01, "\x01\x00\x01", 3, ERR_KEY},  // 16385
        {128, 0x80, "\x02", 1, ERR_KEY},
        {128, 0x80, "\x01", 1, ERR_KEY},
        {128, 0x80, "\x7f\1\1\1\1\1\1\1\1", 9, ERR_KEY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        scoped_buf out;
        buf_init(&out, 4096);
        write_rsa(&out, rows[i].bytes, rows[i].first, rows[i].e, rows[i].e_n);
        struct key *k = NULL;
        assert_int_equal(key_from_blob(&k, buf_view(&out), NULL), rows[i].want);
        key_free(k);
    }
}

static void public_text_that_lies_is_refused(void **state) {
    (void)state;
    static const char *const lines[] = {
        "",
        "ssh-ed25519",
        "ssh-ed25519 ",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g",
        "ssh-dss AAAAB3NzaC1kc3M="};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        struct key *k = NULL;
        struct fault f = {0};
        assert_int_not_equal(key_from_public_text(&k, view_text(lines[i]), &f), OK);
        assert_true(f.text[0] != '\0');
        assert_null(k);
    }
}

static void base64_is_strict(void **state) {
    (void)state;
    // RFC 4648 s.10
    static const char *const plain[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const coded[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    static const char *const bad[] = {"Z",     "Zg",   "Zg=",   "Zg=a",
                                      "Zh==",  "Zm9=", "====",  "Zg==Zg==",
                                      "Zm9v ", "Z===", "Zm 9v", "Zm9v\n"};
    for (size_t i = 0; i < 7; i++) {
        scoped_buf a, b;
        buf_init(&a, 64);
        buf_init(&b, 64);
        assert_int_equal(base64_encode(&a, view_text(plain[i])), OK);
        assert_true(view_is(buf_view(&a), coded[i]));
        assert_int_equal(base64_decode(&b, view_text(coded[i])), OK);
        assert_true(view_is(buf_view(&b), plain[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        scoped_buf b;
        buf_init(&b, 64);
        assert_int_equal(base64_decode(&b, view_text(bad[i])), ERR_FORMAT);
        assert_int_equal(buf_len(&b), 0);
    }
    scoped_buf b;
    buf_init(&b, 64);
    assert_int_equal(base64_decode_lines(&b, view_text("Zm9\r\nv Ym\nFy\n")), OK);
    assert_true(view_is(buf_view(&b), "foobar"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(public_text_comes_back),
        cmocka_unit_test(fingerprints_are_those_of_openssh),
        cmocka_unit_test(verifies_signatures_of_openssl),
        cmocka_unit_test(signs_with_every_algorithm),
        cmocka_unit_test(algorithm_must_be_the_one_agreed_on),
        cmocka_unit_test(a_public_key_does_not_sign),
        cmocka_unit_test(blobs_are_exact),
        cmocka_unit_test(names_curves_and_points_agree),
        cmocka_unit_test(rsa_sizes_are_bounded),
        cmocka_unit_test(public_text_that_lies_is_refused),
        cmocka_unit_test(base64_is_strict),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
