// One file on its way, over the client engine, sans-IO: what to ask for next, and what
// the replies mean. The bytes themselves pass between engine and the caller's file.
//
// A download asks up to the size that it was told of and once more for the end; beyond
// that it goes step by step. Replies may be short and in any order: what is missing is
// asked for again.
#pragma once

#include "sftp/client.h"

struct sftp_handle_name {
    uint8_t p[SFTP_CLIENT_HANDLE];
    size_t n;
};
static inline struct view sftp_handle_view(const struct sftp_handle_name *h) {
    return view_of(h->p, h->n);
}

struct sftp_download {
    struct sftp_handle_name handle;
    uint64_t next;      // where the next READ begins
    uint64_t size;      // as told; READs at and beyond it go one at a time
    uint64_t end;       // the lowest offset where the server said EOF; UINT64_MAX: none
    uint64_t received;  // bytes
    uint64_t high;      // behind the furthest byte that came
    uint64_t hole;      // the lowest offset of what failed; UINT64_MAX: none
    uint32_t under_way;
    uint32_t status;  // SFTP_OK, or the first failure: nothing more is asked for
    bool stopped;
    bool one_by_one;  // set after begin: data comes in the file's order
};

void sftp_download_begin(struct sftp_download *d, const struct sftp_handle_name *handle,
                         uint64_t offset, uint64_t size);
// Asks for as much as may be now.
must_check enum err sftp_download_ask(struct sftp_download *d, struct sftp_client *c,
                                      uint64_t now);
// A reply to a READ. The caller writes DATA's bytes to its file.
must_check enum err sftp_download_take(struct sftp_download *d, struct sftp_client *c,
                                       const struct sftp_reply *r, uint64_t now);
// Nothing more is asked for; what is under way is still to come.
void sftp_download_stop(struct sftp_download *d);
bool sftp_download_done(const struct sftp_download *d);
// Once it is done: up to where the file has no hole.
uint64_t sftp_download_whole(const struct sftp_download *d);

struct sftp_upload {
    struct sftp_handle_name handle;
    uint64_t next, acknowledged;  // offset of the next byte; bytes that arrived
    uint32_t under_way;
    uint32_t status;
    bool ended;  // all was sent
};

void sftp_upload_begin(struct sftp_upload *u, const struct sftp_handle_name *handle,
                       uint64_t offset);
// May another block be read and sent?
bool sftp_upload_wants(const struct sftp_upload *u, const struct sftp_client *c);
// n bytes stand in the room of sftp_client_write_room(); 0: the file has ended.
must_check enum err sftp_upload_send(struct sftp_upload *u, struct sftp_client *c,
                                     uint32_t n, uint64_t now);
// A reply to a WRITE.
void sftp_upload_take(struct sftp_upload *u, const struct sftp_reply *r);
bool sftp_upload_done(const struct sftp_upload *u);
