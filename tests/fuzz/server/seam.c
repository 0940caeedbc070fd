// A hostile other end of the seam, for the gate's and for the holder's side: any messages
// on the socket, any bytes in a ring that it made. Nothing is to be read outside, nothing
// delivered that is not well-formed.
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/unix_socket.h"
#include "server/seam.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool pull(struct seam *s) {
    for (int i = 0; i < 64; i++) {
        struct seam_event event;
        struct fault fault = {0};
        enum err e = seam_next(s, &event, &fault);
        if (e != OK)
            return false;
        if (event.kind == SEAM_NONE)
            return true;
        volatile uint8_t sum = 0;
        for (size_t k = 0; k < event.message.n; k++)
            sum ^= event.message.p[k];
        if (event.kind == SEAM_SECRET) {
            if (!s->maker || event.message.n != SEAM_SECRET_SIZE || !s->hello_seen)
                abort();
            memset(event.slot, 0, event.message.n);
        }
        if (event.kind == SEAM_SLOT) {
            if (event.message.n < 9 || event.message.n > LIMIT_PACKET)
                abort();
            event.slot[-5] = sum;  // what a packet's header takes
            if (seam_taken(s) != OK)
                return false;
        }
    }
    return true;
}

static void send_raw(int fd, struct view v, int pass) {
    bool sent;
    enum err e = unix_send(fd, &v, 1, &pass, pass >= 0 ? 1 : 0, &sent);
    (void)e;
}

// The attacker's ring: honest indices at first, then bytes written anywhere.
static void scribble(uint8_t *map, const uint8_t *p, size_t n) {
    if (n < 3)
        return;
    size_t at = ((size_t)p[0] << 8 | p[1]) * 8 % (4096 + 65536);
    memcpy(map + at, p + 2, n - 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int pair[2], ring = -1;
    struct seam s;
    uint8_t *map = MAP_FAILED;
    if (size < 2 || seam_pair(pair) != OK)
        return 0;
    if (seam_init(&s, pair[0], data[0] & 1) != OK)
        abort();
    if (ring_create(RING_SIZE, &ring) == OK)
        map = mmap(NULL, 4096 + RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0);
    if (data[0] & 2)
        send_raw(pair[1], view_of("\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1x", 17), -1);
    data++;
    size--;
    bool alive = true;
    while (alive && size >= 3) {
        size_t n = (size_t)data[1] << 8 | data[2];
        uint8_t how = data[0];
        data += 3;
        size -= 3;
        n = n < size ? n : size;
        if (how % 8 == 7 && map != MAP_FAILED)
            scribble(map, data, n);
        else if (how % 8 == 6) {
            struct span room;
            if (seam_room(&s, 16, 64, &room) == OK && room.n > 0) {
                memset(room.p, 94, 16);
                alive = seam_publish(&s, 16) == OK;
            }
        } else
            send_raw(pair[1], view_of(data, n), how % 8 == 5 ? ring : -1);
        seam_turn(&s);
        alive = alive && pull(&s);
        data += n;
        size -= n;
    }
    close(pair[1]);
    seam_turn(&s);
    pull(&s);
    seam_free(&s);
    if (map != MAP_FAILED)
        munmap(map, 4096 + RING_SIZE);
    close(ring);
    return 0;
}
