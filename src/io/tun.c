#include "io/tun.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "io/fd.h"

#define FAMILY_SIZE 4u

// Address families by their numbers of OpenBSD, which the protocol uses, and the version
// that begins each packet.
static const struct family {
    uint8_t version;
    uint32_t number;
} families[] = {{4, 2}, {6, 24}};

static enum err take_device(int fd, enum tun_mode mode, uint32_t unit,
                            char name[TUN_NAME]) {
    struct ifreq want = {0};
    const char *kind = mode == TUN_ETHERNET ? "tap" : "tun";
    want.ifr_flags = (short)((mode == TUN_ETHERNET ? IFF_TAP : IFF_TUN) | IFF_NO_PI);
    if (unit == TUN_UNIT_ANY)
        snprintf(want.ifr_name, sizeof want.ifr_name, "%s%%d", kind);
    else
        snprintf(want.ifr_name, sizeof want.ifr_name, "%s%u", kind, unit);
    memcpy(name, want.ifr_name, TUN_NAME);
    if (ioctl(fd, TUNSETIFF, &want) != 0)
        return ERR_IO;
    memcpy(name, want.ifr_name, TUN_NAME);
    name[TUN_NAME - 1] = '\0';
    return OK;
}

static const char *advice(int number) {
    return number == EPERM || number == EACCES
               ? " (an administrator can make one for a user: ip tuntap add)"
           : number == EBUSY ? " (another process has it)"
                             : "";
}

enum err tun_open(enum tun_mode mode, uint32_t unit, int *fd, char name[TUN_NAME],
                  struct fault *fault) {
    *fd = open(TUN_NODE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        return fault_set(fault, ERR_IO, 0, "tunnel device: %s: %s", TUN_NODE,
                         strerror(errno));
    if (take_device(*fd, mode, unit, name) == OK)
        return OK;
    int number = errno;
    fd_close(fd);
    return fault_set(fault, ERR_IO, 0, "tunnel device %s: %s%s", name, strerror(number),
                     advice(number));
}

// Writes the family of a packet; false: it has none that is known.
static bool put_family(uint8_t *frame, uint8_t first) {
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++)
        if (families[i].version == first >> 4) {
            store_u32(frame, families[i].number);
            return true;
        }
    return false;
}

enum err tun_read(int fd, enum tun_mode mode, struct span room, size_t *n) {
    size_t head = mode == TUN_ETHERNET ? 0 : FAMILY_SIZE;
    *n = 0;
    ssize_t got = read(fd, room.p + head, room.n - head);
    if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == EIO))
        return OK;  // EIO: the interface is down
    if (got <= 0)
        return ERR_CLOSED;
    // One that fills the room was cut short.
    if ((size_t)got < room.n - head && (head == 0 || put_family(room.p, room.p[head])))
        *n = head + (size_t)got;
    return OK;
}

void tun_write(int fd, enum tun_mode mode, struct view frame) {
    size_t head = mode == TUN_ETHERNET ? 0 : FAMILY_SIZE;
    if (fd >= 0 && frame.n > head)
        (void)!write(fd, frame.p + head, frame.n - head);
}
