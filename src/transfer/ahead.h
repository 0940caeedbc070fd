// Small files asked for before it is their turn, so that a folder of many takes as long
// as its bytes, not some round trips for each name.
//
// Nothing is said here, and nothing local is changed: a download waits in memory until
// its turn, an upload only has its result to be told. What did not go well in every step
// is done over in the ordinary way when its turn comes, which says what is wrong.
// Bounded: AHEAD_FILES at a time (fewer where the server has few handles, none where the
// person fixed the number of requests), AHEAD_BYTES of data.
#pragma once

#include "transfer/copy.h"
#include "transfer/remote_glob.h"

#define AHEAD_FILES 256u
#define AHEAD_FILE_MAX (32u * 1024u)  // bytes of a file: one READ or WRITE
#define AHEAD_BYTES (1024u * 1024u)

struct ahead;

// Begins what is to be copied later. False: not now (there is no room), or not in this
// way; asking again costs little.
bool ahead_get(struct remote *r, const char *from, const struct sftp_attributes *a,
               const struct copy_how *how);
bool ahead_put(struct remote *r, const char *from, const char *to,
               const struct copy_how *how);
// Of these from `next` on as many as there is room for, up to one that is no small file.
// The next one that was not asked for.
size_t ahead_get_matches(struct remote *r, const struct remote_matches *m, size_t next,
                         const struct copy_how *how);
// Its turn has come: `path` is the server's. Waits for what was begun. False: nothing
// was, or not all went well.
bool ahead_got(struct remote *r, const char *path, struct buf *data);
bool ahead_was_put(struct remote *r, const char *path, uint64_t *size);
// Nobody comes for what was begun and not fetched. What is under way ends by itself.
void ahead_forget(struct remote *r);

// ---- for remote.c ----
// True: the reply was to one of these requests.
bool ahead_take(struct remote *r, const struct sftp_reply *reply);
void ahead_free(struct ahead *a);  // NULL is nothing
