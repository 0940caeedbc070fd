// The commands of ssh-add that read no private keys.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "crypto/random.h"
#include "io/file.h"
#include "io/prompt.h"
#include "tools/add.h"

// ---- lists ----

static void print_key(const struct add *a, const struct agent_link_key *k) {
    char print[KEY_FINGERPRINT_SIZE], comment[1024];
    struct key *key = NULL;
    scoped_buf line;
    buf_init(&line, LIMIT_TEXT_LINE);
    text_clean(comment, sizeof comment, k->comment);
    if (key_from_blob(&key, k->blob, NULL) != OK) {
        fprintf(stderr, "a key of an unknown type: %s\n", comment);
        return;
    }
    if (a->command == 'l')
        printf("%u %s %s (%s)\n", pk_bits(key->pk),
               key_fingerprint(print, sizeof print, key_plain_blob(key), a->hash),
               comment, key->type->short_name);
    else if (key_public_text(key, &line) == OK)
        printf("%.*s %s\n", (int)buf_len(&line), (const char *)buf_view(&line).p,
               comment);
    key_free(key);
}

int add_list(struct add *a) {
    enum err e = agent_link_list(&a->agent);
    if (e != OK)
        return add_say("error fetching identities: %s", err_text(e));
    if (a->agent.n == 0) {
        puts("The agent has no identities.");
        return ADD_FAILED;
    }
    for (size_t i = 0; i < a->agent.n; i++)
        print_key(a, &a->agent.keys[i]);
    return 0;
}

int add_clear(struct add *a) {
    scoped_buf request;
    buf_init(&request, 64);
    enum err e = agent_ask(AGENTC_REMOVE_ALL_IDENTITIES, &request);
    if (e == OK)
        e = agent_link_do(&a->agent, &request);
    if (e != OK)
        return add_say("Failed to remove all identities.");
    if (!a->quiet)
        add_say("All identities removed.");
    return 0;
}

// ---- lock ----

static bool ask_passphrase(bool again, char *out) {
    char second[PROMPT_MAX];
    struct fault f = {0};
    // Nobody there is an empty answer, which no agent takes.
    if (prompt_ask("Enter lock password: ", PROMPT_STDIN, out, PROMPT_MAX, &f) != OK)
        out[0] = '\0';
    if (!again)
        return true;
    bool same = prompt_ask("Again: ", PROMPT_STDIN, second, sizeof second, &f) == OK &&
                strcmp(out, second) == 0;
    secret_wipe(second, sizeof second);
    if (!same) {
        secret_wipe(out, PROMPT_MAX);
        add_say("Passwords do not match.");
    }
    return same;
}

int add_lock(struct add *a) {
    char passphrase[PROMPT_MAX];
    bool lock = a->command == 'x';
    const char *un = lock ? "" : "un";
    scoped_buf request;
    buf_init(&request, PROMPT_MAX + 16);
    if (!ask_passphrase(lock, passphrase))
        return ADD_FAILED;
    struct writer w = writer_to_buf(&request);
    agent_encode(&w, lock ? AGENTC_LOCK : AGENTC_UNLOCK,
                 &(struct agent_lock){view_text(passphrase)});
    enum err e = writer_end(&w);
    if (e == OK)
        e = agent_link_do(&a->agent, &request);
    secret_wipe(passphrase, sizeof passphrase);
    if (e != OK)
        return add_say("Failed to %slock agent: %s", un,
                       e == ERR_REFUSED ? "agent refused operation" : err_text(e));
    add_say("Agent %slocked.", un);
    return 0;
}

// ---- test ----

// Has the agent the private half, and does it sign?
static int test_key(struct add *a, const char *path) {
    struct key_touch touch;
    uint8_t data[1024];
    struct fault f = {0};
    struct key *key = NULL, *plain = NULL;
    scoped_buf signature;
    buf_init(&signature, KEY_SIGNATURE_MAX);
    if (add_read_public(path, &key, &f) != OK)
        return add_say("Couldn't read public key %s: %s", path, fault_reason(&f, path));
    const struct key_type *type = key_type_plain(key->type);
    const struct alg *alg = alg_find(
        ALG_SIGNATURE, view_text(type->kind == PK_RSA ? "rsa-sha2-256" : type->name));
    random_bytes(data, sizeof data);
    struct view v = view_of(data, sizeof data);
    enum err e = agent_link_sign(&a->agent, key_blob(key), alg->signature, v, &signature);
    if (e != OK) {
        add_say("Agent signature failed for %s: %s", path,
                e == ERR_REFUSED ? "agent refused operation" : err_text(e));
    } else {
        e = key_from_blob(&plain, key_plain_blob(key), NULL);
        if (e == OK)
            e = key_verify_touch(plain, alg->signature, buf_view(&signature), v, &touch);
        if (e != OK)
            add_say("Signature verification failed for %s: %s", path, err_text(e));
    }
    key_free(plain);
    key_free(key);
    return e == OK ? 0 : ADD_FAILED;
}

int add_test(struct add *a) {
    int status = 0;
    if (a->args_n == 0) {
        add_say("no keys to test");
        return ADD_FATAL;
    }
    for (size_t i = 0; i < a->args_n; i++)
        status |= test_key(a, a->args[i]);
    return status;
}

// ---- extensions ----

int add_query(struct add *a) {
    char clean[256];
    struct view contents;
    scoped_buf request, answer;
    buf_init(&request, 64);
    buf_init(&answer, AGENT_MESSAGE_MAX);
    enum err e = agent_ask_extension(AGENT_QUERY, (struct view){0}, &request);
    if (e == OK)
        e = agent_link_exchange(&a->agent, &request, &answer);
    if (e == OK)
        e = agent_take_extension(buf_view(&answer), AGENT_QUERY, &contents);
    if (e != OK)
        return add_say("The agent does not tell its extensions: %s",
                       e == ERR_REFUSED ? "agent refused operation" : err_text(e));
    struct reader r = reader_of(contents);
    while (reader_left(&r) > 0) {
        struct view name = read_string(&r);
        if (r.err == OK)
            puts(text_clean(clean, sizeof clean, name));
    }
    return r.err == OK ? 0 : add_say("The agent's answer is malformed.");
}

// ---- tokens ----

static bool read_certificates(struct add *a) {
    struct agent_constraints *c = &a->constraints;
    struct fault f = {0};
    if (a->args_n == 0)
        return true;
    c->certificates = calloc(a->args_n, sizeof c->certificates[0]);
    c->certificates_only = a->certificates_only;
    for (size_t i = 0; c->certificates != NULL && i < a->args_n; i++) {
        if (add_read_public(a->args[i], &c->certificates[i], &f) != OK)
            return add_say("%s: %s", a->args[i], fault_text(&f)) == 0;
        c->certificates_n++;
        if (c->certificates[i]->certificate == NULL)
            return add_say("%s: not a certificate", a->args[i]) == 0;
    }
    return c->certificates != NULL;
}

int add_library(struct add *a) {
    char pin[PROMPT_MAX] = "", path[PATH_MAX];
    bool add = a->command == 's';
    struct fault f = {0};
    scoped_buf request;
    buf_init(&request, AGENT_MESSAGE_MAX);
    if (realpath(a->library, path) == NULL)
        snprintf(path, sizeof path, "%s", a->library);
    if (add && (!read_certificates(a) ||
                prompt_ask("Enter passphrase for PKCS#11: ", PROMPT_STDIN, pin,
                           sizeof pin, &f) != OK))
        return ADD_FAILED;
    enum err e = agent_ask_smartcard(add, path, pin, &a->constraints, &request);
    secret_wipe(pin, sizeof pin);
    if (e == OK)
        e = agent_link_do(&a->agent, &request);
    if (e != OK)
        return add_say("Could not %s card \"%s\": %s", add ? "add" : "remove", a->library,
                       e == ERR_REFUSED ? "agent refused operation" : err_text(e));
    if (!a->quiet)
        add_say("Card %s: %s", add ? "added" : "removed", a->library);
    return 0;
}
