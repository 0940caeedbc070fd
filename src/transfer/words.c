#include "transfer/words.h"

#include <dirent.h>
#include <stdlib.h>

#include "transfer/names.h"

enum err words_add_view(struct words *w, struct view word) {
    if (w->n >= WORDS_MAX)
        return ERR_LIMIT;
    if (w->n + 2 > w->room) {
        size_t room = w->room == 0 ? 32 : 2 * w->room;
        char **list = reallocarray(w->list, room, sizeof *list);
        if (list == NULL)
            return ERR_MEMORY;
        w->list = list;
        w->room = room;
    }
    char *copy = strndup((const char *)word.p, word.n);
    if (copy == NULL)
        return ERR_MEMORY;
    w->list[w->n++] = copy;
    w->list[w->n] = NULL;
    return OK;
}

enum err words_add(struct words *w, const char *word) {
    return words_add_view(w, view_text(word));
}

void words_free(struct words *w) {
    for (size_t i = 0; i < w->n; i++)
        free(w->list[i]);
    free(w->list);
    *w = (struct words){0};
}

static int compare(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void words_sort(struct words *w) {
    if (w->n > 1)
        qsort(w->list, w->n, sizeof *w->list, compare);
}

enum err words_of_folder(struct words *w, const char *path) {
    enum err e = OK;
    DIR *folder = opendir(path);
    if (folder == NULL)
        return ERR_IO;
    for (struct dirent *d; e == OK && (d = readdir(folder)) != NULL;)
        if (name_is_plain(d->d_name))
            e = words_add(w, d->d_name);
    closedir(folder);
    words_sort(w);
    return e;
}
