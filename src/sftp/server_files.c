// Requests on open files and folders (draft-ietf-secsh-filexfer-02 s.6.3 to 6.9).
#include <stdio.h>

#include "base/text.h"
#include "sftp/server_state.h"

static const char *flags_text(uint32_t flags, char *out, size_t size) {
    static const char *const names[] = {"READ",   "WRITE",    "APPEND",
                                        "CREATE", "TRUNCATE", "EXCL"};
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((flags & 1u << i) && n < size)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? "," : "", names[i]);
    return out;
}

static void note_open(const struct sftp_server *s, const char *path, uint32_t flags,
                      uint32_t mode) {
    char shown[SFTP_SHOWN], text[64];
    if (sftp_notes(s, LOG_LEVEL_INFO))
        sftp_note(s, LOG_LEVEL_INFO, "open \"%s\" flags %s mode 0%o",
                  text_clean(shown, sizeof shown, view_text(path)),
                  flags_text(flags, text, sizeof text), mode);
}

static void answer_handle(struct sftp_server *s, const struct sftp_handle *h) {
    uint8_t name[SFTP_HANDLE_SIZE];
    struct sftp_answer a = sftp_answer_begin(s, SFTP_HANDLE);
    sftp_handle_name(s, h, name);
    write_string(&a.w, view_of(name, sizeof name));
    sftp_answer_end(s, &a);
}

static bool changes(uint32_t flags) {
    return (flags & (SFTP_OPEN_WRITE | SFTP_OPEN_APPEND | SFTP_OPEN_CREATE |
                     SFTP_OPEN_TRUNCATE)) != 0;
}

static void do_open(struct sftp_server *s, const union sftp_request *r) {
    char path[SFTP_PATH_SIZE];
    struct sftp_attributes a;
    if (!sftp_attributes(s, r->open.attributes, &a) || !sftp_path(s, r->open.path, path))
        return;
    uint32_t flags = r->open.flags, mode = a.flags & SFTP_ATTR_MODE ? a.mode : 0666;
    note_open(s, path, flags, mode);
    if (s->config.read_only && changes(flags)) {
        sftp_note(s, LOG_LEVEL_VERBOSE, "Refusing open request in read-only mode");
        sftp_answer_status(s, SFTP_PERMISSION_DENIED);
        return;
    }
    struct sftp_handle *h = sftp_handle_new(s, false, path);
    enum sftp_status status = SFTP_FAILURE;
    if (h != NULL && (status = s->vfs->open(s->config.vfs, path, flags, mode & 07777,
                                            &h->node)) == SFTP_OK) {
        h->flags = flags;
        answer_handle(s, h);
        return;
    }
    if (h != NULL)
        sftp_handle_free(s, h);
    sftp_answer_status(s, status);
}

static void do_open_folder(struct sftp_server *s, const union sftp_request *r) {
    char path[SFTP_PATH_SIZE];
    if (!sftp_path(s, r->path.path, path))
        return;
    sftp_note_path(s, LOG_LEVEL_INFO, "opendir", path);
    struct sftp_handle *h = sftp_handle_new(s, true, path);
    enum sftp_status status = SFTP_FAILURE;
    if (h != NULL &&
        (status = s->vfs->open_folder(s->config.vfs, path, &h->node)) == SFTP_OK) {
        answer_handle(s, h);
        return;
    }
    if (h != NULL)
        sftp_handle_free(s, h);
    sftp_answer_status(s, status);
}

static void do_close(struct sftp_server *s, const union sftp_request *r) {
    struct sftp_handle *h = sftp_handle_find(s, r->handle.handle);
    sftp_answer_status(s, h != NULL ? sftp_handle_close(s, h, false) : SFTP_FAILURE);
}

static void do_read(struct sftp_server *s, const union sftp_request *r) {
    struct sftp_handle *h = sftp_handle_find(s, r->read.handle);
    uint32_t length = r->read.length;
    if (h == NULL || h->folder) {
        sftp_answer_status(s, SFTP_FAILURE);
        return;
    }
    s->reading = (struct sftp_reading){
        .on = true,
        .id = s->id,
        .length = length > SFTP_DATA_MAX ? SFTP_DATA_MAX : length,
        .handle = h,
        .offset = r->read.offset,
    };
}

bool sftp_handle_writable(const struct sftp_handle *h) {
    return !h->folder;
}

// One that came whole; server.c has those that come in pieces.
static void do_write(struct sftp_server *s, const union sftp_request *r) {
    struct sftp_handle *h = sftp_handle_find(s, r->write.handle);
    if (h == NULL || !sftp_handle_writable(h)) {
        sftp_answer_status(s, SFTP_FAILURE);
        return;
    }
    bool append = (h->flags & SFTP_OPEN_APPEND) != 0;
    enum sftp_status status =
        s->vfs->write(s->config.vfs, h->node, append, r->write.offset, r->write.data);
    if (status == SFTP_OK) {
        h->written += r->write.data.n;
        s->counts.written += r->write.data.n;
    }
    sftp_answer_status(s, status);
}

static void do_fstat(struct sftp_server *s, const union sftp_request *r) {
    struct sftp_handle *h = sftp_handle_find(s, r->handle.handle);
    struct sftp_attributes a;
    enum sftp_status status =
        h != NULL ? s->vfs->fstat(s->config.vfs, h->node, h->folder, &a) : SFTP_FAILURE;
    if (status == SFTP_OK)
        sftp_answer_attributes(s, &a);
    else
        sftp_answer_status(s, status);
}

static void note_set(const struct sftp_server *s, const char *path,
                     const struct sftp_attributes *a) {
    char shown[SFTP_SHOWN], date[64];
    if (!sftp_notes(s, LOG_LEVEL_INFO))
        return;
    text_clean(shown, sizeof shown, view_text(path));
    s->vfs->date(s->config.vfs, a->mtime, true, date, sizeof date);
    if (a->flags & SFTP_ATTR_SIZE)
        sftp_note(s, LOG_LEVEL_INFO, "set \"%s\" size %llu", shown,
                  (unsigned long long)a->size);
    if (a->flags & SFTP_ATTR_MODE)
        sftp_note(s, LOG_LEVEL_INFO, "set \"%s\" mode %04o", shown, a->mode);
    if (a->flags & SFTP_ATTR_TIMES)
        sftp_note(s, LOG_LEVEL_INFO, "set \"%s\" modtime %s", shown, date);
    if (a->flags & SFTP_ATTR_OWNER)
        sftp_note(s, LOG_LEVEL_INFO, "set \"%s\" owner %u group %u", shown, a->uid,
                  a->gid);
}

static void do_fsetstat(struct sftp_server *s, const union sftp_request *r) {
    struct sftp_handle *h = sftp_handle_find(s, r->handle_attributes.handle);
    struct sftp_attributes a;
    if (!sftp_attributes(s, r->handle_attributes.attributes, &a))
        return;
    if (h != NULL)
        note_set(s, h->path, &a);
    sftp_answer_status(s, h != NULL ? s->vfs->fset(s->config.vfs, h->node, h->folder, &a)
                                    : SFTP_FAILURE);
}

static void set_attributes(struct sftp_server *s, const union sftp_request *r,
                           bool follow) {
    char path[SFTP_PATH_SIZE];
    struct sftp_attributes a;
    if (!sftp_attributes(s, r->path_attributes.attributes, &a) ||
        !sftp_path(s, r->path_attributes.path, path))
        return;
    note_set(s, path, &a);
    sftp_answer_status(s, s->vfs->set(s->config.vfs, path, follow, &a));
}

static void do_setstat(struct sftp_server *s, const union sftp_request *r) {
    set_attributes(s, r, true);
}

static void do_lsetstat(struct sftp_server *s, const union sftp_request *r) {
    set_attributes(s, r, false);
}

const sftp_handler sftp_file_handlers[SFTP_OP_COUNT] = {
    [SFTP_OP_OPEN] = do_open,           [SFTP_OP_CLOSE] = do_close,
    [SFTP_OP_READ] = do_read,           [SFTP_OP_WRITE] = do_write,
    [SFTP_OP_FSTAT] = do_fstat,         [SFTP_OP_SETSTAT] = do_setstat,
    [SFTP_OP_LSETSTAT] = do_lsetstat,   [SFTP_OP_FSETSTAT] = do_fsetstat,
    [SFTP_OP_OPENDIR] = do_open_folder, [SFTP_OP_READDIR] = sftp_readdir,
};
