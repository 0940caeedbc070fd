// OpenSSH's extensions that are not on paths alone.
#include "base/text.h"
#include "sftp/server_state.h"

static void answer_filesystem(struct sftp_server *s, enum sftp_status status,
                              const struct sftp_filesystem *f) {
    if (status != SFTP_OK) {
        sftp_answer_status(s, status);
        return;
    }
    const uint64_t all[] = {f->block_size,  f->fragment_size,    f->blocks,
                            f->blocks_free, f->blocks_available, f->files,
                            f->files_free,  f->files_available,  f->id,
                            f->flags,       f->name_max};
    struct sftp_answer a = sftp_answer_begin(s, SFTP_EXTENDED_REPLY);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        write_u64(&a.w, all[i]);
    sftp_answer_end(s, &a);
}

static void do_statvfs(struct sftp_server *s, const union sftp_request *r) {
    char path[SFTP_PATH_SIZE];
    struct sftp_filesystem f;
    if (!sftp_path(s, r->path.path, path))
        return;
    sftp_note_path(s, LOG_LEVEL_INFO, "statvfs", path);
    answer_filesystem(s, s->vfs->filesystem(s->config.vfs, path, &f), &f);
}

static void do_fstatvfs(struct sftp_server *s, const union sftp_request *r) {
    struct sftp_handle *h = sftp_handle_find(s, r->handle.handle);
    struct sftp_filesystem f;
    enum sftp_status status = SFTP_FAILURE;
    if (h != NULL) {
        sftp_note_path(s, LOG_LEVEL_INFO, "fstatvfs", h->path);
        status = s->vfs->ffilesystem(s->config.vfs, h->node, h->folder, &f);
    }
    answer_filesystem(s, status, &f);
}

static void later_or(struct sftp_server *s, enum sftp_status status) {
    if (status == SFTP_LATER)
        s->waits = true;
    else
        sftp_answer_status(s, status);
}

static void do_fsync(struct sftp_server *s, const union sftp_request *r) {
    struct sftp_handle *h = sftp_handle_find(s, r->handle.handle);
    if (h == NULL || h->folder) {
        sftp_answer_status(s, SFTP_NO_SUCH_FILE);
        return;
    }
    sftp_note_path(s, LOG_LEVEL_VERBOSE, "fsync", h->path);
    later_or(s, s->vfs->sync(s->config.vfs, h->node));
}

static void note_copy(const struct sftp_server *s, const struct sftp_handle *from,
                      const struct sftp_handle *to) {
    char shown[2][SFTP_SHOWN / 2];
    if (sftp_notes(s, LOG_LEVEL_INFO))
        sftp_note(s, LOG_LEVEL_INFO, "copy-data from \"%s\" to \"%s\"",
                  text_clean(shown[0], sizeof shown[0], view_text(from->path)),
                  text_clean(shown[1], sizeof shown[1], view_text(to->path)));
}

// That both are one file under two names is the vfs's to see.
static void do_copy(struct sftp_server *s, const union sftp_request *r) {
    struct sftp_handle *from = sftp_handle_find(s, r->copy.from);
    struct sftp_handle *to = sftp_handle_find(s, r->copy.to);
    if (from == NULL || to == NULL || from == to || from->folder ||
        !sftp_handle_writable(to)) {
        sftp_answer_status(s, SFTP_FAILURE);
        return;
    }
    note_copy(s, from, to);
    struct sftp_copy copy = {
        .from = from->node,
        .to = to->node,
        .from_offset = r->copy.from_offset,
        .to_offset = r->copy.to_offset,
        .length = r->copy.length,
        .append = (to->flags & SFTP_OPEN_APPEND) != 0,
    };
    later_or(s, s->vfs->copy(s->config.vfs, &copy));
}

static void do_limits(struct sftp_server *s, const union sftp_request *r) {
    (void)r;
    struct sftp_answer a = sftp_answer_begin(s, SFTP_EXTENDED_REPLY);
    write_u64(&a.w, SFTP_PACKET_MAX);
    write_u64(&a.w, SFTP_DATA_MAX);
    write_u64(&a.w, SFTP_DATA_MAX);
    write_u64(&a.w, s->config.max_handles);
    sftp_answer_end(s, &a);
}

// One string of strings: a name for each number, empty where there is none. False: too
// many for a packet.
static bool write_owners(struct sftp_server *s, struct writer *w, struct view ids,
                         bool group) {
    char name[64];
    size_t at = buf_len(&s->out);
    write_u32(w, 0);
    for (size_t i = 0; i + 4 <= ids.n && buf_len(&s->out) < SFTP_PACKET_MAX; i += 4)
        write_text(
            w, s->vfs->owner(s->config.vfs, load_u32(ids.p + i), group, name, sizeof name)
                   ? name
                   : "");
    if (w->err == OK)
        store_u32(s->out.p + s->out.start + at, (uint32_t)(buf_len(&s->out) - at - 4));
    return buf_len(&s->out) < SFTP_PACKET_MAX;
}

static void do_owners(struct sftp_server *s, const union sftp_request *r) {
    const struct sftp_request_ids *ids = &r->ids;
    if (ids->users.n % 4 != 0 || ids->groups.n % 4 != 0) {
        sftp_answer_status(s, SFTP_BAD_MESSAGE);
        return;
    }
    struct sftp_answer a = sftp_answer_begin(s, SFTP_EXTENDED_REPLY);
    bool fits = write_owners(s, &a.w, ids->users, false) &&
                write_owners(s, &a.w, ids->groups, true);
    if (!fits) {
        sftp_answer_drop(s, &a);
        sftp_answer_status(s, SFTP_FAILURE);
        return;
    }
    sftp_answer_end(s, &a);
    sftp_note(s, LOG_LEVEL_VERBOSE, "users-groups-by-id: %zu users, %zu groups",
              ids->users.n / 4, ids->groups.n / 4);
}

const sftp_handler sftp_extended_handlers[SFTP_OP_COUNT] = {
    [SFTP_OP_STATVFS] = do_statvfs, [SFTP_OP_FSTATVFS] = do_fstatvfs,
    [SFTP_OP_FSYNC] = do_fsync,     [SFTP_OP_COPY_DATA] = do_copy,
    [SFTP_OP_LIMITS] = do_limits,   [SFTP_OP_USERS_GROUPS] = do_owners,
};
