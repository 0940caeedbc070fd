// One SFTP session: the engine over this system's files, with its log.
#pragma once

#include "io/log_sink.h"
#include "server/sftp_files.h"
#include "server/sftp_options.h"
#include "sftp/server.h"

struct sftp_session {
    struct sftp_files files;
    struct sftp_server *server;
    struct log log;
    char user[128], client[64];  // for the log
};

// Opens the starting folder (-d, else `home`, else the root) and says in the log that the
// session is open. `log` is copied; its sink stays the caller's. read(2) room for
// `handles` files has to be there.
must_check enum err sftp_session_open(struct sftp_session *s,
                                      const struct sftp_options *options,
                                      const struct sftp_user *user, const struct log *log,
                                      uint32_t handles, struct fault *fault);
// Closes what is open, says so. Also of a zeroed one.
void sftp_session_close(struct sftp_session *s);

// How many handles a process with nothing else to do may give: as OpenSSH, all
// descriptors but a few.
uint32_t sftp_session_handles(void);

// Serves the client at the other end of in and out until the end of its input: what the
// program, and a process of the holder's own, do. ERR_CLOSED: it does not read any more.
must_check enum err sftp_session_run(struct sftp_session *s, int in, int out,
                                     struct fault *fault);
