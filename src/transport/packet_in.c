// Packets from the peer (RFC 4253 s.6), opened in place or straight into the caller's
// room.
//
// The length is checked before anything waits or is allocated for it. Where the length is
// encrypted with the rest but not authenticated by itself (CTR with a plain MAC), a bad
// one is not told at once: bytes are swallowed up to the largest packet first, so that
// the peer's reaction says nothing about what a guessed block decrypts to (CPNI-957037).
// With CBC the same holds for a wrong MAC.
#include "transport/internal.h"

void packet_in_release(struct transport *t) {
    if (t->ext_left.n > 0 || t->in_consumed == 0)
        return;
    buf_taken(&t->in_buf, t->in_consumed);
    t->in_consumed = 0;
}

static bool length_is_good(const struct transport *t, uint32_t n) {
    const struct packet_cipher *c = t->in.cipher;
    // A server may have a long banner; a stranger has nothing long to say.
    bool trusted = t->authenticated || !transport_is_server(t);
    uint32_t max = trusted ? LIMIT_PACKET : LIMIT_PACKET_PREAUTH;
    // Padding length, one byte of payload, four of padding.
    if (n < 6 || n > max)
        return false;
    return (4 + (size_t)n - packet_cipher_aad(c)) % packet_cipher_block(c) == 0;
}

static enum err refuse_length(struct transport *t, uint32_t n) {
    const struct packet_cipher *c = t->in.cipher;
    bool encrypted = packet_cipher_tag_len(c) > 0;
    if (encrypted && packet_cipher_aad(c) == 0) {
        t->discard = LIMIT_PACKET;
        return OK;
    }
    return fault_set(&t->fault, encrypted ? ERR_MAC : ERR_FORMAT, 0,
                     "packet %u: length %u is impossible%s%s", t->in.sequence, n,
                     encrypted ? ": " : "", encrypted ? err_text(ERR_MAC) : "");
}

static enum err swallow(struct transport *t) {
    size_t n = buf_len(&t->in_buf);
    if (n > t->discard)
        n = t->discard;
    buf_taken(&t->in_buf, n);
    t->discard -= n;
    if (t->discard > 0)
        return OK;
    return fault_set(&t->fault, ERR_MAC, 0, "packet %u: %s", t->in.sequence,
                     err_text(ERR_MAC));
}

static enum err learn_length(struct transport *t) {
    uint32_t n;
    struct view have = buf_view(&t->in_buf);
    if (have.n < packet_cipher_head(t->in.cipher))
        return OK;
    TRY(packet_cipher_length(t->in.cipher, t->in.sequence, have.p, &n));
    if (!length_is_good(t, n))
        return refuse_length(t, n);
    t->packet_length = n;
    return OK;
}

static size_t whole_size(const struct transport *t) {
    return 4 + (size_t)t->packet_length + packet_cipher_tag_len(t->in.cipher);
}

size_t packet_in_missing(const struct transport *t) {
    size_t have = buf_len(&t->in_buf);
    size_t want = t->phase == PHASE_IDENT ? have + 1
                  : t->packet_length > 0  ? whole_size(t)
                                          : packet_cipher_head(t->in.cipher);
    return want > have ? want - have : 1;
}

static uint8_t read_once(const uint8_t *p) {
    return *(const volatile uint8_t *)p;
}

// Finds payload and number in a packet that was opened at `at`.
static enum err parse(struct transport *t, const uint8_t *at, struct packet *out) {
    uint8_t padding = read_once(at + 4);
    uint32_t n = t->packet_length;
    if (padding < 4 || (uint32_t)padding + 2 > n)
        return fault_set(&t->fault, ERR_FORMAT, 0, "packet %u: padding of %u bytes in %u",
                         t->in.sequence, padding, n);
    out->payload = view_of(at + 5, n - 1 - padding);
    out->number = read_once(at + 5);
    out->sequence = t->in.sequence;
    return OK;
}

static enum err account(struct transport *t, size_t whole) {
    t->in_consumed = whole;
    t->packet_length = 0;
    t->in.sequence++;
    t->in.packets++;
    t->in.bytes += whole;
    t->in.total_packets++;
    if (!t->authenticated && ++t->preauth_packets > LIMIT_PREAUTH_PACKETS)
        return fault_set(&t->fault, ERR_LIMIT, 0, "over %u packets before authentication",
                         LIMIT_PREAUTH_PACKETS);
    // Nonces and sequence numbers would come again (RFC 4344 s.3.1).
    if (t->in.packets > UINT32_MAX)
        return fault_set(&t->fault, ERR_LIMIT, 0, "the peer does not renew its keys");
    return OK;
}

// Until its first compressed packet a client may still send what it began before it knew
// of its success; no zlib stream begins like such a message (RFC 1950: 8 in the low
// half).
static bool is_from_before(const struct transport *t, uint8_t number) {
    return t->in.stream == NULL && transport_is_server(t) && number < 80 &&
           (number & 0x0f) != 8;
}

static enum err inflate_packet(struct transport *t, struct packet *out) {
    struct packet_way *way = &t->in;
    if (is_from_before(t, out->number))
        return OK;
    if (way->stream == NULL)
        TRY(compression_new(&way->stream, false));
    enum err e = compression_run(way->stream, out->payload, &way->plain);
    if (e != OK)
        return fault_set(&t->fault, e, 0, "packet %u: compression: %s", out->sequence,
                         err_text(e));
    out->payload = buf_view(&way->plain);
    out->number = out->payload.p[0];
    return OK;
}

static enum err open_packet(struct transport *t, struct span room, struct packet *out) {
    size_t plain = 4 + (size_t)t->packet_length;
    uint8_t *here = t->in_buf.p + t->in_buf.start;
    bool compressed = transport_compresses(t, &t->in);
    bool into_room = t->phase == PHASE_OPEN && room.n >= plain && !compressed;
    uint8_t *at = into_room ? room.p : here;
    enum err e =
        packet_cipher_open(t->in.cipher, t->in.sequence, here, t->packet_length, at);
    if (e == ERR_MAC && packet_cipher_tells(t->in.cipher)) {
        t->discard = LIMIT_PACKET;
        return OK;
    }
    if (e != OK)
        return fault_set(&t->fault, e, 0, "packet %u: %s", t->in.sequence, err_text(e));
    TRY(parse(t, at, out));
    if (compressed)
        return inflate_packet(t, out);
    if (into_room && (out->number < 80 || out->number >= 128)) {
        // Ours to look into: from here on only in our own memory.
        memcpy(here, at, plain);
        TRY(parse(t, here, out));
    }
    return OK;
}

enum err packet_in_next(struct transport *t, struct span room, struct packet *out) {
    *out = (struct packet){.payload = view_of(NULL, 0)};
    if (t->discard == 0 && t->packet_length == 0)
        TRY(learn_length(t));
    if (t->discard > 0)
        return swallow(t);
    if (t->packet_length == 0 || buf_len(&t->in_buf) < whole_size(t))
        return OK;
    size_t whole = whole_size(t);
    TRY(open_packet(t, room, out));
    return t->discard > 0 ? swallow(t) : account(t, whole);
}
