// The command line of scp(1).
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "transfer/program.h"
#include "transfer/say.h"
#include "transfer/scp.h"

#define REQUESTS_MAX 2048u

static bool usage(void) {
    fputs(
        "usage: scp [-346ABCOpqRrsTv] [-c cipher] [-D sftp_server_path] [-F ssh_config]\n"
        "           [-i identity_file] [-J destination] [-l limit] [-o ssh_option]\n"
        "           [-P port] [-S program] [-X sftp_option] source ... target\n",
        stderr);
    return false;
}

// Flags that ssh gets as they are, and what ssh calls them.
static const struct {
    char ours, theirs;
    const char *value;  // NULL: the argument, if the flag has one
} passed[] = {
    {'4', '4', NULL},
    {'6', '6', NULL},
    {'A', 'A', NULL},
    {'C', 'C', NULL},
    {'q', 'q', NULL},
    {'v', 'v', NULL},
    {'c', 'c', NULL},
    {'F', 'F', NULL},
    {'i', 'i', NULL},
    {'J', 'J', NULL},
    {'o', 'o', NULL},
    {'P', 'p', NULL},
    {'B', 'o', "BatchMode=yes"},
};

static bool pass(struct scp *s, int flag, const char *argument) {
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        if (passed[i].ours != flag)
            continue;
        const char *value = passed[i].value != NULL ? passed[i].value : argument;
        return ssh_words_flag(&s->ssh, passed[i].theirs, value) == OK;
    }
    return true;
}

// For the scp of the source host with -R: the same flags by scp's names.
static bool pass_remote(struct scp *s, int flag, const char *argument) {
    const char text[] = {'-', (char)flag, '\0'};
    if (strchr("pqrvCoicFJ", flag) == NULL)
        return true;
    return words_add(&s->remote_flags, text) == OK &&
           (argument == NULL || words_add(&s->remote_flags, argument) == OK);
}

static bool set_x(struct scp *s, const char *text) {
    uint64_t n;
    if (strncmp(text, "buffer=", 7) == 0 && text_size(text + 7, &n) && n > 0) {
        s->config.block = n < SFTP_DATA_MAX ? (uint32_t)n : SFTP_DATA_MAX;
        return true;
    }
    if (strncmp(text, "nrequests=", 10) == 0 &&
        text_number(text + 10, 1, UINT32_MAX, &n)) {
        s->config.requests = n < REQUESTS_MAX ? (uint32_t)n : REQUESTS_MAX;
        return true;
    }
    say("-X %s: neither buffer=BYTES nor nrequests=NUMBER", CLEAN(text));
    return false;
}

static bool set_argument(struct scp *s, int flag, const char *text) {
    uint64_t n;
    switch (flag) {
    case 'X':
        return set_x(s, text);
    case 'D':
        s->ssh.direct = text;
        return true;
    case 'S':
        if (program_find(text, s->ssh.program, sizeof s->ssh.program))
            return true;
        say("-S %s: there is no such program", CLEAN(text));
        return false;
    case 'P':
        if (text_number(text, 1, 65535, &n))
            return true;
        say("-P %s: not a port (1 to 65535)", CLEAN(text));
        return false;
    case 'l':
        if (!text_number(text, 1, 100 * 1024 * 1024, &n)) {
            say("-l %s: not a number of Kbit/s", CLEAN(text));
            return false;
        }
        throttle_init(&s->throttle, n);
        return true;
    default:
        return true;
    }
}

static bool set_flag(struct scp *s, int flag) {
    switch (flag) {
    case 'O':
        s->legacy = true;
        return true;
    case 's':
        s->legacy = false;
        return true;
    case 'R':
        s->direct_remote = true;
        return true;
    case '3':
        s->direct_remote = false;
        return true;
    case 'T':
        s->unchecked = true;
        return true;
    case 'p':
        s->how.preserve = true;
        return true;
    case 'q':
        s->quiet = true;
        return true;
    case 'r':
        s->how.recursive = true;
        return true;
    case 'v':
        s->verbose++;
        return true;
    case 'd':
        s->target_is_folder = true;
        return true;
    case 'f':
        s->role = SCP_SOURCE;
        return true;
    case 't':
        s->role = SCP_SINK;
        return true;
    default:
        return flag != '?' && flag != ':';
    }
}

bool scp_options(struct scp *s, int argc, char **argv) {
    int flag;
    if (ssh_words_init(&s->ssh) != OK)
        return false;
    s->how = (struct copy_how){.in_place = true, .follow = true};
    while ((flag = getopt(argc, argv, "+12346ABCTdfOpqRrstvD:F:J:M:P:S:c:i:l:o:X:")) !=
           -1) {
        if (!set_flag(s, flag))
            return usage();
        if (optarg != NULL && !set_argument(s, flag, optarg))
            return false;
        if (!pass(s, flag, optarg) || !pass_remote(s, flag, optarg)) {
            say("out of memory");
            return false;
        }
    }
    s->files = argv + optind;
    s->files_n = (size_t)(argc - optind);
    s->how.meter = !s->quiet && isatty(STDOUT_FILENO);
    if (s->role == SCP_SINK ? s->files_n != 1 : s->files_n < (s->role ? 1 : 2))
        return usage();
    return true;
}
