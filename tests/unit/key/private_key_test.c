// Private key files of OpenSSH's, in every cipher and form; ours read back; damage
// refused.
#include "key_test_support.h"

#include <stdlib.h>

static void reads_every_file_of_openssh(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        const struct fixture *f = &fixtures[i];
        struct key *k = NULL, *pub = NULL;
        struct fault fault = {0};
        enum err e = private_key_parse(&k, view_text(f->text), passphrase_of(f), &fault);
        if (e != OK)
            fail_msg("%s: %s", f->name, fault_text(&fault));
        assert_int_equal(key_from_public_text(&pub, view_text(f->public_line), &fault),
                         OK);
        assert_true(view_equal(key_blob(k), key_blob(pub)));
        assert_true(pk_has_secret(k->pk));
        assert_false(pk_has_secret(pub->pk));
        if (strstr(f->text, "OPENSSH") != NULL)
            assert_string_equal(k->comment, pub->comment);
        key_free(k);
        key_free(pub);
    }
}

static void tells_missing_from_wrong_passphrase(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        const struct fixture *f = &fixtures[i];
        if (f->passphrase == NULL)
            continue;
        struct key *k = NULL;
        struct fault fault = {0};
        struct view text = view_text(f->text);
        assert_int_equal(private_key_parse(&k, text, (struct view){0}, &fault),
                         ERR_PASSPHRASE);
        assert_string_equal(fault.text, "the key needs a passphrase");
        fault_clear(&fault);
        assert_int_equal(private_key_parse(&k, text, view_text("wrong"), &fault),
                         ERR_PASSPHRASE);
        assert_string_equal(fault.text, "wrong passphrase");
        assert_int_equal(private_key_parse(&k, text, view_text(""), NULL),
                         ERR_PASSPHRASE);
        assert_null(k);
    }
}

static void public_half_needs_no_passphrase(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        const struct fixture *f = &fixtures[i];
        struct key *k = NULL, *pub = NULL;
        enum err e = private_key_public_half(&k, view_text(f->text), NULL);
        if (strstr(f->text, "OPENSSH") == NULL) {
            assert_int_equal(e, ERR_UNSUPPORTED);
            continue;
        }
        assert_int_equal(e, OK);
        assert_int_equal(key_from_public_text(&pub, view_text(f->public_line), NULL), OK);
        assert_true(view_equal(key_blob(k), key_blob(pub)));
        key_free(k);
        key_free(pub);
    }
}

static void writes_what_it_reads(void **state) {
    (void)state;
    static const struct private_key_options ways[] = {
        {.rounds = 1},
        {.passphrase = {(const uint8_t *)"hunter2", 7}, .rounds = 1},
        {.passphrase = {(const uint8_t *)"x", 1},
         .rounds = 2,
         .cipher = "aes256-gcm@openssh.com"},
        {.passphrase = {(const uint8_t *)"x", 1},
         .rounds = 1,
         .cipher = "chacha20-poly1305@openssh.com"},
        {.passphrase = {(const uint8_t *)"x", 1}, .rounds = 1, .cipher = "aes128-cbc"},
        {.format = PRIVATE_KEY_PKCS8},
        {.format = PRIVATE_KEY_PKCS8, .passphrase = {(const uint8_t *)"hunter2", 7}},
    };
    for (size_t i = 0; i < sizeof fixtures / sizeof fixtures[0]; i++) {
        struct key *k = NULL, *again = NULL;
        assert_int_equal(private_key_parse(&k, view_text(fixtures[i].text),
                                           passphrase_of(&fixtures[i]), NULL),
                         OK);
        for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
            scoped_buf out;
            buf_init(&out, LIMIT_KEY_FILE);
            assert_int_equal(private_key_write(k, &ways[w], &out, NULL), OK);
            assert_int_equal(
                private_key_parse(&again, buf_view(&out), ways[w].passphrase, NULL), OK);
            assert_true(view_equal(key_blob(k), key_blob(again)));
            if (ways[w].format == PRIVATE_KEY_OPENSSH && k->comment != NULL)
                assert_string_equal(again->comment, k->comment);
            key_free(again);
        }
        key_free(k);
    }
}

static void traditional_pem_where_there_is_one(void **state) {
    (void)state;
    static const struct private_key_options pem = {.format = PRIVATE_KEY_PEM};
    static const char *const names[] = {"rsa1024", "ecdsa256", "ed25519"};
    for (size_t i = 0; i < 3; i++) {
        struct key *k = NULL, *again = NULL;
        scoped_buf out;
        buf_init(&out, LIMIT_KEY_FILE);
        assert_int_equal(private_key_parse(&k, view_text(fixture_named(names[i])->text),
                                           (struct view){0}, NULL),
                         OK);
        enum err e = private_key_write(k, &pem, &out, NULL);
        assert_int_equal(e, i < 2 ? OK : ERR_UNSUPPORTED);
        if (e == OK) {
            assert_int_equal(
                private_key_parse(&again, buf_view(&out), (struct view){0}, NULL), OK);
            key_free(again);
        }
        key_free(k);
    }
}

static void a_public_key_writes_no_private_file(void **state) {
    (void)state;
    struct key *k = key_of("ed25519");
    scoped_buf out;
    buf_init(&out, LIMIT_KEY_FILE);
    assert_int_equal(private_key_write(k, &(struct private_key_options){0}, &out, NULL),
                     ERR_KEY);
    assert_int_equal(buf_len(&out), 0);
    key_free(k);
}

// Each byte of the decoded file changed: refused, or (in comment and padding of the
// armour only) still the same key; never another key, never a crash.
static void one_changed_character_never_gives_another_key(void **state) {
    (void)state;
    static const char *const names[] = {"ed25519", "ecdsa256", "rsa1024",
                                        "ed25519-aes256-gcm@openssh.com"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        const struct fixture *f = fixture_named(names[n]);
        struct key *want = key_of(names[n]);
        char *text = strdup(f->text);
        size_t len = strlen(text);
        for (size_t i = 0; i < len; i += f->passphrase != NULL ? 5 : 1) {
            char was = text[i];
            text[i] = was == 'A' ? 'B' : 'A';
            struct key *k = NULL;
            if (private_key_parse(&k, view_of(text, len), passphrase_of(f), NULL) == OK) {
                assert_true(view_equal(key_blob(k), key_blob(want)));
                key_free(k);
            }
            text[i] = was;
        }
        free(text);
        key_free(want);
    }
}

static void every_cut_is_refused(void **state) {
    (void)state;
    const struct fixture *f = fixture_named("ecdsa256");
    // The last line's end may be missing.
    for (size_t n = 0; n + 1 < strlen(f->text); n++) {
        struct key *k = NULL;
        assert_int_not_equal(
            private_key_parse(&k, view_of(f->text, n), (struct view){0}, NULL), OK);
    }
}

static void too_many_rounds_are_refused(void **state) {
    (void)state;
    struct key *k = NULL;
    struct private_key_options o = {.passphrase = view_text("x"),
                                    .rounds = LIMIT_KDF_ROUNDS + 1};
    scoped_buf out;
    buf_init(&out, LIMIT_KEY_FILE);
    assert_int_equal(private_key_parse(&k, view_text(fixture_named("ed25519")->text),
                                       (struct view){0}, NULL),
                     OK);
    assert_int_equal(private_key_write(k, &o, &out, NULL), ERR_LIMIT);
    o.rounds = 1;
    o.cipher = "rot13";
    struct fault f = {0};
    assert_int_equal(private_key_write(k, &o, &out, &f), ERR_UNSUPPORTED);
    assert_non_null(strstr(f.text, "rot13"));
    key_free(k);
}

// PKCS#8 with 10000001 rounds, by OpenSSL; nobody waits for them.
static void pem_files_do_not_ask_for_hours(void **state) {
    (void)state;
    static const char text[] =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        "MIGdMFkGCSqGSIb3DQEFDTBMMCsGCSqGSIb3DQEFDDAeBAjwRT+MjkB7YQIEAJiW\n"
        "gTAMBggqhkiG9w0CCQUAMB0GCWCGSAFlAwQBKgQQkvoCzgerL1VuA69VzsqgpARA\n"
        "haWRjaKLMwCvoGGikIHz1J9rOI8iEW+3stQoqXbzpuCpquHpC78wv/59jjhfjZGf\n"
        "JXQDOcw036l6RhuF2cLaZw==\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n";
    struct key *k = NULL;
    assert_int_equal(private_key_parse(&k, view_text(text), view_text("x"), NULL),
                     ERR_LIMIT);
    assert_null(k);
}

static void other_texts_are_no_key(void **state) {
    (void)state;
    static const char *const texts[] = {
        "", "ssh-ed25519 AAAA",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n-----END OPENSSH PRIVATE KEY-----\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct key *k = NULL;
        assert_int_equal(
            private_key_parse(&k, view_text(texts[i]), (struct view){0}, NULL),
            ERR_FORMAT);
        assert_null(k);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_file_of_openssh),
        cmocka_unit_test(tells_missing_from_wrong_passphrase),
        cmocka_unit_test(public_half_needs_no_passphrase),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(traditional_pem_where_there_is_one),
        cmocka_unit_test(a_public_key_writes_no_private_file),
        cmocka_unit_test(one_changed_character_never_gives_another_key),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(too_many_rounds_are_refused),
        cmocka_unit_test(pem_files_do_not_ask_for_hours),
        cmocka_unit_test(other_texts_are_no_key),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
