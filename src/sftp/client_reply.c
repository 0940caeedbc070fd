// Replies that are no file data: one table says which kinds answer which operation.
#include "base/text.h"
#include "sftp/client_state.h"

#define BLOCK_MOST SFTP_DATA_MAX
#define PACKET_OVERHEAD 1024u

// STATUS answers everything; what else does.
static const struct {
    uint8_t type;
    enum sftp_reply_kind kind;
    uint64_t operations;
} kinds[] = {
#define BIT(op) (UINT64_C(1) << SFTP_OP_##op)
    {SFTP_STATUS, SFTP_REPLY_STATUS, SFTP_OPERATIONS_ALL},
    {SFTP_HANDLE, SFTP_REPLY_HANDLE, BIT(OPEN) | BIT(OPENDIR)},
    {SFTP_NAME, SFTP_REPLY_NAMES,
     BIT(READDIR) | BIT(REALPATH) | BIT(READLINK) | BIT(EXPAND_PATH) |
         BIT(HOME_DIRECTORY)},
    {SFTP_ATTRS, SFTP_REPLY_ATTRIBUTES, BIT(STAT) | BIT(LSTAT) | BIT(FSTAT)},
    {SFTP_EXTENDED_REPLY, SFTP_REPLY_BODY,
     BIT(STATVFS) | BIT(FSTATVFS) | BIT(LIMITS) | BIT(USERS_GROUPS)},
#undef BIT
};

static uint32_t block_of(const struct sftp_client *c, uint64_t limit, uint64_t packet) {
    uint64_t most = c->config.block > 0 ? c->config.block : BLOCK_MOST;
    if (packet > PACKET_OVERHEAD && packet - PACKET_OVERHEAD < most)
        most = packet - PACKET_OVERHEAD;
    if (limit > 0)
        return (uint32_t)(limit < most ? limit : most);
    return c->config.block > 0 ? c->config.block : SFTP_CLIENT_BLOCK;
}

// limits@openssh.com: most bytes of a packet, a read, a write; most handles.
static void take_limits(struct sftp_client *c, struct view body) {
    struct reader r = reader_of(body);
    uint64_t packet = read_u64(&r), reading = read_u64(&r), writing = read_u64(&r);
    uint64_t handles = read_u64(&r);
    if (r.err != OK)
        return;
    c->read_block = block_of(c, reading, packet);
    c->write_block = block_of(c, writing, packet);
    c->handles = handles;
}

static enum err take_version(struct sftp_client *c, struct reader *r, uint64_t now,
                             struct sftp_reply *out, struct fault *fault) {
    uint32_t ticket = 0;
    union sftp_request none = {.empty = {0}};
    c->version = read_u32(r);
    while (reader_left(r) > 0) {
        struct view name = read_string(r), version = read_string(r);
        const struct sftp_operation *o = sftp_operation_find(SFTP_EXTENDED, name);
        if (r->err == OK && o != NULL && view_is(version, o->version))
            c->extensions |= UINT64_C(1) << o->id;
    }
    if (r->err != OK)
        return fault_set(fault, r->err, 0, "the server's VERSION: %s", err_text(r->err));
    c->ready = true;
    *out = (struct sftp_reply){.kind = SFTP_REPLY_READY};
    if (!sftp_client_has(c, SFTP_OP_LIMITS))
        return OK;
    TRY(sftp_client_ask(c, SFTP_OP_LIMITS, &none, now, &ticket));
    sftp_client_forget(c, ticket);
    return OK;
}

static void read_body(struct reader *r, struct sftp_reply *out) {
    switch (out->kind) {
    case SFTP_REPLY_STATUS:
        out->status = read_u32(r);
        // Servers of protocol 2 and before send nothing more.
        out->text = reader_left(r) > 0 ? read_string(r) : view_of(NULL, 0);
        read_rest(r);
        break;
    case SFTP_REPLY_HANDLE:
        out->bytes = read_string(r);
        if (out->bytes.n > SFTP_CLIENT_HANDLE || out->bytes.n == 0)
            r->err = ERR_LIMIT;
        break;
    case SFTP_REPLY_NAMES:
        out->count = read_u32(r);
        out->bytes = read_rest(r);
        break;
    case SFTP_REPLY_ATTRIBUTES:
        sftp_attributes_read(r, &out->attributes);
        break;
    default:
        out->bytes = read_rest(r);
        break;
    }
}

static bool find_kind(uint8_t type, enum sftp_operation_id op,
                      enum sftp_reply_kind *kind) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].type != type || (kinds[i].operations & UINT64_C(1) << op) == 0)
            continue;
        *kind = kinds[i].kind;
        return true;
    }
    return false;
}

static enum err take_reply(struct sftp_client *c, uint8_t type, struct reader *r,
                           uint64_t now, struct sftp_reply *out, struct fault *fault) {
    uint32_t id = read_u32(r);
    struct sftp_pending *p = sftp_pending_find(c, id);
    if (p == NULL || r->err != OK)
        return fault_set(fault, ERR_PROTOCOL, 0,
                         "the server answered request %u, which is not open (type %u)",
                         id, type);
    const char *name = sftp_operation(p->op)->name;
    *out = (struct sftp_reply){
        .ticket = id, .operation = p->op, .offset = p->offset, .length = p->length};
    if (!find_kind(type, p->op, &out->kind))
        return fault_set(fault, ERR_UNEXPECTED, 0,
                         "the server answered %s with a packet of type %u", name, type);
    read_body(r, out);
    enum err e = reader_end(r);
    if (e != OK)
        return fault_set(fault, e, 0, "the server's answer to %s: %s", name, err_text(e));
    sftp_pending_done(c, p, now);
    if (!p->quiet)
        return OK;
    if (out->operation == SFTP_OP_LIMITS && out->kind == SFTP_REPLY_BODY)
        take_limits(c, out->bytes);
    *out = (struct sftp_reply){.kind = SFTP_REPLY_NONE};
    return OK;
}

enum err sftp_client_packet(struct sftp_client *c, struct view v, uint64_t now,
                            struct sftp_reply *r, struct fault *fault) {
    struct reader in = reader_of(v);
    uint8_t type = read_u8(&in);
    if ((type == SFTP_VERSION_REPLY) == c->ready)
        return fault_set(fault, ERR_UNEXPECTED, 0,
                         c->ready ? "the server sent a second VERSION"
                                  : "the server's first packet is of type %u, no VERSION",
                         type);
    return c->ready ? take_reply(c, type, &in, now, r, fault)
                    : take_version(c, &in, now, r, fault);
}

bool sftp_name_next(struct reader *r, uint32_t *count, struct sftp_name *out) {
    if (*count == 0)
        return false;
    out->name = read_string(r);  // a NUL in it is the caller's to find
    out->line = read_string(r);
    sftp_attributes_read(r, &out->attributes);
    (*count)--;
    return r->err == OK;
}
