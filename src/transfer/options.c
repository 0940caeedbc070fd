#include "transfer/options.h"

#include "base/text.h"
#include "transfer/program.h"
#include "transfer/say.h"

#define LIMIT_MAX (100u * 1024u * 1024u)  // Kbit/s

// Flags that ssh gets as they are, and what ssh calls them.
static const struct {
    char ours, theirs;
    const char *value;  // NULL: the argument, if the flag has one
} passed[] = {
    {'4', '4', NULL}, {'6', '6', NULL}, {'A', 'A', NULL}, {'C', 'C', NULL},
    {'q', 'q', NULL}, {'v', 'v', NULL}, {'c', 'c', NULL}, {'F', 'F', NULL},
    {'i', 'i', NULL}, {'J', 'J', NULL}, {'o', 'o', NULL}, {'P', 'p', NULL},
};

bool options_flag(const struct option_flag *flags, size_t n, void *base, int flag) {
    for (size_t i = 0; i < n; i++) {
        uint8_t *member = (uint8_t *)base + flags[i].at;
        if (flags[i].letter != flag)
            continue;
        if (flags[i].how == OPTION_COUNTS)
            ++*(unsigned *)(void *)member;
        else
            *(bool *)(void *)member = flags[i].how == OPTION_SETS;
    }
    if (flag == '1')
        say("SSH protocol v.1 is no longer supported");
    return flag != '?' && flag != ':' && flag != '1';
}

bool options_pass(struct ssh_words *ssh, int flag, const char *argument) {
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
        if (passed[i].ours == flag)
            return ssh_words_flag(ssh, passed[i].theirs, argument) == OK;
    return true;
}

bool options_block(struct sftp_client_config *config, int flag, const char *text) {
    uint64_t n;
    if (!text_size(text, &n) || n == 0) {
        say("-%c %s: not a number of bytes", flag, CLEAN(text));
        return false;
    }
    config->block = n < SFTP_DATA_MAX ? (uint32_t)n : SFTP_DATA_MAX;
    return true;
}

bool options_requests(struct sftp_client_config *config, int flag, const char *text) {
    uint64_t n;
    if (!text_number(text, 1, UINT32_MAX, &n)) {
        say("-%c %s: not a number of requests", flag, CLEAN(text));
        return false;
    }
    config->requests = n < OPTIONS_REQUESTS_MAX ? (uint32_t)n : OPTIONS_REQUESTS_MAX;
    return true;
}

bool options_transfer(struct sftp_client_config *config, const char *text) {
    if (strncmp(text, "buffer=", 7) == 0)
        return options_block(config, 'X', text + 7);
    if (strncmp(text, "nrequests=", 10) == 0)
        return options_requests(config, 'X', text + 10);
    say("-X %s: neither buffer=BYTES nor nrequests=NUMBER", CLEAN(text));
    return false;
}

bool options_limit(struct throttle *t, const char *text) {
    uint64_t n;
    if (!text_number(text, 1, LIMIT_MAX, &n)) {
        say("-l %s: not a number of Kbit/s (1 to %u)", CLEAN(text), LIMIT_MAX);
        return false;
    }
    throttle_init(t, n);
    return true;
}

bool options_port(const char *text) {
    uint64_t n;
    if (text_number(text, 1, 65535, &n))
        return true;
    say("-P %s: not a port (1 to 65535)", CLEAN(text));
    return false;
}

bool options_program(struct ssh_words *ssh, const char *text) {
    if (program_find(text, ssh->program, sizeof ssh->program))
        return true;
    say("-S %s: there is no such program", CLEAN(text));
    return false;
}
