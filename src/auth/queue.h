// Messages that wait, oldest first: each in an allocation of its own size that is wiped
// when it is dropped, since any of them may hold a password.
#pragma once

#include "base/bytes.h"
#include "base/err.h"
#include "wire/writer.h"

struct auth_message {
    struct auth_message *next;
    size_t n;     // used
    size_t room;  // of bytes
    uint8_t bytes[];
};

struct auth_queue {
    struct auth_message *first, *last;
    size_t count, bytes;
};

// NULL without memory. n is 0 at first.
struct auth_message *auth_message_new(size_t room);
struct auth_message *auth_message_copy(struct view v);
void auth_message_free(struct auth_message *m);  // wipes; also of NULL

static inline struct view auth_message_view(const struct auth_message *m) {
    return m != NULL ? view_of(m->bytes, m->n) : (struct view){0};
}

void auth_queue_push(struct auth_queue *q, struct auth_message *m);  // takes it over
// The same with what was written into its bytes; the error of the writer frees it.
must_check enum err auth_queue_written(struct auth_queue *q, struct auth_message *m,
                                       const struct writer *w);
struct auth_message *auth_queue_pop(struct auth_queue *q);  // NULL when empty
void auth_queue_clear(struct auth_queue *q);
