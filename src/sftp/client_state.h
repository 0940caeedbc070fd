// Inside the client engine.
#pragma once

#include "sftp/client.h"

struct sftp_pending {
    bool used, quiet;  // quiet: the reply is not told of
    enum sftp_operation_id op;
    uint32_t id, length;  // length: bytes of READ or WRITE
    uint64_t offset, sent;
};

// A DATA answer that comes in pieces.
struct sftp_arriving {
    struct sftp_pending *of;  // NULL: none
    uint64_t offset;
    uint32_t left, short_by;
};

struct sftp_client {
    struct sftp_client_config config;
    struct buf in, out;
    bool ready, in_served;  // in_served: what is in `in` was told of
    uint32_t version, next_id;
    uint64_t extensions;  // bits of operations
    uint32_t read_block, write_block;
    uint64_t handles;  // the server's limit; 0: not told
    struct sftp_flow flow;
    struct sftp_arriving data;
    uint32_t pending_n, transfers_n;  // transfers: READs and WRITEs of them
    struct sftp_pending pending[SFTP_CLIENT_REQUESTS];
};

// ---- client.c ----
struct sftp_pending *sftp_pending_find(struct sftp_client *c, uint32_t id);
// The request was answered.
void sftp_pending_done(struct sftp_client *c, struct sftp_pending *p, uint64_t now);

// ---- client_reply.c ----
// One packet, without its length field.
must_check enum err sftp_client_packet(struct sftp_client *c, struct view v, uint64_t now,
                                       struct sftp_reply *r, struct fault *fault);
