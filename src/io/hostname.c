#include "io/hostname.h"

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

void hostname_get(char *out, size_t size) {
    if (size == 0)
        return;
    if (gethostname(out, size) != 0)
        out[0] = '\0';
    out[size - 1] = '\0';
}

void hostname_of_socket(int fd, char *out, size_t size) {
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &n) != 0 ||
        (address.ss_family != AF_INET && address.ss_family != AF_INET6) ||
        getnameinfo((struct sockaddr *)&address, n, out, (socklen_t)size, NULL, 0,
                    NI_NAMEREQD) != 0)
        hostname_get(out, size);
}
