// internal-sftp inside the holder: see holder_sftp.c and holder_sftp_out.c.
#pragma once

#include "server/holder.h"
#include "server/sftp_session.h"

// What a root folder without files cannot give any more.
struct sftp_prepared {
    bool local;            // sftp_mounts_local()
    struct log_sink sink;  // syslog; fd -1: none there
};

struct holder_sftp {
    struct session *s;
    struct sftp_session session;
    struct log_sink sink;
    struct loop_child worker;  // does what takes long
    bool works;
    // For more window, so that an answer need not be copied; CLOCK_NEVER: not waiting.
    uint64_t wait_until;
    bool impatient;  // the peer gives no more: not waited for again
};

// Serves from these bytes and sends answers, while the peer takes them and the others on
// this connection are not held up. Bytes taken.
size_t sftp_pump(struct holder_sftp *f, struct view in);
