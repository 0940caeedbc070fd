// The SFTP server's engine, sans-IO: bytes in, bytes out, requests to a vfs. Requests are
// served in their order, one at a time.
//
// Data is not copied on its way: what WRITE carries goes to the vfs from the bytes that
// were pushed in, in the pieces in which they come; what READ asks for is read straight
// into the room for the answer. Memory is bounded: one request, one answer, the handles.
//
// A malformed request is answered with SFTP_BAD_MESSAGE; only what leaves no way on (an
// impossible length, a first packet that is no INIT) ends the session with an error.
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "base/log.h"
#include "sftp/operations.h"
#include "sftp/vfs.h"

struct sftp_server_config {
    struct sftp_vfs *vfs;
    const struct log *log;  // lines as OpenSSH's sftp-server has them
    uint64_t allowed;       // bits of operations: SFTP_OPERATIONS_ALL
    bool read_only;
    uint32_t max_handles;  // at least 1
};

struct sftp_server;

must_check enum err sftp_server_new(struct sftp_server **out,
                                    const struct sftp_server_config *config);
// Closes what is open, with a log line for each.
void sftp_server_free(struct sftp_server *s);  // NULL is nothing

struct sftp_step {
    struct view in;            // the client's bytes
    const struct span *rooms;  // for answers, filled in order
    size_t n;                  // rooms
    // A READ may be answered whose data does not fit into all the rooms: what does not is
    // copied, once. Else it waits for larger ones.
    bool split;
    // More input is sure to be looked at soon: answers are kept while there is some, a
    // few hundred bytes of them, so that many leave together.
    bool keeps;
    size_t taken, filled;  // out: of the input; of all rooms together
};

// Serves until the input is used up, the rooms are, or something has to be waited for.
// When nothing was taken and nothing filled, calling again in the same way changes
// nothing.
must_check enum err sftp_server_step(struct sftp_server *s, struct sftp_step *step,
                                     struct fault *fault);
// Bytes that want room now: kept ones, or the answer to a READ that waits for room.
size_t sftp_server_due(const struct sftp_server *s);
// A vfs that had said SFTP_LATER has its answer: nothing is served meanwhile.
bool sftp_server_waits(const struct sftp_server *s);
void sftp_server_finish(struct sftp_server *s, enum sftp_status status);
// Requests and bytes, for what shows sessions.
struct sftp_server_counts {
    uint64_t requests, read, written;
};
struct sftp_server_counts sftp_server_counts(const struct sftp_server *s);
