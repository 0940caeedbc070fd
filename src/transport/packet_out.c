// Packets to the peer (RFC 4253 s.6): payloads are built inside the output buffer, five
// bytes behind where the packet begins, padded and sealed in place; or sealed into it
// from elsewhere.
#include "transport/internal.h"

#include <assert.h>

#include "crypto/random.h"

// The longest padding and tag, with room to spare.
#define TAIL TRANSPORT_TAILROOM

enum err packet_out_reserve(struct transport *t, size_t cap, struct span *payload) {
    struct span room;
    if (cap > LIMIT_PACKET - 64)
        return ERR_LIMIT;
    TRY(buf_reserve(&t->out_buf, TRANSPORT_HEADROOM + cap + TAIL, &room));
    *payload = (struct span){room.p + TRANSPORT_HEADROOM, cap};
    return OK;
}

// At least 4 bytes, up to the block (RFC 4253 s.6).
static size_t padding_for(const struct packet_cipher *c, size_t n) {
    size_t block = packet_cipher_block(c);
    size_t aligned = TRANSPORT_HEADROOM + n - packet_cipher_aad(c);
    size_t padding = block - aligned % block;
    return padding < 4 ? padding + block : padding;
}

// Writes the head and padding around a payload; returns the size of the plain packet.
static size_t frame(const struct packet_cipher *c, uint8_t *packet, size_t n) {
    size_t padding = padding_for(c, n);
    store_u32(packet, (uint32_t)(1 + n + padding));
    packet[4] = (uint8_t)padding;
    if (packet_cipher_tag_len(c) > 0)
        random_padding(packet + TRANSPORT_HEADROOM + n, padding);
    else
        memset(packet + TRANSPORT_HEADROOM + n, 0, padding);
    return TRANSPORT_HEADROOM + n + padding;
}

static enum err seal(struct transport *t, uint8_t *packet, size_t n, uint8_t *out) {
    struct packet_way *way = &t->out;
    if (way->packets >= UINT32_MAX)
        return fault_set(&t->fault, ERR_LIMIT, 0, "the peer does not renew its keys");
    size_t plain = frame(way->cipher, packet, n);
    TRY(packet_cipher_seal(way->cipher, way->sequence, packet, plain, out));
    size_t whole = plain + packet_cipher_tag_len(way->cipher);
    buf_added(&t->out_buf, whole);
    way->sequence++;
    way->packets++;
    way->bytes += whole;
    way->total_packets++;
    return OK;
}

// The same by way of the stream, from wherever the payload lies.
static enum err seal_compressed(struct transport *t, struct view payload) {
    struct packet_way *way = &t->out;
    struct span room;
    if (way->stream == NULL)
        TRY(compression_new(&way->stream, true));
    TRY(compression_run(way->stream, payload, &way->plain));
    size_t n = buf_len(&way->plain);
    TRY(packet_out_reserve(t, n, &room));
    memcpy(room.p, buf_view(&way->plain).p, n);
    return seal(t, room.p - TRANSPORT_HEADROOM, n, room.p - TRANSPORT_HEADROOM);
}

enum err packet_out_seal(struct transport *t, size_t n) {
    uint8_t *packet = t->out_buf.p + t->out_buf.end;
    assert(TRANSPORT_HEADROOM + n + TAIL <= t->out_buf.room - t->out_buf.end);
    if (transport_compresses(t, &t->out))
        return seal_compressed(t, view_of(packet + TRANSPORT_HEADROOM, n));
    return seal(t, packet, n, packet);
}

enum err packet_out_slot(struct transport *t, uint8_t *payload, size_t n) {
    struct span room;
    if (transport_compresses(t, &t->out))
        return seal_compressed(t, view_of(payload, n));
    TRY(packet_out_reserve(t, n, &room));
    return seal(t, payload - TRANSPORT_HEADROOM, n, room.p - TRANSPORT_HEADROOM);
}

enum err packet_out_view(struct transport *t, struct view payload) {
    struct span room;
    TRY(packet_out_reserve(t, payload.n, &room));
    memcpy(room.p, payload.p, payload.n);
    return packet_out_seal(t, payload.n);
}

enum err packet_out_message(struct transport *t, uint8_t number, const void *fields,
                            size_t cap) {
    struct span room;
    TRY(packet_out_reserve(t, cap, &room));
    struct writer w = writer_to_span(room);
    message_encode(&w, number, fields);
    TRY(writer_end(&w));
    return packet_out_seal(t, w.n);
}
