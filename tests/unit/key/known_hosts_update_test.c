// UpdateHostKeys: what is planned, what blocks it, what the file looks like then;
// authorities; SSHFP answers.
#include "key_test_support.h"

#include <stdio.h>

#include "key/known_hosts_update.h"
#include "key/sshfp.h"

struct text {
    char s[16384];
};

// "HOSTS type base64\n" of a fixture, or the words alone where it is NULL.
static void add(struct text *t, const char *hosts, const char *fixture) {
    size_t n = strlen(t->s);
    snprintf(t->s + n, sizeof t->s - n, "%s%s%s\n", hosts, fixture != NULL ? " " : "",
             fixture != NULL ? fixture_named(fixture)->public_line : "");
}

static struct known_hosts_file file_of(const struct text *t) {
    return (struct known_hosts_file){"the file", view_text(t->s)};
}

static const struct known_hosts_names alpha = {{"alpha", NULL}, 1};
static const struct known_hosts_names both = {{"alpha", "10.0.0.1"}, 2};

static struct known_hosts_plan plan_of(const struct text *t,
                                       const struct known_hosts_names *names,
                                       struct known_hosts_offer *offers, size_t n) {
    struct known_hosts_plan plan;
    struct known_hosts_file file = file_of(t);
    assert_int_equal(known_hosts_plan(&file, 1, names, offers, n, &plan), OK);
    return plan;
}

static void plans_count(void **state) {
    (void)state;
    struct known_hosts_offer offers[] = {{key_of("ed25519"), false},
                                         {key_of("ecdsa256"), false}};
    struct text t = {""};
    add(&t, "alpha", "ed25519");
    add(&t, "alpha", "rsa2048");
    add(&t, "beta", "ecdsa384");
    struct known_hosts_plan p = plan_of(&t, &alpha, offers, 2);
    assert_int_equal(p.fresh, 1);
    assert_int_equal(p.old, 1);
    assert_null(p.blocked);
    assert_true(offers[0].known);
    assert_false(offers[1].known);
    key_free((struct key *)(uintptr_t)offers[0].key);
    key_free((struct key *)(uintptr_t)offers[1].key);
}

static void more_than_one_meaning_blocks(void **state) {
    (void)state;
    static const struct {
        const char *hosts, *fixture;
        bool blocks;
    } rows[] = {
        {"alpha", "ed25519", false},
        {"alpha,10.0.0.1", "ed25519", false},
        {"10.0.0.1", "ed25519", false},
        {"alp*", "ed25519", true},
        {"alpha,!beta", "ed25519", true},
        {"alpha,beta", "ed25519", true},
        {"beta", "ed25519", true},
        {"beta", "ecdsa256", false},
        {"@cert-authority *", "ecdsa256", true},
        {"@cert-authority beta", "ecdsa256", false},
        {"@revoked alpha", "ecdsa256", true},
        {"beta", "rsa2048", true},  // which is to go for alpha
    };
    struct known_hosts_offer offer = {key_of("ed25519"), false};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text t = {""};
        add(&t, "alpha", "rsa2048");
        add(&t, rows[i].hosts, rows[i].fixture);
        struct known_hosts_plan p = plan_of(&t, &both, &offer, 1);
        assert_int_equal(p.blocked != NULL, rows[i].blocks);
        if (rows[i].blocks)
            assert_int_equal(p.line.number, 2);
    }
    key_free((struct key *)(uintptr_t)offer.key);
}

static void files_follow(void **state) {
    (void)state;
    struct known_hosts_offer offers[] = {{key_of("ed25519"), false},
                                         {key_of("ecdsa256"), false}};
    struct text t = {"# a remark\n\n"}, want = {"# a remark\n\n"};
    add(&t, "beta", "rsa2048");
    add(&t, "alpha", "rsa2048");
    add(&t, "alpha", "ed25519");
    add(&t, "damaged", NULL);
    add(&want, "beta", "rsa2048");
    add(&want, "alpha", "ed25519");
    add(&want, "damaged", NULL);
    char type[64], base64[256], line[512];
    assert_int_equal(
        sscanf(fixture_named("ecdsa256")->public_line, "%63s %255s", type, base64), 2);
    snprintf(line, sizeof line, "alpha,10.0.0.1 %s %s", type, base64);
    add(&want, line, NULL);
    t.s[strlen(t.s) - 1] = '\0';  // a last line without its end
    struct known_hosts_file file = file_of(&t);
    bool changed;
    scoped_buf out, again;
    buf_init(&out, 65536);
    buf_init(&again, 65536);
    assert_int_equal(
        known_hosts_replace(&file, &both, offers, 2, true, false, &out, &changed), OK);
    assert_true(changed);
    assert_true(view_is(buf_view(&out), want.s));
    // What follows once stays as it is.
    struct known_hosts_file second = {"second", buf_view(&out)};
    assert_int_equal(
        known_hosts_replace(&second, &both, offers, 2, true, false, &again, &changed),
        OK);
    assert_false(changed);
    assert_true(view_equal(buf_view(&out), buf_view(&again)));
    key_free((struct key *)(uintptr_t)offers[0].key);
    key_free((struct key *)(uintptr_t)offers[1].key);
}

static void hashed_names_are_apart(void **state) {
    (void)state;
    struct known_hosts_offer offer = {key_of("ed25519"), false};
    struct known_hosts_file empty = {"empty", {0}};
    bool changed;
    scoped_buf out;
    buf_init(&out, 65536);
    assert_int_equal(
        known_hosts_replace(&empty, &both, &offer, 1, true, true, &out, &changed), OK);
    struct known_hosts_file file = {"new", buf_view(&out)};
    struct known_hosts_line lines[2];
    assert_int_equal(known_hosts_find(&file, 1, "alpha", lines, 2), 1);
    assert_int_equal(known_hosts_find(&file, 1, "10.0.0.1", lines, 2), 1);
    struct text t = {""};
    memcpy(t.s, buf_view(&out).p, buf_len(&out));
    assert_null(plan_of(&t, &both, &offer, 1).blocked);
    key_free((struct key *)(uintptr_t)offer.key);
}

// ---- authorities ----

static enum known_hosts_result authority(const struct text *t, const char *name,
                                         const char *fixture) {
    struct known_hosts_verdict v;
    struct known_hosts_file file = file_of(t);
    struct key *ca = key_of(fixture);
    assert_int_equal(known_hosts_check_authority(&file, 1, name, key_blob(ca), &v), OK);
    key_free(ca);
    return v.result;
}

static void authorities_count_for_their_names(void **state) {
    (void)state;
    struct text t = {""};
    add(&t, "@cert-authority *.example,!bad.example", "ed25519");
    add(&t, "plain.example", "ecdsa256");
    add(&t, "@cert-authority *", "rsa2048");
    add(&t, "@revoked gone.example", "rsa2048");
    assert_int_equal(authority(&t, "web.example", "ed25519"), KNOWN_HOSTS_OK);
    assert_int_equal(authority(&t, "bad.example", "ed25519"), KNOWN_HOSTS_NEW);
    assert_int_equal(authority(&t, "web", "ed25519"), KNOWN_HOSTS_NEW);
    // A host's own key vouches for nobody.
    assert_int_equal(authority(&t, "plain.example", "ecdsa256"), KNOWN_HOSTS_NEW);
    assert_int_equal(authority(&t, "web", "rsa2048"), KNOWN_HOSTS_OK);
    assert_int_equal(authority(&t, "gone.example", "rsa2048"), KNOWN_HOSTS_IS_REVOKED);
    struct known_hosts_file file = file_of(&t);
    assert_true(known_hosts_has_authority(&file, 1, "any"));
}

// ---- SSHFP ----

struct answer {
    uint8_t b[1024];
    size_t n;
};

static void put(struct answer *a, const void *p, size_t n) {
    memcpy(a->b + a->n, p, n);
    a->n += n;
}

// An answer with one question; flags as given.
static struct answer answer_of(uint16_t flags, uint8_t records) {
    struct answer a = {.n = 0};
    const uint8_t head[] = {
        1, 2, (uint8_t)(flags >> 8), (uint8_t)flags, 0, 1, 0, records, 0, 0, 0, 0};
    put(&a, head, sizeof head);
    put(&a, "\3web\7example\0\0\54\0\1", 17);
    return a;
}

static void put_record(struct answer *a, int algorithm, int hash, const char *fixture) {
    static const struct digest_alg *const hashes[] = {NULL, &digest_sha1, &digest_sha256};
    uint8_t md[DIGEST_MAX];
    struct key *k = key_of(fixture);
    struct view blob = key_blob(k);
    assert_int_equal(digest_parts(hashes[hash], &blob, 1, md), OK);
    key_free(k);
    const uint8_t head[] = {0xc0,
                            12,
                            0,
                            44,
                            0,
                            1,
                            0,
                            0,
                            0,
                            60,
                            0,
                            (uint8_t)(hashes[hash]->size + 2),
                            (uint8_t)algorithm,
                            (uint8_t)hash};
    put(a, head, sizeof head);
    put(a, md, hashes[hash]->size);
}

static struct sshfp_verdict ask(const struct answer *a, enum err want) {
    struct sshfp_verdict v;
    struct key *k = key_of("ed25519");
    assert_int_equal(sshfp_check(view_of(a->b, a->n), k, &v), want);
    key_free(k);
    return v;
}

static void records_speak(void **state) {
    (void)state;
    struct answer a = answer_of(0x81a0, 2);
    put_record(&a, 4, 2, "ed25519");
    put_record(&a, 3, 2, "ecdsa256");
    struct sshfp_verdict v = ask(&a, OK);
    assert_true(v.matches && v.authenticated);
    assert_int_equal(v.found, 1);
    // SHA-1 does not outvote SHA-256.
    a = answer_of(0x8180, 2);
    put_record(&a, 4, 1, "ed25519");
    put_record(&a, 4, 2, "rsa2048");
    v = ask(&a, OK);
    assert_false(v.matches || v.authenticated);
    assert_int_equal(v.found, 2);
    a = answer_of(0x8180, 1);
    put_record(&a, 4, 1, "ed25519");
    assert_true(ask(&a, OK).matches);
    // A name that does not exist; a question instead of an answer.
    a = answer_of(0x81a3, 1);
    assert_int_equal(ask(&a, OK).found, 0);
    a = answer_of(0x01a0, 0);
    (void)ask(&a, ERR_FORMAT);
}

static void answers_are_bounded(void **state) {
    (void)state;
    struct answer whole = answer_of(0x81a0, 1);
    put_record(&whole, 4, 2, "ed25519");
    for (size_t n = 0; n < whole.n; n++) {
        struct key *k = key_of("ed25519");
        struct sshfp_verdict v;
        assert_int_not_equal(sshfp_check(view_of(whole.b, n), k, &v), OK);
        assert_false(v.matches);
        key_free(k);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_count),
        cmocka_unit_test(more_than_one_meaning_blocks),
        cmocka_unit_test(files_follow),
        cmocka_unit_test(hashed_names_are_apart),
        cmocka_unit_test(authorities_count_for_their_names),
        cmocka_unit_test(records_speak),
        cmocka_unit_test(answers_are_bounded),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
