#include "sftp/attributes.h"

void sftp_attributes_read(struct reader *r, struct sftp_attributes *a) {
    *a = (struct sftp_attributes){.flags = read_u32(r)};
    if (a->flags & SFTP_ATTR_SIZE)
        a->size = read_u64(r);
    if (a->flags & SFTP_ATTR_OWNER) {
        a->uid = read_u32(r);
        a->gid = read_u32(r);
    }
    if (a->flags & SFTP_ATTR_MODE)
        a->mode = read_u32(r);
    if (a->flags & SFTP_ATTR_TIMES) {
        a->atime = read_u32(r);
        a->mtime = read_u32(r);
    }
    uint32_t count = a->flags & SFTP_ATTR_EXTENDED ? read_u32(r) : 0;
    for (; count > 0 && r->err == OK; count--) {
        read_string(r);
        read_string(r);
    }
    a->flags &= ~SFTP_ATTR_EXTENDED;
    if (r->err != OK)
        *a = (struct sftp_attributes){0};
}

void sftp_attributes_write(struct writer *w, const struct sftp_attributes *a) {
    write_u32(w, a->flags);
    if (a->flags & SFTP_ATTR_SIZE)
        write_u64(w, a->size);
    if (a->flags & SFTP_ATTR_OWNER) {
        write_u32(w, a->uid);
        write_u32(w, a->gid);
    }
    if (a->flags & SFTP_ATTR_MODE)
        write_u32(w, a->mode);
    if (a->flags & SFTP_ATTR_TIMES) {
        write_u32(w, a->atime);
        write_u32(w, a->mtime);
    }
}
