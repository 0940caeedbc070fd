#include "memory_files.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define NODE_FOLDER 1000

static struct memory_files *memory_of(struct sftp_vfs *v) {
    return (struct memory_files *)(void *)v;
}

struct memory_file *memory_find(struct memory_files *m, const char *path) {
    for (size_t i = 0; i < MEMORY_FILES; i++)
        if (m->files[i].used && strcmp(m->files[i].path, path) == 0)
            return &m->files[i];
    return NULL;
}

static struct memory_file *make(struct memory_files *m, const char *path) {
    if (strlen(path) >= sizeof m->files[0].path)
        return NULL;
    for (size_t i = 0; i < MEMORY_FILES; i++) {
        struct memory_file *f = &m->files[i];
        if (f->used)
            continue;
        *f = (struct memory_file){.used = true, .links = 1, .data = f->data};
        strcpy(f->path, path);
        if (f->data == NULL)
            f->data = malloc(MEMORY_SIZE);
        assert(f->data != NULL);
        memset(f->data, 0, MEMORY_SIZE);
        return f;
    }
    return NULL;
}

static enum sftp_status m_open(struct sftp_vfs *v, const char *path, uint32_t flags,
                               uint32_t mode, intptr_t *node) {
    struct memory_files *m = memory_of(v);
    struct memory_file *f = memory_find(m, path);
    if (f == NULL && !(flags & SFTP_OPEN_CREATE))
        return SFTP_NO_SUCH_FILE;
    if (f != NULL && (flags & SFTP_OPEN_EXCLUSIVE))
        return SFTP_FAILURE;
    if (f == NULL) {
        if ((f = make(m, path)) == NULL)
            return SFTP_FAILURE;
        f->mode = 0100000u | mode;
    }
    if (flags & SFTP_OPEN_TRUNCATE)
        f->n = 0;
    m->open++;
    *node = f - m->files;
    return SFTP_OK;
}

static enum sftp_status m_open_folder(struct sftp_vfs *v, const char *path,
                                      intptr_t *node) {
    struct memory_files *m = memory_of(v);
    if (strcmp(path, "/") != 0 && memory_find(m, path) == NULL)
        return SFTP_NO_SUCH_FILE;
    m->listed = 0;
    m->open++;
    *node = NODE_FOLDER;
    return SFTP_OK;
}

static enum sftp_status m_close(struct sftp_vfs *v, intptr_t node, bool folder) {
    struct memory_files *m = memory_of(v);
    assert(m->open > 0 && folder == (node == NODE_FOLDER));
    m->open--;
    return SFTP_OK;
}

static enum sftp_status m_read(struct sftp_vfs *v, intptr_t node, uint64_t offset,
                               const struct span *pieces, size_t n, size_t *got) {
    struct memory_files *m = memory_of(v);
    struct memory_file *f = &m->files[node];
    assert(n <= SFTP_PIECES_MAX);
    *got = 0;
    m->reads++;
    if (offset >= f->n)
        return SFTP_EOF;
    for (size_t i = 0; i < n; i++) {
        size_t left = f->n - (size_t)offset - *got;
        size_t one = pieces[i].n < left ? pieces[i].n : left;
        memcpy(pieces[i].p, f->data + offset + *got, one);
        *got += one;
    }
    return SFTP_OK;
}

static enum sftp_status m_write(struct sftp_vfs *v, intptr_t node, bool append,
                                uint64_t offset, struct view data) {
    struct memory_files *m = memory_of(v);
    struct memory_file *f = &m->files[node];
    if (append)
        offset = f->n;
    if (m->broken || offset > MEMORY_SIZE || data.n > MEMORY_SIZE - offset)
        return SFTP_FAILURE;
    memcpy(f->data + offset, data.p, data.n);
    if (offset + data.n > f->n)
        f->n = (size_t)offset + data.n;
    return SFTP_OK;
}

static void describe(const struct memory_file *f, struct sftp_attributes *a) {
    *a = (struct sftp_attributes){SFTP_ATTR_SIZE | SFTP_ATTR_OWNER | SFTP_ATTR_MODE |
                                      SFTP_ATTR_TIMES,
                                  f->n,
                                  7,
                                  8,
                                  f->mode,
                                  1,
                                  2};
}

static enum sftp_status m_next(struct sftp_vfs *v, intptr_t node,
                               struct sftp_entry *out) {
    struct memory_files *m = memory_of(v);
    assert(node == NODE_FOLDER);
    if (m->listed >= m->entries)
        return SFTP_EOF;
    struct memory_file f = {.mode = 0104755, .n = 5};
    *out = (struct sftp_entry){.links = 3};
    snprintf(out->name, sizeof out->name, "entry%zu", m->listed++);
    describe(&f, &out->attributes);
    return SFTP_OK;
}

static enum sftp_status m_stat(struct sftp_vfs *v, const char *path, bool follow,
                               struct sftp_attributes *out) {
    const struct memory_file *f = memory_find(memory_of(v), path);
    (void)follow;
    if (f == NULL)
        return SFTP_NO_SUCH_FILE;
    describe(f, out);
    return SFTP_OK;
}

static enum sftp_status m_fstat(struct sftp_vfs *v, intptr_t node, bool folder,
                                struct sftp_attributes *out) {
    if (folder)
        return SFTP_FAILURE;
    describe(&memory_of(v)->files[node], out);
    return SFTP_OK;
}

static enum sftp_status m_set(struct sftp_vfs *v, const char *path, bool follow,
                              const struct sftp_attributes *a) {
    struct memory_file *f = memory_find(memory_of(v), path);
    (void)follow;
    if (f == NULL)
        return SFTP_NO_SUCH_FILE;
    if (a->flags & SFTP_ATTR_MODE)
        f->mode = a->mode;
    return SFTP_OK;
}

static enum sftp_status m_fset(struct sftp_vfs *v, intptr_t node, bool folder,
                               const struct sftp_attributes *a) {
    if (!folder && (a->flags & SFTP_ATTR_MODE))
        memory_of(v)->files[node].mode = a->mode;
    return SFTP_OK;
}

static enum sftp_status m_remove(struct sftp_vfs *v, const char *path, bool folder) {
    struct memory_file *f = memory_find(memory_of(v), path);
    if (f == NULL || f->folder != folder)
        return SFTP_NO_SUCH_FILE;
    if (memory_of(v)->open == 0)  // nodes are places in the list
        f->used = false;
    return SFTP_OK;
}

static enum sftp_status m_make_folder(struct sftp_vfs *v, const char *path,
                                      uint32_t mode) {
    struct memory_files *m = memory_of(v);
    struct memory_file *f = memory_find(m, path) == NULL ? make(m, path) : NULL;
    if (f == NULL)
        return SFTP_FAILURE;
    f->folder = true;
    f->mode = 0040000u | mode;
    return SFTP_OK;
}

static enum sftp_status m_rename(struct sftp_vfs *v, const char *from, const char *to,
                                 bool over) {
    struct memory_files *m = memory_of(v);
    struct memory_file *f = memory_find(m, from), *there = memory_find(m, to);
    if (f == NULL)
        return SFTP_NO_SUCH_FILE;
    if ((there != NULL && !over) || strlen(to) >= sizeof f->path)
        return SFTP_FAILURE;
    if (there != NULL && there != f && m->open == 0)
        there->used = false;
    memmove(f->path, to, strlen(to) + 1);
    return SFTP_OK;
}

static enum sftp_status m_two(struct sftp_vfs *v, const char *from, const char *to) {
    (void)v;
    return strcmp(from, to) == 0 ? SFTP_FAILURE : SFTP_OK;
}

static enum sftp_status m_path(struct sftp_vfs *v, const char *path, char *out) {
    (void)v;
    snprintf(out, SFTP_PATH_SIZE, "%s", path);
    return SFTP_OK;
}

static enum sftp_status m_home(struct sftp_vfs *v, const char *user, char *out) {
    (void)v;
    if (strcmp(user, "nobody") == 0)
        return SFTP_FAILURE;
    strcpy(out, "/home");
    return SFTP_OK;
}

static enum sftp_status m_filesystem(struct sftp_vfs *v, const char *path,
                                     struct sftp_filesystem *out) {
    (void)v;
    (void)path;
    *out = (struct sftp_filesystem){.block_size = 4096, .name_max = 255};
    return SFTP_OK;
}

static enum sftp_status m_ffilesystem(struct sftp_vfs *v, intptr_t node, bool folder,
                                      struct sftp_filesystem *out) {
    (void)node;
    (void)folder;
    return m_filesystem(v, "", out);
}

static enum sftp_status m_sync(struct sftp_vfs *v, intptr_t node) {
    (void)node;
    return memory_of(v)->later ? SFTP_LATER : SFTP_OK;
}

static enum sftp_status m_copy(struct sftp_vfs *v, const struct sftp_copy *copy) {
    if (copy->from == copy->to)
        return SFTP_FAILURE;
    return memory_of(v)->later ? SFTP_LATER : SFTP_OK;
}

static bool m_owner(struct sftp_vfs *v, uint32_t id, bool group, char *out, size_t size) {
    (void)v;
    snprintf(out, size, "%s", group ? "staff" : "user");
    return id == 7 || group;
}

static void m_date(struct sftp_vfs *v, uint32_t when, bool full, char *out, size_t size) {
    (void)v;
    (void)when;
    snprintf(out, size, "%s", full ? "20261121-13:35:00" : "Nov 21 13:35");
}

static const struct sftp_vfs_ops ops = {
    m_open,       m_open_folder, m_close, m_read, m_write,  m_next,
    m_stat,       m_fstat,       m_set,   m_fset, m_remove, m_make_folder,
    m_rename,     m_two,         m_two,   m_path, m_path,   m_home,
    m_filesystem, m_ffilesystem, m_sync,  m_copy, m_owner,  m_date,
};

void memory_files_init(struct memory_files *m) {
    *m = (struct memory_files){.vfs = {&ops}, .entries = 3};
}

void memory_files_free(struct memory_files *m) {
    for (size_t i = 0; i < MEMORY_FILES; i++)
        free(m->files[i].data);
}
