// The agent's machine: who gets what, when.
#include "agent_test_support.h"

#include <stdlib.h>

#define DATA view_text("to be signed")

static void signs_with_what_it_was_given(void **state) {
    (void)state;
    struct bench b;
    static const struct {
        enum pk_kind kind;
        const char *alg;
    } rows[] = {{PK_ED25519, "ssh-ed25519"},
                {PK_ECDSA, "ecdsa-sha2-nistp256"},
                {PK_RSA, "rsa-sha2-256"},
                {PK_RSA, "rsa-sha2-512"}};
    bench_start(&b, NULL);
    for (size_t i = 0; i < 4; i++) {
        struct key *k = make_key(rows[i].kind);
        struct view signature;
        assert_int_equal(bench_add(&b, k, NULL), AGENT_SUCCESS);
        assert_int_equal(bench_sign(&b, k, alg_of(rows[i].alg), DATA),
                         AGENT_SIGN_RESPONSE);
        assert_int_equal(
            agent_take_signature(buf_view(&b.answer), alg_of(rows[i].alg), &signature),
            OK);
        assert_int_equal(key_verify(k, alg_of(rows[i].alg), signature, DATA), OK);
        key_free(k);
    }
    assert_int_equal(bench_count(&b), 4);
    bench_end(&b);
}

static void adding_twice_replaces(void **state) {
    (void)state;
    struct bench b;
    struct key *k = make_key(PK_ED25519);
    bench_start(&b, NULL);
    assert_int_equal(bench_add(&b, k, NULL), AGENT_SUCCESS);
    struct agent_constraints c = {.confirm = true};
    assert_int_equal(bench_add(&b, k, &c), AGENT_SUCCESS);
    assert_int_equal(bench_count(&b), 1);
    assert_int_equal(bench_sign(&b, k, alg_of("ssh-ed25519"), DATA), 0);
    assert_int_equal(b.question.want, AGENT_WANT_CONFIRM);
    assert_non_null(strstr(b.question.text, "Allow use of key a comment?"));
    assert_int_equal(bench_reply(&b, &(struct agent_reply){.yes = false}), AGENT_FAILURE);
    assert_int_equal(bench_sign(&b, k, alg_of("ssh-ed25519"), DATA), 0);
    assert_int_equal(bench_reply(&b, &(struct agent_reply){.yes = true}),
                     AGENT_SIGN_RESPONSE);
    key_free(k);
    bench_end(&b);
}

static void consent_does_not_outlive_the_key_or_a_lock(void **state) {
    (void)state;
    struct bench b;
    struct key *k = make_key(PK_ED25519);
    struct agent_constraints c = {.confirm = true};
    bench_start(&b, NULL);
    assert_int_equal(bench_add(&b, k, &c), AGENT_SUCCESS);
    assert_int_equal(bench_sign(&b, k, alg_of("ssh-ed25519"), DATA), 0);
    agent_store_clear(&b.server.store);
    assert_int_equal(bench_reply(&b, &(struct agent_reply){.yes = true}), AGENT_FAILURE);
    assert_int_equal(bench_add(&b, k, &c), AGENT_SUCCESS);
    assert_int_equal(bench_sign(&b, k, alg_of("ssh-ed25519"), DATA), 0);
    b.server.locked = true;
    assert_int_equal(bench_reply(&b, &(struct agent_reply){.yes = true}), AGENT_FAILURE);
    key_free(k);
    bench_end(&b);
}

static void lifetimes_end(void **state) {
    (void)state;
    struct bench b;
    struct key *k = make_key(PK_ED25519), *other = make_key(PK_ED25519);
    struct agent_constraints c = {.lifetime_s = 10};
    bench_start(&b, &(struct agent_options){.lifetime_s = 100});
    assert_int_equal(bench_add(&b, k, &c), AGENT_SUCCESS);
    assert_int_equal(bench_add(&b, other, NULL), AGENT_SUCCESS);
    assert_int_equal(agent_store_deadline(&b.server.store), 1000 + 10000);
    b.now.ms += 9999;
    assert_int_equal(bench_count(&b), 2);
    b.now.ms += 1;
    assert_int_equal(bench_sign(&b, k, alg_of("ssh-ed25519"), DATA), AGENT_FAILURE);
    assert_int_equal(bench_count(&b), 1);
    b.now.ms += 90000;
    assert_int_equal(bench_count(&b), 0);
    key_free(k);
    key_free(other);
    bench_end(&b);
}

// ---- constraints ----

static uint8_t add_with(struct bench *b, const struct key *k, const void *p, size_t n) {
    struct agent_constraints none = {0};
    scoped_buf request;
    buf_init(&request, AGENT_MESSAGE_MAX);
    assert_int_equal(agent_ask_add(k, NULL, "c", &none, &request), OK);
    request.p[request.start] = AGENTC_ADD_ID_CONSTRAINED;
    assert_int_equal(buf_append(&request, view_of(p, n)), OK);
    return bench_ask(b, buf_view(&request));
}

static void odd_constraints_are_refused(void **state) {
    (void)state;
    struct bench b;
    struct key *k = make_key(PK_ED25519);
    static const struct {
        const char *bytes;
        size_t n;
        uint8_t answer;
    } rows[] = {
#define ROW(text, answer) {text, sizeof text - 1, answer}
        ROW("", AGENT_SUCCESS),
        ROW("\x02", AGENT_SUCCESS),
        ROW("\x01\0\0\0\x05", AGENT_SUCCESS),
        ROW("\x01\0\0\0\x05\x02", AGENT_SUCCESS),
        ROW("\x01\0\0\0\0", AGENT_FAILURE),                  // no time at all
        ROW("\x01\0\0\0", AGENT_FAILURE),                    // cut
        ROW("\x01\0\0\0\x05\x01\0\0\0\x05", AGENT_FAILURE),  // twice
        ROW("\x02\x02", AGENT_FAILURE),
        ROW("\x03\0\0\0\x05", AGENT_FAILURE),  // of signatures: unknown here
        ROW("\x07", AGENT_FAILURE),
        ROW("\xff\0\0\0\x07unknown", AGENT_FAILURE),
        ROW("\xff\0\0\0\x17sk-provider@openssh.com\0\0\0\0", AGENT_FAILURE),
        ROW("\xff\0\0\0\x17sk-provider@openssh.com\0\0\0\x02/x", AGENT_FAILURE),
        ROW("\xff\0\0\0\x24restrict-destination-v00@openssh.com\0\0\0\0", AGENT_FAILURE),
        ROW("\xff\0\0\0\x20"
            "associated-certs-v00@openssh.com\0\0\0\0\0",
            AGENT_FAILURE),
#undef ROW
    };
    bench_start(&b, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t got = add_with(&b, k, rows[i].bytes, rows[i].n);
        if (got != rows[i].answer)
            fail_msg("row %zu: %u, %s", i, got, fault_text(&b.fault));
        agent_store_clear(&b.server.store);
    }
    key_free(k);
    bench_end(&b);
}

static void an_unconstrained_add_takes_no_constraints(void **state) {
    (void)state;
    struct bench b;
    struct key *k = make_key(PK_ED25519);
    struct agent_constraints c = {.confirm = true};
    scoped_buf request;
    buf_init(&request, AGENT_MESSAGE_MAX);
    bench_start(&b, NULL);
    assert_int_equal(agent_ask_add(k, NULL, "c", &c, &request), OK);
    request.p[request.start] = AGENTC_ADD_IDENTITY;
    assert_int_equal(bench_ask(&b, buf_view(&request)), AGENT_FAILURE);
    assert_int_equal(bench_count(&b), 0);
    key_free(k);
    bench_end(&b);
}

// ---- form ----

static void every_cut_and_surplus_is_refused(void **state) {
    (void)state;
    struct bench b;
    struct key *k = make_key(PK_ED25519);
    struct agent_constraints none = {0};
    scoped_buf request;
    buf_init(&request, AGENT_MESSAGE_MAX);
    bench_start(&b, NULL);
    assert_int_equal(agent_ask_add(k, NULL, "c", &none, &request), OK);
    struct view v = buf_view(&request);
    for (size_t n = 1; n < v.n; n++)
        assert_int_equal(bench_ask(&b, view_of(v.p, n)), AGENT_FAILURE);
    assert_int_equal(bench_count(&b), 0);
    static const uint8_t surplus[][2] = {{AGENTC_REQUEST_IDENTITIES, 0},
                                         {AGENTC_REMOVE_ALL_IDENTITIES, 0}};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(bench_ask(&b, view_of(surplus[i], 2)), AGENT_FAILURE);
    for (unsigned number = 0; number < 256; number++) {
        const struct agent_schema *s = agent_schema((uint8_t)number);
        uint8_t byte = (uint8_t)number;
        if (s == NULL || !s->request)
            assert_int_equal(bench_ask(&b, view_of(&byte, 1)), AGENT_FAILURE);
    }
    key_free(k);
    bench_end(&b);
}

static void the_store_is_bounded(void **state) {
    (void)state;
    struct bench b;
    bench_start(&b, NULL);
    unsigned added = 0;
    for (uint8_t number = AGENT_SUCCESS; number == AGENT_SUCCESS && added < 4000;) {
        struct key *k = make_key(PK_ED25519);
        number = bench_add(&b, k, NULL);
        added += number == AGENT_SUCCESS;
        key_free(k);
    }
    assert_int_equal(added, AGENT_KEYS_MAX);
    assert_int_equal(bench_count(&b), AGENT_KEYS_MAX);
    bench_end(&b);
}

static void hashes_are_the_ones_asked_for(void **state) {
    (void)state;
    struct bench b;
    struct key *k = make_key(PK_RSA);
    bench_start(&b, NULL);
    assert_int_equal(bench_add(&b, k, NULL), AGENT_SUCCESS);
    for (uint32_t flags = 0; flags < 16; flags++) {
        uint8_t room[1024];
        struct writer w = writer_to_span((struct span){room, sizeof room});
        struct agent_sign_request m = {key_blob(k), DATA, flags};
        agent_encode(&w, AGENTC_SIGN_REQUEST, &m);
        // Without any it is SHA-1, which some old servers want.
        uint8_t want = (flags & ~6u) == 0 ? AGENT_SIGN_RESPONSE : AGENT_FAILURE;
        assert_int_equal(bench_ask(&b, view_of(room, w.n)), want);
    }
    key_free(k);
    bench_end(&b);
}

// ---- locks ----

static uint8_t lock_with(struct bench *b, uint8_t number, const char *passphrase) {
    uint8_t room[128];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    agent_encode(&w, number, &(struct agent_lock){view_text(passphrase)});
    return bench_ask(b, view_of(room, w.n));
}

static void a_locked_agent_does_nothing(void **state) {
    (void)state;
    struct bench b;
    struct key *k = make_key(PK_ED25519), *host = make_key(PK_ED25519);
    uint8_t all = AGENTC_REMOVE_ALL_IDENTITIES;
    bench_start(&b, NULL);
    assert_int_equal(bench_add(&b, k, NULL), AGENT_SUCCESS);
    assert_int_equal(lock_with(&b, AGENTC_UNLOCK, "x"), AGENT_FAILURE);
    assert_int_equal(lock_with(&b, AGENTC_LOCK, ""), AGENT_FAILURE);
    assert_int_equal(lock_with(&b, AGENTC_LOCK, "secret"), AGENT_SUCCESS);
    assert_int_equal(bench_count(&b), 0);
    assert_int_equal(bench_sign(&b, k, alg_of("ssh-ed25519"), DATA), AGENT_FAILURE);
    assert_int_equal(bench_add(&b, host, NULL), AGENT_FAILURE);
    assert_int_equal(bench_ask(&b, view_of(&all, 1)), AGENT_FAILURE);
    assert_int_equal(lock_with(&b, AGENTC_LOCK, "other"), AGENT_FAILURE);
    // A link bound late would be taken for a local one.
    assert_int_equal(bench_bind(&b, host, view_text("session"), true), AGENT_SUCCESS);
    assert_int_equal(lock_with(&b, AGENTC_UNLOCK, "secret"), AGENT_SUCCESS);
    assert_int_equal(bench_count(&b), 1);
    key_free(k);
    key_free(host);
    bench_end(&b);
}

static void guesses_wait_longer_and_longer(void **state) {
    (void)state;
    struct bench b;
    bench_start(&b, NULL);
    assert_int_equal(lock_with(&b, AGENTC_LOCK, "secret"), AGENT_SUCCESS);
    assert_int_equal(lock_with(&b, AGENTC_UNLOCK, "wrong"), AGENT_FAILURE);
    for (uint64_t i = 1; i <= 5; i++) {
        uint64_t before = b.now.ms;
        assert_int_equal(lock_with(&b, AGENTC_UNLOCK, "wrong"), 0);
        assert_int_equal(b.question.want, AGENT_WANT_TIME);
        assert_int_equal(b.question.until_ms, before + i * 100);
        // Another connection does not get in between.
        struct agent_client other = b.client;
        agent_client_init(&b.client, &b.server);
        assert_int_equal(lock_with(&b, AGENTC_UNLOCK, "secret"), 0);
        agent_client_drop(&b.client);
        b.client = other;
        b.now.ms = before + i * 100;
        assert_int_equal(bench_reply(&b, &(struct agent_reply){.yes = true}),
                         AGENT_FAILURE);
    }
    b.now.ms += 10000;
    assert_int_equal(lock_with(&b, AGENTC_UNLOCK, "secret"), AGENT_SUCCESS);
    bench_end(&b);
}

// ---- tokens and libraries ----

static void libraries_are_asked_about(void **state) {
    (void)state;
    struct bench b;
    struct key *k = make_key(PK_ED25519), *host = make_key(PK_ED25519);
    struct agent_token_key token = {key_blob(k), view_text("label")};
    struct agent_constraints c = {.confirm = true};
    scoped_buf add, remove;
    buf_init(&add, 4096);
    buf_init(&remove, 4096);
    bench_start(&b, NULL);
    assert_int_equal(agent_ask_smartcard(true, "/lib/p11.so", "1234", &c, &add), OK);
    assert_int_equal(agent_ask_smartcard(false, "/lib/p11.so", "", &c, &remove), OK);
    assert_int_equal(bench_ask(&b, buf_view(&add)), 0);
    assert_int_equal(b.question.want, AGENT_WANT_KEYS);
    assert_true(view_is(b.question.provider, "/lib/p11.so"));
    assert_true(view_is(b.question.pin, "1234"));
    assert_int_equal(bench_reply(&b, &(struct agent_reply){.yes = false}), AGENT_FAILURE);
    struct agent_reply reply = {
        .yes = true, .path = "/usr/lib/p11.so", .keys = &token, .keys_n = 1};
    assert_int_equal(bench_ask(&b, buf_view(&add)), 0);
    assert_int_equal(bench_reply(&b, &reply), AGENT_SUCCESS);
    assert_int_equal(bench_count(&b), 1);
    assert_int_equal(bench_sign(&b, k, alg_of("ssh-ed25519"), DATA), 0);
    assert_int_equal(b.question.want, AGENT_WANT_CONFIRM);
    assert_int_equal(bench_reply(&b, &(struct agent_reply){.yes = true}), 0);
    assert_int_equal(b.question.want, AGENT_WANT_SIGNATURE);
    assert_string_equal(b.question.key->provider, "/usr/lib/p11.so");
    assert_int_equal(bench_reply(&b, &(struct agent_reply){.yes = false}), AGENT_FAILURE);
    assert_int_equal(bench_ask(&b, buf_view(&remove)), 0);
    assert_int_equal(bench_reply(&b, &reply), AGENT_SUCCESS);
    assert_int_equal(bench_count(&b), 0);
    // Never over a forwarded connection.
    assert_int_equal(bench_bind(&b, host, view_text("session"), true), AGENT_SUCCESS);
    assert_int_equal(bench_ask(&b, buf_view(&add)), AGENT_FAILURE);
    key_free(k);
    key_free(host);
    bench_end(&b);
}

static struct key *make_security_key(const char *application) {
    struct key *plain = make_key(PK_ED25519), *k = NULL;
    uint8_t room[256];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    write_text(&w, "sk-ssh-ed25519@openssh.com");
    write_string(&w, view_of(plain->blob + plain->blob_len - 32, 32));
    write_text(&w, application);
    assert_int_equal(key_from_blob(&k, view_of(room, w.n), NULL), OK);
    k->handle = calloc(1, 16);
    k->handle_len = 16;
    key_free(plain);
    return k;
}

static void keys_of_the_web_sign_for_ssh_alone(void **state) {
    (void)state;
    const struct signature_alg *alg = alg_of("sk-ssh-ed25519@openssh.com");
    static const struct agent_options options[] = {
        {0}, {.no_websafe = true}, {.websafe_allow = "ssh:*,https://good.example"}};
    static const struct {
        const char *application;
        bool signs[3];
    } rows[] = {{"ssh:", {true, true, true}},
                {"https://good.example", {false, true, true}},
                {"https://evil.example", {false, true, false}}};
    for (size_t i = 0; i < 9; i++) {
        struct bench b;
        struct key *k = make_security_key(rows[i / 3].application);
        scoped_buf login;
        buf_init(&login, 4096);
        bench_start(&b, &options[i % 3]);
        assert_int_equal(bench_add(&b, k, NULL), AGENT_SUCCESS);
        assert_int_equal(bench_sign(&b, k, alg, DATA),
                         rows[i / 3].signs[i % 3] ? 0 : AGENT_FAILURE);
        bench_end(&b);
        bench_start(&b, &options[i % 3]);
        assert_int_equal(bench_add(&b, k, NULL), AGENT_SUCCESS);
        login_data(&login, view_text("session"), "me", k, NULL);
        assert_int_equal(bench_sign(&b, k, alg, buf_view(&login)), 0);
        assert_int_equal(b.question.want, AGENT_WANT_SIGNATURE);
        bench_end(&b);
        key_free(k);
    }
}

static void tells_its_extensions(void **state) {
    (void)state;
    struct bench b;
    struct view contents;
    scoped_buf request;
    buf_init(&request, 256);
    bench_start(&b, NULL);
    assert_int_equal(agent_ask_extension("query", (struct view){0}, &request), OK);
    assert_int_equal(bench_ask(&b, buf_view(&request)), AGENT_EXTENSION_RESPONSE);
    assert_int_equal(agent_take_extension(buf_view(&b.answer), "query", &contents), OK);
    struct reader r = reader_of(contents);
    assert_true(view_is(read_text(&r), "query"));
    assert_true(view_is(read_text(&r), "session-bind@openssh.com"));
    assert_int_equal(reader_end(&r), OK);
    buf_clear(&request);
    assert_int_equal(agent_ask_extension("unknown", (struct view){0}, &request), OK);
    assert_int_equal(bench_ask(&b, buf_view(&request)), AGENT_FAILURE);
    bench_end(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signs_with_what_it_was_given),
        cmocka_unit_test(adding_twice_replaces),
        cmocka_unit_test(consent_does_not_outlive_the_key_or_a_lock),
        cmocka_unit_test(lifetimes_end),
        cmocka_unit_test(odd_constraints_are_refused),
        cmocka_unit_test(an_unconstrained_add_takes_no_constraints),
        cmocka_unit_test(every_cut_and_surplus_is_refused),
        cmocka_unit_test(the_store_is_bounded),
        cmocka_unit_test(hashes_are_the_ones_asked_for),
        cmocka_unit_test(a_locked_agent_does_nothing),
        cmocka_unit_test(guesses_wait_longer_and_longer),
        cmocka_unit_test(libraries_are_asked_about),
        cmocka_unit_test(keys_of_the_web_sign_for_ssh_alone),
        cmocka_unit_test(tells_its_extensions),
    };
    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
