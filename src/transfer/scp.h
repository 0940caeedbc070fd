// scp: what its files share. scp.c (main), scp_options.c (command line), scp_copy.c (who
// copies from where to where), scp_sftp.c (by SFTP), scp_legacy.c (-O, over rcp_source.c
// and rcp_sink.c, which are also what the other end runs with -f and -t).
#pragma once

#include "transfer/address.h"
#include "transfer/copy.h"
#include "transfer/ssh_words.h"

enum scp_role {
    SCP_CLIENT,
    SCP_SOURCE,  // -f
    SCP_SINK,    // -t
};

struct scp {
    enum scp_role role;
    struct ssh_words ssh;
    struct words remote_flags;  // for scp -R: what the other end's scp is to know
    struct sftp_client_config config;
    struct throttle throttle;
    struct copy_how how;
    bool legacy;         // -O
    bool direct_remote;  // -R: between servers without us
    bool unchecked;      // -T: names of an old server are not held against what was asked
    bool quiet;
    bool unreachable;       // a host could not be connected to
    bool target_is_folder;  // -d, or several sources
    unsigned verbose;
    char **files;
    size_t files_n;
    size_t current, ahead;  // the source that is copied; the next to be asked for ahead
    bool into_folder;       // the target was seen to be a folder, on its server
    // The SFTP session that is open, and whose; one for each end.
    struct scp_session {
        struct remote remote;
        struct address of;
        bool open;
    } from, to;
};

// False: usage or an error was said.
bool scp_options(struct scp *s, int argc, char **argv);

// The exit status.
int scp_copy(struct scp *s);

// ---- scp_sftp.c; all say what goes wrong ----
// Their programs' end; false: one had failed.
bool scp_disconnect(struct scp *s);
bool scp_sftp_put(struct scp *s, const char *from, const struct address *to);
bool scp_sftp_get(struct scp *s, const struct address *from, const char *to);
bool scp_sftp_cross(struct scp *s, const struct address *from, const struct address *to);

// ---- scp_legacy.c ----
bool scp_legacy_put(struct scp *s, const char *from, const struct address *to);
bool scp_legacy_get(struct scp *s, const struct address *from, const char *to);
bool scp_legacy_cross(struct scp *s, const struct address *from,
                      const struct address *to);
// -f and -t: the other end, over standard input and output.
int scp_serve(struct scp *s);
