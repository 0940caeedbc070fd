// Agent forwarding: a socket that only the user can reach, whose connections are channels
// to the client's agent (OpenSSH's PROTOCOL.agent, RFC 9987 s.4.1).
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "io/unix_socket.h"
#include "server/forward.h"

static bool make_folder(struct holder *h) {
    char path[] = "/tmp/ssh-XXXXXXXXXX";
    if (mkdtemp(path) == NULL)  // 0700
        return false;
    h->agent_folder = strdup(path);
    return h->agent_folder != NULL;
}

static bool listen_for_agent(struct holder *h, const char *type) {
    struct fault fault = {0};
    int fd;
    if (!make_folder(h)) {
        log_error(&h->log, "Agent forwarding disabled: no folder can be made in /tmp");
        return false;
    }
    snprintf(h->agent_path, sizeof h->agent_path, "%s/agent.%ld", h->agent_folder,
             (long)getpid());
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
    if (h->agent_folder != NULL)
        return true;
    if (listen_for_agent(h, type))
        return true;
    agent_end(h);
    return false;
}

void agent_end(struct holder *h) {
    if (h->agent_folder == NULL)
        return;
    if (h->agent_path[0] != '\0')
        unlink(h->agent_path);
    rmdir(h->agent_folder);
    free(h->agent_folder);
    h->agent_folder = NULL;
    h->agent_path[0] = '\0';
}
