// ChrootDirectory (sshd_config(5)): before the holder becomes the user.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/tokens.h"
#include "io/fault_errno.h"
#include "server/holder.h"

#define PATH_SIZE 4096

// Root alone may change what stands there: a user who could would choose what programs
// of the system see.
static enum err check_one(const char *path, struct fault *fault) {
    struct stat st;
    if (stat(path, &st) != 0)
        return fault_errno(fault, "chroot %s", path);
    if (st.st_uid != 0 || (st.st_mode & 022) != 0)
        return fault_set(fault, ERR_REFUSED, 0,
                         "bad ownership or modes for chroot directory component \"%s\"",
                         path);
    if (!S_ISDIR(st.st_mode))
        return fault_set(fault, ERR_REFUSED, 0, "chroot path \"%s\" is not a directory",
                         path);
    return OK;
}

static enum err check_path(const char *path, struct fault *fault) {
    char part[PATH_SIZE];
    if (path[0] != '/')
        return fault_set(fault, ERR_CONFIG, 0,
                         "chroot path \"%s\" does not begin at root", path);
    TRY(check_one("/", fault));
    for (const char *slash = path; (slash = strchr(slash + 1, '/')) != NULL;) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        TRY(check_one(part, fault));
    }
    return check_one(path, fault);
}

enum err holder_chroot(struct holder *h, struct fault *fault) {
    char uid[16], path[PATH_SIZE];
    snprintf(uid, sizeof uid, "%u", h->start->verdict->uid);
    const struct token tokens[] = {{'h', h->home}, {'u', h->user}, {'U', uid}, {0, NULL}};
    if (h->config.chroot_directory == NULL)
        return OK;
    if (!h->start->as_root)
        return fault_set(fault, ERR_UNSUPPORTED, 0,
                         "ChrootDirectory %s: the server must run as root for it",
                         h->config.chroot_directory);
    TRY(tokens_expand(TOKENS_AUTHORIZED_KEYS_FILE, tokens, h->config.chroot_directory,
                      path, sizeof path, fault));
    TRY(check_path(path, fault));
    if (chdir(path) != 0 || chroot(path) != 0 || chdir("/") != 0)
        return fault_errno(fault, "chroot %s", path);
    return OK;
}
