// The command line of sftp(1).
#include <stddef.h>
#include <unistd.h>

#include "transfer/options.h"
#include "transfer/say.h"
#include "transfer/sftp.h"

static bool usage(void) {
    fputs("usage: sftp [-46AaCfNpqrv] [-B buffer_size] [-b batchfile] [-c cipher]\n"
          "          [-D sftp_server_command] [-F ssh_config] [-i identity_file]\n"
          "          [-J destination] [-l limit] [-o ssh_option] [-P port]\n"
          "          [-R num_requests] [-S program] [-s subsystem | sftp_server]\n"
          "          [-X sftp_option] destination\n",
          stderr);
    return false;
}

static bool set_batch(struct sftp *s, const char *text) {
    if (s->batch != NULL) {
        say("Batch file already specified.");
        return false;
    }
    s->batch = text;
    s->quiet = true;
    return ssh_words_flag(&s->ssh, 'o', "BatchMode=yes") == OK;
}

static bool set_argument(struct sftp *s, int flag, const char *text) {
    switch (flag) {
    case 'B':
        return options_block(&s->config, flag, text);
    case 'R':
        return options_requests(&s->config, flag, text);
    case 'X':
        return options_transfer(&s->config, text);
    case 'l':
        return options_limit(&s->throttle, text);
    case 'P':
        return options_port(text);
    case 'S':
        return options_program(&s->ssh, text);
    case 'b':
        return set_batch(s, text);
    case 'D':
        s->ssh.direct = text;
        return true;
    case 's':
        s->server = text;
        return true;
    default:
        return true;
    }
}

#define AT(member) offsetof(struct sftp, member)
static const struct option_flag flags[] = {
    {'a', OPTION_SETS, AT(how.resume)}, {'f', OPTION_SETS, AT(how.sync)},
    {'N', OPTION_SETS, AT(not_quiet)},  {'p', OPTION_SETS, AT(how.preserve)},
    {'q', OPTION_SETS, AT(quiet)},      {'r', OPTION_SETS, AT(how.recursive)},
    {'v', OPTION_COUNTS, AT(verbose)},
};

static bool set_target(struct sftp *s, char **words, int n) {
    char why[128];
    if (s->ssh.direct != NULL)
        return n <= 1 || usage();
    if (n < 1 || n > 2)
        return usage();
    s->local = n > 1 ? words[1] : NULL;
    if (address_parse(&s->target, words[0], "sftp://", false, why))
        return true;
    say("%s: %s", CLEAN(words[0]), why);
    return false;
}

bool sftp_options(struct sftp *s, int argc, char **argv) {
    int flag;
    s->server = "sftp";
    if (ssh_words_init(&s->ssh) != OK)
        return false;
    while ((flag = getopt(argc, argv, "+1246AafhNpqrvCc:D:i:l:o:s:S:b:B:F:J:P:R:X:")) !=
           -1) {
        if (flag == 'h' || !options_flag(flags, sizeof flags / sizeof flags[0], s, flag))
            return usage();
        if (optarg != NULL && !set_argument(s, flag, optarg))
            return false;
        if (!options_pass(&s->ssh, flag, optarg)) {
            say("out of memory");
            return false;
        }
    }
    s->quiet = s->quiet && !s->not_quiet;
    s->meter = !s->quiet && s->batch == NULL && isatty(STDOUT_FILENO);
    return set_target(s, argv + optind, argc - optind);
}
