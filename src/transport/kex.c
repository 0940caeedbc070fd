// The exchange (RFC 4253 s.7 and 8; RFC 5656 s.4; hybrids with the same two messages;
// RFC 4419 from where its group is known), both sides, first and later ones.
//
// Invariants: K lives in one function and is wiped there; the client sends NEWKEYS, and
// so anything of authentication, only after the host key's signature was verified and the
// caller trusted the key; the session id is the first exchange's H for ever.
#include "transport/internal.h"

#include <stdlib.h>

#include "base/secret.h"
#include "key/key.h"

#define EXCHANGE_HOST_KEY_MAX LIMIT_PACKET_PREAUTH

void exchange_free(struct exchange *x) {
    if (x == NULL)
        return;
    buf_free(&x->ours);
    buf_free(&x->theirs);
    buf_free(&x->host_key);
    kex_offer_free(x->offer);
    packet_cipher_free(x->next_in);
    packet_cipher_free(x->next_out);
    secret_wipe(x, sizeof *x);
    free(x);
}

enum err exchange_send_init(struct transport *t, const struct kex_alg *alg,
                            const struct kex_group *group) {
    struct exchange *x = t->kex;
    struct span blob = {x->client_blob, sizeof x->client_blob};
    kex_offer_free(x->offer);
    x->offer = NULL;
    TRY(kex_offer_new(&x->offer, alg, group, &blob));
    x->client_blob_len = blob.n;
    struct msg_kex_ecdh_init m = {view_of(blob.p, blob.n)};
    return packet_out_message(
        t, group != NULL ? SSH_MSG_KEX_DH_GEX_INIT : SSH_MSG_KEX_ECDH_INIT, &m,
        KEX_BLOB_MAX + 16);
}

static enum err send_offer(struct transport *t, const struct kex_alg *alg) {
    return alg->group_exchange ? group_request(t) : exchange_send_init(t, alg, NULL);
}

// A group exchange is not guessed: it would not save the round trip.
static const struct kex_alg *guessed_alg(const struct transport *t) {
    struct view list = view_text(t->config.kex), name;
    const struct alg *a = name_list_next(&list, &name) ? alg_find(ALG_KEX, name) : NULL;
    return a != NULL && !a->kex->group_exchange ? a->kex : NULL;
}

enum err exchange_start(struct transport *t, bool first) {
    const struct kex_alg *guess =
        first && t->config.guess && !transport_is_server(t) ? guessed_alg(t) : NULL;
    struct exchange *x = calloc(1, sizeof *x);
    if (x == NULL)
        return ERR_MEMORY;
    t->kex = x;
    x->first = first;
    x->guessed = guess != NULL;
    buf_init(&x->ours, LIMIT_PACKET);
    buf_init(&x->theirs, LIMIT_PACKET);
    buf_init(&x->host_key, EXCHANGE_HOST_KEY_MAX);
    TRY(negotiate_offer(t, x));
    TRY(packet_out_view(t, buf_view(&x->ours)));
    t->blocked = true;
    return guess != NULL ? send_offer(t, guess) : OK;
}

// Where the exchange goes on, once what is to be skipped was.
static enum phase method_phase(const struct exchange *x) {
    if (x->algs.kex->group_exchange)
        return x->first ? PHASE_GROUP : PHASE_REKEY_GROUP;
    return x->first ? PHASE_KEX : PHASE_REKEY_KEX;
}

enum err handle_kexinit(struct transport *t, const struct packet *p,
                        struct transport_event *event) {
    struct msg_kexinit m;
    bool right;
    (void)event;
    if (t->kex == NULL)
        TRY(exchange_start(t, false));
    struct exchange *x = t->kex;
    TRY(buf_append(&x->theirs, p->payload));
    TRY(message_decode(SSH_MSG_KEXINIT, buf_view(&x->theirs), &m, &t->fault));
    TRY(negotiate_agree(t, x, &m, &right));
    x->theirs_came = true;
    bool skip = m.first_kex_packet_follows && !right;
    t->phase = !skip ? method_phase(x) : x->first ? PHASE_GUESS : PHASE_REKEY_GUESS;
    bool guessed = transport_is_server(t) ? m.first_kex_packet_follows : x->guessed;
    if (x->first)
        t->agreed.guessed_right = guessed && right;
    if (transport_is_server(t) || (guessed && right))
        return OK;
    return send_offer(t, x->algs.kex);
}

enum err handle_skip(struct transport *t, const struct packet *p,
                     struct transport_event *event) {
    (void)p;
    (void)event;
    t->phase = method_phase(t->kex);
    return OK;
}

// What is hashed before K: V_C, V_S, I_C, I_S, K_S, then of a group exchange min, n, max,
// p, g (RFC 4419 s.3), then Q_C and Q_S.
static enum err hashed_text(struct transport *t, struct buf *out) {
    struct exchange *x = t->kex;
    bool server = transport_is_server(t);
    struct view ours = view_text(t->config.ident);
    struct view theirs = view_of(t->peer_ident, t->peer_ident_len);
    struct writer w = writer_to_buf(out);
    write_string(&w, server ? theirs : ours);
    write_string(&w, server ? ours : theirs);
    write_string(&w, buf_view(server ? &x->theirs : &x->ours));
    write_string(&w, buf_view(server ? &x->ours : &x->theirs));
    write_string(&w, buf_view(&x->host_key));
    if (x->algs.kex->group_exchange) {
        write_u32(&w, x->group_request.min);
        write_u32(&w, x->group_request.preferred);
        write_u32(&w, x->group_request.max);
        write_mpint(&w, view_of(x->group.p, x->group.p_len));
        write_mpint(&w, view_of(x->group.g, x->group.g_len));
    }
    write_string(&w, view_of(x->client_blob, x->client_blob_len));
    write_string(&w, view_of(x->server_blob, x->server_blob_len));
    return writer_end(&w);
}

static enum err exchange_hash(struct transport *t, struct view k) {
    struct exchange *x = t->kex;
    const struct digest_alg *hash = x->algs.kex->hash;
    scoped_buf text = {.max = 2 * LIMIT_PACKET + EXCHANGE_HOST_KEY_MAX + 8192};
    TRY(hashed_text(t, &text));
    struct view parts[] = {buf_view(&text), k};
    x->hash_len = hash->size;
    return digest_parts(hash, parts, 2, x->hash);
}

struct keys {
    uint8_t iv[32], key[64], mac[64];
};

// One direction's IV, key and MAC key: letters A C E to the server, B D F to the client
// (s.7.2).
static enum err derive(struct transport *t, struct view k, bool to_server,
                       struct keys *keys, const struct cipher_alg *cipher,
                       const struct mac_alg *mac) {
    struct exchange *x = t->kex;
    const struct digest_alg *hash = x->algs.kex->hash;
    struct view h = view_of(x->hash, x->hash_len);
    struct view id = view_of(t->session_id, t->session_id_len);
    size_t mac_len = mac != NULL ? mac->key_len : 0;
    const char *names = to_server ? "ACE" : "BDF";
    struct view letters[] = {view_of(names, 1), view_of(names + 1, 1),
                             view_of(names + 2, 1)};
    if (cipher->iv_len > sizeof keys->iv || cipher->key_len > sizeof keys->key ||
        mac_len > sizeof keys->mac)
        return ERR_CRYPTO;
    if (cipher->iv_len > 0)
        TRY(kex_derive(hash, k, h, letters[0], id, keys->iv, cipher->iv_len));
    TRY(kex_derive(hash, k, h, letters[1], id, keys->key, cipher->key_len));
    if (mac_len > 0)
        TRY(kex_derive(hash, k, h, letters[2], id, keys->mac, mac_len));
    return OK;
}

static enum err make_cipher(struct transport *t, struct view k, bool to_server) {
    struct exchange *x = t->kex;
    const struct cipher_alg *cipher = to_server ? x->algs.cipher_c2s : x->algs.cipher_s2c;
    const struct mac_alg *mac = to_server ? x->algs.mac_c2s : x->algs.mac_s2c;
    bool seal = to_server != transport_is_server(t);
    struct keys keys;
    enum err e = derive(t, k, to_server, &keys, cipher, mac);
    if (e == OK)
        e = packet_cipher_new(seal ? &x->next_out : &x->next_in, cipher, mac,
                              view_of(keys.key, cipher->key_len),
                              view_of(keys.iv, cipher->iv_len),
                              view_of(keys.mac, mac != NULL ? mac->key_len : 0), seal);
    secret_wipe(&keys, sizeof keys);
    return e;
}

// The session id, and the secret for those above the transport.
static enum err begin_session(struct transport *t, struct view k) {
    struct exchange *x = t->kex;
    const struct digest_alg *hash = x->algs.kex->hash;
    struct view h = view_of(x->hash, x->hash_len);
    memcpy(t->session_id, x->hash, x->hash_len);
    t->session_id_len = x->hash_len;
    if (hash->size < TRANSPORT_EXPORTER)
        return OK;
    t->has_exporter = true;
    return kex_derive(hash, k, h, view_text(TRANSPORT_EXPORTER_LABEL), h, t->exporter,
                      TRANSPORT_EXPORTER);
}

// From K to everything that depends on it.
static enum err use_secret(struct transport *t, struct view k) {
    TRY(exchange_hash(t, k));
    if (t->kex->first)
        TRY(begin_session(t, k));
    TRY(make_cipher(t, k, true));
    return make_cipher(t, k, false);
}

static void ask(struct transport *t, enum question question,
                struct transport_event *event) {
    struct exchange *x = t->kex;
    t->question = question;
    event->kind = question == QUESTION_SIGN ? TRANSPORT_SIGN : TRANSPORT_HOST_KEY;
    event->ticket = ++t->ticket;
    event->host_key_index = x->host_key_index;
    event->algorithm = x->algs.host_key->name;
    event->data = view_of(x->hash, x->hash_len);
    event->host_key = buf_view(&x->host_key);
    event->first = x->first;
}

static enum err check_blob(struct transport *t, uint8_t number, const char *field,
                           size_t n, size_t want) {
    const struct kex_alg *alg = t->kex->algs.kex;
    if (kex_blob_fits(alg, n, want))
        return OK;
    return fault_set(&t->fault, ERR_KEX, number, "%s: field %s: %zu bytes, %s has %zu",
                     message_name(number), field, n, alg->name, want);
}

enum err handle_kex_init(struct transport *t, const struct packet *p,
                         struct transport_event *event) {
    struct exchange *x = t->kex;
    const struct kex_alg *alg = x->algs.kex;
    struct msg_kex_ecdh_init m;
    TRY(message_decode(p->number, p->payload, &m, &t->fault));
    TRY(check_blob(t, p->number, "client_blob", m.client_blob.n, alg->client_blob_len));
    memcpy(x->client_blob, m.client_blob.p, m.client_blob.n);
    x->client_blob_len = m.client_blob.n;
    TRY(buf_append(&x->host_key, t->config.host_keys[x->host_key_index].blob));
    uint8_t secret[KEX_SECRET_MAX];
    struct span k = {secret, sizeof secret};
    struct span blob = {x->server_blob, sizeof x->server_blob};
    enum err e = kex_answer(alg, exchange_group(x), m.client_blob, &blob, &k);
    x->server_blob_len = blob.n;
    if (e == OK)
        e = use_secret(t, view_of(k.p, k.n));
    secret_wipe(secret, sizeof secret);
    if (e != OK)
        return fault_set(&t->fault, e, p->number, "%s: %s", message_name(p->number),
                         err_text(e));
    ask(t, QUESTION_SIGN, event);
    return OK;
}

static enum err verify_host_key(struct transport *t, struct view signature) {
    struct exchange *x = t->kex;
    struct key *key = NULL;
    struct key_touch touch;  // a host's security key is touched by nobody
    struct fault why = {0};
    enum err e = key_from_blob(&key, buf_view(&x->host_key), &why);
    if (e != OK)
        return fault_set(&t->fault, ERR_KEX, SSH_MSG_KEX_ECDH_REPLY,
                         "KEX_ECDH_REPLY: field host_key: %s", fault_text(&why));
    if (!key_can_sign_with(key, x->algs.host_key))
        e = fault_set(&t->fault, ERR_KEX, SSH_MSG_KEX_ECDH_REPLY,
                      "KEX_ECDH_REPLY: field host_key: a %s key, %s was agreed on",
                      key->type->name, x->algs.host_key->name);
    else if (key_verify_touch(key, x->algs.host_key, signature,
                              view_of(x->hash, x->hash_len), &touch) != OK)
        e = fault_set(
            &t->fault, ERR_SIGNATURE, SSH_MSG_KEX_ECDH_REPLY,
            "KEX_ECDH_REPLY: field signature: the host key's signature is wrong");
    key_free(key);
    return e;
}

// New keys, new streams (RFC 4253 s.6.2).
// What NEWKEYS begins, in one direction.
static void way_renew(struct transport *t, struct packet_way *way,
                      struct packet_cipher **next, bool to_client) {
    const struct exchange *x = t->kex;
    packet_cipher_free(way->cipher);
    way->cipher = *next;
    *next = NULL;
    way->bytes = way->packets = 0;
    way->compressed = to_client ? x->algs.zlib_s2c : x->algs.zlib_c2s;
    compression_free(way->stream);
    way->stream = NULL;
    way->rekey_bytes = (to_client ? x->algs.cipher_s2c : x->algs.cipher_c2s)->rekey_bytes;
    if (t->agreed.strict)
        way->sequence = 0;
}

static enum err send_newkeys(struct transport *t) {
    struct exchange *x = t->kex;
    struct msg_empty none = {0};
    TRY(packet_out_message(t, SSH_MSG_NEWKEYS, &none, 1));
    way_renew(t, &t->out, &x->next_out, transport_is_server(t));
    t->blocked = false;
    t->phase = x->first ? PHASE_NEWKEYS : PHASE_REKEY_NEWKEYS;
    if (x->first)
        TRY(ext_info_send(t));
    return control_flush(t);
}

enum err handle_kex_reply(struct transport *t, const struct packet *p,
                          struct transport_event *event) {
    struct exchange *x = t->kex;
    struct msg_kex_ecdh_reply m;
    TRY(message_decode(p->number, p->payload, &m, &t->fault));
    TRY(check_blob(t, p->number, "server_blob", m.server_blob.n,
                   x->algs.kex->server_blob_len));
    memcpy(x->server_blob, m.server_blob.p, m.server_blob.n);
    x->server_blob_len = m.server_blob.n;
    TRY(buf_append(&x->host_key, m.host_key));
    uint8_t secret[KEX_SECRET_MAX];
    struct span k = {secret, sizeof secret};
    enum err e = kex_offer_finish(x->offer, m.server_blob, &k);
    if (e == OK)
        e = use_secret(t, view_of(k.p, k.n));
    secret_wipe(secret, sizeof secret);
    kex_offer_free(x->offer);
    x->offer = NULL;
    if (e != OK)
        return fault_set(&t->fault, e, p->number, "%s: %s", message_name(p->number),
                         err_text(e));
    TRY(verify_host_key(t, m.signature));
    if (x->first) {
        TRY(buf_append(&t->first_host_key, m.host_key));
        TRY(buf_append(&t->first_signature, m.signature));
    }
    if (!x->first && view_equal(buf_view(&x->host_key), buf_view(&t->host_key)))
        return send_newkeys(t);
    ask(t, QUESTION_HOST_KEY, event);
    return OK;
}

static enum err keep_host_key(struct transport *t) {
    buf_clear(&t->host_key);
    return buf_append(&t->host_key, buf_view(&t->kex->host_key));
}

enum err transport_answer_host_key(struct transport *t, uint32_t ticket, bool trusted) {
    if (t->failed != OK || t->question != QUESTION_HOST_KEY || ticket != t->ticket)
        return ERR_REFUSED;
    t->question = QUESTION_NONE;
    if (!trusted)
        return transport_fail(t, ERR_HOST_KEY);
    enum err e = keep_host_key(t);
    if (e == OK)
        e = send_newkeys(t);
    return e == OK ? OK : transport_fail(t, e);
}

static enum err send_reply(struct transport *t, struct view signature) {
    struct exchange *x = t->kex;
    struct msg_kex_ecdh_reply m = {
        buf_view(&x->host_key), view_of(x->server_blob, x->server_blob_len), signature};
    if (signature.n == 0)
        return fault_set(&t->fault, ERR_KEX, SSH_MSG_KEX_ECDH_INIT,
                         "the host key could not sign");
    TRY(packet_out_message(
        t, exchange_group(x) != NULL ? SSH_MSG_KEX_DH_GEX_REPLY : SSH_MSG_KEX_ECDH_REPLY,
        &m, m.host_key.n + m.server_blob.n + signature.n + 16));
    TRY(keep_host_key(t));
    return send_newkeys(t);
}

enum err transport_answer_sign(struct transport *t, uint32_t ticket,
                               struct view signature) {
    if (t->failed != OK || t->question != QUESTION_SIGN || ticket != t->ticket)
        return ERR_REFUSED;
    t->question = QUESTION_NONE;
    enum err e = send_reply(t, signature);
    return e == OK ? OK : transport_fail(t, e);
}

enum err handle_newkeys(struct transport *t, const struct packet *p,
                        struct transport_event *event) {
    struct exchange *x = t->kex;
    struct msg_empty none;
    TRY(message_decode(SSH_MSG_NEWKEYS, p->payload, &none, &t->fault));
    way_renew(t, &t->in, &x->next_in, !transport_is_server(t));
    t->phase = x->first ? PHASE_AUTH : PHASE_OPEN;
    t->packets_since_newkeys = 0;
    t->keyed_at = t->now;
    t->exchanges++;
    memset(t->once_seen, 0, sizeof t->once_seen);
    event->kind = TRANSPORT_KEYED;
    event->first = x->first;
    exchange_free(x);
    t->kex = NULL;
    return OK;
}
