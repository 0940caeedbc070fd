// The SFTP engine's vfs over the system's files (POSIX, *at() calls from one starting
// folder, so that a process may have several beside its working directory).
//
// Descriptors are close-on-exec and opened non-blocking: a FIFO or a device without
// anybody at its other end holds nobody up.
#pragma once

#include <sys/types.h>

#include "base/fault.h"
#include "sftp/vfs.h"

#define SFTP_OWNERS 32u  // names remembered

struct sftp_owner {
    bool known, group, named;
    uint32_t id;
    char name[64];
};

// What takes long (fsync, a copy of a whole file).
struct sftp_work {
    bool copies;
    intptr_t node;  // to be synced
    struct sftp_copy copy;
};

struct sftp_files {
    struct sftp_vfs vfs;
    int folder;                  // where relative paths begin
    char start[SFTP_PATH_SIZE];  // its path, absolute
    bool masked;                 // umask is to be set around what makes files
    mode_t mask;
    struct sftp_owner owners[SFTP_OWNERS];
    size_t owners_n;  // places used; the next one to be used is this modulo SFTP_OWNERS
    // NULL: such work is done at once. Else sees to it that it is done, sftp_work_do(),
    // by somebody else; false: cannot.
    bool (*defer)(void *arg, const struct sftp_work *work);
    void *defer_arg;
};

// Starts in the folder `start`, or where that fails in `fallback` (NULL: then it is an
// error).
must_check enum err sftp_files_open(struct sftp_files *f, const char *start,
                                    const char *fallback, struct fault *fault);
void sftp_files_close(struct sftp_files *f);

enum sftp_status sftp_work_do(const struct sftp_work *work);

// ---- inside ----
enum sftp_status sftp_status_of_errno(int number);
// sftp_names.c
enum sftp_status sftp_files_realpath(struct sftp_vfs *v, const char *path, char *out);
enum sftp_status sftp_files_home(struct sftp_vfs *v, const char *user, char *out);
bool sftp_files_owner(struct sftp_vfs *v, uint32_t id, bool group, char *out,
                      size_t size);
void sftp_files_date(struct sftp_vfs *v, uint32_t when, bool full, char *out,
                     size_t size);
// sftp_work.c
enum sftp_status sftp_files_sync(struct sftp_vfs *v, intptr_t node);
enum sftp_status sftp_files_copy(struct sftp_vfs *v, const struct sftp_copy *copy);
