// The SFTP client's engine under a server's bytes, with a download, an upload and other
// requests under way: whatever comes, replies are to what was asked, data lies where it
// was asked for, and memory stays bounded. The first byte says how the input is cut.
#include <assert.h>
#include <stdlib.h>

#include "sftp/transfer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOLD 100000u

static const struct sftp_handle_name handle = {.p = "handle", .n = 6};

static void ask_others(struct sftp_client *c, uint64_t now) {
    static const enum sftp_operation_id paths[] = {SFTP_OP_STAT,     SFTP_OP_OPENDIR,
                                                   SFTP_OP_REALPATH, SFTP_OP_STATVFS,
                                                   SFTP_OP_READLINK, SFTP_OP_EXPAND_PATH};
    union sftp_request r = {.path = {view_text("/some/path")}};
    uint32_t ticket = 0;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (sftp_client_ask(c, paths[i], &r, now, &ticket) != OK)
            break;
    r = (union sftp_request){.handle = {sftp_handle_view(&handle)}};
    if (sftp_client_ask(c, SFTP_OP_READDIR, &r, now, &ticket) == OK)
        sftp_client_forget(c, ticket + (now & 1));
}

static void fill(struct sftp_upload *u, struct sftp_client *c, uint64_t now) {
    struct span room;
    for (int i = 0; i < 3 && sftp_upload_wants(u, c); i++) {
        if (sftp_client_write_room(c, sftp_handle_view(&handle), &room) != OK)
            return;
        memset(room.p, 'x', room.n < 100 ? room.n : 100);
        if (sftp_upload_send(u, c, room.n < 100 ? (uint32_t)room.n : 100, now) != OK)
            return;
    }
}

static void look_at_names(const struct sftp_reply *r) {
    struct reader names = reader_of(r->bytes);
    uint32_t count = r->count;
    struct sftp_name name;
    while (sftp_name_next(&names, &count, &name))
        assert(name.name.n <= r->bytes.n);
}

static void take(const struct sftp_reply *r, struct sftp_client *c,
                 struct sftp_download *d, struct sftp_upload *u, uint64_t now) {
    if (r->kind == SFTP_REPLY_READY) {
        ask_others(c, now);
    } else if (r->operation == SFTP_OP_READ) {
        assert(r->kind == SFTP_REPLY_DATA || r->kind == SFTP_REPLY_STATUS);
        assert(r->kind != SFTP_REPLY_DATA || r->bytes.n > 0);
        (void)!sftp_download_take(d, c, r, now);
    } else if (r->operation == SFTP_OP_WRITE) {
        assert(r->kind == SFTP_REPLY_STATUS);
        sftp_upload_take(u, r);
    } else if (r->kind == SFTP_REPLY_NAMES) {
        look_at_names(r);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sftp_client_config config = {0};
    struct sftp_client *c;
    struct sftp_download d;
    struct sftp_upload u;
    struct sftp_reply r;
    struct fault fault = {0};
    uint64_t now = 1;
    if (size < 1)
        return 0;
    uint8_t how = data[0];
    config.block = how & 1 ? 10 : 0;
    config.requests = how & 2 ? 3 : 0;
    if (sftp_client_new(&c, &config) != OK)
        abort();
    sftp_download_begin(&d, &handle, 0, TOLD);
    sftp_upload_begin(&u, &handle, 0);
    size_t cut = how & 4 ? 7 : SIZE_MAX, at = 1, more = 0;
    bool ready = false;
    for (enum err e = OK; e == OK && at < size; now += 3) {
        size_t n = size - at < cut + more || cut == SIZE_MAX ? size - at : cut + more;
        size_t taken = 0;
        e = sftp_client_step(c, view_of(data + at, n), (how & 8) != 0, now, &taken, &r,
                             &fault);
        assert(e == OK || fault.text[0] != '\0');
        at += taken;
        more = taken == 0 ? more + cut : 0;
        if (e != OK || (taken == 0 && at + n >= size))
            break;
        ready |= r.kind == SFTP_REPLY_READY;
        take(&r, c, &d, &u, now);
        if (ready) {
            (void)!sftp_download_ask(&d, c, now);
            fill(&u, c, now);
        }
        assert(sftp_client_outstanding(c) <= SFTP_CLIENT_REQUESTS);
        if (how & 16)
            sftp_client_out_done(c, sftp_client_out(c).n);
    }
    assert(sftp_download_whole(&d) <= UINT64_MAX);
    sftp_client_free(c);
    return 0;
}
