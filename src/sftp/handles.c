// Handles: a slot and a generation, so that a closed handle stays closed.
#include <stdlib.h>

#include "base/text.h"
#include "sftp/server_state.h"

#define SLOTS_AT_ONCE 16u

static bool more_slots(struct sftp_server *s) {
    uint32_t most = s->config.max_handles, n = s->handles_n + SLOTS_AT_ONCE;
    if (n > most)
        n = most;
    if (n <= s->handles_n)
        return false;
    struct sftp_handle **v = realloc(s->handles, n * sizeof(struct sftp_handle *));
    if (v == NULL)
        return false;
    s->handles = v;
    for (uint32_t slot = s->handles_n; slot < n; slot++) {
        struct sftp_handle *h = calloc(1, sizeof *h);
        if (h == NULL)
            break;
        h->next_free = s->free;
        s->free = slot + 1;
        v[slot] = h;
        s->handles_n = slot + 1;
    }
    return s->free != 0;
}

struct sftp_handle *sftp_handle_new(struct sftp_server *s, bool folder,
                                    const char *path) {
    if (s->free == 0 && !more_slots(s))
        return NULL;
    struct sftp_handle *h = s->handles[s->free - 1];
    char *copy = strdup(path);
    if (copy == NULL)
        return NULL;
    uint32_t slot = s->free - 1;
    s->free = h->next_free;
    *h = (struct sftp_handle){.used = true,
                              .folder = folder,
                              .generation = h->generation,
                              .next_free = slot + 1,  // its own, while it is used
                              .path = copy};
    s->handles_open++;
    return h;
}

void sftp_handle_free(struct sftp_server *s, struct sftp_handle *h) {
    uint32_t slot = h->next_free;
    free(h->path);
    *h = (struct sftp_handle){.generation = h->generation + 1, .next_free = s->free};
    s->free = slot;
    s->handles_open--;
}

struct sftp_handle *sftp_handle_find(const struct sftp_server *s, struct view name) {
    if (name.n != SFTP_HANDLE_SIZE)
        return NULL;
    uint32_t slot = load_u32(name.p), generation = load_u32(name.p + 4);
    if (slot >= s->handles_n)
        return NULL;
    struct sftp_handle *h = s->handles[slot];
    return h->used && h->generation == generation ? h : NULL;
}

void sftp_handle_name(const struct sftp_server *s, const struct sftp_handle *h,
                      uint8_t out[SFTP_HANDLE_SIZE]) {
    (void)s;
    store_u32(out, h->next_free - 1);
    store_u32(out + 4, h->generation);
}

enum sftp_status sftp_handle_close(struct sftp_server *s, struct sftp_handle *h,
                                   bool forced) {
    char shown[SFTP_SHOWN];
    const char *how = forced ? "forced " : "";
    if (sftp_notes(s, LOG_LEVEL_INFO)) {
        text_clean(shown, sizeof shown, view_text(h->path));
        if (h->folder)
            sftp_note(s, LOG_LEVEL_INFO, "%sclosedir \"%s\"", how, shown);
        else
            sftp_note(s, LOG_LEVEL_INFO, "%sclose \"%s\" bytes read %llu written %llu",
                      how, shown, (unsigned long long)h->read,
                      (unsigned long long)h->written);
    }
    enum sftp_status status = s->vfs->close(s->config.vfs, h->node, h->folder);
    sftp_handle_free(s, h);
    return status;
}
