// Who may forward what. Pure functions over sshd_config and the options of the key.
#include <ctype.h>
#include <strings.h>

#include "base/text.h"
#include "server/forward.h"
#include "server/ipc_table.h"

static const struct {
    uint32_t permit;
    bool tcp, unix_socket;
    int direction;
} wants[FORWARD_WANTS] = {
    [FORWARD_WANT_TCP] = {PERMIT_PORT_FORWARDING, true, false, FORWARD_LOCAL},
    [FORWARD_WANT_UNIX] = {PERMIT_PORT_FORWARDING, false, true, FORWARD_LOCAL},
    [FORWARD_WANT_TCP_LISTEN] = {PERMIT_PORT_FORWARDING, true, false, FORWARD_REMOTE},
    [FORWARD_WANT_UNIX_LISTEN] = {PERMIT_PORT_FORWARDING, false, true, FORWARD_REMOTE},
    [FORWARD_WANT_AGENT] = {PERMIT_AGENT_FORWARDING, false, false, 0},
    [FORWARD_WANT_TUNNEL] = {PERMIT_TUNNEL, false, false, 0},
    [FORWARD_WANT_X11] = {PERMIT_X11_FORWARDING, false, false, 0},
};

bool forward_allowed(const struct server_config *config, uint32_t permits,
                     enum forward_want want) {
    if (config->disable_forwarding || !(permits & wants[want].permit))
        return false;
    if (wants[want].tcp)
        return (config->allow_tcp_forwarding & wants[want].direction) != 0;
    if (wants[want].unix_socket)
        return (config->allow_stream_local_forwarding & wants[want].direction) != 0;
    return want == FORWARD_WANT_AGENT    ? config->allow_agent_forwarding
           : want == FORWARD_WANT_TUNNEL ? config->permit_tunnel != TUNNEL_NO
                                         : config->x11_forwarding;
}

static void lower(char *text) {
    for (; *text != '\0'; text++)
        *text = (char)tolower((unsigned char)*text);
}

static bool port_matches(const char *entry, uint32_t port) {
    uint64_t want;
    return strcmp(entry, "*") == 0 ||
           (text_number(entry, 0, UINT16_MAX, &want) && want == port);
}

static bool entry_matches(const char *entry, const char *host, uint32_t port) {
    char pattern[300], name[300];
    const char *colon = strrchr(entry, ':');
    if (colon == NULL)
        return port_matches(entry, port);
    struct view v = view_of(entry, (size_t)(colon - entry));
    if (v.n >= 2 && v.p[0] == '[' && v.p[v.n - 1] == ']')
        v = view_of(v.p + 1, v.n - 2);
    if (!text_copy(pattern, sizeof pattern, v) ||
        !text_copy(name, sizeof name, view_text(host)))
        return false;
    lower(pattern);
    lower(name);
    return port_matches(colon + 1, port) && text_match(pattern, name);
}

bool forward_in_list(const struct conf_list *list, const char *host, uint32_t port) {
    if (list->n == 0)
        return true;
    if (list->n == 1 && strcasecmp(list->v[0], "any") == 0)
        return true;
    if (list->n == 1 && strcasecmp(list->v[0], "none") == 0)
        return false;
    for (size_t i = 0; i < list->n; i++)
        if (entry_matches(list->v[i], host, port))
            return true;
    return false;
}

bool x11_protocol_is_good(struct view protocol) {
    for (size_t i = 0; i < protocol.n; i++)
        if (!isalnum(protocol.p[i]) && protocol.p[i] != '-' && protocol.p[i] != '_' &&
            protocol.p[i] != '.')
            return false;
    return protocol.n > 0 && protocol.n < 64 && protocol.p[0] != '-';
}

bool x11_cookie_is_good(struct view cookie) {
    for (size_t i = 0; i < cookie.n; i++)
        if (!isxdigit(cookie.p[i]))
            return false;
    return cookie.n > 0 && cookie.n < 256 && cookie.n % 2 == 0;
}
