#include "sftp/transfer.h"

void sftp_download_begin(struct sftp_download *d, const struct sftp_handle_name *handle,
                         uint64_t offset, uint64_t size) {
    *d = (struct sftp_download){.handle = *handle,
                                .next = offset,
                                .size = size,
                                .high = offset,
                                .end = UINT64_MAX,
                                .hole = UINT64_MAX};
}

static bool wants(const struct sftp_download *d) {
    if (d->stopped || d->end != UINT64_MAX)
        return false;
    if (d->one_by_one && d->under_way > 0)
        return false;
    // The READ at `size` looks for the end; further ones wait for what it finds.
    return d->next <= d->size || d->under_way == 0;
}

static enum err ask(struct sftp_download *d, struct sftp_client *c, uint64_t offset,
                    uint32_t n, uint64_t now) {
    TRY(sftp_client_read(c, sftp_handle_view(&d->handle), offset, n, now));
    d->under_way++;
    return OK;
}

enum err sftp_download_ask(struct sftp_download *d, struct sftp_client *c, uint64_t now) {
    uint32_t block = sftp_client_block(c, false);
    while (wants(d) && sftp_client_allows(c, block)) {
        uint64_t left = d->next < d->size ? d->size - d->next : block;
        uint32_t n = left < block ? (uint32_t)left : block;
        TRY(ask(d, c, d->next, n, now));
        d->next += n;
    }
    return OK;
}

static void failed_at(struct sftp_download *d, uint64_t offset) {
    if (offset < d->hole)
        d->hole = offset;
}

static void take_status(struct sftp_download *d, const struct sftp_reply *r) {
    d->under_way--;
    if (r->status == SFTP_EOF) {
        if (r->offset < d->end)
            d->end = r->offset;
        return;
    }
    failed_at(d, r->offset);
    if (d->status == SFTP_OK)
        d->status = r->status != SFTP_OK ? r->status : SFTP_FAILURE;
    d->stopped = true;
}

enum err sftp_download_take(struct sftp_download *d, struct sftp_client *c,
                            const struct sftp_reply *r, uint64_t now) {
    if (r->kind != SFTP_REPLY_DATA) {
        take_status(d, r);
        return OK;
    }
    uint64_t offset = r->offset + r->bytes.n;
    d->received += r->bytes.n;
    if (offset > d->high)
        d->high = offset;
    if (r->left > 0)
        return OK;
    d->under_way--;
    if (r->short_by == 0)
        return OK;
    if (offset < d->size)
        sftp_client_shrink(c, r->length - r->short_by);
    if (d->stopped) {
        failed_at(d, offset);
        return OK;
    }
    return ask(d, c, offset, r->short_by, now);
}

void sftp_download_stop(struct sftp_download *d) {
    d->stopped = true;
}

bool sftp_download_done(const struct sftp_download *d) {
    return d->under_way == 0 && !wants(d);
}

uint64_t sftp_download_whole(const struct sftp_download *d) {
    uint64_t whole = d->high < d->hole ? d->high : d->hole;
    return whole < d->end ? whole : d->end;
}

void sftp_upload_begin(struct sftp_upload *u, const struct sftp_handle_name *handle,
                       uint64_t offset) {
    *u = (struct sftp_upload){.handle = *handle, .next = offset};
}

bool sftp_upload_wants(const struct sftp_upload *u, const struct sftp_client *c) {
    return !u->ended && u->status == SFTP_OK &&
           sftp_client_allows(c, sftp_client_block(c, true));
}

enum err sftp_upload_send(struct sftp_upload *u, struct sftp_client *c, uint32_t n,
                          uint64_t now) {
    if (n == 0) {
        u->ended = true;
        return OK;
    }
    TRY(sftp_client_write(c, sftp_handle_view(&u->handle), u->next, n, now));
    u->next += n;
    u->under_way++;
    return OK;
}

void sftp_upload_take(struct sftp_upload *u, const struct sftp_reply *r) {
    u->under_way--;
    u->acknowledged += r->status == SFTP_OK ? r->length : 0;
    if (r->status != SFTP_OK && u->status == SFTP_OK)
        u->status = r->status;
}

bool sftp_upload_done(const struct sftp_upload *u) {
    return u->under_way == 0 && (u->ended || u->status != SFTP_OK);
}
