// UpdateHostKeys: the server announces its keys (hostkeys-00@openssh.com), proves that it
// has those that are new to us (hostkeys-prove-00@openssh.com), and the user's files
// follow (OpenSSH's PROTOCOL s.2.5). Nothing is believed before the proof.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/hostkeys_check.h"
#include "client/run.h"
#include "connection/requests.h"
#include "io/file.h"
#include "io/prompt.h"
#include "key/known_hosts_update.h"
#include "wire/messages.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define ANNOUNCE "hostkeys-00@openssh.com"
#define PROVE "hostkeys-prove-00@openssh.com"
#define PROOF_WAIT_MS 3000  // behind the end of a session
#define OFFERS_MAX 32
#define ADDRESS_NAME 96

// What the server has announced.
struct run_keys {
    struct known_hosts_offer offers[OFFERS_MAX];
    size_t n;
    struct known_hosts_plan plan;
    uint32_t ordinal;  // of the request for proofs
    bool waits;
    uint64_t until;  // when the session was over before the proof came; 0: it was not
    char address[ADDRESS_NAME];
    unsigned link;  // client_end.resumed when the proof was asked for: it is about that
                    // one's session id
};

bool run_keys_due(struct run *r, uint64_t now) {
    struct run_keys *keys = r->keys;
    if (keys == NULL || !keys->waits)
        return false;
    if (keys->until == 0)
        keys->until = clock_after(now, PROOF_WAIT_MS);
    return now < keys->until;
}

uint64_t run_keys_deadline(const struct run *r) {
    const struct run_keys *keys = r->keys;
    return keys != NULL && keys->waits && keys->until != 0 ? keys->until : CLOCK_NEVER;
}

void run_keys_free(struct run_keys *keys) {
    if (keys == NULL)
        return;
    for (size_t i = 0; i < keys->n; i++)
        key_free((struct key *)(uintptr_t)keys->offers[i].key);
    free(keys);
}

// ---- the announcement ----

// A key that HostKeyAlgorithms would take for a login.
static bool is_wanted(const struct client *c, const struct key *key) {
    struct view rest = view_text(c->host_key_algorithms), name;
    while (name_list_next(&rest, &name)) {
        const struct alg *a = alg_find(ALG_SIGNATURE, name);
        if (a != NULL && key_can_sign_with(key, a->signature))
            return true;
    }
    return false;
}

static bool is_there(const struct run_keys *keys, struct view blob) {
    for (size_t i = 0; i < keys->n; i++)
        if (view_equal(key_blob(keys->offers[i].key), blob))
            return true;
    return false;
}

// Keys that we do not know how to use are passed over; what is malformed or comes twice
// ends the attempt.
static bool take_offer(struct run *r, struct run_keys *keys, struct view blob) {
    struct key *key;
    if (is_there(keys, blob)) {
        log_debug(&r->c->log, "the server announces a host key twice");
        return false;
    }
    if (key_from_blob(&key, blob, NULL) != OK)
        return true;
    if (key->certificate != NULL || !is_wanted(r->c, key) || keys->n == OFFERS_MAX) {
        key_free(key);
        return true;
    }
    keys->offers[keys->n++].key = key;
    return true;
}

static bool take_announcement(struct run *r, struct run_keys *keys, struct view fields) {
    struct reader in = reader_of(fields);
    while (reader_left(&in) > 0) {
        struct view blob = read_string(&in);
        if (in.err != OK || !take_offer(r, keys, blob))
            return false;
    }
    return keys->n > 0;
}

// ---- the plan ----

static struct known_hosts_names names_of(struct run *r, struct run_keys *keys) {
    const struct client *c = r->c;
    struct known_hosts_names names = {.v = {c->known_name, keys->address}, .n = 1};
    if (c->config.check_host_ip && !c->proxied && strcmp(c->host, c->address) != 0 &&
        known_hosts_name(keys->address, sizeof keys->address, c->address,
                         c->config.port) == OK)
        names.n = 2;
    return names;
}

static bool plan(struct run *r, struct run_keys *keys) {
    struct client *c = r->c;
    struct known_hosts_plan *p = &keys->plan;
    if (hostkeys_read(c) != OK)
        return false;
    struct known_hosts_names names = names_of(r, keys);
    if (known_hosts_plan(c->known->at, c->known->users, &names, keys->offers, keys->n,
                         p) != OK ||
        p->fresh + p->old == 0)
        return false;
    if (p->blocked != NULL)
        log_debug(&c->log, "host keys are not updated: %s at %s:%lu", p->blocked,
                  p->line.file, p->line.number);
    return p->blocked == NULL;
}

// ---- what is to be written ----

static void say_offers(struct run *r, const struct run_keys *keys, enum log_level level) {
    char print[KEY_FINGERPRINT_SIZE];
    for (size_t i = 0; i < keys->n; i++)
        if (!keys->offers[i].known)
            log_at(&r->c->log, level, "Learned new host key: %s %s",
                   keys->offers[i].key->type->short_name,
                   key_fingerprint(print, sizeof print, key_blob(keys->offers[i].key),
                                   &digest_sha256));
    if (keys->plan.old > 0)
        log_at(&r->c->log, level, "Forgetting %zu host keys that the server has no more",
               keys->plan.old);
}

static bool may_write(struct run *r, const struct run_keys *keys) {
    const struct client_config *o = &r->c->config;
    if (o->update_host_keys != TRISTATE_ASK) {
        say_offers(r, keys, LOG_LEVEL_VERBOSE);
        return true;
    }
    if (o->batch_mode)
        return false;
    bool raw = r->own != NULL && r->own->raw;
    if (raw)
        session_leave_raw(r->own);
    log_info(&r->c->log, "The server has changed its host keys, vouched for by the one "
                         "that is trusted:");
    say_offers(r, keys, LOG_LEVEL_INFO);
    bool yes = prompt_yes_no("Accept updated hostkeys? (yes/no): ", NULL) == 1;
    if (raw)
        session_enter_raw(r->own);
    return yes;
}

static enum err write_file(struct run *r, struct run_keys *keys, size_t i,
                           struct fault *fault) {
    struct client *c = r->c;
    struct known_hosts_names names = names_of(r, keys);
    bool changed = false;
    scoped_buf text;
    buf_init(&text, LIMIT_KNOWN_HOSTS);
    TRY(known_hosts_replace(&c->known->at[i], &names, keys->offers, keys->n, i == 0,
                            c->config.hash_known_hosts, &text, &changed));
    return changed ? file_write(c->known->path[i], buf_view(&text), 0600, fault) : OK;
}

// The files may have changed since they were read.
static void write_all(struct run *r, struct run_keys *keys) {
    struct client *c = r->c;
    if (!may_write(r, keys))
        return;
    hostkeys_forget(c);
    if (hostkeys_read(c) != OK)
        return;
    for (size_t i = 0; i < c->known->users; i++) {
        struct fault fault = {0};
        enum err e = write_file(r, keys, i, &fault);
        if (e != OK)
            log_error(&c->log, "host keys could not be updated in %s: %s",
                      c->known->path[i],
                      fault.code != OK ? fault_text(&fault) : err_text(e));
    }
}

// ---- the proof ----

static enum err ask_for_proof(struct run *r, struct run_keys *keys) {
    scoped_buf fields;
    buf_init(&fields, LIMIT_PACKET_DEFAULT);
    struct writer w = writer_to_buf(&fields);
    for (size_t i = 0; i < keys->n; i++)
        if (!keys->offers[i].known)
            write_string(&w, key_blob(keys->offers[i].key));
    TRY(writer_end(&w));
    keys->ordinal = connection_next_global_ordinal(r->connection);
    keys->waits = true;
    keys->link = r->c->end.resumed;
    return connection_global_request(r->connection, PROVE, true, buf_view(&fields));
}

static bool proves(struct run *r, const struct key *key, struct view signature) {
    const struct signature_alg *alg = key_signature_alg(signature);
    struct key_touch touch;  // a host's security key is touched by nobody
    scoped_buf data;
    buf_init(&data, LIMIT_PACKET_DEFAULT);
    struct writer w = writer_to_buf(&data);
    write_string(&w, view_text(PROVE));
    write_string(&w, transport_session_id(r->c->link.transport));
    write_string(&w, key_blob(key));
    return writer_end(&w) == OK && alg != NULL &&
           name_list_has(view_text(r->c->host_key_algorithms), alg->name) &&
           key_verify_touch(key, alg, signature, buf_view(&data), &touch) == OK;
}

// One proof that is wrong or missing makes all of them worthless.
static bool all_proven(struct run *r, const struct run_keys *keys, struct view fields) {
    struct reader in = reader_of(fields);
    for (size_t i = 0; i < keys->n; i++) {
        if (keys->offers[i].known)
            continue;
        struct view signature = read_string(&in);
        if (in.err != OK || !proves(r, keys->offers[i].key, signature))
            return false;
    }
    return reader_end(&in) == OK;
}

static void on_proof(struct run *r, const struct connection_event *event) {
    r->keys->waits = false;
    if (!event->success)
        log_debug(&r->c->log, "the server does not prove its new host keys");
    else if (r->keys->link != r->c->end.resumed)
        log_debug(&r->c->log, "the proof of new host keys was asked for on a link that "
                              "is gone: it cannot be checked");
    else if (!all_proven(r, r->keys, event->fields))
        log_error(&r->c->log, "The server announced host keys that it cannot prove to "
                              "have: they are not taken.");
    else
        write_all(r, r->keys);
}

static enum err on_announcement(struct run *r, const struct connection_event *event) {
    struct client *c = r->c;
    if (r->keys != NULL || !c->keys_may_change ||
        c->config.update_host_keys == TRISTATE_NO)
        return OK;
    r->keys = calloc(1, sizeof *r->keys);
    if (r->keys == NULL)
        return ERR_MEMORY;
    if (!take_announcement(r, r->keys, event->fields) || !plan(r, r->keys))
        return OK;
    if (r->keys->plan.fresh > 0)
        return ask_for_proof(r, r->keys);
    write_all(r, r->keys);
    return OK;
}

enum err run_keys_event(struct run *r, const struct connection_event *event, bool *mine) {
    *mine = false;
    if (event->kind == CONNECTION_GLOBAL_REQUEST && view_is(event->name, ANNOUNCE))
        return on_announcement(r, event);
    if (event->kind != CONNECTION_GLOBAL_REPLY || r->keys == NULL || !r->keys->waits ||
        event->ordinal != r->keys->ordinal)
        return OK;
    *mine = true;
    on_proof(r, event);
    return OK;
}
