// Any bytes as a message of a keeper or anchor, and as the record of a link: refused, or
// what comes back the same.
#include <stdlib.h>
#include <unistd.h>

#include "base/limits.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "server/anchor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void record(struct view v) {
    struct link_record r, again;
    struct fault fault = {0};
    scoped_buf out;
    buf_init(&out, LINK_RECORD_MAX * 2);
    if (link_record_read(&r, v, &fault) != OK)
        return;
    if (link_record_write(&r, &out) != OK ||
        link_record_read(&again, buf_view(&out), &fault) != OK ||
        again.serial != r.serial || !view_equal(again.user, r.user) ||
        !view_equal(again.host_keys, r.host_keys) || again.state != r.state)
        abort();
}

// With 0 to 6 descriptors.
static void message(struct view v, size_t fds_n) {
    static uint8_t room[LIMIT_IPC_MESSAGE];
    const int fds[LINK_FDS] = {0, 0, 0, 0, 0, 0};
    int pair[2];
    bool sent, got;
    struct anchor_message m;
    struct fault fault = {0};
    size_t before = 0;
    if (unix_pair(pair, LIMIT_IPC_MESSAGE) != OK ||
        unix_send(pair[0], &v, 1, fds, fds_n, &sent) != OK || !sent)
        abort();
    enum err e = anchor_recv(pair[1], (struct span){room, sizeof room}, &m, &got, &fault);
    for (size_t i = 0; i < LINK_FDS; i++)
        before += m.fds[i] >= 0;
    if (e != OK ? before != 0 : before != fds_n)
        abort();
    if (e == OK && m.number == ANCHOR_KEEP)
        record(m.body.keep.record);
    anchor_message_close(&m);
    close(pair[0]);
    close(pair[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > 60000)
        return 0;
    if (data[0] & 1)
        record(view_of(data + 1, size - 1));
    else
        message(view_of(data + 1, size - 1), (data[0] >> 1) % (LINK_FDS + 1));
    return 0;
}
