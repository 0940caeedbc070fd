// ExposeAuthInfo: a file for the session's programs that says how its user got in.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/fd.h"
#include "server/holder_status.h"

void holder_auth_info_remove(struct holder *h) {
    if (h->leavings.name[LEAVING_AUTH_INFO][0] == '\0')
        return;
    leaving_remove(&h->leavings, LEAVING_AUTH_INFO, geteuid(), getpid());
    holder_leavings_tell(h);
    free(h->auth_info);
    h->auth_info = NULL;
}

const char *holder_auth_info(struct holder *h) {
    struct view info = h->start->verdict->auth_info;
    char path[] = LEAVING_AUTH_INFO_TEMPLATE;
    if (!h->config.expose_auth_info || info.n == 0 || h->auth_info != NULL)
        return h->auth_info;
    scoped_fd fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0 && leavings_take(&h->leavings, LEAVING_AUTH_INFO,
                                 view_text(path + strlen(LEAVINGS_AT))))
        holder_leavings_tell(h);
    if (fd < 0 || fd_write_full(fd, info) != OK) {
        log_error(&h->log, "ExposeAuthInfo: %s cannot be written", path);
        holder_auth_info_remove(h);
        return NULL;
    }
    h->auth_info = strdup(path);
    return h->auth_info;
}
