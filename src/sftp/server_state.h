// Inside the server engine.
#pragma once

#include "sftp/server.h"

#define SFTP_HANDLE_SIZE 8u  // slot u32, generation u32

struct sftp_handle {
    bool used, folder;
    uint32_t generation;  // so that a handle that was closed is none, also when reused
    uint32_t next_free;   // slot + 1; 0: none
    uint32_t flags;       // SFTP_OPEN_…
    intptr_t node;
    char *path;  // owned
    uint64_t read, written;
};

// The answer to a READ, which waits for room.
struct sftp_reading {
    bool on;
    uint32_t id, length;
    struct sftp_handle *handle;
    uint64_t offset;
};

// A WRITE whose data comes in pieces.
struct sftp_writing {
    uint32_t id;
    struct sftp_handle *handle;  // NULL: none is there, or it may not be written
    uint64_t offset;
    size_t left;  // bytes to come; the request is under way while not 0
    enum sftp_status status;
};

struct sftp_server {
    struct sftp_server_config config;
    const struct sftp_vfs_ops *vfs;
    struct sftp_handle **handles;
    uint32_t handles_n, handles_open, free;  // slots made; open ones; slot + 1
    struct buf in, out;
    bool ready, waits;
    uint32_t id;  // of the request that is served
    enum err failed;
    struct sftp_reading reading;
    struct sftp_writing writing;
    struct sftp_server_counts counts;
};

typedef void (*sftp_handler)(struct sftp_server *s, const union sftp_request *r);
extern const sftp_handler sftp_file_handlers[SFTP_OP_COUNT];  // each NULL for the others'
extern const sftp_handler sftp_path_handlers[SFTP_OP_COUNT];
extern const sftp_handler sftp_extended_handlers[SFTP_OP_COUNT];

// ---- handles.c ----
// NULL: as many are open as may be, or no memory.
struct sftp_handle *sftp_handle_new(struct sftp_server *s, bool folder, const char *path);
void sftp_handle_free(struct sftp_server *s, struct sftp_handle *h);
// NULL: the client made it up, or it was closed.
struct sftp_handle *sftp_handle_find(const struct sftp_server *s, struct view name);
void sftp_handle_name(const struct sftp_server *s, const struct sftp_handle *h,
                      uint8_t out[SFTP_HANDLE_SIZE]);
// Closes the file behind it, logs that, frees it.
enum sftp_status sftp_handle_close(struct sftp_server *s, struct sftp_handle *h,
                                   bool forced);

// ---- server.c: answers ----
struct sftp_answer {
    struct writer w;
    size_t at;  // of the length field, in the unread bytes of s->out
};
struct sftp_answer sftp_answer_begin(struct sftp_server *s, uint8_t type);
void sftp_answer_end(struct sftp_server *s, struct sftp_answer *a);
void sftp_answer_drop(struct sftp_server *s, const struct sftp_answer *a);
void sftp_answer_status(struct sftp_server *s, enum sftp_status status);
// SFTP_NAME with one name and no attributes.
void sftp_answer_name(struct sftp_server *s, const char *name);
void sftp_answer_attributes(struct sftp_server *s, const struct sftp_attributes *a);

// ---- listing.c ----
void sftp_readdir(struct sftp_server *s, const union sftp_request *r);

// ---- server_files.c ----
// May data be written to it?
bool sftp_handle_writable(const struct sftp_handle *h);

// ---- logs ----
static inline bool sftp_notes(const struct sftp_server *s, enum log_level level) {
    return s->config.log->level >= level;
}
#define sftp_note(s, level, ...) log_at((s)->config.log, (level), __VA_ARGS__)
// `WHAT "PATH"`, with the path cleaned.
void sftp_note_path(const struct sftp_server *s, enum log_level level, const char *what,
                    const char *path);

#define SFTP_SHOWN 900u  // bytes of a path in a log line

// The path, with NUL, or an answer that it is none. False: answered.
bool sftp_path(struct sftp_server *s, struct view v, char out[SFTP_PATH_SIZE]);
// The attributes at a request's end, likewise.
bool sftp_attributes(struct sftp_server *s, struct view v, struct sftp_attributes *out);
