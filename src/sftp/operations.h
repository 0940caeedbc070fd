// The table of operations: what a client may ask. It drives decoding, the lists of -P and
// -p, -Q, read-only mode, the extensions announced, and the server's dispatch.
#pragma once

#include "sftp/protocol.h"
#include "wire/fields.h"

// X(NAME, "name for lists", extension as announced or NULL, its version, type, struct,
//   changes files)
#define SFTP_OPERATIONS(X)                                                               \
    X(OPEN, "open", NULL, NULL, SFTP_OPEN, open, false)                                  \
    X(CLOSE, "close", NULL, NULL, SFTP_CLOSE, handle, false)                             \
    X(READ, "read", NULL, NULL, SFTP_READ, read, false)                                  \
    X(WRITE, "write", NULL, NULL, SFTP_WRITE, write, true)                               \
    X(LSTAT, "lstat", NULL, NULL, SFTP_LSTAT, path, false)                               \
    X(FSTAT, "fstat", NULL, NULL, SFTP_FSTAT, handle, false)                             \
    X(SETSTAT, "setstat", NULL, NULL, SFTP_SETSTAT, path_attributes, true)               \
    X(FSETSTAT, "fsetstat", NULL, NULL, SFTP_FSETSTAT, handle_attributes, true)          \
    X(OPENDIR, "opendir", NULL, NULL, SFTP_OPENDIR, path, false)                         \
    X(READDIR, "readdir", NULL, NULL, SFTP_READDIR, handle, false)                       \
    X(REMOVE, "remove", NULL, NULL, SFTP_REMOVE, path, true)                             \
    X(MKDIR, "mkdir", NULL, NULL, SFTP_MKDIR, path_attributes, true)                     \
    X(RMDIR, "rmdir", NULL, NULL, SFTP_RMDIR, path, true)                                \
    X(REALPATH, "realpath", NULL, NULL, SFTP_REALPATH, path, false)                      \
    X(STAT, "stat", NULL, NULL, SFTP_STAT, path, false)                                  \
    X(RENAME, "rename", NULL, NULL, SFTP_RENAME, two_paths, true)                        \
    X(READLINK, "readlink", NULL, NULL, SFTP_READLINK, path, false)                      \
    X(SYMLINK, "symlink", NULL, NULL, SFTP_SYMLINK, two_paths, true)                     \
    X(POSIX_RENAME, "posix-rename", "posix-rename@openssh.com", "1", SFTP_EXTENDED,      \
      two_paths, true)                                                                   \
    X(STATVFS, "statvfs", "statvfs@openssh.com", "2", SFTP_EXTENDED, path, false)        \
    X(FSTATVFS, "fstatvfs", "fstatvfs@openssh.com", "2", SFTP_EXTENDED, handle, false)   \
    X(HARDLINK, "hardlink", "hardlink@openssh.com", "1", SFTP_EXTENDED, two_paths, true) \
    X(FSYNC, "fsync", "fsync@openssh.com", "1", SFTP_EXTENDED, handle, true)             \
    X(LSETSTAT, "lsetstat", "lsetstat@openssh.com", "1", SFTP_EXTENDED, path_attributes, \
      true)                                                                              \
    X(LIMITS, "limits", "limits@openssh.com", "1", SFTP_EXTENDED, empty, false)          \
    X(EXPAND_PATH, "expand-path", "expand-path@openssh.com", "1", SFTP_EXTENDED, path,   \
      false)                                                                             \
    X(COPY_DATA, "copy-data", "copy-data", "1", SFTP_EXTENDED, copy, true)               \
    X(HOME_DIRECTORY, "home-directory", "home-directory", "1", SFTP_EXTENDED, path,      \
      false)                                                                             \
    X(USERS_GROUPS, "users-groups-by-id", "users-groups-by-id@openssh.com", "1",         \
      SFTP_EXTENDED, ids, false)

enum sftp_operation_id {
#define X(id, name, extension, version, type, kind, writes) SFTP_OP_##id,
    SFTP_OPERATIONS(X)
#undef X
    SFTP_OP_COUNT
};

// What follows the request's id, and the extension's name.
struct sftp_request_open {
    struct view path;
    uint32_t flags;
    struct view attributes;  // rest
};
struct sftp_request_handle {
    struct view handle;
};
struct sftp_request_read {
    struct view handle;
    uint64_t offset;
    uint32_t length;
};
struct sftp_request_write {
    struct view handle;
    uint64_t offset;
    struct view data;
};
struct sftp_request_path {  // or a user's name
    struct view path;
};
struct sftp_request_path_attributes {
    struct view path;
    struct view attributes;  // rest
};
struct sftp_request_handle_attributes {
    struct view handle;
    struct view attributes;  // rest
};
struct sftp_request_two_paths {  // SYMLINK in OpenSSH's order: target, then the link
    struct view from, to;
};
struct sftp_request_copy {
    struct view from;
    uint64_t from_offset, length;  // length 0: to the end
    struct view to;
    uint64_t to_offset;
};
struct sftp_request_ids {
    struct view users, groups;  // of u32
};
struct sftp_request_empty {
    uint8_t unused;
};

union sftp_request {
    struct sftp_request_open open;
    struct sftp_request_handle handle;
    struct sftp_request_read read;
    struct sftp_request_write write;
    struct sftp_request_path path;
    struct sftp_request_path_attributes path_attributes;
    struct sftp_request_handle_attributes handle_attributes;
    struct sftp_request_two_paths two_paths;
    struct sftp_request_copy copy;
    struct sftp_request_ids ids;
    struct sftp_request_empty empty;
};

struct sftp_operation {
    enum sftp_operation_id id;
    const char *name;                 // in lists: "posix-rename"
    const char *extension, *version;  // NULL: of the draft itself
    uint8_t type;
    bool writes;
    struct fields_of of;
};

const struct sftp_operation *sftp_operation(enum sftp_operation_id id);
// By packet type, and for SFTP_EXTENDED by the extension's name; NULL: there is none.
const struct sftp_operation *sftp_operation_find(uint8_t type, struct view extension);

// Comma-separated names of operations as a set of bits, one for each id. False: *bad is
// the first name that is none (at most size - 1 of its bytes).
bool sftp_operations_parse(const char *list, uint64_t *set, char *bad, size_t size);

#define SFTP_OPERATIONS_ALL ((UINT64_C(1) << SFTP_OP_COUNT) - 1)

// "No such file" …: what OpenSSH sends along.
const char *sftp_status_text(uint32_t status);
