// File attributes (draft-ietf-secsh-filexfer-02 s.5).
#pragma once

#include "wire/reader.h"
#include "wire/writer.h"

#define SFTP_ATTR_SIZE 0x1u
#define SFTP_ATTR_OWNER 0x2u
#define SFTP_ATTR_MODE 0x4u
#define SFTP_ATTR_TIMES 0x8u
#define SFTP_ATTR_EXTENDED 0x80000000u

struct sftp_attributes {
    uint32_t flags;  // SFTP_ATTR_…: which of the following are there
    uint64_t size;   // bytes
    uint32_t uid, gid;
    uint32_t mode;          // as st_mode, the file's kind included
    uint32_t atime, mtime;  // seconds since 1970
};

// Sticky like every read. Extended pairs are read over.
void sftp_attributes_read(struct reader *r, struct sftp_attributes *a);
void sftp_attributes_write(struct writer *w, const struct sftp_attributes *a);
