// Any bytes, from any role to any role, in any state of the link: refused, or a message
// of the table that encodes back to the same bytes. A run is a conversation, so that
// once-messages count.
#include <stdlib.h>

#include "base/limits.h"
#include "server/ipc_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void one(struct ipc_side *side, struct view bytes, bool fd) {
    static uint8_t again[LIMIT_IPC_MESSAGE];
    struct ipc_message m;
    struct fault fault = {0};
    uint64_t seen = side->seen;
    if (ipc_decode(side, bytes, fd, &m, &fault) != OK) {
        if (fault.text[0] == '\0' || side->seen != seen)
            abort();
        return;
    }
    const struct ipc_row *row = m.row;
    if (!(row->from & side->from) || !(row->to & side->to) ||
        fd != ((row->flags & IPC_FD) != 0))
        abort();
    if ((row->flags & IPC_ONCE) && seen >> row->number & 1)
        abort();
    size_t n;
    if (ipc_encode(row->number, &m.body, (struct span){again, sizeof again}, &n) != OK ||
        (n != bytes.n && (side->version == 0 || side->version == IPC_VERSION)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    struct ipc_side side = {1u << data[0] % 8, 1u << (data[0] >> 4) % 8,
                            .state = 1u << data[1] % 6,
                            // ours, an older one's, a newer one's
                            .version = (data[1] >> 5) % (IPC_VERSION + 2)};
    data += 2;
    size -= 2;
    // Messages with a length in front: {flags u8, length u16}.
    while (size >= 3) {
        size_t n = (size_t)data[1] << 8 | data[2];
        bool fd = data[0] & 1;
        if (data[0] & 2)
            side.state = 1u << (data[0] >> 2) % 6;
        data += 3;
        size -= 3;
        n = n < size ? n : size;
        one(&side, view_of(data, n), fd);
        data += n;
        size -= n;
    }
    return 0;
}
