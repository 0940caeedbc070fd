#include "client/state.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/file.h"

bool state_path(const char *home, const char *name, char *folder, char *path) {
    const char *state = getenv("XDG_STATE_HOME");
    int n = state != NULL && *state == '/'
                ? snprintf(folder, PATH_MAX, "%s/bowline", state)
                : snprintf(folder, PATH_MAX, "%s/.local/state/bowline", home);
    return n < PATH_MAX - 32 &&
           snprintf(path, PATH_MAX, "%s/%s", folder, name) < PATH_MAX;
}

int state_open(const char *home, const char *name) {
    char folder[PATH_MAX], path[PATH_MAX];
    int flags =
        O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK;
    if (!state_path(home, name, folder, path))
        return -1;
    int fd = open(path, flags, 0600);
    if (fd < 0 && file_make_directory(folder, NULL) == OK)
        fd = open(path, flags, 0600);
    return fd;
}
