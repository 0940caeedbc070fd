// The SFTP client's engine, sans-IO (draft-ietf-secsh-filexfer-02, OpenSSH's extensions):
// requests are encoded into bytes to be written, bytes that were read become replies.
//
// Many requests may be outstanding; replies come in any order and name their request.
// File data is not copied: what READ brings is told in the pieces in which it lies in the
// input, what WRITE takes is read into the room inside its packet. Memory is bounded: the
// table of requests, one reply that is no data, and what is not written yet.
//
// Nothing that the server says is trusted: a reply to no request, of a kind that does not
// answer it, longer than what was asked for, or empty where data is due ends the session
// with an error.
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "sftp/attributes.h"
#include "sftp/flow.h"
#include "sftp/operations.h"

#define SFTP_CLIENT_REQUESTS 2048u  // outstanding ones
#define SFTP_CLIENT_HANDLE 256u     // bytes of a handle (s.6.3)
// Bytes of one READ or WRITE where the server does not say what it takes.
#define SFTP_CLIENT_BLOCK (32u * 1024u)

struct sftp_client_config {
    uint32_t block;     // bytes of one READ or WRITE; 0: as the server says
    uint32_t requests;  // of a transfer that may be outstanding; 0: as the path wants it
};

enum sftp_reply_kind {
    SFTP_REPLY_NONE,        // more input is needed
    SFTP_REPLY_READY,       // the server's version: requests may follow
    SFTP_REPLY_STATUS,      // status, text
    SFTP_REPLY_HANDLE,      // bytes
    SFTP_REPLY_DATA,        // bytes at offset; `left` of the answer are to come
    SFTP_REPLY_NAMES,       // count, bytes: for sftp_name_next()
    SFTP_REPLY_ATTRIBUTES,  // attributes
    SFTP_REPLY_BODY,        // bytes: of an extension
};

// Views are valid until the next call.
struct sftp_reply {
    enum sftp_reply_kind kind;
    uint32_t ticket;
    enum sftp_operation_id operation;
    uint32_t status;
    struct view text, bytes;
    uint64_t offset;  // of DATA's bytes, or of the READ or WRITE that a STATUS answers
    uint32_t length;  // bytes that the READ asked for, or the WRITE had
    uint32_t left;
    uint32_t short_by;  // at the end of DATA: bytes that were asked for and did not come
    uint32_t count;
    struct sftp_attributes attributes;
};

struct sftp_client;

// INIT is the first of its bytes.
must_check enum err sftp_client_new(struct sftp_client **out,
                                    const struct sftp_client_config *config);
void sftp_client_free(struct sftp_client *c);  // NULL is nothing

// ---- what the server can do; after READY ----
uint32_t sftp_client_version(const struct sftp_client *c);
// The draft's own operations, and the extensions that were announced.
bool sftp_client_has(const struct sftp_client *c, enum sftp_operation_id op);
// Bytes of one READ or WRITE.
uint32_t sftp_client_block(const struct sftp_client *c, bool write);
// Handles that may be open at a time; 0: the server does not say, or not yet.
uint64_t sftp_client_handles(const struct sftp_client *c);
// The configuration says how many requests there may be.
bool sftp_client_fixed(const struct sftp_client *c);
// A READ brought less than that although the file goes on: ask for less (512 at least).
void sftp_client_shrink(struct sftp_client *c, uint32_t bytes);

// ---- requests ----
// ERR_LIMIT: too many are outstanding; ERR_UNSUPPORTED: the server has not announced it;
// ERR_MEMORY. Then nothing was asked.
must_check enum err sftp_client_ask(struct sftp_client *c, enum sftp_operation_id op,
                                    const union sftp_request *r, uint64_t now,
                                    uint32_t *ticket);
// Nobody waits for that reply: it is not told of.
void sftp_client_forget(struct sftp_client *c, uint32_t ticket);
// Another READ or WRITE fits what the path wants and what memory is there for.
bool sftp_client_allows(const struct sftp_client *c, uint32_t bytes);
must_check enum err sftp_client_read(struct sftp_client *c, struct view handle,
                                     uint64_t offset, uint32_t length, uint64_t now);
// Room for the data of a WRITE of at most sftp_client_block() bytes, to be sent by
// sftp_client_write() (with what was filled) before anything else is asked.
must_check enum err sftp_client_write_room(struct sftp_client *c, struct view handle,
                                           struct span *room);
must_check enum err sftp_client_write(struct sftp_client *c, struct view handle,
                                      uint64_t offset, uint32_t n, uint64_t now);
size_t sftp_client_outstanding(const struct sftp_client *c);
// Of the request that was asked last.
uint32_t sftp_client_ticket(const struct sftp_client *c);

// ---- bytes ----
struct view sftp_client_out(const struct sftp_client *c);
void sftp_client_out_done(struct sftp_client *c, size_t n);

// Takes of the input until one reply is there (or one piece of data), or all was taken.
// whole: DATA is told in one piece; then the input must be able to hold one answer
// (sftp_client_block() and SFTP_DATA_HEAD), and nothing is taken until it does.
must_check enum err sftp_client_step(struct sftp_client *c, struct view in, bool whole,
                                     uint64_t now, size_t *taken, struct sftp_reply *r,
                                     struct fault *fault);

// ---- names of a reply ----
struct sftp_name {
    struct view name, line;  // `line` as `ls -l` has it, by the server
    struct sftp_attributes attributes;
};
// The next of the reply's names; false: there is none, or what is left is malformed (then
// the reader has its error).
bool sftp_name_next(struct reader *r, uint32_t *count, struct sftp_name *out);
