// The queues of messages in and out of the two machines.
#include "auth/queue.h"

#include <stdlib.h>

#include "base/secret.h"

struct auth_message *auth_message_new(size_t room) {
    struct auth_message *m = malloc(sizeof *m + room);
    if (m == NULL)
        return NULL;
    m->next = NULL;
    m->n = 0;
    m->room = room;
    return m;
}

struct auth_message *auth_message_copy(struct view v) {
    struct auth_message *m = auth_message_new(v.n);
    if (m != NULL && v.n > 0) {
        memcpy(m->bytes, v.p, v.n);
        m->n = v.n;
    }
    return m;
}

void auth_message_free(struct auth_message *m) {
    if (m == NULL)
        return;
    secret_wipe(m->bytes, m->room);
    free(m);
}

void auth_queue_push(struct auth_queue *q, struct auth_message *m) {
    m->next = NULL;
    if (q->last != NULL)
        q->last->next = m;
    else
        q->first = m;
    q->last = m;
    q->count++;
    q->bytes += m->n;
}

enum err auth_queue_written(struct auth_queue *q, struct auth_message *m,
                            const struct writer *w) {
    enum err e = writer_end(w);
    if (e != OK) {
        auth_message_free(m);
        return e;
    }
    m->n = w->n;
    auth_queue_push(q, m);
    return OK;
}

struct auth_message *auth_queue_pop(struct auth_queue *q) {
    struct auth_message *m = q->first;
    if (m == NULL)
        return NULL;
    q->first = m->next;
    if (q->first == NULL)
        q->last = NULL;
    q->count--;
    q->bytes -= m->n;
    m->next = NULL;
    return m;
}

void auth_queue_clear(struct auth_queue *q) {
    for (struct auth_message *m; (m = auth_queue_pop(q)) != NULL;)
        auth_message_free(m);
}
