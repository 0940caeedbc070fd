// What the command lines of scp and sftp have in common.
#pragma once

#include "sftp/client.h"
#include "transfer/ssh_words.h"
#include "transfer/throttle.h"

#define OPTIONS_REQUESTS_MAX 1800u

// A flag without an argument and the member that it sets.
struct option_flag {
    char letter;
    enum {
        OPTION_SETS,    // a bool
        OPTION_CLEARS,  // ..
        OPTION_COUNTS,  // an unsigned
    } how;
    size_t at;  // of the member
};
// Sets it in what stands at `base`, if it is one of the n. False: getopt's '?' or ':'.
bool options_flag(const struct option_flag *flags, size_t n, void *base, int flag);
// Hands a flag on to ssh if it is one of ssh's. False: out of memory.
bool options_pass(struct ssh_words *ssh, int flag, const char *argument);
// -X buffer=…, nrequests=…; -B, -R; -l; -P; -S. False: said what is wrong.
bool options_transfer(struct sftp_client_config *config, const char *text);
bool options_block(struct sftp_client_config *config, int flag, const char *text);
bool options_requests(struct sftp_client_config *config, int flag, const char *text);
bool options_limit(struct throttle *t, const char *text);
bool options_port(const char *text);
bool options_program(struct ssh_words *ssh, const char *text);
