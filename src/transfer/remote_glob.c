#include "transfer/remote_glob.h"

#include <fnmatch.h>
#include <stdlib.h>

#include "base/text.h"
#include "transfer/names.h"

#define MATCHES_MAX REMOTE_LISTING_MAX

static uint32_t add(struct remote_matches *m, const char *path,
                    const struct sftp_attributes *a) {
    if (m->n == MATCHES_MAX)
        return SFTP_FAILURE;
    if (m->n == m->room) {
        size_t room = m->room == 0 ? 32 : 2 * m->room;
        struct remote_match *list = reallocarray(m->list, room, sizeof *list);
        if (list == NULL)
            return SFTP_FAILURE;
        m->list = list;
        m->room = room;
    }
    char *copy = strdup(path);
    if (copy == NULL)
        return SFTP_FAILURE;
    m->list[m->n++] = (struct remote_match){copy, *a};
    return SFTP_OK;
}

static bool is_folder(const struct sftp_attributes *a) {
    return (a->flags & SFTP_ATTR_MODE) == 0 || (a->mode & 0170000u) == 0040000u ||
           (a->mode & 0170000u) == 0120000u;
}

static uint32_t expand(struct remote *r, const char *folder, const char *pattern,
                       struct remote_matches *m);

// Nothing is left to match: is it there?
static uint32_t add_if_there(struct remote *r, const char *path,
                             struct remote_matches *m) {
    struct sftp_attributes a;
    uint32_t status = remote_stat(r, path, false, &a);
    return status == SFTP_OK ? add(m, path, &a) : status;
}

// Each name in the folder that the part matches, then the rest of the pattern.
static uint32_t expand_part(struct remote *r, const char *folder, const char *part,
                            const char *rest, struct remote_matches *m) {
    scoped_listing names = {0};
    uint32_t status = remote_list(r, *folder != '\0' ? folder : ".", &names);
    for (size_t i = 0; i < names.n && status == SFTP_OK; i++) {
        const struct remote_entry *e = &names.list[i];
        char path[NAME_PATH];
        if (!name_is_plain(e->name) || fnmatch(part, e->name, FNM_PERIOD) != 0 ||
            !path_join(path, folder, e->name))
            continue;
        if (*rest == '\0')
            status = add(m, path, &e->attributes);
        else if (is_folder(&e->attributes))
            status = expand(r, path, rest, m);
        if (status != SFTP_OK && status != SFTP_CONNECTION_LOST)
            status = SFTP_OK;  // one folder that cannot be read is not all of them
    }
    return status;
}

// folder: what is settled; pattern: the rest, without a '/' in front unless `folder` is
// empty.
static uint32_t expand(struct remote *r, const char *folder, const char *pattern,
                       struct remote_matches *m) {
    char settled[NAME_PATH], part[NAME_PATH], path[NAME_PATH];
    if (!text_copy(settled, sizeof settled, view_text(folder)))
        return SFTP_FAILURE;
    while (*pattern != '\0') {
        size_t slashes = strspn(pattern, "/");
        if (slashes > 0 && *settled == '\0')
            (void)text_copy(settled, sizeof settled, view_text("/"));
        pattern += slashes;
        size_t n = strcspn(pattern, "/");
        if (!text_copy(part, sizeof part, view_of(pattern, n)))
            return SFTP_FAILURE;
        if (pattern_is(part))
            return expand_part(r, settled, part, pattern + n, m);
        pattern_plain(part);
        if (n > 0 && !path_join(path, settled, part))
            return SFTP_FAILURE;
        if (n > 0)
            (void)text_copy(settled, sizeof settled, view_text(path));
        pattern += n;
    }
    return add_if_there(r, settled, m);
}

static int compare(const void *a, const void *b) {
    return strcmp(((const struct remote_match *)a)->path,
                  ((const struct remote_match *)b)->path);
}

uint32_t remote_glob(struct remote *r, const char *pattern, struct remote_matches *out) {
    *out = (struct remote_matches){.pattern = pattern_is(pattern)};
    uint32_t status = SFTP_OK;
    if (out->pattern) {
        status = expand(r, "", pattern, out);
    } else {
        char path[NAME_PATH];
        if (!text_copy(path, sizeof path, view_text(pattern)))
            return SFTP_FAILURE;
        pattern_plain(path);
        status = add_if_there(r, path, out);
    }
    if (out->n > 1)
        qsort(out->list, out->n, sizeof *out->list, compare);
    if (out->n > 0 && status != SFTP_CONNECTION_LOST)
        return SFTP_OK;
    return status == SFTP_OK ? SFTP_NO_SUCH_FILE : status;
}

void remote_matches_free(struct remote_matches *m) {
    for (size_t i = 0; i < m->n; i++)
        free(m->list[i].path);
    free(m->list);
    *m = (struct remote_matches){0};
}
