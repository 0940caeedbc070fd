// Sessions that are left at the server and taken up again (doc/attach.md), where it is
// another Bowline.
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "client/session.h"
#include "connection/requests.h"
#include "io/pty.h"

#define CANNOT_LEAVE "\r\n[bowline: the server cannot keep this session]\r\n"
#define NO_BOWLINE                                                                       \
    "\r\n[bowline: this session cannot be left: the server is not Bowline, or it has "   \
    "no "                                                                                \
    "terminal]\r\n"

enum err session_ask_name(struct session *s) {
    const char *name = s->c->config.session;
    struct request_session_name fields = {view_text(name != NULL ? name : ""), 0};
    scoped_buf b;
    buf_init(&b, 256);
    if (!s->own || !s->c->bowline_peer || !s->pty) {
        if (s->own && name != NULL)
            log_info(&s->c->log, "Session %s: %s, so it is an ordinary session", name,
                     s->pty ? "the server is not Bowline" : "there is no terminal");
        return OK;
    }
    TRY(request_encode(REQUEST_CHANNEL, "session@bowline", &fields, &b));
    s->name_asked = name != NULL;
    if (name != NULL)
        (void)text_copy(s->name, sizeof s->name, view_text(name));
    s->name_ordinal = connection_next_ordinal(s->connection, s->channel);
    return connection_request(s->connection, s->channel, "session@bowline", name != NULL,
                              buf_view(&b));
}

enum err session_leave(struct session *s) {
    if (!s->c->bowline_peer || !s->pty || s->closed) {
        session_show(s, NO_BOWLINE, sizeof NO_BOWLINE - 1);
        return OK;
    }
    s->leave_ordinal = connection_next_ordinal(s->connection, s->channel);
    s->leave_asked = true;
    return connection_request(s->connection, s->channel, "leave@bowline", true,
                              (struct view){0});
}

bool session_kept_reply(struct session *s, const struct connection_event *event,
                        const char **refused) {
    *refused = NULL;
    if (s->name_asked && event->ordinal == s->name_ordinal) {
        *refused = event->success ? NULL : "the server does not give a session by name";
        return true;
    }
    if (!s->leave_asked || event->ordinal != s->leave_ordinal)
        return false;
    if (!event->success) {
        s->leave_asked = false;
        session_show(s, CANNOT_LEAVE, sizeof CANNOT_LEAVE - 1);
    }
    return true;
}

static void on_left(struct session *s, const struct connection_event *event) {
    struct request_session_left m;
    struct fault fault = {0};
    if (request_decode(event->type, event->fields, &m, &fault) != OK)
        return;
    text_clean(s->name, sizeof s->name, m.name);
    s->grace = m.grace;
    s->left = true;
}

// Is somebody there who has asked for a shell? A script with a terminal (-tt) is not to
// see more than its command's output.
static bool has_reader(const struct session *s) {
    return s->c->log.level >= LOG_LEVEL_INFO && strcmp(s->what, "shell") == 0 &&
           tty_is(s->fds[0]) && tty_is(s->fds[2]);
}

static void on_waiting(struct session *s, const struct connection_event *event) {
    struct request_session_waiting m;
    struct fault fault = {0};
    char names[700], host[256], line[1100];
    if (request_decode(event->type, event->fields, &m, &fault) != OK || m.text.n == 0 ||
        !has_reader(s))
        return;
    int n =
        snprintf(line, sizeof line,
                 "[bowline: waiting here: %s; take up by ssh -o Session=NAME %s]\r\n",
                 text_clean(names, sizeof names, m.text),
                 text_clean(host, sizeof host, view_text(s->c->config.original_host)));
    session_show(s, line, (size_t)n);
}

bool session_take_kept(struct session *s, const struct connection_event *event) {
    if (view_is(event->name, "left@bowline"))
        on_left(s, event);
    else if (view_is(event->name, "waiting@bowline"))
        on_waiting(s, event);
    else
        return false;
    return true;
}

bool session_is_left(const struct session *s) {
    return s->leave_asked && s->closed;
}

void session_tell_left(struct session *s) {
    char kept[64] = "", line[512];
    if (s->grace >= 3600)
        snprintf(kept, sizeof kept, ", kept for %u h", s->grace / 3600);
    else if (s->grace > 0)
        snprintf(kept, sizeof kept, ", kept for %u s", s->grace);
    if (s->name[0] == '\0')
        return;
    int n = snprintf(line, sizeof line,
                     "[bowline: session %s is left%s; come back by ssh -o Session=%s "
                     "%.255s]",
                     s->name, kept, s->name, s->c->config.original_host);
    if (s->own)
        log_info(&s->c->log, "%s", line);
    else
        session_show(s, line, (size_t)n);
}
