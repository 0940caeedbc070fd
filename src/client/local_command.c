// LocalCommand: run here by the user's shell once the connection stands; the session
// waits for it.
#include <stdlib.h>
#include <unistd.h>

#include "client/run.h"
#include "io/process.h"

#define COMMAND_MAX 8192

void local_command_run(struct client *c, const char *command) {
    const char *shell = getenv("SHELL");
    if (shell == NULL || *shell != '/')
        shell = "/bin/sh";
    char *argv[] = {(char *)(uintptr_t)shell, (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t)command, NULL};
    struct process_spec spec = {.path = shell,
                                .argv = argv,
                                .fd_in = STDIN_FILENO,
                                .fd_out = STDOUT_FILENO,
                                .fd_err = STDERR_FILENO,
                                .tty = -1};
    struct process p;
    struct fault fault = {0};
    int status = 0;
    enum err e = process_spawn(&spec, &p, &fault);
    if (e == OK)
        e = process_wait(&p, &status);
    if (e != OK)
        log_error(&c->log, "LocalCommand: %s", fault_text(&fault));
}

enum err run_local_command(struct run *r) {
    struct client *c = r->c;
    const struct token more[] = {{'T', "NONE"}, {0, NULL}};
    char command[COMMAND_MAX];
    if (!c->config.permit_local_command || c->config.local_command == NULL)
        return OK;
    TRY(client_config_expand(&c->config, &c->subject, TOKENS_LOCAL_COMMAND, more,
                             c->config.local_command, command, sizeof command,
                             &c->fault));
    log_debug(&c->log, "local command: %s", command);
    local_command_run(c, command);
    return OK;
}
