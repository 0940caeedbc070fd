// ExposeAuthInfo: a file for the session's programs that says how its user got in.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/fd.h"
#include "server/holder.h"

#define TEMPLATE "/tmp/sshauth.XXXXXXXXXXXXXXX"

const char *holder_auth_info(struct holder *h) {
    struct view info = h->start->verdict->auth_info;
    char path[] = TEMPLATE;
    if (!h->config.expose_auth_info || info.n == 0 || h->auth_info != NULL)
        return h->auth_info;
    scoped_fd fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0 || fd_write_full(fd, info) != OK) {
        log_error(&h->log, "ExposeAuthInfo: %s cannot be written", path);
        return NULL;
    }
    h->auth_info = strdup(path);
    return h->auth_info;
}

void holder_auth_info_remove(struct holder *h) {
    if (h->auth_info != NULL)
        unlink(h->auth_info);
    free(h->auth_info);
    h->auth_info = NULL;
}
