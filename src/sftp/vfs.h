// What the server engine needs of the world: files, names of owners, dates. An
// implementation embeds struct sftp_vfs as its first member: the server has one over
// POSIX (server/sftp_files.h), tests one in memory.
//
// Paths are as the client wrote them, without NUL, relative ones to the vfs's starting
// folder. No call blocks on FIFOs or devices. Every failure is a status of the protocol.
#pragma once

#include "sftp/attributes.h"
#include "sftp/protocol.h"

#define SFTP_PATH_SIZE 4096u  // with the NUL
#define SFTP_NAME_SIZE 256u
#define SFTP_PIECES_MAX 20u

// One entry of a folder.
struct sftp_entry {
    char name[SFTP_NAME_SIZE];
    struct sftp_attributes attributes;  // flags 0: could not be had
    uint32_t links;
};

// statvfs(3), as statvfs@openssh.com has it.
struct sftp_filesystem {
    uint64_t block_size, fragment_size, blocks, blocks_free, blocks_available, files,
        files_free, files_available, id, flags, name_max;
};

struct sftp_copy {
    intptr_t from, to;
    uint64_t from_offset, to_offset, length;  // length 0: to the end
    bool append;
};

struct sftp_vfs;

struct sftp_vfs_ops {
    // *node names the file until close(). flags: SFTP_OPEN_…; mode: permissions of a new
    // one.
    enum sftp_status (*open)(struct sftp_vfs *v, const char *path, uint32_t flags,
                             uint32_t mode, intptr_t *node);
    enum sftp_status (*open_folder)(struct sftp_vfs *v, const char *path, intptr_t *node);
    enum sftp_status (*close)(struct sftp_vfs *v, intptr_t node, bool folder);
    // Fills the pieces in order, as one read; *got < all of it: the end is near. EOF: at
    // or past it.
    enum sftp_status (*read)(struct sftp_vfs *v, intptr_t node, uint64_t offset,
                             const struct span *pieces, size_t n, size_t *got);
    enum sftp_status (*write)(struct sftp_vfs *v, intptr_t node, bool append,
                              uint64_t offset, struct view data);
    enum sftp_status (*next)(struct sftp_vfs *v, intptr_t node, struct sftp_entry *out);
    enum sftp_status (*stat)(struct sftp_vfs *v, const char *path, bool follow,
                             struct sftp_attributes *out);
    enum sftp_status (*fstat)(struct sftp_vfs *v, intptr_t node, bool folder,
                              struct sftp_attributes *out);
    // What a->flags names; all of it is tried, the last failure counts.
    enum sftp_status (*set)(struct sftp_vfs *v, const char *path, bool follow,
                            const struct sftp_attributes *a);
    enum sftp_status (*fset)(struct sftp_vfs *v, intptr_t node, bool folder,
                             const struct sftp_attributes *a);
    enum sftp_status (*remove)(struct sftp_vfs *v, const char *path, bool folder);
    enum sftp_status (*make_folder)(struct sftp_vfs *v, const char *path, uint32_t mode);
    // over: replaces what is there; else it fails then.
    enum sftp_status (*rename)(struct sftp_vfs *v, const char *from, const char *to,
                               bool over);
    enum sftp_status (*link)(struct sftp_vfs *v, const char *from, const char *to);
    enum sftp_status (*symlink)(struct sftp_vfs *v, const char *target, const char *path);
    // Into out (SFTP_PATH_SIZE).
    enum sftp_status (*readlink)(struct sftp_vfs *v, const char *path, char *out);
    // Absolute, without links, "." and ".."; the last part may be missing.
    enum sftp_status (*realpath)(struct sftp_vfs *v, const char *path, char *out);
    // Of this user ("": our own), for home-directory; with ~ of our own standing for the
    // starting folder, for expand-path.
    enum sftp_status (*home)(struct sftp_vfs *v, const char *user, char *out);
    enum sftp_status (*filesystem)(struct sftp_vfs *v, const char *path,
                                   struct sftp_filesystem *out);
    enum sftp_status (*ffilesystem)(struct sftp_vfs *v, intptr_t node, bool folder,
                                    struct sftp_filesystem *out);
    // May answer SFTP_LATER: then sftp_server_finish() brings the status.
    enum sftp_status (*sync)(struct sftp_vfs *v, intptr_t node);
    enum sftp_status (*copy)(struct sftp_vfs *v, const struct sftp_copy *copy);
    // Name of a user or group; false: it has none.
    bool (*owner)(struct sftp_vfs *v, uint32_t id, bool group, char *out, size_t size);
    // Local time as `ls -l` has it, in 12 columns; full: 20261121-13:35:00, for the log.
    void (*date)(struct sftp_vfs *v, uint32_t when, bool full, char *out, size_t size);
};

struct sftp_vfs {
    const struct sftp_vfs_ops *ops;
};
