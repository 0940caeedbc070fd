#include "io/env.h"

#include <stdlib.h>

void env_init(struct env *e) {
    *e = (struct env){0};
}

void env_free(struct env *e) {
    for (size_t i = 0; i < e->n; i++)
        free(e->list[i]);
    free(e->list);
    *e = (struct env){0};
}

// Where NAME= stands, or e->n.
static size_t find(const struct env *e, struct view name) {
    for (size_t i = 0; i < e->n; i++)
        if (strncmp(e->list[i], (const char *)name.p, name.n) == 0 &&
            e->list[i][name.n] == '=')
            return i;
    return e->n;
}

static enum err grow(struct env *e) {
    if (e->n >= ENV_MAX)
        return ERR_LIMIT;
    if (e->n + 1 < e->room)
        return OK;
    size_t room = e->room == 0 ? 16 : e->room * 2;
    char **list = realloc(e->list, room * sizeof *list);
    if (list == NULL)
        return ERR_MEMORY;
    e->list = list;
    e->room = room;
    return OK;
}

enum err env_set_view(struct env *e, struct view name, struct view value) {
    if (name.n == 0 || memchr(name.p, '=', name.n) != NULL ||
        memchr(name.p, 0, name.n) != NULL ||
        (value.n > 0 && memchr(value.p, 0, value.n) != NULL))
        return ERR_FORMAT;
    if (name.n > ENV_TEXT_MAX || value.n > ENV_TEXT_MAX - 2 ||
        name.n > ENV_TEXT_MAX - 2 - value.n)
        return ERR_LIMIT;
    TRY(grow(e));
    char *text = malloc(name.n + value.n + 2);
    if (text == NULL)
        return ERR_MEMORY;
    memcpy(text, name.p, name.n);
    text[name.n] = '=';
    if (value.n > 0)
        memcpy(text + name.n + 1, value.p, value.n);
    text[name.n + 1 + value.n] = '\0';
    size_t at = find(e, name);
    if (at < e->n)
        free(e->list[at]);
    else
        e->n++;
    e->list[at] = text;
    e->list[e->n] = NULL;
    return OK;
}

enum err env_set(struct env *e, const char *name, const char *value) {
    return env_set_view(e, view_text(name), view_text(value));
}

enum err env_inherit(struct env *e, const char *name) {
    const char *value = getenv(name);
    return value == NULL ? OK : env_set(e, name, value);
}

char *const *env_list(const struct env *e) {
    static char *const none[] = {NULL};
    return e->list != NULL ? e->list : none;
}

const char *env_get(const struct env *e, const char *name) {
    size_t at = find(e, view_text(name));
    return at < e->n ? e->list[at] + strlen(name) + 1 : NULL;
}

void env_unset(struct env *e, const char *name) {
    size_t at = find(e, view_text(name));
    if (at >= e->n)
        return;
    free(e->list[at]);
    memmove(&e->list[at], &e->list[at + 1], (e->n - at) * sizeof *e->list);
    e->n--;
}

static struct view trim(struct view v) {
    while (v.n > 0 && strchr(" \t\r", v.p[0]) != NULL)
        v = view_of(v.p + 1, v.n - 1);
    while (v.n > 0 && strchr(" \t\r", v.p[v.n - 1]) != NULL)
        v.n--;
    return v;
}

static enum err read_line(struct env *e, struct view line) {
    line = trim(line);
    const uint8_t *equals = line.n == 0 ? NULL : memchr(line.p, '=', line.n);
    if (equals == NULL || line.p[0] == '#')
        return OK;
    struct view name = view_of(line.p, (size_t)(equals - line.p));
    struct view value = view_of(equals + 1, line.n - name.n - 1);
    if (name.n > 7 && memcmp(name.p, "export ", 7) == 0)
        name = view_of(name.p + 7, name.n - 7);
    if (value.n >= 2 && (value.p[0] == '"' || value.p[0] == '\'') &&
        value.p[value.n - 1] == value.p[0])
        value = view_of(value.p + 1, value.n - 2);
    enum err err = env_set_view(e, trim(name), value);
    return err == ERR_FORMAT ? OK : err;
}

enum err env_read_lines(struct env *e, const char *text) {
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");
        TRY(read_line(e, view_of(text, n)));
        text += n + (text[n] == '\n');
    }
    return OK;
}
