// The command line of scp(1).
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "transfer/options.h"
#include "transfer/say.h"
#include "transfer/scp.h"

static bool usage(void) {
    fputs(
        "usage: scp [-346ABCOpqRrsTv] [-c cipher] [-D sftp_server_path] [-F ssh_config]\n"
        "           [-i identity_file] [-J destination] [-l limit] [-o ssh_option]\n"
        "           [-P port] [-S program] [-X sftp_option] source ... target\n",
        stderr);
    return false;
}

static bool pass(struct scp *s, int flag, const char *argument) {
    return flag == 'B' ? ssh_words_flag(&s->ssh, 'o', "BatchMode=yes") == OK
                       : options_pass(&s->ssh, flag, argument);
}

// For the scp of the source host with -R: the same flags by scp's names.
static bool pass_remote(struct scp *s, int flag, const char *argument) {
    const char text[] = {'-', (char)flag, '\0'};
    if (strchr("pqrvCoicFJ", flag) == NULL)
        return true;
    return words_add(&s->remote_flags, text) == OK &&
           (argument == NULL || words_add(&s->remote_flags, argument) == OK);
}

static bool set_argument(struct scp *s, int flag, const char *text) {
    switch (flag) {
    case 'X':
        return options_transfer(&s->config, text);
    case 'D':
        s->ssh.direct = text;
        return true;
    case 'S':
        return options_program(&s->ssh, text);
    case 'P':
        return options_port(text);
    case 'l':
        return options_limit(&s->throttle, text);
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
