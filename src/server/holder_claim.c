// The name of a session: asked of the keeper, which knows those of all this user's
// connections. A name that another connection has means that its session is to be shown
// here: then the program of ours is one that shows it.
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"
#include "connection/requests.h"
#include "io/fd.h"
#include "server/holder_link.h"
#include "server/holder_status.h"
#include "server/holder_view.h"

#define CLAIM_MS 5000u  // for the keeper to answer

static bool ask(struct session *s, const char *name, uint32_t flags) {
    struct holder *h = s->c.holder;
    struct ipc_claim m = {s->c.channel, view_text(name), flags};
    bool sent = false;
    return ipc_try_send(h->start->keeper, IPC_CLAIM, &m, -1, &sent) == OK && sent;
}

// Whoever may not choose what runs may not choose among what runs either.
static bool may_choose(const struct holder *h) {
    return h->forced_command == NULL && h->config.chroot_directory == NULL &&
           h->config.permit_tty && (h->start->verdict->permits & PERMIT_PTY);
}

bool claim_request(struct session *s, const struct request_session_name *r) {
    struct holder *h = s->c.holder;
    char name[VIEW_NAME] = "";
    if (s->started || s->claimed || h->claiming || !s->with_pty ||
        (r->name.n > 0 && !may_choose(h)) || r->name.n >= sizeof name)
        return false;
    (void)text_copy(name, sizeof name, r->name);
    s->claimed = true;
    h->claiming = ask(s, name, r->flags);
    h->claim_channel = s->c.channel;
    h->claim_until = clock_ms() + CLAIM_MS;
    (void)text_copy(s->asked_name, sizeof s->asked_name, view_text(name));
    return h->claiming;
}

// ---- answers ----

static struct session *session_of(struct holder *h, uint32_t channel) {
    for (struct session *s = h->sessions; s != NULL; s = s->next)
        if (s->c.channel == channel && s->c.open)
            return s;
    return NULL;
}

static void tell_waiting(struct session *s, struct view text) {
    scoped_buf b = {.max = 2048};
    struct request_session_waiting fields = {text};
    if (text.n > 0 &&
        request_encode(REQUEST_CHANNEL, "waiting@bowline", &fields, &b) == OK &&
        connection_request(s->c.holder->connection, s->c.channel, "waiting@bowline",
                           false, buf_view(&b)) != OK)
        log_verbose(&s->c.holder->log, "the client is not told what waits");
}

// With a number from the second one on.
void claim_name(struct session *s) {
    struct holder *h = s->c.holder;
    if (s->kept == NULL || s->kept->name[0] != '\0')
        return;
    if (h->id[0] == '\0') {
        (void)ask(s, "", 0);
        return;
    }
    if (h->named++ == 0)
        (void)text_copy(s->kept->name, sizeof s->kept->name, view_text(h->id));
    else
        snprintf(s->kept->name, sizeof s->kept->name, "%s.%u", h->id, h->named);
    holder_status_tell(h);
}

static void go_on(struct holder *h, struct session *s, bool good) {
    h->claiming = false;
    h->again = true;
    if (s != NULL && h->claim_owed &&
        connection_reply(h->connection, s->c.channel, good) != OK)
        holder_end(h, DISCONNECT_PROTOCOL_ERROR,
                   fault_text(connection_fault(h->connection)));
}

void claim_answered(struct holder *h, const struct ipc_claimed *m) {
    struct session *s = session_of(h, m->channel);
    bool waits = h->claiming && h->claim_channel == m->channel;
    h->may_keep = m->may_keep;
    if (s == NULL) {
        h->claiming = h->claiming && !waits;
        return;
    }
    text_clean(h->id, sizeof h->id, m->id);
    claim_name(s);
    if (m->result == CLAIM_REFUSED)
        s->asked_name[0] = '\0';
    if (waits)
        tell_waiting(s, m->text);
    if (waits && m->result != CLAIM_VIEW)
        go_on(h, s, m->result == CLAIM_YOURS);
}

void claim_unanswered(struct holder *h) {
    struct session *s = session_of(h, h->claim_channel);
    if (!h->claiming)
        return;
    if (s != NULL)
        s->asked_name[0] = '\0';
    go_on(h, s, false);
}

void claim_viewed(struct holder *h, const struct ipc_viewed *m, int fd) {
    struct session *s = session_of(h, m->channel);
    if (s == NULL || s->started || s->relay >= 0) {
        fd_close(&fd);
        return;
    }
    s->relay = fd;
    if (h->claiming)
        go_on(h, s, true);
}

// ---- showing it ----

bool claim_relays(const struct session *s) {
    return s->relay >= 0 || s->relayed;
}

_Noreturn void claim_relay_child(struct session *s) {
    int fd = fd_dup_above(s->relay, 3);
    const int keep[] = {0, 1, 2, fd};
    process_reset_signals();
    (void)!setsid();
    (void)!ioctl(s->pty.slave, TIOCSCTTY, 0);
    if (fd < 0 || dup2(s->pty.slave, 0) < 0 || dup2(s->pty.slave, 1) < 0 ||
        dup2(s->pty.slave, 2) < 0)
        _exit(1);
    fd_close_all_but(keep, sizeof keep / sizeof keep[0]);
    _exit(view_run(fd, false, false));
}
