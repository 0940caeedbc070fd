// Memory of a configuration, dropped whole; and the list of problems.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "conf/option.h"

#define CHUNK_SIZE 4096u
// Against configuration that multiplies itself by Include.
#define POOL_MAX (64u * 1024u * 1024u)

struct conf_chunk {
    struct conf_chunk *next;
    size_t used, size;
    _Alignas(16) uint8_t bytes[];
};

void *conf_pool_take(struct conf_pool *pool, size_t n) {
    if (n > POOL_MAX)
        return NULL;
    n = (n + 15) & ~(size_t)15;
    struct conf_chunk *c = pool->chunks;
    if (c == NULL || c->size - c->used < n) {
        size_t size = n > CHUNK_SIZE ? n : CHUNK_SIZE;
        if (size > POOL_MAX - pool->total)
            return NULL;
        c = calloc(1, sizeof *c + size);
        if (c == NULL)
            return NULL;
        c->size = size;
        c->next = pool->chunks;
        pool->chunks = c;
        pool->total += size;
    }
    void *p = c->bytes + c->used;
    c->used += n;
    return p;
}

char *conf_pool_text(struct conf_pool *pool, struct view v) {
    char *p = conf_pool_take(pool, v.n + 1);
    if (p != NULL)
        memcpy(p, v.p, v.n);
    return p;
}

void conf_pool_drop(struct conf_pool *pool) {
    while (pool->chunks != NULL) {
        struct conf_chunk *next = pool->chunks->next;
        free(pool->chunks);
        pool->chunks = next;
    }
    pool->total = 0;
}

bool conf_list_append(struct conf_pool *pool, struct conf_list *list, const char *word) {
    // Grown when n is a power of two, so the array needs no member for its room.
    if ((list->n & (list->n - 1)) == 0) {
        size_t room = list->n == 0 ? 1 : 2 * list->n;
        const char **v = conf_pool_take(pool, room * sizeof *v);
        if (v == NULL)
            return false;
        if (list->n > 0)
            memcpy(v, list->v, list->n * sizeof *v);
        list->v = v;
    }
    list->v[list->n++] = word;
    return true;
}

void conf_problem_add(struct conf_problems *problems, enum conf_severity severity,
                      const char *file, uint32_t line, const char *format, ...) {
    problems->errors += severity == CONF_ERROR;
    if (problems->n == CONF_PROBLEMS_MAX)
        return;
    struct conf_problem *p = &problems->at[problems->n++];
    char what[400], where[200], text[600];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    snprintf(where, sizeof where, "%s:%u: ", file, line);
    snprintf(text, sizeof text, "%s%s", line > 0 ? where : "", what);
    p->severity = severity;
    text_clean(p->text, sizeof p->text, view_text(text));
}
