// ssh: opens a session on another host.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/client.h"
#include "client/ends.h"
#include "client/mux_passenger.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/pty.h"

static enum err run(struct client *c) {
    bool shared = false;
    TRY(mux_passenger_try(c, &shared));
    if (shared)
        return OK;
    c->end.started = clock_ms();
    c->end.started_boot = clock_boot_ms();
    TRY(client_connect(c));
    c->end.phase = CLIENT_HANDSHAKE;
    TRY(client_handshake(c));
    c->end.phase = CLIENT_LOGIN;
    TRY(client_login(c));
    c->end.phase = CLIENT_SESSION;
    return client_session(c);
}

// Without exit(3): taking libcrypto apart costs more than all of ours (but leak checks
// need it).
static _Noreturn void leave(int code) {
#ifdef __SANITIZE_ADDRESS__
    exit(code);
#endif
    fflush(stdout);
    tty_raw_leave();
    _exit(code);
}

int main(int argc, char **argv) {
    if (fd_fill_standard() != OK)
        return CLIENT_EXIT_FAILURE;
    // A reader of our output that goes away is seen where it is written to.
    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL)
        return CLIENT_EXIT_FAILURE;
    if (client_setup(c, argc, argv)) {
        enum err e = run(c);
        if (e != OK) {
            c->exit_code = CLIENT_EXIT_FAILURE;
            // What was said already (a host key refused) needs no second line.
            if (c->fault.code != OK)
                log_error(&c->log, "%s", fault_text(&c->fault));
            else if (e != ERR_HOST_KEY)
                log_error(&c->log, "%s", err_text(e));
        }
        ends_note(c, e);
    }
    int code = c->exit_code;
    client_drop(c);
    free(c);
    leave(code);
}
