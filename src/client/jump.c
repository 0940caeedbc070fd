// Hops of ProxyJump.
#include "client/jump.h"

#include "base/text.h"
#include "conf/tokens.h"

static bool copy(char *out, size_t size, const char *from, size_t n) {
    return text_copy(out, size, view_of(from, n));
}

static bool cut_port(struct jump *j, const char *text) {
    uint64_t port;
    if (*text == 0)
        return true;
    if (*text != ':' || !text_number(text + 1, 1, 65535, &port))
        return false;
    j->port = (uint16_t)port;
    return true;
}

// host, host:port, [host], [host]:port; more than one colon without brackets is an
// address of IPv6.
static bool cut_host(struct jump *j, const char *text) {
    const char *close = *text == '[' ? strchr(text, ']') : NULL;
    if (*text == '[')
        return close != NULL &&
               copy(j->host, sizeof j->host, text + 1, (size_t)(close - text - 1)) &&
               cut_port(j, close + 1);
    const char *colon = strchr(text, ':');
    if (colon == NULL || strchr(colon + 1, ':') != NULL)
        return copy(j->host, sizeof j->host, text, strlen(text));
    return copy(j->host, sizeof j->host, text, (size_t)(colon - text)) &&
           cut_port(j, colon);
}

bool jump_parse(struct jump *j, const char *list) {
    *j = (struct jump){0};
    const char *comma = strrchr(list, ','), *hop = comma != NULL ? comma + 1 : list;
    if (comma != NULL && !copy(j->before, sizeof j->before, list, (size_t)(comma - list)))
        return false;
    // Whoever is started with it takes it apart.
    if (strncmp(hop, "ssh://", 6) == 0)
        return copy(j->host, sizeof j->host, hop, strlen(hop));
    const char *at = strrchr(hop, '@');
    if (at != NULL && (!copy(j->user, sizeof j->user, hop, (size_t)(at - hop)) ||
                       !token_value_is_safe(TOKEN_SUBJECT_USER, j->user)))
        return false;
    return cut_host(j, at != NULL ? at + 1 : hop) &&
           token_value_is_safe(TOKEN_SUBJECT_HOST, j->host);
}
