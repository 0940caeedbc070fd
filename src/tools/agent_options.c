#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "base/text.h"
#include "tools/agent.h"

#define PROVIDERS "/usr/lib*/*,/usr/local/lib*/*"

static int usage(void) {
    fputs("usage: ssh-agent [-c | -s] [-DdTU] [-a bind_address] [-E fingerprint_hash]\n"
          "                 [-O option] [-P allowed_providers] [-t life]\n"
          "       ssh-agent [-TU] [-a bind_address] [-E fingerprint_hash] [-O option]\n"
          "                 [-P allowed_providers] [-t life] command [arg ...]\n"
          "       ssh-agent [-c | -s] -k\n"
          "       ssh-agent -u\n"
          "       ssh-agent -V\n",
          stderr);
    return 1;
}

static int fail(const char *what, const char *value) {
    fprintf(stderr, "ssh-agent: %s%s%s%s\n", what, value != NULL ? " \"" : "",
            value != NULL ? value : "", value != NULL ? "\"" : "");
    return 1;
}

static int set_rule(struct agent_settings *s, const char *text) {
    if (strcmp(text, "no-restrict-websafe") == 0)
        s->rules.no_websafe = true;
    else if (strcmp(text, "allow-remote-pkcs11") == 0)
        s->rules.remote_providers = true;
    else if (strncmp(text, "websafe-allow=", 14) == 0 && text[14] != '\0')
        s->rules.websafe_allow = text + 14;
    else
        return fail("Unknown -O option", text);
    return -1;
}

static int set_hash(struct agent_settings *s, const char *text) {
    s->rules.hash = digest_find(text);
    return s->rules.hash != NULL ? -1 : fail("Invalid hash algorithm", text);
}

static int set_providers(struct agent_settings *s, const char *text) {
    if (s->providers != NULL)
        return fail("-P option already specified", NULL);
    s->providers = text;
    return -1;
}

static int set_mode(struct agent_settings *s, enum agent_mode mode) {
    if (s->mode != AGENT_DAEMON && s->mode != mode)
        return usage();
    s->clean_all_hosts = mode == AGENT_CLEAN && s->mode == AGENT_CLEAN;
    s->mode = mode;
    return -1;
}

static int set(struct agent_settings *s, int letter, const char *text, int *shell) {
    switch (letter) {
    case 'c':
    case 's':
        if (*shell != 0 && *shell != letter)
            return usage();
        *shell = letter;
        return -1;
    case 'd':
        return set_mode(s, AGENT_DEBUG);
    case 'D':
        return set_mode(s, AGENT_FOREGROUND);
    case 'k':
        return set_mode(s, AGENT_KILL);
    case 'u':
        return set_mode(s, AGENT_CLEAN);
    case 'V':
        return set_mode(s, AGENT_VERSION);
    case 'a':
        s->address = text;
        return -1;
    case 'E':
        return set_hash(s, text);
    case 'O':
        return set_rule(s, text);
    case 'P':
        return set_providers(s, text);
    case 't':
        return text_duration(text, &s->rules.lifetime_s) ? -1
                                                         : fail("Invalid lifetime", NULL);
    case 'T':
        s->in_tmp = true;
        return -1;
    case 'U':
        s->keep_stale = true;
        return -1;
    default:
        return usage();
    }
}

static bool shell_is_csh(void) {
    const char *shell = getenv("SHELL");
    size_t n = shell != NULL ? strlen(shell) : 0;
    return n >= 3 && strcmp(shell + n - 3, "csh") == 0;
}

int agent_options(struct agent_settings *s, int argc, char **argv) {
    int letter, shell = 0, status;
    while ((letter = getopt(argc, argv, "+cDdksE:a:O:P:t:TuUV")) != -1)
        if ((status = set(s, letter, optarg, &shell)) != -1)
            return status;
    bool command = argc > optind;
    if (command && (shell != 0 || s->mode != AGENT_DAEMON))
        return usage();
    if (command) {
        s->mode = AGENT_COMMAND;
        s->command = argv + optind;
    }
    s->csh = shell == 'c' || (shell == 0 && shell_is_csh());
    if (s->providers == NULL)
        s->providers = PROVIDERS;
    return -1;
}
