// ssh-add: gives keys to an agent, takes them away, and lists them.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "io/account.h"
#include "io/fd.h"
#include "io/process.h"
#include "io/sandbox.h"
#include "tools/add.h"

static const struct {
    int letter;
    int (*run)(struct add *a);
} commands[] = {
    {0, add_files},     {'l', add_list},    {'L', add_list},     {'D', add_clear},
    {'x', add_lock},    {'X', add_lock},    {'T', add_test},     {'Q', add_query},
    {'s', add_library}, {'e', add_library}, {'K', add_resident},
};

int add_say(const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    return ADD_FAILED;
}

static int fatal(const char *what, const char *value) {
    if (value != NULL)
        add_say("%s \"%s\"", what, value);
    else
        add_say("%s", what);
    return ADD_FATAL;
}

static int usage(void) {
    return add_say(
        "usage: ssh-add [-CcDdKkLlNqvXx] [-E fingerprint_hash] [-H hostkey_file]\n"
        "               [-h destination_constraint] [-S provider] [-t life] [file ...]\n"
        "       ssh-add -s pkcs11 [-Cv] [certificate ...]\n"
        "       ssh-add -e pkcs11\n"
        "       ssh-add -T pubkey ...\n"
        "       ssh-add -Q");
}

// ---- the command line ----

static int set_command(struct add *a, int letter) {
    if (a->command != 0 && a->command != letter)
        return fatal("Invalid combination of actions", NULL);
    if (a->command == letter && strchr("lL", letter) != NULL)
        return add_say("-%c flag already specified", letter);
    a->command = letter;
    return 0;
}

static int set_list(const char **list, size_t *n, size_t max, const char *text,
                    int letter) {
    if (*n == max)
        return add_say("more than %zu of -%c", max, letter);
    list[(*n)++] = text;
    return 0;
}

static int set_value(struct add *a, int letter, const char *text) {
    switch (letter) {
    case 'E':
        a->hash = digest_find(text);
        return a->hash != NULL ? 0 : fatal("Invalid hash algorithm", text);
    case 't':
        return text_duration(text, &a->constraints.lifetime_s)
                   ? 0
                   : add_say("Invalid lifetime");
    case 'S':
        a->provider = text;
        return 0;
    case 'H':
        return set_list(a->host_files, &a->host_files_n, ADD_HOST_FILES, text, letter);
    case 'h':
        return set_list(a->destinations, &a->destinations_n, AGENT_DESTINATIONS_MAX, text,
                        letter);
    default:  // s, e
        a->library = text;
        return set_command(a, letter);
    }
}

static int set_flag(struct add *a, int letter) {
    const struct {
        int letter;
        bool *flag;
    } flags[] = {
        {'k', &a->plain_only}, {'C', &a->certificates_only},   {'N', &a->no_expiry},
        {'d', &a->remove},     {'c', &a->constraints.confirm}, {'q', &a->quiet},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (flags[i].letter == letter) {
            *flags[i].flag = true;
            return 0;
        }
    }
    if (letter == 'v') {
        a->verbose++;
        return 0;
    }
    return letter == '?' ? usage() : set_command(a, letter);
}

static int options(struct add *a, int argc, char **argv) {
    int letter, status = 0;
    while (status == 0 &&
           (letter = getopt(argc, argv, "cCdDe:E:h:H:kKlLNqQs:S:t:TvxX")) != -1)
        status = optarg != NULL ? set_value(a, letter, optarg) : set_flag(a, letter);
    if (status != 0)
        return status;
    a->args = argv + optind;
    a->args_n = (size_t)(argc - optind);
    // As if -d were not there: both list.
    if (a->remove && a->command != 0 && strchr("lL", a->command) == NULL)
        return fatal("Invalid combination of actions", NULL);
    if (a->plain_only && a->certificates_only)
        return add_say("-k and -C do not go together");
    return 0;
}

// ---- the agent ----

static int connect_agent(struct add *a) {
    const char *path = getenv("SSH_AUTH_SOCK");
    struct fault f = {0};
    if (path == NULL || *path == '\0') {
        add_say("Could not open a connection to your authentication agent.");
        return ADD_NO_AGENT;
    }
    errno = 0;
    if (agent_link_open(&a->agent, path, &f) == OK)
        return 0;
    add_say("Error connecting to agent: %s",
            errno != 0 ? strerror(errno) : fault_text(&f));
    return ADD_NO_AGENT;
}

static bool find_home(struct add *a) {
    scoped_account me = {0};
    if (account_by_uid(getuid(), &me, NULL) != OK) {
        add_say("No user found with uid %u", (unsigned)getuid());
        return false;
    }
    return text_copy(a->home, sizeof a->home, view_text(me.directory));
}

static int run(struct add *a) {
    int status = connect_agent(a);
    if (status != 0)
        return status;
    if (!find_home(a) || !add_destinations(a))
        return ADD_FATAL;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (commands[i].letter == a->command)
            return commands[i].run(a);
    return usage();
}

int main(int argc, char **argv) {
    static struct add a = {.hash = &digest_sha256, .agent = {.fd = -1}};
    process_reset_signals();
    sandbox_undumpable();
    if (fd_fill_standard() != OK)
        return ADD_FAILED;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (crypto_init() != OK)
        return add_say("libcrypto can not be used");
    a.provider = getenv("SSH_SK_PROVIDER");
    int status = options(&a, argc, argv);
    if (status == 0)
        status = run(&a);
    secret_wipe(a.passphrase, sizeof a.passphrase);
    agent_constraints_free(&a.constraints);
    agent_link_close(&a.agent);
    return status;
}
