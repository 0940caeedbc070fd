// Keys bound to hosts: seen and used only on the way that was allowed.
#include "agent_test_support.h"

#define S1 view_text("session one")
#define S2 view_text("session two")

struct world {
    struct bench b;
    struct key *user, *near, *far, *stranger;  // stranger is in no constraint
};

static struct agent_hop_key near_keys[1], far_keys[1];
static char near_name[] = "near", far_name[] = "far", alice[] = "alice";

// here -> near, near -> far as alice
static void start(struct world *w) {
    bench_start(&w->b, NULL);
    w->user = make_key(PK_ED25519);
    w->near = make_key(PK_ED25519);
    w->far = make_key(PK_ED25519);
    w->stranger = make_key(PK_ED25519);
    near_keys[0] = (struct agent_hop_key){w->near, false};
    far_keys[0] = (struct agent_hop_key){w->far, false};
    struct agent_destination list[2] = {
        {.to = {near_name, NULL, near_keys, 1}},
        {.from = {near_name, NULL, near_keys, 1}, .to = {far_name, alice, far_keys, 1}}};
    struct agent_constraints c = {.destinations = {list, 2}};
    assert_int_equal(bench_add(&w->b, w->user, &c), AGENT_SUCCESS);
}

static void end(struct world *w) {
    key_free(w->user);
    key_free(w->near);
    key_free(w->far);
    key_free(w->stranger);
    bench_end(&w->b);
}

static void again(struct world *w) {
    agent_client_drop(&w->b.client);
    agent_client_init(&w->b.client, &w->b.server);
}

static uint8_t login(struct world *w, struct view session, const char *user,
                     const struct key *host) {
    scoped_buf data;
    buf_init(&data, 4096);
    login_data(&data, session, user, w->user, host);
    return bench_sign(&w->b, w->user, alg_of("ssh-ed25519"), buf_view(&data));
}

static void only_logins_that_are_bound(void **state) {
    (void)state;
    struct world w;
    start(&w);
    // Here it is seen, but signs nothing.
    assert_int_equal(bench_count(&w.b), 1);
    assert_int_equal(login(&w, S1, "me", w.near), AGENT_FAILURE);
    assert_int_equal(bench_sign(&w.b, w.user, alg_of("ssh-ed25519"), view_text("text")),
                     AGENT_FAILURE);
    assert_int_equal(bench_bind(&w.b, w.near, S1, false), AGENT_SUCCESS);
    assert_int_equal(login(&w, S1, "me", w.near), AGENT_SIGN_RESPONSE);
    assert_int_equal(login(&w, S1, "me", NULL), AGENT_SIGN_RESPONSE);
    assert_int_equal(login(&w, S2, "me", w.near), AGENT_FAILURE);
    assert_int_equal(login(&w, S1, "me", w.far), AGENT_FAILURE);
    assert_int_equal(bench_sign(&w.b, w.user, alg_of("ssh-ed25519"), view_text("text")),
                     AGENT_FAILURE);
    // What logs in is forwarded no further.
    assert_int_equal(bench_bind(&w.b, w.far, S2, false), AGENT_EXTENSION_FAILURE);
    again(&w);
    assert_int_equal(bench_bind(&w.b, w.stranger, S1, false), AGENT_SUCCESS);
    assert_int_equal(bench_count(&w.b), 0);
    assert_int_equal(login(&w, S1, "me", w.stranger), AGENT_FAILURE);
    end(&w);
}

static void two_hops(void **state) {
    (void)state;
    struct world w;
    start(&w);
    assert_int_equal(bench_bind(&w.b, w.near, S1, true), AGENT_SUCCESS);
    assert_int_equal(bench_count(&w.b), 1);
    assert_int_equal(bench_bind(&w.b, w.far, S2, false), AGENT_SUCCESS);
    assert_int_equal(login(&w, S2, "alice", w.far), AGENT_SIGN_RESPONSE);
    assert_int_equal(login(&w, S2, "bob", w.far), AGENT_FAILURE);
    // A forwarded request must name its host.
    assert_int_equal(login(&w, S2, "alice", NULL), AGENT_FAILURE);
    again(&w);
    // Beyond far nobody sees it.
    assert_int_equal(bench_bind(&w.b, w.near, S1, true), AGENT_SUCCESS);
    assert_int_equal(bench_bind(&w.b, w.far, S2, true), AGENT_SUCCESS);
    assert_int_equal(bench_count(&w.b), 0);
    again(&w);
    assert_int_equal(bench_bind(&w.b, w.near, S1, true), AGENT_SUCCESS);
    assert_int_equal(bench_bind(&w.b, w.stranger, S2, false), AGENT_SUCCESS);
    assert_int_equal(login(&w, S2, "alice", w.stranger), AGENT_FAILURE);
    end(&w);
}

static void what_is_not_seen_is_not_touched(void **state) {
    (void)state;
    struct world w;
    uint8_t room[256];
    struct writer out = writer_to_span((struct span){room, sizeof room});
    start(&w);
    agent_encode(&out, AGENTC_REMOVE_IDENTITY, &(struct agent_remove){key_blob(w.user)});
    assert_int_equal(bench_bind(&w.b, w.stranger, S1, true), AGENT_SUCCESS);
    assert_int_equal(bench_ask(&w.b, view_of(room, out.n)), AGENT_FAILURE);
    assert_int_equal(bench_add(&w.b, w.user, NULL), AGENT_FAILURE);
    again(&w);
    assert_int_equal(bench_ask(&w.b, view_of(room, out.n)), AGENT_SUCCESS);
    end(&w);
}

static void bindings_are_proven(void **state) {
    (void)state;
    struct world w;
    scoped_buf signature, contents, request;
    buf_init(&signature, 4096);
    buf_init(&contents, 4096);
    buf_init(&request, 4096);
    start(&w);
    assert_int_equal(key_sign(w.stranger, alg_of("ssh-ed25519"), S1, &signature), OK);
    struct agent_session_bind m = {key_blob(w.near), S1, buf_view(&signature), true};
    struct writer out = writer_to_buf(&contents);
    agent_encode_session_bind(&out, &m);
    assert_int_equal(
        agent_ask_extension(AGENT_SESSION_BIND, buf_view(&contents), &request), OK);
    assert_int_equal(bench_ask(&w.b, buf_view(&request)), AGENT_EXTENSION_FAILURE);
    // One that tried and failed is no local connection.
    assert_int_equal(bench_count(&w.b), 0);
    again(&w);
    assert_int_equal(bench_bind(&w.b, w.near, S1, true), AGENT_SUCCESS);
    assert_int_equal(bench_bind(&w.b, w.near, S1, true), AGENT_SUCCESS);
    assert_int_equal(w.b.client.bindings_n, 1);
    assert_int_equal(bench_bind(&w.b, w.far, S1, true), AGENT_EXTENSION_FAILURE);
    for (char i = 'a'; w.b.client.bindings_n < AGENT_BINDINGS_MAX; i++)
        assert_int_equal(bench_bind(&w.b, w.near, view_of(&i, 1), true), AGENT_SUCCESS);
    assert_int_equal(bench_bind(&w.b, w.near, S2, true), AGENT_EXTENSION_FAILURE);
    end(&w);
}

static void constraints_come_back(void **state) {
    (void)state;
    struct world w;
    struct agent_destinations again_read;
    scoped_buf text, second;
    buf_init(&text, 4096);
    buf_init(&second, 4096);
    start(&w);
    struct writer out = writer_to_buf(&text), out2 = writer_to_buf(&second);
    agent_destinations_write(&out, &w.b.server.store.keys[0]->destinations);
    struct view v = buf_view(&text);
    assert_int_equal(agent_destinations_read(&again_read, v, NULL), OK);
    agent_destinations_write(&out2, &again_read);
    assert_true(view_equal(v, buf_view(&second)));
    agent_destinations_free(&again_read);
    // A cut never frees the key further: no prefix is a list but at a whole constraint.
    size_t whole = 4 + load_u32(v.p);
    for (size_t n = 0; n < v.n; n++) {
        enum err e = agent_destinations_read(&again_read, view_of(v.p, n), NULL);
        assert_int_equal(e == OK, n == whole);
        if (e == OK)
            agent_destinations_free(&again_read);
    }
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_logins_that_are_bound),
        cmocka_unit_test(two_hops),
        cmocka_unit_test(what_is_not_seen_is_not_touched),
        cmocka_unit_test(bindings_are_proven),
        cmocka_unit_test(constraints_come_back),
    };
    if (crypto_init() != OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
