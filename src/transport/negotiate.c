// Algorithm negotiation (RFC 4253 s.7.1): our KEXINIT, and what both sides' come to. The
// markers of RFC 8308 s.2.1 and of strict key exchange stand in the first KEXINIT only.
#include "transport/internal.h"

#include "base/text.h"
#include "crypto/random.h"

#define MARK_EXT_CLIENT "ext-info-c"
#define MARK_EXT_SERVER "ext-info-s"
#define MARK_STRICT_CLIENT "kex-strict-c-v00@openssh.com"
#define MARK_STRICT_SERVER "kex-strict-s-v00@openssh.com"

// The index of the host key that serves an algorithm; host_key_count if none does.
static size_t host_key_for(const struct transport_config *c, struct view name) {
    for (size_t i = 0; i < c->host_key_count; i++) {
        struct view list = view_text(c->host_keys[i].algorithms), each;
        while (name_list_next(&list, &each))
            if (view_equal(each, name))
                return i;
    }
    return c->host_key_count;
}

static enum err add_name(struct buf *list, struct view name) {
    if (buf_len(list) > 0)
        TRY(buf_append(list, view_text(",")));
    return buf_append(list, name);
}

static enum err host_key_list(const struct transport *t, struct buf *out) {
    struct view all = view_text(t->config.host_key_algorithms), name;
    while (name_list_next(&all, &name))
        if (!transport_is_server(t) ||
            host_key_for(&t->config, name) < t->config.host_key_count)
            TRY(add_name(out, name));
    return OK;
}

static enum err kex_list(const struct transport *t, bool first, struct buf *out) {
    bool server = transport_is_server(t);
    TRY(add_name(out, view_text(t->config.kex)));
    if (!first || t->config.plain)
        return OK;
    TRY(add_name(out, view_text(server ? MARK_EXT_SERVER : MARK_EXT_CLIENT)));
    return add_name(out, view_text(server ? MARK_STRICT_SERVER : MARK_STRICT_CLIENT));
}

enum err negotiate_offer(struct transport *t, struct exchange *x) {
    const struct transport_config *c = &t->config;
    scoped_buf kex = {.max = LIMIT_PACKET_PREAUTH}, keys = {.max = LIMIT_PACKET_PREAUTH};
    uint8_t cookie[16];
    random_bytes(cookie, sizeof cookie);
    TRY(kex_list(t, x->first, &kex));
    TRY(host_key_list(t, &keys));
    struct msg_kexinit m = {
        .cookie = view_of(cookie, sizeof cookie),
        .kex = buf_view(&kex),
        .host_key = buf_view(&keys),
        .cipher_c2s = view_text(c->ciphers_c2s),
        .cipher_s2c = view_text(c->ciphers_s2c),
        .mac_c2s = view_text(c->macs_c2s),
        .mac_s2c = view_text(c->macs_s2c),
        .compression_c2s = view_text(c->compression),
        .compression_s2c = view_text(c->compression),
        .first_kex_packet_follows = x->guessed,
    };
    struct writer w = writer_to_buf(&x->ours);
    message_encode(&w, SSH_MSG_KEXINIT, &m);
    return writer_end(&w);
}

static enum err nothing_common(struct transport *t, const char *what, struct view ours,
                               struct view theirs) {
    char clean_ours[80], clean_theirs[80];
    struct view parts[] = {view_text(what), view_text(": ours "), ours,
                           view_text("; theirs "), theirs};
    bool fits = true;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && fits; i++)
        fits = buf_append(&t->mismatch, parts[i]) == OK;
    return fault_set(&t->fault, ERR_NEGOTIATION, SSH_MSG_KEXINIT,
                     "KEXINIT: no %s in common: ours %s; theirs %s", what,
                     text_clean(clean_ours, sizeof clean_ours, ours),
                     text_clean(clean_theirs, sizeof clean_theirs, theirs));
}

// The first of the client's names that the server has too.
static enum err choose(struct transport *t, enum alg_kind kind, const char *what,
                       struct view ours, struct view theirs, const struct alg **out) {
    struct view name = transport_is_server(t) ? name_list_first_common(theirs, ours)
                                              : name_list_first_common(ours, theirs);
    *out = name.n > 0 ? alg_find(kind, name) : NULL;
    return *out != NULL ? OK : nothing_common(t, what, ours, theirs);
}

static enum err choose_cipher(struct transport *t, const char *what, const char *ours,
                              struct view theirs, const struct cipher_alg **out) {
    const struct alg *a;
    TRY(choose(t, ALG_CIPHER, what, view_text(ours), theirs, &a));
    *out = a->cipher;
    return OK;
}

static enum err choose_mac(struct transport *t, const struct cipher_alg *cipher,
                           const char *what, const char *ours, struct view theirs,
                           const struct mac_alg **out) {
    const struct alg *a;
    *out = NULL;
    if (cipher->tag_len > 0)
        return OK;
    TRY(choose(t, ALG_MAC, what, view_text(ours), theirs, &a));
    *out = a->mac;
    return OK;
}

static enum err choose_compression(struct transport *t, const char *what,
                                   struct view theirs, bool *zlib) {
    const struct alg *a;
    TRY(choose(t, ALG_COMPRESSION, what, view_text(t->config.compression), theirs, &a));
    *zlib = strcmp(a->name, "none") != 0;
    return OK;
}

static enum err choose_packets(struct transport *t, struct algorithms *a,
                               const struct msg_kexinit *theirs) {
    const struct transport_config *c = &t->config;
    TRY(choose_cipher(t, "cipher to the server", c->ciphers_c2s, theirs->cipher_c2s,
                      &a->cipher_c2s));
    TRY(choose_cipher(t, "cipher to the client", c->ciphers_s2c, theirs->cipher_s2c,
                      &a->cipher_s2c));
    TRY(choose_mac(t, a->cipher_c2s, "MAC to the server", c->macs_c2s, theirs->mac_c2s,
                   &a->mac_c2s));
    TRY(choose_mac(t, a->cipher_s2c, "MAC to the client", c->macs_s2c, theirs->mac_s2c,
                   &a->mac_s2c));
    TRY(choose_compression(t, "compression to the server", theirs->compression_c2s,
                           &a->zlib_c2s));
    return choose_compression(t, "compression to the client", theirs->compression_s2c,
                              &a->zlib_s2c);
}

static struct view first_name(struct view list) {
    struct view name = view_of(NULL, 0);
    return name_list_next(&list, &name) ? name : view_of(NULL, 0);
}

// Markers count in the first exchange only; strictness stays for the whole link.
static enum err read_markers(struct transport *t, const struct msg_kexinit *theirs) {
    bool server = transport_is_server(t);
    if (t->config.plain)
        return OK;
    t->peer_takes_ext =
        name_list_has(theirs->kex, server ? MARK_EXT_CLIENT : MARK_EXT_SERVER);
    t->agreed.strict =
        name_list_has(theirs->kex, server ? MARK_STRICT_CLIENT : MARK_STRICT_SERVER);
    if (t->agreed.strict && t->in.sequence != 1)
        return fault_set(&t->fault, ERR_PROTOCOL, SSH_MSG_KEXINIT,
                         "KEXINIT: not the first packet of a strict key exchange");
    return OK;
}

static const char *mac_name(const struct mac_alg *m) {
    return m != NULL ? m->name : "";
}

static const char *compression_name(bool zlib) {
    return zlib ? "zlib@openssh.com" : "none";
}

static void publish(struct transport *t, const struct algorithms *a) {
    t->agreed.kex = a->kex->name;
    t->agreed.host_key = a->host_key->name;
    t->agreed.cipher_c2s = a->cipher_c2s->name;
    t->agreed.cipher_s2c = a->cipher_s2c->name;
    t->agreed.mac_c2s = mac_name(a->mac_c2s);
    t->agreed.mac_s2c = mac_name(a->mac_s2c);
    t->agreed.compression_c2s = compression_name(a->zlib_c2s);
    t->agreed.compression_s2c = compression_name(a->zlib_s2c);
}

enum err negotiate_agree(struct transport *t, struct exchange *x,
                         const struct msg_kexinit *theirs, bool *guess_right) {
    struct algorithms a = {0};
    const struct alg *row;
    scoped_buf keys = {.max = LIMIT_PACKET_PREAUTH};
    if (x->first)
        TRY(read_markers(t, theirs));
    TRY(host_key_list(t, &keys));
    TRY(choose(t, ALG_KEX, "key exchange method", view_text(t->config.kex), theirs->kex,
               &row));
    a.kex = row->kex;
    TRY(choose(t, ALG_SIGNATURE, "host key algorithm", buf_view(&keys), theirs->host_key,
               &row));
    a.host_key = row->signature;
    TRY(choose_packets(t, &a, theirs));
    x->algs = a;
    x->host_key_index = host_key_for(&t->config, view_text(a.host_key->name));
    *guess_right =
        view_equal(first_name(view_text(t->config.kex)), first_name(theirs->kex)) &&
        view_equal(first_name(buf_view(&keys)), first_name(theirs->host_key));
    publish(t, &a);
    return OK;
}
