#include "sftp/client.h"

#include <stdlib.h>

#include "sftp/client_state.h"

#define OUT_MAX (2u * 1024u * 1024u)
// Unwritten bytes past which no further WRITE is begun.
#define OUT_PAUSE (512u * 1024u)
#define BLOCK_LEAST 512u
// length, type, id; handle; offset, length of the data
#define WRITE_HEAD(handle) (4u + 1u + 4u + 4u + (handle).n + 8u + 4u)

// ---- requests ----

static enum err sftp_pending_new(struct sftp_client *c, enum sftp_operation_id op,
                                 uint32_t length, uint64_t offset, uint64_t now,
                                 struct sftp_pending **out) {
    if (c->pending_n == SFTP_CLIENT_REQUESTS)
        return ERR_LIMIT;
    struct sftp_pending *p;
    do
        p = &c->pending[++c->next_id % SFTP_CLIENT_REQUESTS];
    while (p->used);
    *p = (struct sftp_pending){true, false, op, c->next_id, length, offset, now};
    c->pending_n++;
    if (length > 0) {
        c->transfers_n++;
        sftp_flow_sent(&c->flow, length, now);
    }
    *out = p;
    return OK;
}

struct sftp_pending *sftp_pending_find(struct sftp_client *c, uint32_t id) {
    struct sftp_pending *p = &c->pending[id % SFTP_CLIENT_REQUESTS];
    return p->used && p->id == id ? p : NULL;
}

void sftp_pending_done(struct sftp_client *c, struct sftp_pending *p, uint64_t now) {
    sftp_flow_answered(&c->flow, p->length, p->sent, now);
    p->used = false;
    c->pending_n--;
    c->transfers_n -= p->length > 0;
}

static struct writer begin(struct sftp_client *c, const struct sftp_operation *o,
                           uint32_t id) {
    struct writer w = writer_to_buf(&c->out);
    write_u32(&w, 0);
    write_u8(&w, o->type);
    write_u32(&w, id);
    if (o->extension != NULL)
        write_text(&w, o->extension);
    return w;
}

static enum err end(struct sftp_client *c, struct writer *w, size_t at) {
    if (w->err == OK)
        store_u32(c->out.p + c->out.start + at, (uint32_t)(buf_len(&c->out) - at - 4));
    else
        c->out.end = c->out.start + at;
    return w->err;
}

static enum err send(struct sftp_client *c, enum sftp_operation_id op,
                     const union sftp_request *r, uint32_t length, uint64_t now,
                     struct sftp_pending **p) {
    const struct sftp_operation *o = sftp_operation(op);
    size_t at = buf_len(&c->out);
    if (!sftp_client_has(c, op))
        return ERR_UNSUPPORTED;
    TRY(sftp_pending_new(c, op, length, length > 0 ? r->read.offset : 0, now, p));
    struct writer w = begin(c, o, (*p)->id);
    fields_encode(&w, o->of.fields, r);
    enum err e = end(c, &w, at);
    if (e != OK)
        sftp_pending_done(c, *p, now);
    return e;
}

enum err sftp_client_ask(struct sftp_client *c, enum sftp_operation_id op,
                         const union sftp_request *r, uint64_t now, uint32_t *ticket) {
    struct sftp_pending *p;
    TRY(send(c, op, r, 0, now, &p));
    *ticket = p->id;
    return OK;
}

void sftp_client_forget(struct sftp_client *c, uint32_t ticket) {
    struct sftp_pending *p = sftp_pending_find(c, ticket);
    if (p != NULL)
        p->quiet = true;
}

bool sftp_client_allows(const struct sftp_client *c, uint32_t bytes) {
    if (c->config.requests > 0)
        return c->transfers_n < c->config.requests && buf_len(&c->out) < OUT_PAUSE;
    // A tenth of the table stays for everything else.
    return c->pending_n < SFTP_CLIENT_REQUESTS - SFTP_CLIENT_REQUESTS / 10 &&
           buf_len(&c->out) < OUT_PAUSE && sftp_flow_allows(&c->flow, bytes);
}

enum err sftp_client_read(struct sftp_client *c, struct view handle, uint64_t offset,
                          uint32_t length, uint64_t now) {
    struct sftp_pending *p;
    union sftp_request r = {.read = {handle, offset, length}};
    return send(c, SFTP_OP_READ, &r, length, now, &p);
}

enum err sftp_client_write_room(struct sftp_client *c, struct view handle,
                                struct span *room) {
    size_t head = WRITE_HEAD(handle);
    TRY(buf_reserve(&c->out, head + c->write_block, room));
    *room = (struct span){room->p + head, c->write_block};
    return OK;
}

enum err sftp_client_write(struct sftp_client *c, struct view handle, uint64_t offset,
                           uint32_t n, uint64_t now) {
    size_t head = WRITE_HEAD(handle);
    struct sftp_pending *p;
    struct span room;
    TRY(buf_reserve(&c->out, head + n, &room));
    TRY(sftp_pending_new(c, SFTP_OP_WRITE, n, offset, now, &p));
    struct writer w = writer_to_span((struct span){room.p, head});
    write_u32(&w, (uint32_t)(head - 4 + n));
    write_u8(&w, SFTP_WRITE);
    write_u32(&w, p->id);
    write_string(&w, handle);
    write_u64(&w, offset);
    write_u32(&w, n);
    buf_added(&c->out, head + n);
    return OK;
}

size_t sftp_client_outstanding(const struct sftp_client *c) {
    return c->pending_n;
}

uint32_t sftp_client_ticket(const struct sftp_client *c) {
    return c->next_id;
}

struct view sftp_client_out(const struct sftp_client *c) {
    return buf_view(&c->out);
}

void sftp_client_out_done(struct sftp_client *c, size_t n) {
    buf_taken(&c->out, n);
}

// ---- what the server can do ----

uint32_t sftp_client_version(const struct sftp_client *c) {
    return c->version;
}

bool sftp_client_has(const struct sftp_client *c, enum sftp_operation_id op) {
    return sftp_operation(op)->extension == NULL ||
           (c->extensions & UINT64_C(1) << op) != 0;
}

uint32_t sftp_client_block(const struct sftp_client *c, bool write) {
    return write ? c->write_block : c->read_block;
}

uint64_t sftp_client_handles(const struct sftp_client *c) {
    return c->handles;
}

bool sftp_client_fixed(const struct sftp_client *c) {
    return c->config.requests > 0;
}

void sftp_client_shrink(struct sftp_client *c, uint32_t bytes) {
    if (bytes < c->read_block)
        c->read_block = bytes < BLOCK_LEAST ? BLOCK_LEAST : bytes;
}

// ---- input ----

static enum err check_length(uint32_t length, struct fault *fault) {
    if (length >= 5 && length <= SFTP_PACKET_MAX)
        return OK;
    return fault_set(fault, ERR_LIMIT, 0, "the server's packet of %u bytes (5 to %u)%s",
                     length, SFTP_PACKET_MAX,
                     length >> 24 >= 0x20 && length >> 24 < 0x7f
                         ? ": does its shell print text at login?"
                         : "");
}

static enum err data_piece(struct sftp_client *c, struct view in, uint64_t now,
                           size_t *taken, struct sftp_reply *r) {
    struct sftp_arriving *a = &c->data;
    *taken = in.n < a->left ? in.n : a->left;
    if (*taken == 0)
        return OK;
    *r = (struct sftp_reply){.kind = SFTP_REPLY_DATA,
                             .ticket = a->of->id,
                             .operation = SFTP_OP_READ,
                             .bytes = view_of(in.p, *taken),
                             .offset = a->offset,
                             .length = a->of->length};
    a->offset += *taken;
    a->left -= (uint32_t)*taken;
    r->left = a->left;
    if (a->left > 0)
        return OK;
    r->short_by = a->short_by;
    sftp_pending_done(c, a->of, now);
    a->of = NULL;
    return OK;
}

// The head of a DATA packet, of which all of SFTP_DATA_HEAD is there.
static enum err data_begin(struct sftp_client *c, struct view head, struct fault *fault) {
    uint32_t length = load_u32(head.p), n = load_u32(head.p + 9);
    struct sftp_pending *p = sftp_pending_find(c, load_u32(head.p + 5));
    if (p == NULL || p->op != SFTP_OP_READ)
        return fault_set(fault, ERR_PROTOCOL, 0,
                         "the server sent data that nobody asked for");
    if (n != length - (SFTP_DATA_HEAD - 4) || n == 0 || n > p->length)
        return fault_set(fault, ERR_PROTOCOL, 0,
                         "the server answered a READ of %u bytes with %u, in a packet of "
                         "%u",
                         p->length, n, length);
    c->data = (struct sftp_arriving){p, p->offset, n, p->length - n};
    return OK;
}

// Bytes of the packet at the front of `v` that have to be there before it is looked at.
static enum err wanted(const struct sftp_client *c, struct view v, bool whole, size_t *n,
                       struct fault *fault) {
    *n = 5;
    if (v.n < 5)
        return OK;
    uint32_t length = load_u32(v.p);
    TRY(check_length(length, fault));
    bool data = v.p[4] == SFTP_DATA && c->ready && length + 4 >= SFTP_DATA_HEAD;
    *n = data && !whole ? SFTP_DATA_HEAD : length + 4;
    return OK;
}

// A packet, or its data's head, that does not lie in the input as a whole: byte ranges
// are put together in c->in.
static enum err collect(struct sftp_client *c, struct view in, size_t *taken, size_t *n,
                        struct fault *fault) {
    *taken = 0;
    do {
        TRY(wanted(c, buf_view(&c->in), false, n, fault));
        size_t one = *n - buf_len(&c->in);
        if (one > in.n - *taken)
            one = in.n - *taken;
        TRY(buf_append(&c->in, view_of(in.p + *taken, one)));
        *taken += one;
        if (buf_len(&c->in) == 5)
            TRY(wanted(c, buf_view(&c->in), false, n, fault));
    } while (buf_len(&c->in) < *n && *taken < in.n);
    return OK;
}

static bool is_data(const struct sftp_client *c, struct view v) {
    return v.p[4] == SFTP_DATA && c->ready && v.n >= SFTP_DATA_HEAD;
}

static enum err serve(struct sftp_client *c, struct view v, uint64_t now,
                      struct sftp_reply *r, struct fault *fault) {
    return is_data(c, v)
               ? data_begin(c, v, fault)
               : sftp_client_packet(c, view_of(v.p + 4, v.n - 4), now, r, fault);
}

// One packet, piece, or what there is of it.
static enum err take(struct sftp_client *c, struct view in, bool whole, uint64_t now,
                     size_t *taken, struct sftp_reply *r, struct fault *fault) {
    size_t n = 0;
    if (c->data.of != NULL)
        return data_piece(c, in, now, taken, r);
    if (buf_len(&c->in) == 0) {
        TRY(wanted(c, in, whole, &n, fault));
        if (in.n >= n) {
            *taken = is_data(c, in) ? SFTP_DATA_HEAD : n;
            return serve(c, view_of(in.p, *taken), now, r, fault);
        }
        if (whole) {
            *taken = 0;
            return OK;
        }
    }
    TRY(collect(c, in, taken, &n, fault));
    if (buf_len(&c->in) < n)
        return OK;
    c->in_served = true;
    return serve(c, buf_view(&c->in), now, r, fault);
}

enum err sftp_client_step(struct sftp_client *c, struct view in, bool whole, uint64_t now,
                          size_t *taken, struct sftp_reply *r, struct fault *fault) {
    size_t one = 1;
    enum err e = OK;
    *taken = 0;
    *r = (struct sftp_reply){.kind = SFTP_REPLY_NONE};
    while (e == OK && r->kind == SFTP_REPLY_NONE && *taken < in.n && one > 0) {
        if (c->in_served)
            buf_clear(&c->in);
        c->in_served = false;
        one = 0;
        e = take(c, view_of(in.p + *taken, in.n - *taken), whole, now, &one, r, fault);
        *taken += one;
    }
    return e == OK ? OK : fault_set(fault, e, 0, "%s", err_text(e));
}

// ---- life ----

enum err sftp_client_new(struct sftp_client **out,
                         const struct sftp_client_config *config) {
    struct sftp_client *c = calloc(1, sizeof *c);
    *out = c;
    if (c == NULL)
        return ERR_MEMORY;
    c->config = *config;
    c->read_block = c->write_block =
        config->block > 0 ? config->block : SFTP_CLIENT_BLOCK;
    sftp_flow_init(&c->flow);
    buf_init(&c->in, SFTP_PACKET_MAX + 4);
    buf_init(&c->out, OUT_MAX);
    struct writer w = writer_to_buf(&c->out);
    write_u32(&w, 5);
    write_u8(&w, SFTP_INIT);
    write_u32(&w, SFTP_VERSION);
    return writer_end(&w);
}

void sftp_client_free(struct sftp_client *c) {
    if (c == NULL)
        return;
    buf_free(&c->in);
    buf_free(&c->out);
    free(c);
}
