// early-session@bowline: the own session is asked for along with the login, where the
// server has said that it keeps such messages until the login is decided. A login that
// fails takes them with it, and they are sent again after the one that succeeds.
#include <stdlib.h>
#include <unistd.h>

#include "client/redial.h"
#include "client/run.h"
#include "io/fd.h"

// Half of what the server keeps; what is over goes after the success.
#define EARLY_MAX (LIMIT_EARLY_SESSION / 2)

// Nothing that has to happen between login and session, or that needs the whole run.
static bool plain(const struct client *c) {
    const struct client_config *o = &c->config;
    bool session = o->session_type != SESSION_TYPE_NONE || c->flags.stdio_forward != NULL;
    bool forwards = o->local_forward.n + o->remote_forward.n + o->dynamic_forward.n > 0 ||
                    o->forward_x11 || o->forward_agent || o->forward_agent_path != NULL;
    bool command = o->permit_local_command && o->local_command != NULL;
    return session && !forwards && !command && o->control_path == NULL &&
           o->tunnel == 0 && !o->fork_after_authentication;
}

// Compression begins with the success: what is on its way before would be taken for
// compressed.
static bool uncompressed(const struct client *c) {
    const struct transport_agreed *a = transport_agreed(c->link.transport);
    return strcmp(a->compression_c2s, "none") == 0;
}

static enum err send_early(struct run *r) {
    struct carrier *w = &r->carrier;
    size_t sent = 0;
    TRY(carrier_open(w, &sent));
    for (struct view v;
         carrier_can_send(w) && (v = connection_out(r->connection)).n > 0 &&
         sent + v.n + 4 <= EARLY_MAX;
         connection_out_done(r->connection)) {
        TRY(carrier_send_view(w, v));
        sent += v.n + 4;
    }
    return OK;
}

enum err client_early(struct client *c) {
    if (c->redial != NULL)
        return uncompressed(c) ? redial_early(c) : OK;
    if (!c->takes_early || c->early != NULL || !plain(c) || !uncompressed(c))
        return OK;
    struct run *r = run_new(c);
    if (r == NULL)
        return ERR_MEMORY;
    c->early = r;
    c->hold_step = true;
    enum err e = c->config.stdin_null ? fd_to_null(STDIN_FILENO) : OK;
    if (e == OK)
        e = run_open_own(r);
    c->hold_step = false;
    return e == OK ? send_early(r) : e;
}

void client_early_drop(struct client *c) {
    struct run *r = c->early;
    if (c->redial != NULL)
        redial_early_drop(c);
    c->early = NULL;
    c->held_step[0] = 0;
    if (r == NULL)
        return;
    while (r->sessions != NULL)
        run_remove_session(r, r->sessions);
    connection_free(r->connection);
    carrier_free(&r->carrier);
    silence_close(&r->silence);
    free(r);
}
