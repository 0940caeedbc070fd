// The end of a run: everybody is told, everything is given back.
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/run.h"
#include "client/signals.h"

// The terminal has gone: a session that has a name was asked for to be found again.
static void leave_named(struct run *r) {
    struct session *own = r->own;
    if (r->signal == SIGHUP && own != NULL && own->name_asked && own->opened &&
        !own->closed)
        (void)!session_leave(own);
}

static void say_goodbye(struct run *r) {
    if (r->carrier.lost)
        return;
    leave_named(r);
    r->c->proxy_has_goodbye = carrier_can_resume(&r->carrier);
    (void)!run_send_control(r);
    (void)!transport_disconnect(r->c->link.transport, DISCONNECT_BY_APPLICATION,
                                "disconnected by user");
}

static void tell_passengers(struct run *r, enum err e) {
    struct client *c = r->c;
    if (r->signal != 0)
        mux_tell_reason(&r->mux, "the master was ended by a signal");
    else if (e != OK)
        mux_tell_reason(&r->mux,
                        c->fault.code != OK ? fault_text(&c->fault) : err_text(e));
}

static void leave(struct run *r) {
    struct client *c = r->c;
    struct session *own = r->own;
    signals_release();
    if (own != NULL && r->signal == 0)
        session_finish_output(own);
    bool terminal = own != NULL && own->raw;
    if (own != NULL)
        session_leave_raw(own);
    mux_master_close(&r->mux);
    forwards_close(&r->forwards);
    if (r->connection != NULL)
        say_goodbye(r);
    bool left = own != NULL && session_is_left(own);
    if (left)
        session_tell_left(own);
    else if ((terminal || (own != NULL && own->pty)) && c->fault.code == OK)
        log_info(&c->log, "Connection to %s closed.", c->host);
    // Whoever started -W ends it so.
    bool stdio = own != NULL && own->stdio;
    if (r->signal != 0 && !stdio)
        log_error(&c->log, "Killed by signal %d.", r->signal);
    c->end.idle = own != NULL && own->timed_out && r->signal == 0;
    c->end.by_user = r->signal != 0 || (own != NULL && !own->closed) || left;
    bool finished = own != NULL && own->closed && r->signal == 0;
    c->exit_code = finished && own->status_known ? own->status : CLIENT_EXIT_FAILURE;
    if ((stdio && finished) || left)
        c->exit_code = 0;
    // A master in the background that ends as it was to.
    if (r->mux.persists && c->fault.code == OK && r->signal == 0)
        c->exit_code = 0;
}

void run_end(struct run *r, enum err *e) {
    struct client *c = r->c;
    silence_ended(r);
    // A server that ends the link after the status has said all there is.
    if (*e == ERR_CLOSED && r->own != NULL && r->own->status_known) {
        fault_clear(&c->fault);
        r->own->closed = true;
        *e = OK;
    }
    if (r->handed_over)
        c->end.started = 0;  // its end is another process's
    if (!r->handed_over) {
        tell_passengers(r, *e);
        leave(r);
    }
    while (r->sessions != NULL)
        run_remove_session(r, r->sessions);
    run_keys_free(r->keys);
    connection_free(r->connection);
    carrier_free(&r->carrier);
    silence_close(&r->silence);
    free(r->polls);
    free(r);
}
