// Copies of files and folders between here and the server (copy_get.c, copy_put.c) or
// between two servers (copy_cross.c). What goes wrong is said where it is found out; a
// failed file does not keep the others of a folder back.
#pragma once

#include "transfer/remote_files.h"

struct copy_how {
    bool recursive;
    bool preserve;  // times and permissions
    bool resume;    // what is there already is the beginning
    bool sync;      // fsync
    bool in_place;  // an old file's bytes are overwritten, its rest is cut off (scp)
    bool follow;    // links stand for what they lead to, also within folders (scp)
    bool meter;
    bool doings;  // says what is being fetched or sent
};

#define COPY_DEPTH_MAX 64u  // folders within folders

// known: attributes that were seen already, of the file itself (no link); NULL: none.
bool copy_get(struct remote *r, const char *from, const char *to,
              const struct sftp_attributes *known, const struct copy_how *how);
bool copy_get_folder(struct remote *r, const char *from, const char *to,
                     const struct sftp_attributes *known, const struct copy_how *how);
bool copy_put(struct remote *r, const char *from, const char *to,
              const struct copy_how *how);
bool copy_put_folder(struct remote *r, const char *from, const char *to,
                     const struct copy_how *how);
bool copy_cross(struct remote *a, const char *from, struct remote *b, const char *to,
                const struct copy_how *how);
bool copy_cross_folder(struct remote *a, const char *from, struct remote *b,
                       const char *to, const struct copy_how *how);

// ---- kinds, by attributes ----
bool copy_is_folder(const struct sftp_attributes *a);
bool copy_is_link(const struct sftp_attributes *a);
// A file, or a server that does not say what it is.
bool copy_is_file(const struct sftp_attributes *a);

// What a file of ours has to be over there; preserve: all permissions, and times.
struct stat;
struct sftp_attributes copy_attributes(const struct stat *st, bool preserve);
