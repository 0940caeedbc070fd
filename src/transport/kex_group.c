// The first two messages of a group exchange (RFC 4419, RFC 8270): how large, and which.
#include "transport/internal.h"

#define DES3_STRENGTH 14u  // bytes

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

static size_t strength(const struct cipher_alg *c, const struct mac_alg *m) {
    size_t cipher = c->block == 8 && c->chained ? DES3_STRENGTH : c->key_len;
    return larger(larger(cipher, c->block), m != NULL ? m->key_len : 0);
}

// What bears as much as the keys that are derived from it: NIST SP 800-57 part 1, table
// 2, with 8192 in place of 15360 bits.
static uint32_t preferred_bits(const struct algorithms *a) {
    size_t bytes =
        larger(strength(a->cipher_c2s, a->mac_c2s), strength(a->cipher_s2c, a->mac_s2c));
    return bytes <= 16 ? 3072 : bytes <= 24 ? 7680 : KEX_GROUP_BITS_MAX;
}

enum err group_request(struct transport *t) {
    struct msg_kex_dh_gex_request *m = &t->kex->group_request;
    *m = (struct msg_kex_dh_gex_request){
        KEX_GROUP_BITS_MIN, preferred_bits(&t->kex->algs), KEX_GROUP_BITS_MAX};
    t->agreed.group_preferred = m->preferred;
    return packet_out_message(t, SSH_MSG_KEX_DH_GEX_REQUEST, m, 16);
}

static void expect_gex(struct transport *t) {
    t->phase = t->kex->first ? PHASE_GEX : PHASE_REKEY_GEX;
}

static enum err send_group(struct transport *t, const struct kex_group *group) {
    struct span room;
    TRY(packet_out_reserve(t, 2 * KEX_GROUP_MAX + 16, &room));
    struct writer w = writer_to_span(room);
    write_u8(&w, SSH_MSG_KEX_ECDH_REPLY);  // here it is KEX_DH_GEX_GROUP
    write_mpint(&w, view_of(group->p, group->p_len));
    write_mpint(&w, view_of(group->g, group->g_len));
    TRY(writer_end(&w));
    return packet_out_seal(t, w.n);
}

enum err handle_gex_request(struct transport *t, const struct packet *p,
                            struct transport_event *event) {
    struct exchange *x = t->kex;
    struct msg_kex_dh_gex_request m;
    (void)event;
    TRY(message_decode(p->number, p->payload, &m, &t->fault));
    enum err e = kex_group_choose(&x->group, t->config.moduli, m.min, m.preferred, m.max);
    if (e != OK)
        return fault_set(&t->fault, e, p->number,
                         "KEX_DH_GEX_REQUEST: no group of %u to %u, preferably %u bits",
                         m.min, m.max, m.preferred);
    x->group_request = m;
    expect_gex(t);
    return send_group(t, &x->group);
}

enum err handle_gex_group(struct transport *t, const struct packet *p,
                          struct transport_event *event) {
    struct exchange *x = t->kex;
    struct reader r = reader_of(p->payload);
    (void)event;
    read_u8(&r);
    struct view prime = read_mpint(&r), generator = read_mpint(&r);
    enum err e = reader_end(&r);
    if (e == OK)
        e = kex_group_set(&x->group, prime, generator);
    if (e != OK)
        return fault_set(&t->fault, e, p->number,
                         "KEX_DH_GEX_GROUP: %s: %zu bytes of modulus", err_text(e),
                         prime.n);
    t->agreed.group_bits = kex_group_bits(&x->group);
    expect_gex(t);
    return exchange_send_init(t, x->algs.kex, &x->group);
}
