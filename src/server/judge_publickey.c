// The judge's publickey method: a question about a key, and a signature by one.
#include <stdio.h>
#include <stdlib.h>

#include "auth/server.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "io/clock.h"
#include "io/tun.h"
#include "key/base64.h"
#include "server/judge_state.h"

#define KEY_TEXT 1024

// ---- in words ----

static const struct digest_alg *hash_of(const struct judge *j) {
    return j->config.fingerprint_hash == FINGERPRINT_MD5 ? &digest_md5 : &digest_sha256;
}

// "ED25519 SHA256:…"
static void plain_text(const struct judge *j, const struct key *key, char *out,
                       size_t size) {
    char fingerprint[KEY_FINGERPRINT_SIZE];
    key_fingerprint(fingerprint, sizeof fingerprint, key_plain_blob(key), hash_of(j));
    snprintf(out, size, "%s %s", key->type->short_name, fingerprint);
}

// The same; what else is known of a certificate is told at once.
static void key_text(struct judge *j, const struct key *key, char *out, size_t size) {
    char ca[KEY_TEXT] = "";
    if (key->certificate != NULL)
        plain_text(j, key->certificate->ca, ca, sizeof ca);
    judge_tell_facts(j, key->certificate, ca);
    plain_text(j, key, out, size);
}

static void unknown_text(const struct judge *j, struct view blob, char *out,
                         size_t size) {
    char fingerprint[KEY_FINGERPRINT_SIZE];
    key_fingerprint(fingerprint, sizeof fingerprint, blob, hash_of(j));
    snprintf(out, size, "UNKNOWN %s", fingerprint);
}

void judge_key_text(struct judge *j, const struct key *key, struct view blob, char *out,
                    size_t size) {
    if (key != NULL)
        key_text(j, key, out, size);
    else
        unknown_text(j, blob, out, size);
}

// ---- finding ----

static bool was_used(const struct judge *j, const struct key *key) {
    const struct judge_grant *g = &j->grant;
    for (size_t i = 0; i < g->used_n; i++)
        if (view_equal(view_of(g->used[i], g->used_len[i]), key_plain_blob(key)))
            return true;
    return false;
}

// Everything is done in any case; what it comes to counts only for who may log in.
static bool find(struct judge *j, const struct key *key, struct judge_match *match) {
    const struct judge_start *st = j->start;
    struct judge_search s = {
        &j->config,     &j->account, j->user,        st->peer, st->local, st->peer_port,
        st->local_port, st->domain,  clock_wall_s(), &j->log,  key,       j->host};
    bool found = judge_find_key(&s, match) == OK;
    if (found && (!j->allowed || !judge_methods_may(&j->methods, METHOD_PUBLICKEY) ||
                  was_used(j, key))) {
        judge_match_free(match);
        found = false;
    }
    return found;
}

void judge_on_key_query(struct judge *j, const struct ipc_key_query *m) {
    struct key *key = NULL;
    struct judge_match match = {0};
    char text[KEY_TEXT];
    bool parsed = key_from_blob(&key, m->blob, NULL) == OK;
    bool found = parsed && find(j, key, &match);
    if (parsed)
        key_text(j, key, text, sizeof text);
    else
        unknown_text(j, m->blob, text, sizeof text);
    if (found) {
        struct ipc_answer answer = {m->ticket,       AUTH_ACCEPTABLE,
                                    view_text(""),   view_text("publickey"),
                                    view_text(text), view_text("")};
        judge_tell(j, IPC_ANSWER, &answer);
    } else {
        judge_refuse(j, m->ticket, "publickey", text);
    }
    judge_match_free(&match);
    key_free(key);
}

// ---- using ----

// Whose login this is, beyond the name: the key, or the name that an authority gave.
static enum err write_identity(struct judge *j, const struct key *key) {
    const struct certificate *c = key->certificate;
    return c != NULL ? judge_identity_add(j, "certificate", key_blob(c->ca), c->key_id)
                     : judge_identity_add(j, "key", key_plain_blob(key), view_text(""));
}

enum err judge_identity_add(struct judge *j, const char *kind, struct view by,
                            struct view name) {
    struct writer w = writer_to_buf(&j->grant.identity);
    write_text(&w, kind);
    write_string(&w, by);
    write_string(&w, name);
    return writer_end(&w);
}

// One more line for ExposeAuthInfo, and the key is used up.
enum err judge_key_used(struct judge *j, const char *method, const struct key *key) {
    struct judge_grant *g = &j->grant;
    struct view blob = key_plain_blob(key);
    if (g->used_n == JUDGE_KEYS_MAX)
        return ERR_LIMIT;
    g->used[g->used_n] = malloc(blob.n);
    if (g->used[g->used_n] == NULL)
        return ERR_MEMORY;
    memcpy(g->used[g->used_n], blob.p, blob.n);
    g->used_len[g->used_n++] = blob.n;
    TRY(buf_append(&g->info, view_text(method)));
    TRY(buf_append(&g->info, view_text(" ")));
    TRY(buf_append(&g->info, view_text(key->type->name)));
    TRY(buf_append(&g->info, view_text(" ")));
    TRY(base64_encode(&g->info, key_blob(key)));
    return buf_append(&g->info, view_text("\n"));
}

static void merge_expiry(struct judge_grant *g, const struct judge_match *m,
                         const struct key *key) {
    uint64_t at;
    if (judge_line_expiry(&m->line, &at) && (!g->expires || at < g->expires_at)) {
        g->expires = true;
        g->expires_at = at;
    }
    if (key->certificate == NULL ||
        key->certificate->valid_before == CERTIFICATE_FOR_EVER)
        return;
    at = key->certificate->valid_before;
    if (!g->expires || at < g->expires_at) {
        g->expires = true;
        g->expires_at = at;
    }
}

static enum err write_addresses(struct buf *out, const struct authkey_address *v,
                                size_t n) {
    struct writer w = writer_to_buf(out);
    if (buf_len(out) > 0)
        return OK;  // an earlier key's limits stay
    for (size_t i = 0; i < n; i++) {
        char text[300];
        const char *host = v[i].host[0] != '\0' ? v[i].host : "*";
        if (v[i].port == AUTHKEY_PORT_ANY)
            snprintf(text, sizeof text, "%s:*", host);
        else
            snprintf(text, sizeof text, "%s:%u", host, v[i].port);
        write_text(&w, text);
    }
    return writer_end(&w);
}

// tunnel=: two keys of one login that are for different devices are for none.
static void merge_tunnel(struct judge_grant *g, int unit) {
    if (unit == AUTHKEY_TUNNEL_NONE || (uint32_t)unit == TUN_UNIT_ANY)
        return;
    if (g->tunnel == TUN_UNIT_ANY)
        g->tunnel = (uint32_t)unit;
    else if (g->tunnel != (uint32_t)unit)
        g->permits &= ~(uint32_t)PERMIT_TUNNEL;
}

// What this key allows, together with what was allowed before.
static enum err merge(struct judge *j, const struct judge_match *m,
                      const struct key *key) {
    struct judge_grant *g = &j->grant;
    const char *comment = m->line.key != NULL ? m->line.key->comment : NULL;
    if (m->command != NULL && g->command != NULL && strcmp(m->command, g->command) != 0)
        return ERR_REFUSED;
    if (m->command != NULL && g->command == NULL &&
        (g->command = strdup(m->command)) == NULL)
        return ERR_MEMORY;
    g->permits &= m->permits;
    merge_tunnel(g, m->line.tunnel);
    merge_expiry(g, m, key);
    if (comment != NULL)
        text_copy(g->comment, sizeof g->comment, view_text(comment));
    struct writer w = writer_to_buf(&g->environment);
    for (size_t i = 0; i < m->line.environment_count; i++)
        write_text(&w, m->line.environment[i]);
    TRY(writer_end(&w));
    TRY(write_addresses(&g->open, m->line.open, m->line.open_count));
    TRY(write_addresses(&g->listen, m->line.listen, m->line.listen_count));
    TRY(write_identity(j, key));
    return judge_key_used(j, "publickey", key);
}

static enum err verify(struct judge *j, const struct ipc_key_auth *m,
                       struct key_touch *touch, struct fault *why) {
    struct judge_signature want = {
        j->start->session_id, j->start->host_key, view_text(j->asked),
        j->config.pubkey_accepted_algorithms, j->config.required_rsa_size};
    return judge_signature_check(&want, m, touch, why);
}

static bool key_is_good(struct judge *j, const struct ipc_key_auth *m,
                        const struct key *key, struct judge_match *match) {
    struct fault why = {0};
    struct key_touch touch = {0};
    // Both are done in any case: what fails first is not to be told from the time.
    enum err right = verify(j, m, &touch, &why);
    bool found = find(j, key, match);
    if (right == OK && found)
        right = judge_touch_allowed(&j->config, match, &touch, &why);
    if (right != OK)
        log_verbose(&j->log, "publickey for %s from %s: %s", j->user, j->start->peer,
                    fault_text(&why));
    return right == OK && found;
}

void judge_on_key_auth(struct judge *j, const struct ipc_key_auth *m) {
    struct key *key = NULL;
    struct judge_match match = {0};
    char text[KEY_TEXT];
    bool good = false;
    if (key_from_blob(&key, m->blob, NULL) == OK) {
        key_text(j, key, text, sizeof text);
        good = key_is_good(j, m, key, &match);
    } else {
        unknown_text(j, m->blob, text, sizeof text);
    }
    if (good && merge(j, &match, key) != OK) {
        log_error(&j->log, "options of the keys of %s do not fit together", j->user);
        good = false;
    }
    judge_match_free(&match);
    key_free(key);
    if (!good) {
        judge_refuse(j, m->ticket, "publickey", text);
        return;
    }
    text_copy(j->grant.key, sizeof j->grant.key, view_text(text));
    judge_fulfilled(j, m->ticket, METHOD_PUBLICKEY);
}
