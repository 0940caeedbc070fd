// Messages with descriptors from a peer that sends what it likes: however many bytes and
// descriptors, none stays open and no byte goes beyond the room.
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/fd.h"
#include "io/unix_socket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void send_raw(int fd, const uint8_t *bytes, size_t n, int fds_n) {
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * 64)];
    } control;
    struct iovec iov = {(void *)bytes, n};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fds_n > 0) {
        memset(&control, 0, sizeof control);
        h.msg_control = &control;
        h.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fds_n);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fds_n);
        for (int i = 0; i < fds_n; i++)
            memcpy(CMSG_DATA(c) + (size_t)i * sizeof(int), &fd, sizeof fd);
    }
    (void)!sendmsg(fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void receive(int fd, size_t room_n, size_t fds_max) {
    uint8_t *room = malloc(room_n + 1);
    struct unix_message m;
    if (room == NULL)
        abort();
    room[room_n] = 0xa5;
    enum err e = unix_recv(fd, (struct span){room, room_n}, fds_max, &m);
    if (room[room_n] != 0xa5 || m.n > room_n || m.fds_n > fds_max ||
        (e != OK && m.fds_n > 0))
        abort();
    unix_message_close(&m);
    free(room);
}

// Input: rows of {bytes to send, descriptors, room, descriptors wanted}, then the bytes.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int pair[2];
    if (unix_pair(pair, 4096) != OK)
        return 0;
    int lowest = fd_dup_above(pair[0], 3);
    int expected = lowest;
    fd_close(&lowest);
    for (int rounds = 0; size >= 4 && rounds < 32; rounds++) {
        size_t n = data[0] < size - 4 ? data[0] : size - 4;
        send_raw(pair[0], data + 4, n, data[1] % 64);
        receive(pair[1], data[2], data[3] % (UNIX_FDS_MAX + 1));
        data += 4 + n;
        size -= 4 + n;
    }
    // The lowest free descriptor is the same as before: nothing was left open.
    lowest = fd_dup_above(pair[0], 3);
    if (lowest != expected)
        abort();
    fd_close(&lowest);
    fd_close(&pair[0]);
    fd_close(&pair[1]);
    return 0;
}
