// Operations on the server's files, one call each: asked, waited for, decoded. All
// return a status of the protocol.
#pragma once

#include "sftp/vfs.h"
#include "transfer/remote.h"

uint32_t remote_stat(struct remote *r, const char *path, bool follow,
                     struct sftp_attributes *a);
// Attributes; follow false: of the link itself, where the server can (lsetstat).
uint32_t remote_set(struct remote *r, const char *path, bool follow,
                    const struct sftp_attributes *a);
uint32_t remote_make_folder(struct remote *r, const char *path, uint32_t mode);
uint32_t remote_remove(struct remote *r, const char *path, bool folder);
// Replaces what is there where the server can, unless `old`.
uint32_t remote_rename(struct remote *r, const char *from, const char *to, bool old);
uint32_t remote_link(struct remote *r, const char *from, const char *to);
uint32_t remote_symlink(struct remote *r, const char *target, const char *path);
// Absolute; "~user/…" is expanded where the server can. Into out (SFTP_PATH_SIZE).
uint32_t remote_real_path(struct remote *r, const char *path, char *out);
uint32_t remote_filesystem(struct remote *r, const char *path, struct sftp_filesystem *f);
// On the server itself, from its file to its file.
uint32_t remote_copy(struct remote *r, const char *from, const char *to);

uint32_t remote_open_file(struct remote *r, const char *path, uint32_t flags,
                          const struct sftp_attributes *a, struct sftp_handle_name *h);
// Does not wait.
void remote_close_handle(struct remote *r, const struct sftp_handle_name *h);

// One name in a folder.
struct remote_entry {
    char *name, *line;  // owned; not checked, not cleaned
    struct sftp_attributes attributes;
};
struct remote_listing {
    struct remote_entry *list;
    size_t n, room;
};
#define REMOTE_LISTING_MAX (1024u * 1024u)
// All names of a folder, "." and ".." too, in the server's order. Also what could be
// read before a failure.
uint32_t remote_list(struct remote *r, const char *path, struct remote_listing *out);
void remote_listing_free(struct remote_listing *l);
#define scoped_listing __attribute__((cleanup(remote_listing_free))) struct remote_listing
