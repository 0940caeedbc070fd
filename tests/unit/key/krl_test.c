// Revocation lists, signatures of files and who may make them.
#include "key_test_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "certificate_fixtures.h"
#include "key/allowed_signers.h"
#include "key/certificate.h"
#include "key/krl.h"
#include "key/sshsig.h"
#include "wire/writer.h"

static struct key *line_key(const char *line) {
    struct key *k = NULL;
    assert_int_equal(key_from_public_text(&k, view_text(line), NULL), OK);
    return k;
}

static size_t unhex(const char *hex, uint8_t *out) {
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static bool revoked_by(struct view list, const char *line) {
    struct key *k = line_key(line);
    bool revoked = false;
    assert_int_equal(revoked_keys_check(list, "list", k, &revoked, NULL), OK);
    key_free(k);
    return revoked;
}

static void check_fixture(struct view list) {
    assert_true(revoked_by(list, public_p384));  // sha256
    assert_true(revoked_by(list, public_rsa));   // sha1
    assert_true(revoked_by(list, public_sk));    // itself
    assert_false(revoked_by(list, public_user));
    assert_false(revoked_by(list, public_ca));
    assert_true(revoked_by(list, certificate_user));      // serial 7
    assert_false(revoked_by(list, certificate_nobody));   // serial 8
    assert_true(revoked_by(list, certificate_forced));    // its key
    assert_true(revoked_by(list, certificate_critical));  // its id
    assert_true(revoked_by(list, certificate_host));      // its key, other authority
    assert_false(revoked_by(list, certificate_sk_p256));
}

static void reads_lists_of_openssh(void **state) {
    (void)state;
    uint8_t bytes[4096];
    struct view list = view_of(bytes, unhex(krl_fixture, bytes));
    struct krl k;
    assert_int_equal(krl_open(&k, list, NULL), OK);
    assert_int_equal(k.version, 3);
    check_fixture(list);
}

// What is read and written again says the same.
static void writes_lists(void **state) {
    (void)state;
    uint8_t bytes[4096];
    struct krl_maker *m;
    scoped_buf out;
    buf_init(&out, 65536);
    assert_int_equal(krl_maker_new(&m), OK);
    assert_int_equal(
        krl_maker_add_list(m, view_of(bytes, unhex(krl_fixture, bytes)), NULL), OK);
    assert_int_equal(krl_maker_write(m, 4, 1000, "a comment", &out), OK);
    krl_maker_free(m);
    check_fixture(buf_view(&out));
    struct krl k;
    assert_int_equal(krl_open(&k, buf_view(&out), NULL), OK);
    assert_int_equal(k.version, 4);
    assert_true(view_is(k.comment, "a comment"));
}

static bool has_serial(struct view list, uint64_t serial) {
    struct krl k;
    struct krl_entry e;
    assert_int_equal(krl_open(&k, list, NULL), OK);
    enum err err;
    while ((err = krl_next(&k, &e, NULL)) == OK) {
        if (e.kind == KRL_SERIALS && e.lo <= serial && serial <= e.hi)
            return true;
    }
    assert_int_equal(err, ERR_NOT_FOUND);
    return false;
}

// Dense, sparse and long runs take each form; none may say more or less than was said.
static void serials_survive_every_form(void **state) {
    (void)state;
    struct krl_maker *m;
    scoped_buf out;
    struct view any = view_of("", 0);
    bool want[2000] = {false};
    uint32_t random = 12345;
    buf_init(&out, 1u << 20);
    assert_int_equal(krl_maker_new(&m), OK);
    for (unsigned i = 1; i < 2000; i++) {
        random = random * 1664525 + 1013904223;
        want[i] = i < 600 ? random >> 31 : i < 1400 ? i % 97 == 0 : i < 1900;
        char line[64];
        snprintf(line, sizeof line, "serial: %u", i);
        if (want[i])
            assert_int_equal(krl_maker_add_line(m, view_text(line), &any, NULL), OK);
    }
    assert_int_equal(
        krl_maker_add_line(m, view_text("serial: 18446744073709551615"), &any, NULL), OK);
    assert_int_equal(krl_maker_write(m, 1, 0, "", &out), OK);
    krl_maker_free(m);
    assert_true(buf_len(&out) < 1000);
    for (unsigned i = 1; i < 2000; i++)
        assert_int_equal(has_serial(buf_view(&out), i), want[i]);
    assert_true(has_serial(buf_view(&out), UINT64_MAX));
    assert_false(has_serial(buf_view(&out), UINT64_MAX - 1));
}

static void specifications_are_strict(void **state) {
    (void)state;
    struct krl_maker *m;
    struct view any = view_of("", 0);
    static const char *const bad[] = {"serial: 0",
                                      "serial: 5-4",
                                      "serial: x",
                                      "serial: 1-",
                                      "serial: 99999999999999999999",
                                      "id:",
                                      "hash: MD5:xx",
                                      "hash: SHA256:AAAA",
                                      "key: nonsense",
                                      "nonsense"};
    assert_int_equal(krl_maker_new(&m), OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(krl_maker_add_line(m, view_text(bad[i]), &any, NULL), OK);
    assert_int_equal(krl_maker_add_line(m, view_text("serial: 1"), NULL, NULL),
                     ERR_CONFIG);
    assert_int_equal(krl_maker_add_line(m, view_text("  # comment"), NULL, NULL), OK);
    assert_int_equal(krl_maker_add_line(m, view_text("serial: 0x10-020"), &any, NULL),
                     OK);
    krl_maker_free(m);
}

// Damaged anywhere: an error, and then it counts as revoked.
static void damaged_lists_revoke(void **state) {
    (void)state;
    uint8_t bytes[4096];
    size_t n = unhex(krl_fixture, bytes);
    struct key *k = line_key(public_user);
    bool revoked;
    for (size_t i = 1; i < n; i++) {
        revoked = false;
        enum err e = krl_check(view_of(bytes, i), k, &revoked, NULL);
        // Cut between two sections it is a shorter list.
        assert_true(e != OK ? revoked : !revoked);
    }
    struct view text = view_text("ssh-ed25519 not!base64\n");
    revoked = false;
    assert_int_equal(revoked_keys_check(text, "f", k, &revoked, NULL), ERR_FORMAT);
    assert_true(revoked);
    key_free(k);
}

static void append_section(struct writer *w, uint8_t type, struct view data) {
    write_u8(w, type);
    write_string(w, data);
}

static enum err check_section(uint8_t type, const char *data, size_t n) {
    scoped_buf list;
    struct key *k = line_key(public_user);
    bool revoked;
    buf_init(&list, 4096);
    struct writer w = writer_to_buf(&list);
    write_bytes(&w, view_of("SSHKRL\n", 8));
    write_u32(&w, 1);
    write_u64(&w, 0);
    write_u64(&w, 0);
    write_u64(&w, 0);
    write_u64(&w, 0);  // reserved and comment
    append_section(&w, type, view_of(data, n));
    assert_int_equal(writer_end(&w), OK);
    enum err e = krl_check(buf_view(&list), k, &revoked, NULL);
    key_free(k);
    return e;
}

static void unknown_sections_are_refused(void **state) {
    (void)state;
    static const char optional[] = "\0\0\0\1x\0\0\0\0\0",
                      critical[] = "\0\0\0\1x\1\0\0\0\0";
    assert_int_equal(check_section(255, optional, 10), OK);
    assert_int_equal(check_section(255, critical, 10), ERR_UNSUPPORTED);
    assert_int_equal(check_section(255, optional, 9), ERR_SHORT);
    assert_int_equal(check_section(4, "", 0), ERR_UNSUPPORTED);
    assert_int_equal(check_section(77, "", 0), ERR_UNSUPPORTED);
    assert_int_equal(check_section(3, "\0\0\0\2ab", 6), ERR_FORMAT);
    assert_int_equal(
        check_section(1, "\0\0\0\0\0\0\0\0\x20\0\0\0\x8\0\0\0\0\0\0\0\0", 21),
        ERR_FORMAT);
    assert_int_equal(check_section(1, "\0\0\0\0\0\0\0\0\x99\0\0\0\0", 13),
                     ERR_UNSUPPORTED);
}

static void lists_as_text(void **state) {
    (void)state;
    char text[4096];
    snprintf(text, sizeof text, "# revoked\n\n%s\nssh-dss AAAAB3NzaC1kc3M=\n%s",
             public_rsa, public_ca);
    struct view list = view_text(text);
    assert_true(revoked_by(list, public_rsa));
    assert_true(revoked_by(list, certificate_host));
    assert_true(revoked_by(list, certificate_user));  // its authority
    assert_false(revoked_by(list, public_user));
    assert_false(revoked_by(view_text(""), public_user));
}

// --- signatures of files
// -----------------------------------------------------------------------

static void hash_message(const char *text, uint8_t *md) {
    struct view v = view_text(text);
    assert_int_equal(digest_parts(&digest_sha512, &v, 1, md), OK);
}

static void verifies_files_of_openssh(void **state) {
    (void)state;
    static const char *const all[] = {sshsig_user, sshsig_rsa,     sshsig_p384,
                                      sshsig_sk,   sshsig_sk_p256, sshsig_sk_untouched};
    uint8_t md[DIGEST_MAX], other[DIGEST_MAX];
    hash_message("a message\n", md);
    hash_message("a massage\n", other);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct sshsig s;
        assert_int_equal(sshsig_parse(&s, view_text(all[i]), NULL), OK);
        assert_int_equal(sshsig_verify(&s, "file", md, NULL), OK);
        assert_int_equal(sshsig_verify(&s, "git", md, NULL), ERR_SIGNATURE);
        assert_int_equal(sshsig_verify(&s, "file", other, NULL), ERR_SIGNATURE);
        sshsig_free(&s);
    }
}

static void signs_files(void **state) {
    (void)state;
    struct key *secret = NULL, *certified = line_key(certificate_user);
    struct sshsig s;
    uint8_t md[DIGEST_MAX];
    scoped_buf out;
    hash_message("x", md);
    assert_int_equal(
        private_key_parse(&secret, view_text(private_user), (struct view){0}, NULL), OK);
    for (int i = 0; i < 2; i++) {
        buf_init(&out, LIMIT_SSHSIG);
        assert_int_equal(sshsig_make(secret, i == 0 ? NULL : certified, "ns",
                                     &digest_sha512, md, &out, NULL),
                         OK);
        assert_int_equal(sshsig_parse(&s, buf_view(&out), NULL), OK);
        assert_int_equal(sshsig_verify(&s, "ns", md, NULL), OK);
        assert_int_equal(s.key->certificate != NULL, i);
        sshsig_free(&s);
        buf_free(&out);
    }
    assert_int_equal(sshsig_make(secret, NULL, "", &digest_sha512, md, &out, NULL),
                     ERR_CONFIG);
    key_free(secret);
    key_free(certified);
}

static void damaged_signature_files(void **state) {
    (void)state;
    struct sshsig s;
    char text[4096];
    static const char *const bad[] = {
        "", "x", "-----BEGIN SSH SIGNATURE-----\n",
        "-----BEGIN SSH SIGNATURE----------END SSH SIGNATURE-----"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_not_equal(sshsig_parse(&s, view_text(bad[i]), NULL), OK);
    snprintf(text, sizeof text, "x%s", sshsig_user);
    assert_int_equal(sshsig_parse(&s, view_text(text), NULL), ERR_FORMAT);
    snprintf(text, sizeof text, "%sx", sshsig_user);
    assert_int_equal(sshsig_parse(&s, view_text(text), NULL), ERR_SHORT);
}

// --- allowed signers
// ---------------------------------------------------------------------------

static enum err allowed(const char *line, const char *key, const char *principal,
                        const char *name_space) {
    struct allowed_signer s;
    struct key *k = line_key(key);
    struct allowed_signer_want want = {k, principal, name_space, 1750000000};
    enum err e = allowed_signer_parse(&s, view_text(line), "file", 1, NULL);
    if (e == OK) {
        // 2020 and 2040
        s.after_s = s.has_after ? 1577836800 : 0;
        s.before_s =
            s.has_before ? (s.before.year < 2030 ? 1600000000 : 2208988800u) : UINT64_MAX;
        e = allowed_signer_check(&s, &want, NULL);
        allowed_signer_free(&s);
    }
    key_free(k);
    return e;
}

static void allowed_signers_by_their_line(void **state) {
    (void)state;
    char line[2048];
#define LINE(before, key) (snprintf(line, sizeof line, "%s %s", before, key), line)
    assert_int_equal(allowed(LINE("a@x,*@y", public_user), public_user, "b@y", "file"),
                     OK);
    assert_int_equal(
        allowed(LINE("a@x,!c@y,*@y", public_user), public_user, "c@y", "file"),
        ERR_REFUSED);
    assert_int_equal(allowed(LINE("\"a@x\"", public_user), public_user, "a@x", "file"),
                     OK);
    assert_int_equal(allowed(LINE("a@x", public_user), public_rsa, "a@x", "file"),
                     ERR_REFUSED);
    assert_int_equal(
        allowed(LINE("a namespaces=\"git,f*\"", public_user), public_user, "a", "file"),
        OK);
    assert_int_equal(
        allowed(LINE("a namespaces=\"git\"", public_user), public_user, "a", "file"),
        ERR_REFUSED);
    assert_int_equal(allowed(LINE("a valid-after=\"20200101Z\",valid-before=\"20400101\"",
                                  public_user),
                             public_user, "a", "file"),
                     OK);
    assert_int_equal(allowed(LINE("a valid-before=\"20200913Z\"", public_user),
                             public_user, "a", "file"),
                     ERR_REFUSED);
    // Certificates by their authority alone, and only for their own principals.
    assert_int_equal(
        allowed(LINE("* cert-authority", public_ca), certificate_user, "alice", "file"),
        OK);
    assert_int_equal(
        allowed(LINE("* cert-authority", public_ca), certificate_user, "mallory", "file"),
        ERR_REFUSED);
    assert_int_equal(allowed(LINE("*", public_ca), certificate_user, "alice", "file"),
                     ERR_REFUSED);
    assert_int_equal(
        allowed(LINE("* cert-authority", public_user), public_user, "alice", "file"),
        ERR_REFUSED);
    assert_int_equal(allowed(LINE("*", public_user), certificate_user, "alice", "file"),
                     ERR_REFUSED);
}

static void damaged_lines_of_signers(void **state) {
    (void)state;
    char line[2048];
    static const char *const bad[] = {
        "a unknown", "a namespaces=git",       "a namespaces=\"x",
        "\"a",       "a valid-after=\"2020\"", "a cert-authority,"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(allowed(LINE(bad[i], public_user), public_user, "a", "file"),
                         ERR_CONFIG);
    assert_int_equal(allowed("  # x", public_user, "a", "file"), ERR_NOT_FOUND);
    assert_int_equal(allowed("", public_user, "a", "file"), ERR_NOT_FOUND);
    assert_int_equal(
        allowed(LINE("a cert-authority", certificate_user), public_user, "a", "file"),
        ERR_CONFIG);
    // A certificate by itself allows nobody but its own signatures.
    assert_int_equal(allowed(LINE("a", certificate_user), public_user, "a", "file"),
                     ERR_REFUSED);
    assert_int_equal(allowed(LINE("a", certificate_user), certificate_user, "a", "file"),
                     OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_lists_of_openssh),
        cmocka_unit_test(writes_lists),
        cmocka_unit_test(serials_survive_every_form),
        cmocka_unit_test(specifications_are_strict),
        cmocka_unit_test(damaged_lists_revoke),
        cmocka_unit_test(unknown_sections_are_refused),
        cmocka_unit_test(lists_as_text),
        cmocka_unit_test(verifies_files_of_openssh),
        cmocka_unit_test(signs_files),
        cmocka_unit_test(damaged_signature_files),
        cmocka_unit_test(allowed_signers_by_their_line),
        cmocka_unit_test(damaged_lines_of_signers),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
