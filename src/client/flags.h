// The command line of ssh(1): one table of flags, most of which are lines of ssh_config.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define FLAGS_LINES_MAX 256
#define FLAGS_WHY_SIZE 256

enum flags_mode {
    FLAGS_CONNECT,
    FLAGS_DUMP,     // -G
    FLAGS_KEYS,     // -Z
    FLAGS_QUERY,    // -Q
    FLAGS_VERSION,  // -V
};

struct flags {
    enum flags_mode mode;
    const char *query;            // -Q
    const char *host;             // as typed, without user and port; owned
    const char *user;             // -l or user@; NULL: not given; owned
    uint16_t port;                // 0: not given
    const char *stdio_forward;    // -W; NULL: not given
    const char *control_command;  // -O; NULL: not given
    const char *file;             // -F
    const char *log_file;         // -E
    bool syslog;                  // -y
    bool show_steps;              // ShowSteps=yes, for `bowline try`
    const char *jumps_above;  // JumpsAbove=: the hops that are reached through this one
    unsigned verbose, tty, master;
    bool jump;  // -J was given
    // Lines of ssh_config, as -o has them, in order; NULL-terminated, owned.
    char *lines[FLAGS_LINES_MAX + 1];
    size_t lines_n;
    char *command;  // words joined by blanks; NULL: none; owned
};

// False: `why` (FLAGS_WHY_SIZE) says what is wrong, in words for people. Free in either
// case.
bool flags_parse(struct flags *f, int argc, char **argv, char *why);
void flags_free(struct flags *f);

// The usage lines, from the table.
void flags_usage(char *out, size_t size);
