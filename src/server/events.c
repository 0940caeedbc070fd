#include "server/events.h"

#include <stdio.h>

#include "base/text.h"

#define TEXT 300

static void tell(const struct log *log, enum log_level level, const char *what,
                 const struct event_link *l, struct view method, struct view key) {
    char user[TEXT], name[TEXT], text[TEXT * 4];
    log_at(log, level, "%s %s for %s%s from %s port %u ssh2%s%s", what,
           text_clean(name, sizeof name, method), l->valid_user ? "" : "invalid user ",
           text_clean(user, sizeof user, view_text(l->user)), l->peer, l->port,
           key.n > 0 ? ": " : "", text_clean(text, sizeof text, key));
}

void event_accepted(const struct log *log, const struct event_link *l, struct view method,
                    struct view key) {
    tell(log, LOG_LEVEL_INFO, "Accepted", l, method, key);
}

void event_partial(const struct log *log, const struct event_link *l, struct view method,
                   struct view key) {
    tell(log, LOG_LEVEL_INFO, "Partial", l, method, key);
}

void event_failed(const struct log *log, const struct event_link *l, struct view method,
                  struct view key, bool loud) {
    tell(log, loud ? LOG_LEVEL_INFO : LOG_LEVEL_VERBOSE, "Failed", l, method, key);
}

// "authenticating user x ", "invalid user x ", "user x " or nothing: who it was said to
// be.
static const char *who(const struct event_link *l, char *out, size_t size) {
    char user[TEXT];
    if (l->user[0] == '\0')
        return "";
    text_clean(user, sizeof user, view_text(l->user));
    const char *kind = l->authenticated ? "user"
                       : l->valid_user  ? "authenticating user"
                                        : "invalid user";
    snprintf(out, size, "%s %s ", kind, user);
    return out;
}

void event_end(const struct log *log, const struct event_link *l,
               const struct ipc_gate_end *m) {
    char text[TEXT], name[TEXT + 32];
    const char *stage = l->authenticated ? "" : " [preauth]";
    text_clean(text, sizeof text, m->text);
    const char *person = who(l, name, sizeof name);
    switch ((enum gate_cause)m->cause) {
    case GATE_CLOSED:
        log_info(log, "Connection closed by %s%s port %u%s", person, l->peer, l->port,
                 stage);
        break;
    case GATE_DISCONNECTED:
        log_info(log, "Received disconnect from %s port %u:%u: %s%s", l->peer, l->port,
                 m->reason, text, stage);
        log_info(log, "Disconnected from %s%s port %u%s", person, l->peer, l->port,
                 stage);
        break;
    case GATE_TIMEOUT:
        log_info(log, "Timeout before authentication for %s port %u", l->peer, l->port);
        break;
    case GATE_TOO_MANY:
        log_info(log,
                 "error: maximum authentication attempts exceeded for %s%s from %s port "
                 "%u ssh2%s",
                 l->valid_user ? "" : "invalid user ", l->user[0] != '\0' ? person : "",
                 l->peer, l->port, stage);
        log_info(log, "Disconnecting %s%s port %u: %s%s", person, l->peer, l->port, text,
                 stage);
        break;
    case GATE_HOLDER_ENDED:
        log_info(log, "Disconnecting %s%s port %u: %s", person, l->peer, l->port, text);
        break;
    case GATE_FAULT:
    case GATE_CAUSES:
        log_info(log, "Connection with %s%s port %u ended: %s%s", person, l->peer,
                 l->port, text, stage);
        break;
    }
}

void event_lost(const struct log *log, const struct event_link *l) {
    char name[TEXT + 32];
    log_info(log, "Connection reset by %s%s port %u%s", who(l, name, sizeof name),
             l->peer, l->port, l->authenticated ? "" : " [preauth]");
}
