// The command line of scp(1).
#include <stddef.h>
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

#define AT(member) offsetof(struct scp, member)
static const struct option_flag flags[] = {
    {'O', OPTION_SETS, AT(legacy)},        {'s', OPTION_CLEARS, AT(legacy)},
    {'R', OPTION_SETS, AT(direct_remote)}, {'3', OPTION_CLEARS, AT(direct_remote)},
    {'T', OPTION_SETS, AT(unchecked)},     {'p', OPTION_SETS, AT(how.preserve)},
    {'q', OPTION_SETS, AT(quiet)},         {'r', OPTION_SETS, AT(how.recursive)},
    {'v', OPTION_COUNTS, AT(verbose)},     {'d', OPTION_SETS, AT(target_is_folder)},
};

static bool set_flag(struct scp *s, int flag) {
    if (flag == 'f' || flag == 't')
        s->role = flag == 'f' ? SCP_SOURCE : SCP_SINK;
    return options_flag(flags, sizeof flags / sizeof flags[0], s, flag);
}

bool scp_options(struct scp *s, int argc, char **argv) {
    int flag;
    if (ssh_words_init(&s->ssh) != OK)
        return false;
    s->how = (struct copy_how){.in_place = true, .follow = true};
    while ((flag = getopt(argc, argv, "+12346ABCTdfOpqRrstvD:F:J:P:S:c:i:l:o:X:")) !=
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
