// Certificates and security keys against OpenSSH's: taken apart, judged, made.
#include "key_test_support.h"

#include <stdlib.h>

#include "certificate_fixtures.h"
#include "key/authorized_principals.h"
#include "key/certificate.h"
#include "key/krl.h"
#include "key/sshsig.h"
#include "wire/writer.h"

#define IN_TIME 1750000000u  // between 2020 and 2030
#define ALGORITHMS "ssh-ed25519,rsa-sha2-512,rsa-sha2-256"

static struct key *line_key(const char *line) {
    struct key *k = NULL;
    struct fault f = {0};
    assert_int_equal(key_from_public_text(&k, view_text(line), &f), OK);
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

static const struct certificate_want user_want = {.kind = CERTIFICATE_USER,
                                                  .ca_algorithms = ALGORITHMS,
                                                  .now_s = IN_TIME,
                                                  .principal = "alice"};

static enum err check(const char *line, struct certificate_want want) {
    struct key *k = line_key(line);
    enum err e = certificate_check(k, &want, NULL);
    key_free(k);
    return e;
}

static void takes_certificates_apart(void **state) {
    (void)state;
    struct key *k = line_key(certificate_user), *plain = line_key(public_user),
               *ca = line_key(public_ca);
    const struct certificate *c = k->certificate;
    assert_string_equal(k->type->short_name, "ED25519-CERT");
    assert_true(view_equal(key_plain_blob(k), key_blob(plain)));
    assert_true(view_equal(key_blob(c->ca), key_blob(ca)));
    assert_int_equal(c->kind, CERTIFICATE_USER);
    assert_int_equal(c->serial, 7);
    assert_true(view_is(c->key_id, "id of user"));
    assert_int_equal(c->valid_after, 1577836800);
    assert_int_equal(c->valid_before, 1893456000);
    assert_int_equal(c->principal_count, 2);
    assert_true(certificate_names(c, view_text("bob")));
    assert_false(certificate_names(c, view_text("bo")));
    assert_false(certificate_names(c, view_text("")));
    assert_true(certificate_names_any(c, "x,alice"));
    assert_false(certificate_names_any(c, "x,,al"));
    assert_true(c->options.permit_pty && c->options.permit_x11_forwarding &&
                c->options.permit_agent_forwarding && c->options.permit_port_forwarding &&
                c->options.permit_user_rc);
    assert_null(c->options.force_command.p);
    key_free(k);
    key_free(plain);
    key_free(ca);
}

static void options_land_in_their_fields(void **state) {
    (void)state;
    struct key *k = line_key(certificate_forced);
    const struct certificate_options *o = &k->certificate->options;
    assert_true(view_is(o->force_command, "uptime"));
    assert_true(view_is(o->source_address, "10.0.0.0/8,2001:db8::/32"));
    assert_true(o->permit_pty);
    assert_false(o->permit_port_forwarding || o->permit_x11_forwarding ||
                 o->permit_agent_forwarding || o->permit_user_rc);
    key_free(k);
    k = line_key(certificate_sk);
    assert_true(k->certificate->options.no_touch_required);
    assert_true(k->certificate->options.verify_required);
    assert_true(view_is(k->application, "ssh:"));
    key_free(k);
}

static void judges_certificates(void **state) {
    (void)state;
    struct certificate_want w = user_want;
    assert_int_equal(check(certificate_user, w), OK);
    w.now_s = 1577836799;
    assert_int_equal(check(certificate_user, w), ERR_REFUSED);
    w.now_s = 1577836800;
    assert_int_equal(check(certificate_user, w), OK);
    w.now_s = 1893456000;
    assert_int_equal(check(certificate_user, w), ERR_REFUSED);
    w = user_want;
    w.principal = "root";
    assert_int_equal(check(certificate_user, w), ERR_REFUSED);
    w = user_want;
    w.kind = CERTIFICATE_HOST;
    assert_int_equal(check(certificate_user, w), ERR_REFUSED);
    w = user_want;
    w.ca_algorithms = "rsa-sha2-512";
    assert_int_equal(check(certificate_user, w), ERR_SIGNATURE);
    w.ca_algorithms = "ssh-ed25519-cert-v01@openssh.com";
    assert_int_equal(check(certificate_user, w), ERR_SIGNATURE);
    assert_int_equal(check(public_user, user_want), ERR_KEY);
    assert_int_equal(check(certificate_critical, user_want), ERR_REFUSED);
    // No principals: nobody, not everybody.
    assert_int_equal(check(certificate_nobody, user_want), ERR_REFUSED);
    assert_int_equal(check(certificate_sk, user_want), OK);
    assert_int_equal(check(certificate_sk_p256, user_want), OK);
}

static void judges_addresses(void **state) {
    (void)state;
    struct certificate_want w = user_want;
    assert_int_equal(check(certificate_forced, w), OK);
    w.peer = "10.1.2.3";
    assert_int_equal(check(certificate_forced, w), OK);
    w.peer = "2001:db8::1";
    assert_int_equal(check(certificate_forced, w), OK);
    w.peer = "11.1.2.3";
    assert_int_equal(check(certificate_forced, w), ERR_REFUSED);
    w.peer = "UNKNOWN";
    assert_int_equal(check(certificate_forced, w), ERR_REFUSED);
}

static void judges_hosts(void **state) {
    (void)state;
    struct certificate_want w = {.kind = CERTIFICATE_HOST,
                                 .ca_algorithms = ALGORITHMS,
                                 .now_s = IN_TIME,
                                 .principal = "a.example.org"};
    assert_int_equal(check(certificate_host, w), OK);
    w.principal = "192.0.2.1";
    assert_int_equal(check(certificate_host, w), OK);
    w.principal = "example.org";
    assert_int_equal(check(certificate_host, w), ERR_REFUSED);
    w.ca_algorithms = "ssh-ed25519";
    assert_int_equal(check(certificate_host, w), ERR_SIGNATURE);
}

// Any byte changed: it is no certificate any more, or its signature is wrong.
static void every_byte_is_signed(void **state) {
    (void)state;
    struct key *k = line_key(certificate_user), *other;
    uint8_t blob[2048];
    size_t n = k->blob_len, inside = k->certificate->signed_part.n;
    memcpy(blob, k->blob, n);
    key_free(k);
    for (size_t i = 0; i < n; i++) {
        other = NULL;
        blob[i] ^= 1;
        if (key_from_blob(&other, view_of(blob, n), NULL) == OK &&
            other->certificate != NULL && i < inside)
            assert_int_equal(certificate_check(other, &user_want, NULL), ERR_SIGNATURE);
        if (other != NULL)
            assert_true(other->certificate == NULL ||
                        certificate_check(other, &user_want, NULL) != OK);
        key_free(other);
        blob[i] ^= 1;
    }
    for (size_t i = 0; i < n; i++) {
        other = NULL;
        assert_int_not_equal(key_from_blob(&other, view_of(blob, i), NULL), OK);
    }
}

static struct key *secret_user(void) {
    struct key *k = NULL;
    assert_int_equal(
        private_key_parse(&k, view_text(private_user), (struct view){0}, NULL), OK);
    return k;
}

static void makes_what_it_takes(void **state) {
    (void)state;
    struct key *ca = secret_user(), *subject = line_key(public_p384), *made = NULL;
    const char *names[] = {"alice", "carol"};
    const struct certificate_option options[] = {
        {"permit-pty", {0}, false, false},
        {"force-command", view_text("id"), true, true},
        {"another@example.org", view_text("x"), false, false},
    };
    struct certificate_template t = {CERTIFICATE_USER, 5, 100, 200, "made", names, 2,
                                     options,          3};
    struct fault f = {0};
    assert_int_equal(
        certificate_make(&made, subject, &t, ca, signature_named("ssh-ed25519"), &f), OK);
    struct certificate_want w = user_want;
    w.now_s = 150;
    assert_int_equal(certificate_check(made, &w, &f), OK);
    assert_true(view_is(made->certificate->options.force_command, "id"));
    assert_true(made->certificate->options.permit_pty);
    assert_true(view_equal(key_plain_blob(made), key_blob(subject)));
    assert_int_equal(made->certificate->serial, 5);
    // A certificate is no authority, and is not certified twice over but anew.
    struct key *again = NULL;
    assert_int_equal(
        certificate_make(&again, made, &t, ca, signature_named("ssh-ed25519"), NULL), OK);
    assert_true(view_equal(key_plain_blob(again), key_blob(subject)));
    struct key *certified = line_key(certificate_user);
    key_free(again);
    assert_int_equal(certificate_make(&again, subject, &t, certified,
                                      signature_named("ssh-ed25519"), NULL),
                     ERR_KEY);
    key_free(certified);
    key_free(made);
    key_free(subject);
    key_free(ca);
}

// An authority's key that is a certificate itself must not be looked into.
static void certificates_do_not_nest(void **state) {
    (void)state;
    struct key *inner = line_key(certificate_user), *k = NULL;
    struct reader r = reader_of(key_blob(inner));
    scoped_buf blob;
    buf_init(&blob, 65536);
    struct writer w = writer_to_buf(&blob);
    struct view signature = inner->certificate->signature;
    struct view ca = key_blob(inner->certificate->ca);
    size_t before = inner->certificate->signed_part.n - 4 - ca.n;
    write_bytes(&w, read_bytes(&r, before));
    write_string(&w, key_blob(inner));
    write_string(&w, signature);
    assert_int_equal(writer_end(&w), OK);
    assert_int_equal(key_from_blob(&k, buf_view(&blob), NULL), ERR_KEY);
    key_free(inner);
}

static void certificates_sign_under_the_plain_name(void **state) {
    (void)state;
    struct key *secret = secret_user(), *certified = line_key(certificate_user);
    const struct signature_alg *alg = signature_named("ssh-ed25519-cert-v01@openssh.com");
    scoped_buf sig;
    buf_init(&sig, KEY_SIGNATURE_MAX);
    assert_false(key_can_sign_with(secret, alg));
    assert_true(key_can_make(secret, alg));
    assert_int_equal(key_sign(secret, alg, view_text("data"), &sig), OK);
    assert_int_equal(key_verify(certified, alg, buf_view(&sig), view_text("data")), OK);
    assert_int_equal(key_verify(certified, alg, buf_view(&sig), view_text("date")),
                     ERR_SIGNATURE);
    assert_int_equal(key_verify(secret, signature_named("ssh-ed25519"), buf_view(&sig),
                                view_text("data")),
                     OK);
    assert_int_equal(key_verify(certified, signature_named("ssh-ed25519"), buf_view(&sig),
                                view_text("data")),
                     ERR_KEY);
    key_free(secret);
    key_free(certified);
}

// --- security keys
// -----------------------------------------------------------------------------

static enum err verify_webauthn(const uint8_t *key, size_t key_n, const uint8_t *sig,
                                size_t sig_n, const char *data, struct key_touch *touch) {
    struct key *k = NULL;
    assert_int_equal(key_from_blob(&k, view_of(key, key_n), NULL), OK);
    enum err e = key_verify_touch(
        k, signature_named("webauthn-sk-ecdsa-sha2-nistp256@openssh.com"),
        view_of(sig, sig_n), view_text(data), touch);
    key_free(k);
    return e;
}

static void verifies_browsers_signatures(void **state) {
    (void)state;
    uint8_t key[512], sig[1024];
    struct key_touch touch;
    size_t key_n = unhex(webauthn_key, key), n = unhex(webauthn_signature, sig);
    assert_int_equal(verify_webauthn(key, key_n, sig, n, webauthn_data, &touch), OK);
    assert_true(touch.security_key && touch.present && touch.verified);
    assert_int_equal(touch.counter, 77);
    assert_int_not_equal(verify_webauthn(key, key_n, sig, n, "else", &touch), OK);
    for (size_t i = 0; i < n; i++) {
        sig[i] ^= 1;
        assert_int_not_equal(verify_webauthn(key, key_n, sig, n, webauthn_data, &touch),
                             OK);
        sig[i] ^= 1;
    }
}

static void message_hash(uint8_t *md) {
    struct view v = view_text("a message\n");
    assert_int_equal(digest_parts(&digest_sha512, &v, 1, md), OK);
}

// What the key of a file's signature says about its touch.
static enum err touch_of(const char *text, struct key_touch *touch, enum err *demanded) {
    struct sshsig s;
    uint8_t md[DIGEST_MAX];
    scoped_buf data;
    buf_init(&data, 4096);
    message_hash(md);
    assert_int_equal(sshsig_parse(&s, view_text(text), NULL), OK);
    assert_int_equal(sshsig_signed_data("file", s.hash, md, &data), OK);
    const struct signature_alg *alg = key_signature_alg(s.signature);
    assert_non_null(alg);
    enum err e = key_verify_touch(s.key, alg, s.signature, buf_view(&data), touch);
    *demanded = key_verify(s.key, alg, s.signature, buf_view(&data));
    sshsig_free(&s);
    return e;
}

static void a_touch_is_demanded(void **state) {
    (void)state;
    struct key_touch touch;
    enum err demanded;
    assert_int_equal(touch_of(sshsig_sk, &touch, &demanded), OK);
    assert_true(touch.security_key && touch.present && !touch.verified);
    assert_int_equal(demanded, OK);
    assert_int_equal(touch_of(sshsig_sk_p256, &touch, &demanded), OK);
    assert_int_equal(demanded, OK);
    assert_int_equal(touch_of(sshsig_sk_untouched, &touch, &demanded), OK);
    assert_false(touch.present);
    assert_int_equal(demanded, ERR_REFUSED);
    assert_int_equal(touch_of(sshsig_user, &touch, &demanded), OK);
    assert_false(touch.security_key);
}

// --- principals of files
// -----------------------------------------------------------------------

static enum err principal(struct authorized_principal *p, const char *text) {
    return authorized_principal_parse(p, view_text(text), "file", 1, NULL);
}

static void principals_have_options(void **state) {
    (void)state;
    struct authorized_principal p;
    assert_int_equal(principal(&p, " alice \r"), OK);
    assert_string_equal(p.name, "alice");
    assert_null(p.line.command);
    authorized_principal_free(&p);
    assert_int_equal(principal(&p, "command=\"a b # c\",no-pty  bob # why"), OK);
    assert_string_equal(p.name, "bob");
    assert_string_equal(p.line.command, "a b # c");
    assert_false(p.line.permit.pty);
    authorized_principal_free(&p);
    assert_int_equal(principal(&p, ""), ERR_NOT_FOUND);
    assert_int_equal(principal(&p, "  # alice"), ERR_NOT_FOUND);
    assert_int_equal(principal(&p, "alice bob"), ERR_CONFIG);
    assert_int_equal(principal(&p, "no-pty alice bob"), ERR_CONFIG);
    assert_int_equal(principal(&p, "command=\"x y"), ERR_CONFIG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_certificates_apart),
        cmocka_unit_test(options_land_in_their_fields),
        cmocka_unit_test(judges_certificates),
        cmocka_unit_test(judges_addresses),
        cmocka_unit_test(judges_hosts),
        cmocka_unit_test(every_byte_is_signed),
        cmocka_unit_test(makes_what_it_takes),
        cmocka_unit_test(certificates_do_not_nest),
        cmocka_unit_test(certificates_sign_under_the_plain_name),
        cmocka_unit_test(verifies_browsers_signatures),
        cmocka_unit_test(a_touch_is_demanded),
        cmocka_unit_test(principals_have_options),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
