// Flags of sftp-server and internal-sftp (sftp-server(8)).
#pragma once

#include <sys/types.h>

#include "base/fault.h"
#include "base/log.h"
#include "sftp/operations.h"
#include "sftp/vfs.h"

struct sftp_options {
    bool help, read_only, to_stderr, masked;
    mode_t mask;
    enum log_level level;
    int facility;                // LOG_… of <syslog.h>
    uint64_t allowed;            // operations
    const char *query;           // -Q; NULL: none
    char start[SFTP_PATH_SIZE];  // -d with its tokens expanded; "": none
};

// Whose session it is: for tokens and for the log.
struct sftp_user {
    const char *name, *home;
    const char *client;  // address, or "UNKNOWN"
};

// argv[0] is not looked at. ERR_CONFIG with the reason.
must_check enum err sftp_options_parse(struct sftp_options *o, int argc,
                                       char *const *argv, const struct sftp_user *user,
                                       struct fault *fault);
// The same for the text behind "internal-sftp", in words.
must_check enum err sftp_options_parse_text(struct sftp_options *o, const char *text,
                                            const struct sftp_user *user,
                                            struct fault *fault);
