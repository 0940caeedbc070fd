// An address to its name and back (look_up.h): the child asks and checks, the parent
// waits.
#include <ctype.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/clock.h"
#include "io/fd.h"
#include "io/look_up.h"

static struct addrinfo *addresses(const char *host, int family, int flags) {
    struct addrinfo hints = {
        .ai_family = family, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *list = NULL;
    return getaddrinfo(host, NULL, &hints, &list) == 0 ? list : NULL;
}

static bool numeric_text(const struct addrinfo *a, char *out) {
    return getnameinfo(a->ai_addr, a->ai_addrlen, out, NI_MAXHOST, NULL, 0,
                       NI_NUMERICHOST) == 0;
}

// Letters, digits, '-', '_' and '.', the last label not of digits alone: nothing that a
// list of addresses and patterns could take for an address.
static bool is_host_name(const char *name) {
    const char *last = strrchr(name, '.');
    last = last != NULL ? last + 1 : name;
    for (const char *p = name; *p != '\0'; p++)
        if (!isascii((unsigned char)*p) ||
            (!isalnum((unsigned char)*p) && strchr("-_.", *p) == NULL))
            return false;
    return *last != '\0' && last[strspn(last, "0123456789")] != '\0' &&
           addresses(name, AF_UNSPEC, AI_NUMERICHOST) == NULL;
}

static enum look_up_name check(const struct addrinfo *from, const char *name) {
    char want[NI_MAXHOST], text[NI_MAXHOST];
    if (!is_host_name(name))
        return LOOK_UP_ODD;
    const struct addrinfo *list = addresses(name, from->ai_family, 0);
    if (list == NULL || !numeric_text(from, want))
        return LOOK_UP_UNKNOWN;
    for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
        if (numeric_text(a, text) && strcmp(text, want) == 0)
            return LOOK_UP_NAMED;
    return LOOK_UP_DIFFERS;
}

static enum look_up_name ask(const char *address, char *name) {
    const struct addrinfo *from = addresses(address, AF_UNSPEC, AI_NUMERICHOST);
    char found[NI_MAXHOST];
    if (from == NULL || getnameinfo(from->ai_addr, from->ai_addrlen, found, sizeof found,
                                    NULL, 0, NI_NAMEREQD) != 0)
        return LOOK_UP_NAMELESS;
    size_t n = strlen(found);
    if (n > 0 && found[n - 1] == '.')
        found[--n] = '\0';
    if (n >= LOOK_UP_NAME_SIZE)
        return LOOK_UP_ODD;
    for (size_t i = 0; i <= n; i++)
        name[i] = (char)tolower((unsigned char)found[i]);
    return check(from, name);
}

// A byte that says what it is, and the name.
static _Noreturn void answer(int fd, const char *address) {
    char name[LOOK_UP_NAME_SIZE + 1] = "";
    name[0] = (char)ask(address, name + 1);
    (void)!fd_write_full(fd, view_of(name, 1 + strlen(name + 1)));
    _exit(0);
}

static enum look_up_name take(int fd, char *name) {
    char got[LOOK_UP_NAME_SIZE + 1];
    ssize_t n = read(fd, got, sizeof got - 1);  // it came in one piece: below PIPE_BUF
    if (n < 1)
        return LOOK_UP_NAMELESS;
    got[n] = '\0';
    for (char *p = got + 1; *p != '\0'; p++)
        if (!isascii((unsigned char)*p) || !isgraph((unsigned char)*p))
            *p = '?';
    memcpy(name, got + 1, (size_t)n);
    return (enum look_up_name)got[0];
}

enum look_up_name look_up_name(const char *address, unsigned ms,
                               char name[static LOOK_UP_NAME_SIZE]) {
    struct look_up l;
    uint64_t until = clock_ms() + ms, now;
    int ends[2];
    name[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0)
        return LOOK_UP_NAMELESS;
    l.fd = ends[0];
    enum err e = process_fork(&l.child);
    if (e == OK && l.child.pid == 0)
        answer(ends[1], address);
    close(ends[1]);
    if (e != OK) {
        close(ends[0]);
        return LOOK_UP_NAMELESS;
    }
    struct pollfd p = {l.fd, POLLIN, 0};
    enum look_up_name result = LOOK_UP_LATE;
    while (result == LOOK_UP_LATE && (now = clock_ms()) < until)
        if (poll(&p, 1, clock_poll_ms(now, until)) > 0)
            result = take(l.fd, name);
    look_up_drop(&l);
    return result;
}
