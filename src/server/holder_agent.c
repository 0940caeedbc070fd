// Agent forwarding: a socket that only the user can reach, whose connections are channels
// to the client's agent (OpenSSH's PROTOCOL.agent, RFC 9987 s.4.1).
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "io/unix_socket.h"
#include "server/forward.h"
#include "server/holder_status.h"

// The keeper knows it before there is anything in it.
static bool make_folder(struct holder *h) {
    char path[] = LEAVING_AGENT_TEMPLATE;
    if (mkdtemp(path) == NULL)  // 0700
        return false;
    const char *name = path + strlen(LEAVINGS_AT);
    if (!leavings_take(&h->leavings, LEAVING_AGENT, view_text(name))) {
        rmdir(path);
        return false;
    }
    snprintf(h->agent_path, sizeof h->agent_path, "%s/agent.%ld", path, (long)getpid());
    holder_leavings_tell(h);
    return true;
}

static bool listen_for_agent(struct holder *h, const char *type) {
    struct fault fault = {0};
    int fd;
    if (!make_folder(h)) {
        log_error(&h->log, "Agent forwarding disabled: no folder " LEAVING_AGENT_TEMPLATE
                           " can be made: %m");
        return false;
    }
    if (unix_listen(h->agent_path, SOCK_STREAM, 0600, false, &fd, &fault) != OK) {
        log_error(&h->log, "Agent forwarding disabled: %s", fault_text(&fault));
        return false;
    }
    struct forward_listener *l = listener_add(h, LISTEN_AGENT, &fd, 1);
    if (l == NULL)
        return false;
    l->type = type;
    text_copy(l->host, sizeof l->host, view_text(h->agent_path));
    listener_opened(l);
    return true;
}

// One for the connection, whichever session asks first.
bool agent_listen(struct holder *h, const char *type) {
    if (!forward_allowed(&h->config, h->start->verdict->permits, FORWARD_WANT_AGENT)) {
        log_debug(&h->log, "agent forwarding is not allowed");
        return false;
    }
    if (h->agent_path[0] != '\0')
        return true;
    if (listen_for_agent(h, type))
        return true;
    agent_end(h);
    return false;
}

void agent_end(struct holder *h) {
    if (h->agent_path[0] == '\0')
        return;
    h->agent_path[0] = '\0';
    leaving_remove(&h->leavings, LEAVING_AGENT, geteuid(), getpid());
    holder_leavings_tell(h);
}
