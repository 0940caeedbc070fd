// bowline: what no other suite has. One table of subcommands.
#include <stdio.h>
#include <string.h>

#include "client/doctor.h"
#include "crypto/crypto.h"
#include "tools/commands.h"
#include "tools/try.h"

static int help(int argc, char **argv);

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);  // argv[0] is the subcommand's name
    const char *arguments, *text;
} commands[] = {
    {"try", try_run, "[--port N] [--keep] [command ...]",
     "start a private server and open a session in it"},
    {"attach", attach_run, "[--watch] [--port N] [HOST] [NAME]",
     "take up a session that was left, or watch one"},
    {"config", config_run, "explain [sshd|ssh] [[user@]host] [-f FILE] [--json]",
     "each value with the line that set it; what hides what, never holds or is risky"},
    {"doctor", doctor_run, "[--idle[=SECONDS]] [--json] [ssh options] [user@]host",
     "try the way to a host; what fails, and what to do"},
    {"sessions", sessions_run, "[--json] [--port N] [end ID|USER|KEY [--message TEXT]]",
     "who is on; end a session"},
    {"why", why_run, "[-n N] [--all] [--json] [host]",
     "why the last sessions of ssh ended"},
    {"version", help, "", "print the version"},
    {"help", help, "", "print this"},
};

static int help(int argc, char **argv) {
    (void)argc;
    printf("Bowline %s\n", BOWLINE_VERSION);
    if (strcmp(argv[0], "version") == 0)
        return 0;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        printf("  bowline %s %s\n        %s\n", commands[i].name, commands[i].arguments,
               commands[i].text);
    return 0;
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0)
        name = "version";
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
        name = "help";
    if (crypto_init() != OK) {
        fprintf(stderr, "bowline: libcrypto cannot be used\n");
        return 1;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(name, commands[i].name) == 0) {
            char *only[] = {(char *)commands[i].name, NULL};
            if (argc > 2 || (argc == 2 && argv[1][0] != 0x2d))
                return commands[i].run(argc - 1, argv + 1);
            return commands[i].run(1, only);
        }
    }
    fprintf(stderr, "bowline: no command \"%s\"; `bowline help` lists them\n", name);
    return 2;
}
