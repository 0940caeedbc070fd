// An agent in memory, and those who ask it.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/client.h"
#include "agent/server.h"
#include "crypto/crypto.h"

#define NOW_S 1750000000u

struct bench {
    struct agent_server server;
    struct agent_client client;
    struct agent_now now;
    struct agent_question question;
    struct fault fault;
    struct buf answer;
};

static inline void bench_start(struct bench *b, const struct agent_options *o) {
    memset(b, 0, sizeof *b);
    agent_server_init(&b->server, o != NULL ? o : &(struct agent_options){0});
    agent_client_init(&b->client, &b->server);
    b->now = (struct agent_now){1000, NOW_S};
    buf_init(&b->answer, AGENT_MESSAGE_MAX);
}

static inline void bench_end(struct bench *b) {
    agent_client_drop(&b->client);
    agent_server_drop(&b->server);
    buf_free(&b->answer);
}

// The answer's number; 0: a question came.
static inline uint8_t bench_ask(struct bench *b, struct view request) {
    buf_clear(&b->answer);
    fault_clear(&b->fault);
    assert_int_equal(agent_client_request(&b->client, request, b->now, &b->answer,
                                          &b->question, &b->fault),
                     OK);
    return buf_len(&b->answer) > 0 ? buf_view(&b->answer).p[0] : 0;
}

static inline uint8_t bench_reply(struct bench *b, const struct agent_reply *reply) {
    buf_clear(&b->answer);
    fault_clear(&b->fault);
    assert_int_equal(agent_client_answer(&b->client, reply, b->now, &b->answer,
                                         &b->question, &b->fault),
                     OK);
    return buf_len(&b->answer) > 0 ? buf_view(&b->answer).p[0] : 0;
}

static inline struct key *make_key(enum pk_kind kind) {
    struct pk *pk = NULL;
    struct key *k = NULL;
    assert_int_equal(pk_generate(&pk, kind, PK_P256, 2048), OK);
    assert_int_equal(key_from_pk(&k, pk), OK);
    return k;
}

static inline const struct signature_alg *alg_of(const char *name) {
    const struct alg *a = alg_find(ALG_SIGNATURE, view_text(name));
    assert_non_null(a);
    return a->signature;
}

static inline uint8_t bench_add(struct bench *b, const struct key *k,
                                const struct agent_constraints *c) {
    struct agent_constraints none = {0};
    struct buf request;
    buf_init(&request, AGENT_MESSAGE_MAX);
    assert_int_equal(agent_ask_add(k, NULL, "a comment", c != NULL ? c : &none, &request),
                     OK);
    uint8_t number = bench_ask(b, buf_view(&request));
    buf_free(&request);
    return number;
}

static inline uint8_t bench_sign(struct bench *b, const struct key *k,
                                 const struct signature_alg *alg, struct view data) {
    struct buf request;
    buf_init(&request, AGENT_MESSAGE_MAX);
    assert_int_equal(agent_ask_sign(key_blob(k), alg, data, &request), OK);
    uint8_t number = bench_ask(b, buf_view(&request));
    buf_free(&request);
    return number;
}

static inline unsigned bench_count(struct bench *b) {
    uint8_t request[] = {AGENTC_REQUEST_IDENTITIES};
    struct agent_identities m;
    assert_int_equal(bench_ask(b, view_of(request, 1)), AGENT_IDENTITIES_ANSWER);
    assert_int_equal(agent_take_identities(buf_view(&b->answer), &m), OK);
    return m.count;
}

static inline uint8_t bench_bind(struct bench *b, const struct key *host,
                                 struct view session, bool forwarding) {
    struct buf signature, contents, request;
    buf_init(&signature, 4096);
    buf_init(&contents, 65536);
    buf_init(&request, 65536);
    assert_int_equal(key_sign(host, alg_of("ssh-ed25519"), session, &signature), OK);
    struct agent_session_bind m = {key_blob(host), session, buf_view(&signature),
                                   forwarding};
    struct writer w = writer_to_buf(&contents);
    agent_encode_session_bind(&w, &m);
    assert_int_equal(
        agent_ask_extension(AGENT_SESSION_BIND, buf_view(&contents), &request), OK);
    uint8_t number = bench_ask(b, buf_view(&request));
    buf_free(&signature);
    buf_free(&contents);
    buf_free(&request);
    return number;
}

// What a client signs to log in; host NULL: not hostbound.
static inline void login_data(struct buf *out, struct view session, const char *user,
                              const struct key *k, const struct key *host) {
    struct writer w = writer_to_buf(out);
    write_string(&w, session);
    write_u8(&w, 50);
    write_text(&w, user);
    write_text(&w, "ssh-connection");
    write_text(&w, host != NULL ? "publickey-hostbound-v00@openssh.com" : "publickey");
    write_bool(&w, true);
    write_text(&w, k->type->name);
    write_string(&w, key_blob(k));
    if (host != NULL)
        write_string(&w, key_blob(host));
    assert_int_equal(writer_end(&w), OK);
}
