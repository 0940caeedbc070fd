#include "server/holder_status.h"

#include "base/text.h"
#include "server/forward.h"
#include "server/holder_link.h"
#include "server/holder_view.h"
#include "wire/writer.h"

// One holder is one process.
static struct { char tty[64], command[128]; } last;

void holder_status_command(const char *command) {
    text_clean(last.command, sizeof last.command,
               view_text(command != NULL ? command : ""));
}

void holder_status_tell(struct holder *h) {
    uint64_t now = clock_ms();
    uint8_t room[TERMINALS_BYTES];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    keep_write(h, &w);
    struct ipc_status status = {
        .sessions = session_count(h),
        .idle = (uint32_t)((now - h->busy_at) / 1000),
        .bytes_in = h->bytes_in + h->seam.counts.bytes_in,
        .bytes_out = h->bytes_out + h->seam.counts.bytes_out,
        .tty = view_text(last.tty),
        .command = view_text(last.command),
        .terminals = writer_end(&w) == OK ? view_of(room, w.n) : view_of(NULL, 0),
    };
    for (const struct forward *f = h->forwards; f != NULL; f = f->next)
        status.forwards++;
    for (const struct forward_listener *l = h->listeners; l != NULL; l = l->next)
        status.forwards++;
    if (h->connection != NULL)
        status.channels = (uint32_t)connection_count(h->connection);
    bool sent;
    enum err e = ipc_try_send(h->start->keeper, IPC_STATUS, &status, -1, &sent);
    (void)e;  // the keeper asks again
}

void holder_leavings_tell(struct holder *h) {
    struct ipc_leavings told = {view_text(h->leavings.name[LEAVING_AGENT]),
                                view_text(h->leavings.name[LEAVING_AUTH_INFO])};
    holder_tell_keeper(h, IPC_LEAVINGS, &told);
}

void holder_status(struct holder *h, const char *tty) {
    (void)text_copy(last.tty, sizeof last.tty, view_text(tty));
    holder_status_tell(h);
}

// Sessions are told for the records of who is on, and for lines of the log, too.
void holder_tell(struct holder *h, enum event_number number, struct ipc_event *e) {
    bool session = (number == EVENT_SESSION_OPENED || number == EVENT_SESSION_CLOSED) &&
                   (e->tty.n > 0 || h->log.level >= LOG_LEVEL_VERBOSE);
    bool sent = false;
    if (h->config.event_log == NULL && !session)
        return;
    e->event = number;
    e->lost = h->events_lost;
    if (ipc_try_send(h->start->keeper, IPC_EVENT, e, -1, &sent) == OK && sent)
        h->events_lost = 0;
    else
        h->events_lost++;
}
