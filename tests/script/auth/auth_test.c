// Transcripts of user authentication: both machines in memory, and each against a peer
// that misbehaves. What crosses is written down as message names.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "auth/client.h"
#include "auth/server.h"
#include "base/limits.h"

#define ALGORITHMS "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256"

static const uint8_t sample_blob[] = "\0\0\0\x0bssh-ed25519\0\0\0\x02zz";
static const uint8_t good_signature[] = "\0\0\0\x0bssh-ed25519\0\0\0\x02ss";
#define BLOB view_of(sample_blob, sizeof sample_blob - 1)
#define SIGNATURE view_of(good_signature, sizeof good_signature - 1)

static struct auth_server *server;
static struct auth_client *client;
static char transcript[4096];

static struct auth_server *server_of(const char *methods, const char *banner) {
    struct auth_server_config c = {.session_id = view_text("session"),
                                   .host_key = view_text("host"),
                                   .max_tries = 6,
                                   .methods = methods,
                                   .algorithms = ALGORITHMS,
                                   .banner = view_text(banner)};
    struct auth_server *a = NULL;
    assert_int_equal(auth_server_new(&a, &c), OK);
    return a;
}

static struct auth_client *client_of(const char *methods) {
    struct auth_client_config c = {.user = "joe",
                                   .service = "ssh-connection",
                                   .session_id = view_text("session"),
                                   .host_key = view_text("host"),
                                   .methods = methods,
                                   .algorithms = ALGORITHMS,
                                   .hostbound = true,
                                   .password_tries = 3};
    struct auth_client *a = NULL;
    assert_int_equal(auth_client_new(&a, &c), OK);
    return a;
}

static int setup(void **state) {
    (void)state;
    transcript[0] = 0;
    server = server_of("publickey,password,keyboard-interactive", "");
    client = client_of("publickey,keyboard-interactive,password");
    return 0;
}

static int teardown(void **state) {
    (void)state;
    auth_server_free(server);
    auth_client_free(client);
    return 0;
}

static void note(const char *side, const char *what) {
    size_t n = strlen(transcript);
    snprintf(transcript + n, sizeof transcript - n, "%s%s ", side, what);
}

static void server_to_client(void) {
    for (struct view v; (v = auth_server_out(server)).n > 0;
         auth_server_out_done(server)) {
        note("<", message_name(v.p[0]));
        assert_int_equal(auth_client_in(client, v), OK);
        if (v.p[0] == SSH_MSG_USERAUTH_PK_OK)
            continue;  // a question, which the test takes
        // Events of the client are pulled by the tests' pumps.
        struct auth_client_event e;
        assert_int_equal(auth_client_next(client, &e), OK);
        if (e.kind == AUTH_CLIENT_BANNER)
            note("", "banner");
        else if (e.kind == AUTH_CLIENT_REFUSED)
            note("", "refused");
        else if (e.kind == AUTH_CLIENT_PARTIAL)
            note("", "partial");
        else if (e.kind == AUTH_CLIENT_SUCCESS)
            note("", "success");
        else if (e.kind != AUTH_CLIENT_NONE)
            fail_msg("unexpected event %d", e.kind);
        if (e.kind != AUTH_CLIENT_NONE && e.kind != AUTH_CLIENT_BANNER)
            return (void)auth_server_out_done(server);
    }
}

static void client_to_server(void) {
    static uint32_t sequence;
    for (struct view v; (v = auth_client_out(client)).n > 0;
         auth_client_out_done(client)) {
        note(">", message_name(v.p[0]));
        assert_int_equal(auth_server_in(server, v, sequence++), OK);
    }
}

static struct auth_server_event server_event(void) {
    struct auth_server_event e;
    assert_int_equal(auth_server_next(server, &e), OK);
    return e;
}

static struct auth_server_event server_asks(enum auth_server_event_kind kind) {
    struct auth_server_event e = server_event();
    assert_int_equal(e.kind, kind);
    return e;
}

static struct auth_client_event client_asks(enum auth_client_event_kind kind) {
    struct auth_client_event e;
    assert_int_equal(auth_client_next(client, &e), OK);
    assert_int_equal(e.kind, kind);
    return e;
}

static void server_says(const struct auth_server_event *e, enum auth_verdict verdict,
                        const char *methods) {
    struct auth_answer answer = {verdict, methods};
    assert_int_equal(auth_server_answer(server, e->ticket, &answer), OK);
}

static void user_is_known(void) {
    struct auth_server_event e = server_asks(AUTH_SERVER_ASK_USER);
    assert_true(view_is(e.user, "joe"));
    assert_int_equal(auth_server_answer_user(server, e.ticket, NULL), OK);
}

static struct auth_identity identity(bool sign_now) {
    return (struct auth_identity){
        .blob = BLOB,
        .algorithm = auth_client_algorithm(client, "ssh-ed25519"),
        .sign_now = sign_now,
    };
}

// ---- both machines ----

// One flight there, one back: no waiting for SERVICE_ACCEPT, no `none`, no query.
static void test_optimistic_login(void **state) {
    (void)state;
    struct auth_identity id = identity(true);
    assert_int_equal(auth_client_start(client, &id), OK);
    struct auth_client_event sign = client_asks(AUTH_CLIENT_SIGN);
    assert_string_equal(sign.algorithm->name, "ssh-ed25519");
    struct buf copy;
    buf_init(&copy, 4096);
    assert_int_equal(buf_append(&copy, sign.data), OK);
    assert_int_equal(auth_client_answer_sign(client, sign.ticket, SIGNATURE), OK);
    client_to_server();
    user_is_known();
    struct auth_server_event key = server_asks(AUTH_SERVER_ASK_KEY);
    assert_true(key.key.has_signature);
    assert_true(view_equal(key.signed_data, buf_view(&copy)));
    assert_true(view_equal(key.key.signature, SIGNATURE));
    buf_free(&copy);
    assert_false(auth_server_done(server));
    server_says(&key, AUTH_GRANTED, NULL);
    assert_true(view_is(server_asks(AUTH_SERVER_SUCCESS).user, "joe"));
    server_to_client();
    assert_true(auth_client_done(client));
    assert_string_equal(transcript, ">SERVICE_REQUEST >USERAUTH_REQUEST <SERVICE_ACCEPT "
                                    "<USERAUTH_SUCCESS success ");
    const struct auth_client_record *r = auth_client_record_at(client, 0);
    assert_true(r->accepted);
    assert_false(r->query);
    assert_null(auth_client_record_at(client, 1));
}

static void test_query_then_signature_hostbound(void **state) {
    (void)state;
    auth_client_ext_info(client, view_text("publickey-hostbound@openssh.com"),
                         view_text("0"));
    struct auth_identity id = identity(false);
    assert_int_equal(auth_client_start(client, &id), OK);
    client_to_server();
    user_is_known();
    struct auth_server_event query = server_asks(AUTH_SERVER_ASK_KEY);
    assert_false(query.key.has_signature);
    assert_true(query.key.hostbound);
    assert_true(view_is(query.key.host_key, "host"));
    // A query never gives rights.
    struct auth_answer granted = {AUTH_GRANTED, NULL};
    assert_false(auth_server_done(server));
    server_says(&query, AUTH_ACCEPTABLE, NULL);
    server_to_client();
    struct auth_client_event sign = client_asks(AUTH_CLIENT_SIGN);
    assert_int_equal(auth_client_answer_sign(client, sign.ticket, SIGNATURE), OK);
    client_to_server();
    struct auth_server_event key = server_asks(AUTH_SERVER_ASK_KEY);
    assert_true(key.key.has_signature && key.key.hostbound);
    assert_int_equal(auth_server_answer(server, key.ticket, &granted), OK);
    server_asks(AUTH_SERVER_SUCCESS);
    server_to_client();
    assert_true(auth_client_done(client));
}

static void test_partial_then_password(void **state) {
    (void)state;
    auth_server_free(server);
    server = server_of("publickey", "keep out\n");
    struct auth_identity id = identity(true);
    assert_int_equal(auth_client_start(client, &id), OK);
    struct auth_client_event sign = client_asks(AUTH_CLIENT_SIGN);
    assert_int_equal(auth_client_answer_sign(client, sign.ticket, SIGNATURE), OK);
    client_to_server();
    user_is_known();
    struct auth_server_event key = server_asks(AUTH_SERVER_ASK_KEY);
    server_says(&key, AUTH_PARTIAL, "password");
    server_to_client();
    struct auth_client_event ask = client_asks(AUTH_CLIENT_PASSWORD);
    assert_int_equal(ask.attempt, 1);
    assert_int_equal(auth_client_answer_password(client, ask.ticket, view_text("pw")),
                     OK);
    client_to_server();
    struct auth_server_event password = server_asks(AUTH_SERVER_ASK_PASSWORD);
    assert_true(view_is(password.password.password, "pw"));
    server_says(&password, AUTH_GRANTED, NULL);
    server_asks(AUTH_SERVER_SUCCESS);
    server_to_client();
    assert_string_equal(transcript, ">SERVICE_REQUEST >USERAUTH_REQUEST <SERVICE_ACCEPT "
                                    "<USERAUTH_BANNER banner <USERAUTH_FAILURE partial "
                                    ">USERAUTH_REQUEST <USERAUTH_SUCCESS success ");
}

static void test_keyboard_interactive(void **state) {
    (void)state;
    assert_int_equal(auth_client_start(client, NULL), OK);
    client_to_server();
    user_is_known();
    struct auth_server_event none = server_asks(AUTH_SERVER_ASK_NONE);
    server_says(&none, AUTH_REFUSED, "keyboard-interactive");
    assert_int_equal(auth_server_tries(server), 0);
    server_to_client();
    client_to_server();
    struct auth_server_event start = server_asks(AUTH_SERVER_ASK_KBDINT);
    struct kbdint_prompts p = {.count = 1};
    p.prompts[0].text = view_text("Code: ");
    assert_int_equal(auth_server_answer_prompts(server, start.ticket, &p), OK);
    server_to_client();
    struct auth_client_event ask = client_asks(AUTH_CLIENT_PROMPTS);
    assert_true(view_is(ask.prompts.prompts[0].text, "Code: "));
    struct kbdint_responses r = {.count = 1, .responses = {view_text("123")}};
    assert_int_equal(auth_client_answer_prompts(client, ask.ticket, &r), OK);
    client_to_server();
    struct auth_server_event got = server_asks(AUTH_SERVER_ASK_RESPONSES);
    assert_true(view_is(got.responses.responses[0], "123"));
    // PAM ends with an empty request, which carries nothing: answered without anybody.
    p.count = 0;
    assert_int_equal(auth_server_answer_prompts(server, got.ticket, &p), OK);
    server_to_client();
    client_to_server();
    got = server_asks(AUTH_SERVER_ASK_RESPONSES);
    assert_int_equal(got.responses.count, 0);
    server_says(&got, AUTH_GRANTED, NULL);
    server_asks(AUTH_SERVER_SUCCESS);
    server_to_client();
    assert_true(auth_client_done(client));
}

static void test_everything_refused(void **state) {
    (void)state;
    struct auth_identity id = identity(true);
    assert_int_equal(auth_client_start(client, &id), OK);
    struct auth_client_event ask = client_asks(AUTH_CLIENT_SIGN);
    assert_int_equal(auth_client_answer_sign(client, ask.ticket, SIGNATURE), OK);
    client_to_server();
    user_is_known();
    struct auth_server_event e = server_asks(AUTH_SERVER_ASK_KEY);
    server_says(&e, AUTH_REFUSED, "publickey,password");
    server_to_client();
    ask = client_asks(AUTH_CLIENT_NEED_IDENTITY);
    assert_false(ask.restart);
    assert_int_equal(auth_client_answer_identity(client, ask.ticket, NULL), OK);
    for (unsigned i = 1; i <= 3; i++) {
        ask = client_asks(AUTH_CLIENT_PASSWORD);
        assert_int_equal(ask.attempt, i);
        assert_int_equal(auth_client_answer_password(client, ask.ticket, view_text("no")),
                         OK);
        client_to_server();
        e = server_asks(AUTH_SERVER_ASK_PASSWORD);
        server_says(&e, AUTH_REFUSED, NULL);
        server_to_client();
    }
    assert_string_equal(client_asks(AUTH_CLIENT_FAILED).methods, "publickey,password");
    assert_int_equal(auth_server_tries(server), 4);
}

// ---- the server against bad clients ----

static enum err send_raw(const void *bytes, size_t n) {
    enum err e = auth_server_in(server, view_of(bytes, n), 7);
    struct auth_server_event event;
    return e != OK ? e : auth_server_next(server, &event);
}

static const char service_request[] = "\x05\0\0\0\x0cssh-userauth";
#define SERVICE service_request, sizeof service_request - 1
#define NONE_OF(user_len, user)                                                          \
    "\x32\0\0\0" user_len user "\0\0\0\x0essh-connection\0\0\0\x04none"

static void drain(void) {
    while (auth_server_out(server).n > 0)
        auth_server_out_done(server);
}

static void test_service_request_comes_first(void **state) {
    (void)state;
    static const char none[] = NONE_OF("\x03", "joe");
    assert_int_equal(send_raw(none, sizeof none - 1), ERR_UNEXPECTED);
    assert_int_equal(auth_server_out(server).n, 0);
    assert_non_null(strstr(auth_server_fault(server)->text, "USERAUTH_REQUEST"));
}

static void test_only_userauth_is_a_service(void **state) {
    (void)state;
    static const char other[] = "\x05\0\0\0\x0essh-connection";
    assert_int_equal(send_raw(other, sizeof other - 1), ERR_SERVICE);
    auth_server_free(server);
    server = server_of("publickey", "");
    static const char tail[] = "\x05\0\0\0\x0cssh-userauth\0";
    assert_int_equal(send_raw(tail, sizeof tail - 1), ERR_TRAILING);
}

static void test_second_service_request(void **state) {
    (void)state;
    assert_int_equal(send_raw(SERVICE), OK);
    assert_int_equal(send_raw(SERVICE), OK);
    drain();
    static const char none[] = NONE_OF("\x03", "joe");
    assert_int_equal(send_raw(none, sizeof none - 1), OK);
}

// libssh CVE-2018-10933: messages of the server's are never taken by a server.
static void test_server_messages_are_refused(void **state) {
    (void)state;
    for (int number = 0; number < 256; number++) {
        if (number == 5 || number == 50)
            continue;
        for (int after_service = 0; after_service < 2; after_service++) {
            auth_server_free(server);
            server = server_of("publickey", "");
            if (after_service)
                assert_int_equal(send_raw(SERVICE), OK);
            uint8_t message[] = {(uint8_t)number, 0, 0, 0, 0};
            assert_int_equal(send_raw(message, sizeof message), ERR_UNEXPECTED);
            assert_false(auth_server_done(server));
        }
    }
}

static void test_user_cannot_change(void **state) {
    (void)state;
    static const char joe[] = NONE_OF("\x03", "joe"), ann[] = NONE_OF("\x03", "ann");
    assert_int_equal(send_raw(SERVICE), OK);
    assert_int_equal(auth_server_in(server, view_of(joe, sizeof joe - 1), 0), OK);
    user_is_known();
    struct auth_server_event e = server_asks(AUTH_SERVER_ASK_NONE);
    server_says(&e, AUTH_REFUSED, NULL);
    assert_int_equal(send_raw(ann, sizeof ann - 1), ERR_PROTOCOL);
}

static void test_other_service_and_bad_names(void **state) {
    (void)state;
    static const char service[] = "\x32\0\0\0\x03joe\0\0\0\x03"
                                  "foo\0\0\0\x04none";
    static const char nul[] = NONE_OF("\x03", "j\0e");
    assert_int_equal(send_raw(SERVICE), OK);
    assert_int_equal(send_raw(service, sizeof service - 1), ERR_SERVICE);
    auth_server_free(server);
    server = server_of("publickey", "");
    assert_int_equal(send_raw(SERVICE), OK);
    assert_int_equal(send_raw(nul, sizeof nul - 1), ERR_LIMIT);
    auth_server_free(server);
    server = server_of("publickey", "");
    assert_int_equal(send_raw(SERVICE), OK);
    scoped_buf b;
    buf_init(&b, 4096);
    char name[LIMIT_USER_NAME + 1];
    memset(name, 'a', sizeof name);
    struct writer w = writer_to_buf(&b);
    struct msg_userauth_request m = {.user = view_of(name, sizeof name),
                                     .service = view_text("ssh-connection"),
                                     .method = view_text("none")};
    message_encode(&w, SSH_MSG_USERAUTH_REQUEST, &m);
    assert_int_equal(writer_end(&w), OK);
    assert_int_equal(send_raw(buf_view(&b).p, buf_view(&b).n), ERR_LIMIT);
}

static void send_method(const char *method, const char *user) {
    scoped_buf b;
    buf_init(&b, 4096);
    struct writer w = writer_to_buf(&b);
    struct msg_userauth_request m = {.user = view_text(user),
                                     .service = view_text("ssh-connection"),
                                     .method = view_text(method)};
    scoped_buf fields;
    buf_init(&fields, 256);
    struct writer f = writer_to_buf(&fields);
    if (strcmp(method, "password") == 0) {
        write_bool(&f, false);
        write_text(&f, "x");
    }
    m.fields = buf_view(&fields);
    message_encode(&w, SSH_MSG_USERAUTH_REQUEST, &m);
    assert_int_equal(writer_end(&w), OK);
    assert_int_equal(auth_server_in(server, buf_view(&b), 0), OK);
}

// Cut at the 6th failure over all methods, pipelined or not; unknown methods count too.
static void test_tries_are_counted_over_all_methods(void **state) {
    (void)state;
    assert_int_equal(send_raw(SERVICE), OK);
    send_method("none", "joe");
    user_is_known();
    struct auth_server_event e = server_asks(AUTH_SERVER_ASK_NONE);
    server_says(&e, AUTH_REFUSED, NULL);
    static const char *const methods[] = {"hostbased", "password", "none",
                                          "made-up",   "password", "password"};
    for (int i = 0; i < 6; i++)
        send_method(methods[i], "joe");
    for (int i = 0; i < 6; i++) {
        e = server_event();
        if (e.kind == AUTH_SERVER_FAILED)
            break;
        assert_true(e.kind == AUTH_SERVER_ASK_PASSWORD || e.kind == AUTH_SERVER_ASK_NONE);
        server_says(&e, AUTH_REFUSED, NULL);
    }
    if (e.kind != AUTH_SERVER_FAILED)
        e = server_asks(AUTH_SERVER_FAILED);
    assert_int_equal(auth_server_tries(server), 6);
    assert_int_equal(e.reason, DISCONNECT_PROTOCOL_ERROR);
    size_t failures = 0;
    for (struct view v; (v = auth_server_out(server)).n > 0; auth_server_out_done(server))
        failures += v.p[0] == SSH_MSG_USERAUTH_FAILURE;
    assert_int_equal(failures, 6);  // the free look and five; the sixth cuts
    send_method("password", "joe");
    assert_int_equal(server_event().kind, AUTH_SERVER_NONE);
}

static void test_only_the_first_none_is_free(void **state) {
    (void)state;
    assert_int_equal(send_raw(SERVICE), OK);
    for (unsigned i = 0; i < 3; i++) {
        send_method("none", "joe");
        if (i == 0)
            user_is_known();
        struct auth_server_event e = server_asks(AUTH_SERVER_ASK_NONE);
        server_says(&e, AUTH_REFUSED, NULL);
        assert_int_equal(auth_server_tries(server), i);
    }
}

static void test_pipeline_is_bounded(void **state) {
    (void)state;
    assert_int_equal(send_raw(SERVICE), OK);
    send_method("none", "joe");
    server_asks(AUTH_SERVER_ASK_USER);
    for (unsigned i = 0; i < LIMIT_AUTH_QUEUE; i++) {
        assert_true(auth_server_can_take(server));
        send_method("none", "joe");
    }
    assert_false(auth_server_can_take(server));
    static const char none[] = NONE_OF("\x03", "joe");
    assert_int_equal(auth_server_in(server, view_of(none, sizeof none - 1), 0),
                     ERR_LIMIT);
}

static void send_query(bool has_signature) {
    scoped_buf b;
    buf_init(&b, 4096);
    struct publickey_request q = {.user = view_text("joe"),
                                  .service = view_text("ssh-connection"),
                                  .algorithm = view_text("ssh-ed25519"),
                                  .blob = BLOB,
                                  .has_signature = has_signature,
                                  .signature = SIGNATURE};
    struct writer w = writer_to_buf(&b);
    publickey_encode(&w, &q);
    assert_int_equal(writer_end(&w), OK);
    assert_int_equal(auth_server_in(server, buf_view(&b), 0), OK);
}

static void test_accepted_queries_are_bounded(void **state) {
    (void)state;
    assert_int_equal(send_raw(SERVICE), OK);
    for (unsigned i = 0; i < 12; i++) {
        send_query(false);
        if (i == 0)
            user_is_known();
        struct auth_server_event e = server_event();
        if (e.kind == AUTH_SERVER_FAILED)
            return;
        server_says(&e, AUTH_ACCEPTABLE, NULL);
    }
    assert_int_equal(server_event().kind, AUTH_SERVER_FAILED);
}

static void test_answers_belong_to_their_question(void **state) {
    (void)state;
    struct auth_answer granted = {AUTH_GRANTED, NULL},
                       acceptable = {AUTH_ACCEPTABLE, NULL};
    // Nothing is open.
    assert_int_equal(auth_server_answer(server, 0, &granted), ERR_UNEXPECTED);
    for (int wrong = 0; wrong < 4; wrong++) {
        auth_server_free(server);
        server = server_of("publickey", "");
        assert_int_equal(send_raw(SERVICE), OK);
        send_query(wrong == 3);
        struct auth_server_event user = server_asks(AUTH_SERVER_ASK_USER);
        if (wrong == 0) {
            assert_int_equal(auth_server_answer(server, user.ticket, &granted),
                             ERR_UNEXPECTED);
            continue;
        }
        assert_int_equal(auth_server_answer_user(server, user.ticket, NULL), OK);
        struct auth_server_event e = server_asks(AUTH_SERVER_ASK_KEY);
        // An old ticket; rights for a query; PK_OK for a signature.
        uint32_t ticket = wrong == 1 ? user.ticket : e.ticket;
        const struct auth_answer *answer = wrong == 3 ? &acceptable : &granted;
        assert_int_equal(auth_server_answer(server, ticket, answer), ERR_UNEXPECTED);
        assert_false(auth_server_done(server));
        struct auth_server_event next;
        assert_int_equal(auth_server_next(server, &next), ERR_UNEXPECTED);
    }
}

static void test_method_not_listed_is_not_asked(void **state) {
    (void)state;
    assert_int_equal(send_raw(SERVICE), OK);
    send_query(true);
    struct auth_server_event e = server_asks(AUTH_SERVER_ASK_USER);
    assert_int_equal(auth_server_answer_user(server, e.ticket, "password"), OK);
    assert_int_equal(server_event().kind, AUTH_SERVER_NONE);
    assert_int_equal(auth_server_tries(server), 1);
}

static void test_hostbound_to_another_host(void **state) {
    (void)state;
    assert_int_equal(send_raw(SERVICE), OK);
    scoped_buf b;
    buf_init(&b, 4096);
    struct publickey_request q = {.user = view_text("joe"),
                                  .service = view_text("ssh-connection"),
                                  .algorithm = view_text("ssh-ed25519"),
                                  .blob = BLOB,
                                  .hostbound = true,
                                  .host_key = view_text("other"),
                                  .has_signature = true,
                                  .signature = SIGNATURE};
    struct writer w = writer_to_buf(&b);
    publickey_encode(&w, &q);
    assert_int_equal(writer_end(&w), OK);
    assert_int_equal(auth_server_in(server, buf_view(&b), 0), OK);
    user_is_known();
    assert_int_equal(server_event().kind, AUTH_SERVER_NONE);
    assert_int_equal(auth_server_tries(server), 1);
}

// RFC 4252 s.5.1: requests after success are ignored, silently.
static void test_requests_after_success(void **state) {
    (void)state;
    assert_int_equal(send_raw(SERVICE), OK);
    send_query(true);
    send_query(true);
    user_is_known();
    struct auth_server_event e = server_asks(AUTH_SERVER_ASK_KEY);
    server_says(&e, AUTH_GRANTED, NULL);
    drain();  // SUCCESS cannot be sent before its event was told
    assert_false(auth_server_out(server).n > 0);
    server_asks(AUTH_SERVER_SUCCESS);
    assert_int_equal(auth_server_out(server).p[0], SSH_MSG_USERAUTH_SUCCESS);
    drain();
    send_query(true);
    assert_int_equal(server_event().kind, AUTH_SERVER_NONE);
    assert_int_equal(auth_server_out(server).n, 0);
    assert_int_equal(auth_server_in(server, view_of("\x3d", 1), 42), OK);
    e = server_asks(AUTH_SERVER_UNIMPLEMENTED);
    assert_int_equal(e.sequence, 42);
}

// Given-up prompts count as a try, and get no answer of their own.
static void test_prompts_given_up(void **state) {
    (void)state;
    assert_int_equal(send_raw(SERVICE), OK);
    drain();
    scoped_buf b;
    buf_init(&b, 256);
    struct writer w = writer_to_buf(&b);
    kbdint_encode_request(&w, view_text("joe"), view_text("ssh-connection"),
                          view_text(""));
    assert_int_equal(writer_end(&w), OK);
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(auth_server_in(server, buf_view(&b), 0), OK);
        if (i == 0)
            user_is_known();
        struct auth_server_event e = server_event();
        assert_int_equal(auth_server_tries(server), i);
        if (i == 6) {
            assert_int_equal(e.kind, AUTH_SERVER_FAILED);
            break;
        }
        struct kbdint_prompts p = {.count = 1, .name = view_text("n")};
        assert_int_equal(auth_server_answer_prompts(server, e.ticket, &p), OK);
        assert_int_equal(auth_server_out(server).p[0], SSH_MSG_USERAUTH_PK_OK);
        drain();
        assert_int_equal(auth_server_out(server).n, 0);
    }
}

// ---- the client against bad servers ----

static enum err client_gets(const void *bytes, size_t n) {
    return auth_client_in(client, view_of(bytes, n));
}

static void client_drain(void) {
    while (auth_client_out(client).n > 0)
        auth_client_out_done(client);
}

static const char service_accept[] = "\x06\0\0\0\x0cssh-userauth";
static const char success[] = "\x34";

static void client_signs(void) {
    struct auth_client_event e = client_asks(AUTH_CLIENT_SIGN);
    assert_int_equal(auth_client_answer_sign(client, e.ticket, SIGNATURE), OK);
    client_drain();
}

// Nothing but SERVICE_ACCEPT first, not even when requests are out already.
static void test_success_before_accept(void **state) {
    (void)state;
    assert_int_equal(client_gets(success, 1), ERR_UNEXPECTED);
    auth_client_free(client);
    client = client_of("publickey");
    struct auth_identity id = identity(true);
    assert_int_equal(auth_client_start(client, &id), OK);
    client_signs();
    assert_int_equal(client_gets(success, 1), ERR_UNEXPECTED);
    assert_false(auth_client_done(client));
}

// dropbear CVE-2021-36369: a success that nothing asked for.
static void test_success_for_a_query(void **state) {
    (void)state;
    struct auth_identity id = identity(false);
    assert_int_equal(auth_client_start(client, &id), OK);
    client_drain();
    assert_int_equal(client_gets(service_accept, sizeof service_accept - 1), OK);
    assert_int_equal(client_gets(success, 1), ERR_UNEXPECTED);
    assert_false(auth_client_done(client));
}

static void test_success_while_asking(void **state) {
    (void)state;
    assert_int_equal(auth_client_start(client, NULL), OK);
    assert_int_equal(client_gets(service_accept, sizeof service_accept - 1), OK);
    static const char failure[] = "\x33\0\0\0\x08password\0";
    assert_int_equal(client_gets(failure, sizeof failure - 1), OK);
    client_asks(AUTH_CLIENT_REFUSED);
    client_asks(AUTH_CLIENT_PASSWORD);
    assert_int_equal(client_gets(success, 1), ERR_UNEXPECTED);
    assert_false(auth_client_done(client));
}

static void test_pk_ok_must_match(void **state) {
    (void)state;
    static const char *const algorithms[] = {"ssh-ed25519", "rsa-sha2-512"};
    for (int i = 0; i < 2; i++) {
        auth_client_free(client);
        client = client_of("publickey");
        struct auth_identity id = identity(false);
        assert_int_equal(auth_client_start(client, &id), OK);
        client_drain();
        assert_int_equal(client_gets(service_accept, sizeof service_accept - 1), OK);
        scoped_buf b;
        buf_init(&b, 256);
        struct writer w = writer_to_buf(&b);
        publickey_encode_ok(&w, view_text(algorithms[i]),
                            i == 0 ? view_text("other") : BLOB);
        assert_int_equal(writer_end(&w), OK);
        assert_int_equal(auth_client_in(client, buf_view(&b)), ERR_PROTOCOL);
    }
}

// A server that answers each signature with partial success gets few of them.
static void test_signatures_are_bounded(void **state) {
    (void)state;
    struct auth_identity id = identity(true);
    assert_int_equal(auth_client_start(client, &id), OK);
    client_signs();
    assert_int_equal(client_gets(service_accept, sizeof service_accept - 1), OK);
    static const char partial[] = "\x33\0\0\0\x09publickey\x01";
    unsigned signatures = 1;
    while (client_gets(partial, sizeof partial - 1) == OK) {
        client_asks(AUTH_CLIENT_PARTIAL);
        struct auth_client_event e = client_asks(AUTH_CLIENT_NEED_IDENTITY);
        assert_true(e.restart);
        id = identity(true);
        assert_int_equal(auth_client_answer_identity(client, e.ticket, &id), OK);
        client_signs();
        assert_true(++signatures <= LIMIT_AUTH_SIGNATURES);
    }
    assert_true(signatures <= LIMIT_AUTH_PARTIAL + 1);
    assert_int_equal(auth_client_fault(client)->code, ERR_LIMIT);
}

static void test_banners_are_bounded(void **state) {
    (void)state;
    assert_int_equal(auth_client_start(client, NULL), OK);
    assert_int_equal(client_gets(service_accept, sizeof service_accept - 1), OK);
    static const char banner[] = "\x35\0\0\0\x02hi\0\0\0\0";
    for (unsigned i = 0; i < LIMIT_AUTH_BANNERS; i++) {
        assert_int_equal(client_gets(banner, sizeof banner - 1), OK);
        assert_true(view_is(client_asks(AUTH_CLIENT_BANNER).text, "hi"));
    }
    assert_int_equal(client_gets(banner, sizeof banner - 1), ERR_LIMIT);
}

// paramiko and ssh2 announce nothing, or not all.
static void test_rsa_algorithms(void **state) {
    (void)state;
    assert_string_equal(auth_client_algorithm(client, "ssh-rsa")->name, "rsa-sha2-512");
    auth_client_ext_info(client, view_text("server-sig-algs"),
                         view_text("ssh-ed25519,rsa-sha2-256"));
    assert_string_equal(auth_client_algorithm(client, "ssh-rsa")->name, "rsa-sha2-256");
    auth_client_ext_info(client, view_text("server-sig-algs"), view_text("ssh-rsa"));
    assert_null(auth_client_algorithm(client, "ssh-rsa"));
    assert_non_null(auth_client_algorithm(client, "ssh-ed25519"));
    assert_null(auth_client_algorithm(client, "ssh-dss"));
}

static void test_no_signature_goes_on(void **state) {
    (void)state;
    struct auth_identity id = identity(true);
    assert_int_equal(auth_client_start(client, &id), OK);
    struct auth_client_event e = client_asks(AUTH_CLIENT_SIGN);
    assert_int_equal(auth_client_answer_sign(client, e.ticket, (struct view){0}), OK);
    auth_client_out_done(client);
    struct msg_userauth_request m;
    struct fault fault = {0};
    assert_int_equal(
        message_decode(SSH_MSG_USERAUTH_REQUEST, auth_client_out(client), &m, &fault),
        OK);
    assert_true(view_is(m.method, "none"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_optimistic_login),
        TEST(test_query_then_signature_hostbound),
        TEST(test_partial_then_password),
        TEST(test_keyboard_interactive),
        TEST(test_everything_refused),
        TEST(test_service_request_comes_first),
        TEST(test_only_userauth_is_a_service),
        TEST(test_second_service_request),
        TEST(test_server_messages_are_refused),
        TEST(test_user_cannot_change),
        TEST(test_other_service_and_bad_names),
        TEST(test_tries_are_counted_over_all_methods),
        TEST(test_only_the_first_none_is_free),
        TEST(test_pipeline_is_bounded),
        TEST(test_accepted_queries_are_bounded),
        TEST(test_answers_belong_to_their_question),
        TEST(test_method_not_listed_is_not_asked),
        TEST(test_hostbound_to_another_host),
        TEST(test_requests_after_success),
        TEST(test_prompts_given_up),
        TEST(test_success_before_accept),
        TEST(test_success_for_a_query),
        TEST(test_success_while_asking),
        TEST(test_pk_ok_must_match),
        TEST(test_signatures_are_bounded),
        TEST(test_banners_are_bounded),
        TEST(test_rsa_algorithms),
        TEST(test_no_signature_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
