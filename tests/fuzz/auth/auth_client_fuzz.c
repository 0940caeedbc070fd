// The client's machine against any server: length-prefixed messages, with a person and
// keys that follow the input too. More signatures than the limit, or success in the wrong
// place, is a crash.
#include <stdlib.h>

#include "auth/client.h"
#include "base/limits.h"
#include "input.h"

static const uint8_t blob[] = "\0\0\0\x0bssh-ed25519\0\0\0\x02zz";

static struct auth_identity identity(const struct auth_client *a, uint8_t how) {
    return (struct auth_identity){
        .blob = view_of(blob, sizeof blob - 1),
        .algorithm =
            auth_client_algorithm(a, how & 2 ? "ssh-ed25519" : "ecdsa-sha2-nistp256"),
        .sign_now = (how & 1) != 0,
    };
}

static enum err answer(struct auth_client *a, const struct auth_client_event *e,
                       uint8_t how) {
    struct auth_identity id = identity(a, how);
    struct kbdint_responses r = {.count = e->prompts.count};
    bool give_up = how % 7 == 6;
    switch (e->kind) {
    case AUTH_CLIENT_NEED_IDENTITY:
        return auth_client_answer_identity(a, e->ticket, give_up ? NULL : &id);
    case AUTH_CLIENT_SIGN:
        return auth_client_answer_sign(a, e->ticket,
                                       give_up ? view_text("") : view_text("sig"));
    case AUTH_CLIENT_PASSWORD:
        return auth_client_answer_password(a, e->ticket,
                                           give_up ? (struct view){0} : view_text("pw"));
    case AUTH_CLIENT_CHANGE:
        return auth_client_answer_change(a, e->ticket, view_text("old"),
                                         give_up ? (struct view){0} : view_text("new"));
    case AUTH_CLIENT_PROMPTS:
        return auth_client_answer_prompts(a, e->ticket, give_up ? NULL : &r);
    default:
        return OK;
    }
}

static bool pump(struct auth_client *a, struct input *in, unsigned *signatures) {
    for (;;) {
        struct auth_client_event e;
        if (auth_client_next(a, &e) != OK)
            return false;
        if (e.kind == AUTH_CLIENT_NONE)
            return true;
        if (e.kind == AUTH_CLIENT_SIGN && ++*signatures > LIMIT_AUTH_SIGNATURES)
            abort();
        if ((e.kind == AUTH_CLIENT_SUCCESS) != auth_client_done(a))
            abort();
        if (e.kind == AUTH_CLIENT_SUCCESS || e.kind == AUTH_CLIENT_FAILED)
            return false;
        if (answer(a, &e, next_byte(in)) != OK)
            return false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, data + size};
    struct auth_client_config config = {
        .user = "joe",
        .service = "ssh-connection",
        .session_id = view_text("session"),
        .host_key = view_text("host"),
        .methods = "publickey,keyboard-interactive,password",
        .algorithms = "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256",
        .hostbound = true,
        .password_tries = 3,
    };
    struct auth_client *a = NULL;
    uint8_t how = next_byte(&in);
    static const uint8_t proof[RESUMPTION_PROOF] = {1};
    if (how & 16)  // it comes back for a connection
        config.resumption.proof = view_of(proof, sizeof proof);
    config.resumption.epoch = how >> 6;
    config.resumption_last = how & 32;
    if (auth_client_new(&a, &config) != OK)
        return 0;
    struct auth_identity first = identity(a, how);
    if (how & 4)
        auth_client_ext_info(a, view_text("publickey-hostbound@openssh.com"),
                             view_text("0"));
    unsigned signatures = 0;
    enum err e = auth_client_start(a, how & 8 ? &first : NULL);
    bool going = e == OK && pump(a, &in, &signatures);
    while (going && in.p < in.end) {
        while (auth_client_out(a).n > 0)
            auth_client_out_done(a);
        going = auth_client_in(a, next_message(&in)) == OK && pump(a, &in, &signatures);
    }
    auth_client_free(a);
    return 0;
}
