// Sessions with a terminal outlive their channel, and their connection (doc/attach.md):
// left by their client, or held for one that cannot resume (SessionsHold, or asked for by
// a name). The holder then goes on
// without a link, for as long as ResumeGrace has it for connections with a terminal.
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/text.h"
#include "connection/requests.h"
#include "server/forward.h"
#include "server/holder_link.h"
#include "server/holder_status.h"
#include "server/holder_view.h"

// ---- a session ----

static struct pty_size size_of(const struct session *s) {
    struct pty_size size = {0};
    if (pty_get_size(s->pty.master, &size) != OK)
        size = (struct pty_size){80, 24, 0, 0};
    return size;
}

void keep_start(struct session *s) {
    if (s->kept != NULL || claim_relays(s))
        return;
    s->kept = calloc(1, sizeof *s->kept);
    if (s->kept == NULL)
        return;  // it cannot be left, then
    record_init(&s->kept->record, &s->c.holder->loop, size_of(s));
    (void)text_copy(s->kept->name, sizeof s->kept->name, view_text(s->asked_name));
    claim_name(s);
}

void keep_free(struct session *s) {
    if (s->kept == NULL)
        return;
    view_end_all(s, VIEW_OVER);
    record_free(&s->kept->record);
    free(s->kept);
    s->kept = NULL;
}

static void give_back(struct session *s, const char *words) {
    struct holder *h = s->c.holder;
    scoped_buf out = {.max = 2048};
    uint8_t header[CONNECTION_DATA_HEADER];
    scoped_buf message = {.max = 4096};
    if (terminal_modes_leave(&s->kept->record.modes, &out) != OK ||
        buf_append(&out, view_text("\r\n")) != OK ||
        buf_append(&out, view_text(words)) != OK)
        return;
    size_t n = buf_len(&out);
    holder_flush(h);
    if (connection_out_pending(h->connection, s->c.channel) ||
        connection_data_max(h->connection, s->c.channel) < n)
        return;
    connection_data_header(h->connection, s->c.channel, 0, n, header);
    if (buf_append(&message, view_of(header, sizeof header)) == OK &&
        buf_append(&message, buf_view(&out)) == OK)
        holder_put(h, buf_view(&message));
}

static void tell_left(struct session *s) {
    struct holder *h = s->c.holder;
    scoped_buf b = {.max = 512};
    struct request_session_left fields = {view_text(s->kept->name),
                                          h->config.resume_grace.terminal};
    if (request_encode(REQUEST_CHANNEL, "left@bowline", &fields, &b) == OK &&
        connection_request(h->connection, s->c.channel, "left@bowline", false,
                           buf_view(&b)) != OK)
        log_verbose(&h->log, "the client is not told that its session is left");
}

static void tell_event(struct session *s, const char *reason) {
    struct ipc_event e = {.channel = s->c.channel,
                          .text = view_text(s->kept->name),
                          .reason = view_text(reason),
                          .status = UINT32_MAX};
    holder_tell(s->c.holder, EVENT_SESSION_LEFT, &e);
}

static void leave(struct session *s, const char *reason) {
    s->c.alone = true;
    s->c.input_eof = false;
    s->kept->left_at = clock_boot_ms();
    tell_event(s, reason);
}

static bool may_leave(const struct session *s) {
    const struct holder *h = s->c.holder;
    return s->kept != NULL && s->started && !s->exited && h->may_keep &&
           s->kept->name[0] != '\0' && h->config.resume_grace.terminal > 0;
}

bool keep_leave(struct session *s, const char *words) {
    if (!may_leave(s))
        return false;
    give_back(s, words);
    tell_left(s);
    carrier_eof(&s->c);
    carrier_close(&s->c);
    leave(s, words[0] == '\0' ? "asked" : "taken");
    holder_status_tell(s->c.holder);
    return true;
}

// ---- the holder ----

static bool is_kept(const struct session *s) {
    return s->kept != NULL && s->c.alone && !(s->kept->collected && s->exited);
}

// When nobody waits for it any more; 0: now.
static uint64_t kept_until(const struct holder *h) {
    uint64_t until = 0, grace = (uint64_t)h->config.resume_grace.terminal * 1000;
    for (const struct session *s = h->sessions; s != NULL; s = s->next) {
        if (!is_kept(s))
            continue;
        uint64_t own = view_has_writer(s) ? CLOCK_NEVER : s->kept->left_at + grace;
        until = own > until ? own : until;
    }
    return until;
}

static void tell_keeper(struct holder *h) {
    uint64_t now = clock_boot_ms();
    struct ipc_held told = {
        .grace = h->grace_at == CLOCK_NEVER ? 0 : (uint32_t)((h->grace_at - now) / 1000)};
    holder_tell_keeper(h, IPC_HELD, &told);
}

// What belongs to the client that is gone.
static void end_the_rest(struct holder *h) {
    for (struct session *s = h->sessions; s != NULL; s = s->next)
        if (!s->c.alone)
            session_hang_up(s);
    agent_end(h);
    forwards_end(h);
    listeners_end(h);
}

static void hold(struct holder *h, uint64_t until) {
    if (h->linked) {
        seam_end(&h->seam, 0, "");
        holder_drop_link(h);
    }
    resume_free(&h->resume);
    resume_init(&h->resume, true);
    end_the_rest(h);
    h->held = true;
    h->suspended_at = clock_boot_ms();
    h->grace_at = until;
    malloc_trim(0);  // it may stay so for a day, and what wrote much has holes
    tell_keeper(h);
    holder_status_tell(h);
}

bool keep_link_gone(struct holder *h, bool lost) {
    uint64_t now = clock_boot_ms();
    for (struct session *s = h->sessions; s != NULL; s = s->next) {
        bool held = h->config.sessions_hold || s->asked_name[0] != '\0';
        if (lost && held && s->c.open && may_leave(s)) {
            connection_set_user(h->connection, s->c.channel, NULL);
            s->c.open = false;
            leave(s, "lost");
        } else if (is_kept(s) && !view_has_writer(s)) {
            s->kept->left_at = now;
        }
    }
    uint64_t until = kept_until(h);
    if (h->ending || h->held || until <= now)
        return false;
    hold(h, until);
    return true;
}

void keep_changed(struct holder *h) {
    uint64_t now = clock_boot_ms();
    for (struct session *s = h->sessions; s != NULL; s = s->next)
        if (is_kept(s) && s->kept->typed_by && !view_has_writer(s))
            s->kept->left_at = now;
    for (struct session *s = h->sessions; s != NULL; s = s->next)
        if (s->kept != NULL)
            s->kept->typed_by = view_has_writer(s);
    if (h->held && kept_until(h) > now) {
        h->grace_at = kept_until(h);
        tell_keeper(h);
    }
    holder_status_tell(h);
}

// Its grace is over, or nothing is left to keep.
void keep_check(struct holder *h) {
    if (!h->held || h->ending)
        return;
    for (const struct session *s = h->sessions; s != NULL; s = s->next)
        if (s->kept != NULL && (is_kept(s) || s->kept->viewers != NULL))
            return;
    holder_over(h, ENDS_EXIT, "");
    h->ending = true;
}

static uint32_t state_of(const struct session *s) {
    if (s->exited)
        return TERMINAL_ENDED;
    return (s->c.open && s->c.holder->linked) || view_has_writer(s) ? TERMINAL_SHOWN
                                                                    : TERMINAL_LEFT;
}

void keep_write(const struct holder *h, struct writer *w) {
    for (const struct session *s = h->sessions; s != NULL; s = s->next) {
        if (s->kept == NULL || s->kept->collected || s->kept->name[0] == '\0')
            continue;
        write_text(w, s->kept->name);
        write_u32(w, state_of(s));
        write_u32(w, s->exited && WIFEXITED(s->status) ? (uint32_t)WEXITSTATUS(s->status)
                                                       : 0);
        write_u32(w, view_count(s, true));
    }
}
