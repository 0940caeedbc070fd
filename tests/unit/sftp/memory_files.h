// A vfs in memory for tests: a flat list of files and folders, nothing else of the world.
#pragma once

#include "sftp/vfs.h"

#define MEMORY_FILES 24u
#define MEMORY_SIZE (512u * 1024u)

struct memory_file {
    char path[64];
    bool folder, used;
    uint32_t mode, links;
    size_t n;
    uint8_t *data;  // MEMORY_SIZE
};

struct memory_files {
    struct sftp_vfs vfs;
    struct memory_file files[MEMORY_FILES];
    size_t entries;      // that folders list, by made-up names
    size_t listed;       // of the folder that is read
    size_t open, reads;  // nodes open; calls of read
    bool later;          // sync answers SFTP_LATER
    bool broken;         // writes fail
};

void memory_files_init(struct memory_files *m);
void memory_files_free(struct memory_files *m);
struct memory_file *memory_find(struct memory_files *m, const char *path);
