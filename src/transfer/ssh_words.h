// The command line of the ssh that carries a transfer.
#pragma once

#include "transfer/words.h"

struct ssh_words {
    struct words options;  // as they are given to ssh, in order
    char program[4096];    // its path
    // An SFTP server to be started instead, without a connection; NULL: none.
    const char *direct;
};

struct ssh_target {
    const char *user;  // NULL: not given
    const char *host;
    uint16_t port;  // 0: not given
};

// What every transfer wants of ssh, whatever ssh_config says.
must_check enum err ssh_words_init(struct ssh_words *s);
void ssh_words_free(struct ssh_words *s);

// "-c" or "-c aes128-ctr".
must_check enum err ssh_words_flag(struct ssh_words *s, char flag, const char *value);

// The whole line; subsystem: `command` is one's name.
must_check enum err ssh_words_line(const struct ssh_words *s, const struct ssh_target *t,
                                   bool subsystem, const char *command,
                                   struct words *line);
// The line that reaches an SFTP server: through ssh or, with `direct`, itself. `server`
// is a subsystem or, with a '/', a program. *path is what is to be started.
must_check enum err ssh_words_sftp(const struct ssh_words *s, const struct ssh_target *t,
                                   const char *server, struct words *line,
                                   const char **path);
