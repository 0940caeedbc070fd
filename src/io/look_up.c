#include "io/look_up.h"

#include <fcntl.h>
#include <netdb.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "io/fd.h"

static _Noreturn void answer(int fd, const char *host, int family) {
    struct addrinfo hints = {.ai_family = family, .ai_socktype = SOCK_STREAM},
                    *list = NULL;
    char text[NI_MAXHOST + 1];
    if (getaddrinfo(host, NULL, &hints, &list) != 0)
        _exit(1);
    int n = 0;
    for (const struct addrinfo *a = list; a != NULL && n < LOOK_UP_ADDRESSES;
         a = a->ai_next, n++) {
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, NI_MAXHOST, NULL, 0,
                        NI_NUMERICHOST) != 0)
            continue;
        size_t length = strlen(text);
        text[length] = '\n';
        (void)!fd_write_full(fd, view_of(text, length + 1));
    }
    _exit(0);
}

enum err look_up_start(struct look_up *l, const char *host, int family) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return ERR_IO;
    scoped_fd there = ends[1];
    l->fd = ends[0];
    enum err e = process_fork(&l->child);
    if (e != OK)
        fd_close(&l->fd);
    else if (l->child.pid == 0)
        answer(there, host, family);
    return e;
}

void look_up_take(struct look_up *l, char *out, size_t size) {
    size_t n = 0;
    ssize_t got;
    while (n + 1 < size && (got = read(l->fd, out + n, size - 1 - n)) > 0)
        n += (size_t)got;
    out[n] = '\0';
}

void look_up_drop(struct look_up *l) {
    int status;
    fd_close(&l->fd);
    (void)!process_signal(&l->child, SIGKILL);
    (void)!process_wait(&l->child, &status);
}
