// The SFTP server's engine over files in memory: whatever comes, answers are whole
// packets, each request gets at most one, memory stays bounded, and every file is closed
// at the end. The first byte says how the input is cut and how large the rooms are.
#include "../../unit/sftp/memory_files.h"

#include <assert.h>
#include <stdlib.h>

#include "sftp/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUT_MAX (64u * 1024u * 1024u)

// Answers, checked as they come: whole packets of a known type.
struct answers {
    uint8_t head[9];
    size_t n, left;
    uint64_t count;
};

static void look(struct answers *a, const uint8_t *p, size_t n) {
    while (n > 0) {
        if (a->left > 0) {
            size_t one = n < a->left ? n : a->left;
            a->left -= one;
            p += one;
            n -= one;
            continue;
        }
        a->head[a->n++] = *p++;
        n--;
        if (a->n < sizeof a->head)
            continue;
        uint32_t length = load_u32(a->head);
        uint8_t type = a->head[4];
        assert(length >= 5 && length <= 4u * SFTP_PACKET_MAX);
        assert(type == SFTP_VERSION_REPLY || type == SFTP_EXTENDED_REPLY ||
               (type >= SFTP_STATUS && type <= SFTP_ATTRS));
        a->left = length - 5;
        a->n = 0;
        a->count++;
    }
}

static enum err run(struct sftp_server *s, struct view in, size_t cut, size_t room_size,
                    bool split, struct answers *a) {
    static uint8_t rooms[3][8192];
    struct span spans[3] = {{rooms[0], room_size}, {rooms[1], 3}, {rooms[2], room_size}};
    size_t at = 0, total = 0;
    while (total < OUT_MAX) {
        size_t n = in.n - at < cut ? in.n - at : cut;
        struct sftp_step step = {.in = view_of(in.p + at, n),
                                 .rooms = spans,
                                 .n = 3,
                                 .split = split,
                                 .keeps = n > 0 && (room_size & 1) != 0};
        TRY(sftp_server_step(s, &step, NULL));
        at += step.taken;
        total += step.filled;
        size_t left = step.filled;
        for (size_t i = 0; i < 3; i++) {
            size_t one = left < spans[i].n ? left : spans[i].n;
            look(a, spans[i].p, one);
            left -= one;
        }
        assert(left == 0);
        if (step.taken > 0 || step.filled > 0)
            continue;
        if (sftp_server_waits(s))
            sftp_server_finish(s, SFTP_OK);
        else if (sftp_server_due(s) > 0 && !split)
            split = true;  // rooms too small to wait for
        else
            break;
    }
    return OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct log quiet = {.level = LOG_LEVEL_DEBUG3};
    struct memory_files files;
    struct sftp_server *s;
    struct answers a = {.n = 0};
    if (size < 1)
        return 0;
    memory_files_init(&files);
    files.later = (data[0] & 1) != 0;
    struct sftp_server_config config = {
        .vfs = &files.vfs,
        .log = &quiet,
        .allowed = SFTP_OPERATIONS_ALL,
        .read_only = (data[0] & 2) != 0,
        .max_handles = 5,
    };
    if (sftp_server_new(&s, &config) != OK)
        abort();
    size_t cut = data[0] & 4 ? 7 : SIZE_MAX, room = data[0] & 8 ? 11 : 8192;
    enum err e = run(s, view_of(data + 1, size - 1), cut, room, (data[0] & 16) != 0, &a);
    assert(e != OK || (a.left == 0 && a.n == 0));
    assert(a.count <= sftp_server_counts(s).requests + 1);
    sftp_server_free(s);
    assert(files.open == 0);
    memory_files_free(&files);
    return 0;
}
