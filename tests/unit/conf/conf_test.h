// Files in memory for tests of configuration.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "conf/client_config.h"
#include "conf/server_config.h"

struct memory_file {
    const char *path, *text;
};

static inline enum err memory_read(void *ctx, const char *path, bool strict,
                                   struct buf *out, char *detail) {
    (void)strict;
    (void)detail;
    for (const struct memory_file *f = ctx; f->path != NULL; f++)
        if (strcmp(f->path, path) == 0)
            return buf_append(out, view_text(f->text));
    return ERR_NOT_FOUND;
}

static inline enum err memory_glob(void *ctx, const char *pattern,
                                   enum err (*each)(void *, const char *), void *arg) {
    for (const struct memory_file *f = ctx; f->path != NULL; f++)
        if (text_match(pattern, f->path))
            TRY(each(arg, f->path));
    return OK;
}

static inline struct conf_source memory_source(const struct memory_file *files) {
    return (struct conf_source){(void *)(uintptr_t)files, memory_read, memory_glob};
}

static inline void print_problems(const struct conf_problems *p) {
    for (size_t i = 0; i < p->n; i++)
        print_message("problem: %s\n", p->at[i].text);
}

static inline bool has_problem(const struct conf_problems *p, enum conf_severity severity,
                               const char *part) {
    for (size_t i = 0; i < p->n; i++)
        if (p->at[i].severity == severity && strstr(p->at[i].text, part) != NULL)
            return true;
    print_problems(p);
    return false;
}

static inline char *buf_text(struct buf *b) {
    assert_int_equal(buf_append(b, view_of("", 1)), OK);
    return (char *)b->p + b->start;
}
