// The command line of sshd: a table of letters.
#pragma once

#include "server/keeper.h"

enum flags_mode {
    MODE_SERVE,
    MODE_TEST,     // -t
    MODE_DUMP,     // -T
    MODE_SHOW,     // -G
    MODE_VERSION,  // -V
};

struct flags {
    enum flags_mode mode;
    struct keeper_options keeper;
    const char *lines[64];  // of -o, -p and what else sets a keyword
    const char *host_keys[16];
    const char *subject[16];  // of -C
    size_t subject_n;
    char made[16][4200];  // lines that a letter stands for, a path in them
    size_t made_n;
};

// False: it does not parse; a message and the usage were told.
bool flags_parse(struct flags *f, int argc, char **argv);
