// READDIR: entries with their line as `ls -l` has it, so many as fit one bounded answer.
#include <stdio.h>

#include "sftp/mode_text.h"
#include "sftp/server_state.h"

#define ENTRIES_MAX 100u           // of one answer, as OpenSSH
#define ANSWER_MAX (128u * 1024u)  // bytes, after which no further entry is begun
#define LINE_SIZE (SFTP_NAME_SIZE + 400u)

static const char *owner(const struct sftp_server *s, uint32_t id, bool group, char *out,
                         size_t size) {
    if (!s->vfs->owner(s->config.vfs, id, group, out, size))
        snprintf(out, size, "%u", id);
    return out;
}

static void make_line(const struct sftp_server *s, const struct sftp_entry *e, char *out,
                      size_t size) {
    const struct sftp_attributes *a = &e->attributes;
    char mode[11], user[64], group[64], date[64];
    sftp_mode_text(mode, a->mode);
    s->vfs->date(s->config.vfs, a->mtime, false, date, sizeof date);
    snprintf(out, size, "%s %3u %-8s %-8s %8llu %s %s", mode, e->links,
             owner(s, a->uid, false, user, sizeof user),
             owner(s, a->gid, true, group, sizeof group), (unsigned long long)a->size,
             date, e->name);
}

static uint32_t write_entries(struct sftp_server *s, struct writer *w, intptr_t node,
                              enum sftp_status *status) {
    struct sftp_entry entry;
    char line[LINE_SIZE];
    uint32_t count = 0;
    *status = SFTP_EOF;
    while (count < ENTRIES_MAX && buf_len(&s->out) < ANSWER_MAX) {
        *status = s->vfs->next(s->config.vfs, node, &entry);
        if (*status != SFTP_OK)
            break;
        if (entry.attributes.flags == 0)  // gone meanwhile
            continue;
        make_line(s, &entry, line, sizeof line);
        write_text(w, entry.name);
        write_text(w, line);
        sftp_attributes_write(w, &entry.attributes);
        count++;
    }
    return count;
}

void sftp_readdir(struct sftp_server *s, const union sftp_request *r) {
    struct sftp_handle *h = sftp_handle_find(s, r->handle.handle);
    enum sftp_status status;
    if (h == NULL || !h->folder) {
        sftp_answer_status(s, SFTP_FAILURE);
        return;
    }
    struct sftp_answer a = sftp_answer_begin(s, SFTP_NAME);
    size_t count_at = buf_len(&s->out);
    write_u32(&a.w, 0);
    uint32_t count = write_entries(s, &a.w, h->node, &status);
    if (count == 0) {
        sftp_answer_drop(s, &a);
        sftp_answer_status(s, status);
        return;
    }
    if (a.w.err == OK)
        store_u32(s->out.p + s->out.start + count_at, count);
    sftp_answer_end(s, &a);
}
