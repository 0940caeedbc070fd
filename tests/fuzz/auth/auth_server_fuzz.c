// The server's machine against anything: length-prefixed messages, with a judge that
// follows the input too. Success without a verdict of GRANTED is a crash.
#include <stdlib.h>

#include "auth/server.h"
#include "input.h"

// One answer, chosen by the input; whether it lets the user in.
static enum err answer(struct auth_server *a, const struct auth_server_event *e,
                       struct input *in, bool *granted) {
    uint8_t how = next_byte(in);
    struct kbdint_prompts p = {.count = how >> 5, .name = view_text("name")};
    if (e->kind == AUTH_SERVER_ASK_USER)
        return auth_server_answer_user(a, e->ticket,
                                       how & 1 ? NULL : "publickey,password");
    if ((e->kind == AUTH_SERVER_ASK_KBDINT || e->kind == AUTH_SERVER_ASK_RESPONSES) &&
        how & 8)
        return auth_server_answer_prompts(a, e->ticket, &p);
    if (e->kind == AUTH_SERVER_ASK_PASSWORD && how & 8)
        return auth_server_answer_change(a, e->ticket, view_text("expired"));
    struct auth_answer v = {(enum auth_verdict)(how % 5), how & 16 ? NULL : "publickey"};
    enum err err = auth_server_answer(a, e->ticket, &v);
    bool query = e->kind == AUTH_SERVER_ASK_KEY && !e->key.has_signature;
    *granted = *granted || (err == OK && v.verdict == AUTH_GRANTED && !query);
    return err;
}

static bool pump(struct auth_server *a, struct input *in, bool *granted) {
    for (;;) {
        struct auth_server_event e;
        if (auth_server_next(a, &e) != OK)
            return false;
        if (e.kind == AUTH_SERVER_SUCCESS && !*granted)
            abort();
        if (e.kind == AUTH_SERVER_NONE)
            return true;
        if (e.kind == AUTH_SERVER_FAILED)
            return false;
        if (e.kind < AUTH_SERVER_SUCCESS && answer(a, &e, in, granted) != OK)
            return false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, data + size};
    struct auth_server_config config = {
        .session_id = view_text("session"),
        .host_key = view_text("host"),
        .max_tries = 6,
        .methods = "publickey,password,keyboard-interactive",
        .algorithms = "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256",
        .banner = view_text("banner"),
    };
    struct auth_server *a = NULL;
    if (auth_server_new(&a, &config) != OK)
        return 0;
    bool granted = false;
    while (in.p < in.end) {
        if (auth_server_in(a, next_message(&in), 1) != OK || !pump(a, &in, &granted))
            break;
        while (auth_server_out(a).n > 0)
            auth_server_out_done(a);
    }
    auth_server_free(a);
    return 0;
}
