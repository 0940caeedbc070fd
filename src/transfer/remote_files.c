#include "transfer/remote_files.h"

#include <stdlib.h>

#include "transfer/names.h"
#include "transfer/say.h"

static struct view encode(const struct sftp_attributes *a, uint8_t *out, size_t size) {
    struct writer w = writer_to_span((struct span){out, size});
    sftp_attributes_write(&w, a);
    return view_of(out, w.err == OK ? w.n : 0);
}
#define ATTRIBUTES_SIZE 64u
#define ENCODED(a) encode((a), (uint8_t[ATTRIBUTES_SIZE]){0}, ATTRIBUTES_SIZE)

static uint32_t call(struct remote *r, enum sftp_operation_id op,
                     union sftp_request request) {
    struct sftp_reply reply;
    return remote_call(r, op, &request, &reply);
}

static union sftp_request path_request(const char *path) {
    return (union sftp_request){.path = {view_text(path)}};
}

static union sftp_request pair_request(const char *from, const char *to) {
    return (union sftp_request){.two_paths = {view_text(from), view_text(to)}};
}

uint32_t remote_stat(struct remote *r, const char *path, bool follow,
                     struct sftp_attributes *a) {
    struct sftp_reply reply;
    union sftp_request request = path_request(path);
    uint32_t status =
        remote_call(r, follow ? SFTP_OP_STAT : SFTP_OP_LSTAT, &request, &reply);
    *a = (struct sftp_attributes){0};
    if (status != SFTP_OK)
        return status;
    *a = reply.attributes;
    return reply.kind == SFTP_REPLY_ATTRIBUTES ? SFTP_OK : SFTP_FAILURE;
}

uint32_t remote_set(struct remote *r, const char *path, bool follow,
                    const struct sftp_attributes *a) {
    return call(r, follow ? SFTP_OP_SETSTAT : SFTP_OP_LSETSTAT,
                (union sftp_request){.path_attributes = {view_text(path), ENCODED(a)}});
}

uint32_t remote_make_folder(struct remote *r, const char *path, uint32_t mode) {
    struct sftp_attributes a = {.flags = SFTP_ATTR_MODE, .mode = mode};
    return call(r, SFTP_OP_MKDIR,
                (union sftp_request){.path_attributes = {view_text(path), ENCODED(&a)}});
}

uint32_t remote_remove(struct remote *r, const char *path, bool folder) {
    return call(r, folder ? SFTP_OP_RMDIR : SFTP_OP_REMOVE, path_request(path));
}

uint32_t remote_rename(struct remote *r, const char *from, const char *to, bool old) {
    bool replaces = !old && sftp_client_has(r->client, SFTP_OP_POSIX_RENAME);
    return call(r, replaces ? SFTP_OP_POSIX_RENAME : SFTP_OP_RENAME,
                pair_request(from, to));
}

uint32_t remote_link(struct remote *r, const char *from, const char *to) {
    return call(r, SFTP_OP_HARDLINK, pair_request(from, to));
}

uint32_t remote_symlink(struct remote *r, const char *target, const char *path) {
    return call(r, SFTP_OP_SYMLINK, pair_request(target, path));
}

uint32_t remote_real_path(struct remote *r, const char *path, char *out) {
    bool tilde = *path == '~' && sftp_client_has(r->client, SFTP_OP_EXPAND_PATH);
    struct sftp_reply reply;
    struct sftp_name name;
    union sftp_request request = path_request(path);
    uint32_t status =
        remote_call(r, tilde ? SFTP_OP_EXPAND_PATH : SFTP_OP_REALPATH, &request, &reply);
    if (status != SFTP_OK)
        return status;
    struct reader names = reader_of(reply.bytes);
    if (reply.kind != SFTP_REPLY_NAMES || reply.count != 1 ||
        !sftp_name_next(&names, &reply.count, &name) || !name_copy(out, name.name))
        return SFTP_BAD_MESSAGE;
    return SFTP_OK;
}

uint32_t remote_filesystem(struct remote *r, const char *path,
                           struct sftp_filesystem *f) {
    struct sftp_reply reply;
    union sftp_request request = path_request(path);
    uint32_t status = remote_call(r, SFTP_OP_STATVFS, &request, &reply);
    if (status != SFTP_OK)
        return status;
    struct reader in = reader_of(reply.bytes);
    uint64_t *const fields[] = {&f->block_size,  &f->fragment_size,    &f->blocks,
                                &f->blocks_free, &f->blocks_available, &f->files,
                                &f->files_free,  &f->files_available,  &f->id,
                                &f->flags,       &f->name_max};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        *fields[i] = read_u64(&in);
    return reader_end(&in) == OK ? SFTP_OK : SFTP_BAD_MESSAGE;
}

// ---- handles ----

static uint32_t opened(uint32_t status, const struct sftp_reply *reply,
                       struct sftp_handle_name *h) {
    if (status != SFTP_OK)
        return status;
    if (reply->kind != SFTP_REPLY_HANDLE)
        return SFTP_FAILURE;
    memcpy(h->p, reply->bytes.p, reply->bytes.n);
    h->n = reply->bytes.n;
    return SFTP_OK;
}

uint32_t remote_open_file(struct remote *r, const char *path, uint32_t flags,
                          const struct sftp_attributes *a, struct sftp_handle_name *h) {
    struct sftp_reply reply;
    union sftp_request request = {.open = {view_text(path), flags, ENCODED(a)}};
    return opened(remote_call(r, SFTP_OP_OPEN, &request, &reply), &reply, h);
}

void remote_close_handle(struct remote *r, const struct sftp_handle_name *h) {
    union sftp_request request = {.handle = {sftp_handle_view(h)}};
    uint32_t ticket = remote_ask(r, SFTP_OP_CLOSE, &request);
    if (ticket != 0)
        sftp_client_forget(r->client, ticket);
}

uint32_t remote_copy(struct remote *r, const char *from, const char *to) {
    struct sftp_handle_name in, out;
    struct sftp_attributes a, none = {0};
    uint32_t status = remote_stat(r, from, true, &a);
    if (status != SFTP_OK)
        return status;
    struct sftp_attributes made = {
        .flags = SFTP_ATTR_MODE, .mode = a.flags & SFTP_ATTR_MODE ? a.mode & 0777 : 0666};
    status = remote_open_file(r, from, SFTP_OPEN_READ, &none, &in);
    if (status != SFTP_OK)
        return status;
    status = remote_open_file(
        r, to, SFTP_OPEN_WRITE | SFTP_OPEN_CREATE | SFTP_OPEN_TRUNCATE, &made, &out);
    if (status == SFTP_OK) {
        status = call(r, SFTP_OP_COPY_DATA,
                      (union sftp_request){.copy = {sftp_handle_view(&in), 0, 0,
                                                    sftp_handle_view(&out), 0}});
        uint32_t closed = call(r, SFTP_OP_CLOSE,
                               (union sftp_request){.handle = {sftp_handle_view(&out)}});
        status = status == SFTP_OK ? closed : status;
    }
    remote_close_handle(r, &in);
    return status;
}

// ---- listings ----

#define LISTING_ASKS 16u  // READDIRs at a time

static bool add_entry(struct remote_listing *l, const struct sftp_name *name) {
    char copy[NAME_PATH];
    if (l->n == l->room) {
        size_t room = l->room == 0 ? 64 : 2 * l->room;
        struct remote_entry *list = reallocarray(l->list, room, sizeof *list);
        if (list == NULL)
            return false;
        l->list = list;
        l->room = room;
    }
    if (!name_copy(copy, name->name))
        return true;  // a name that nobody can have
    struct remote_entry e = {strdup(copy),
                             strndup((const char *)name->line.p, name->line.n),
                             name->attributes};
    l->list[l->n++] = e;
    return e.name != NULL && e.line != NULL;
}

static uint32_t take_names(struct remote_listing *l, const struct sftp_reply *reply) {
    struct reader in = reader_of(reply->bytes);
    uint32_t count = reply->count;
    struct sftp_name name;
    if (reply->kind != SFTP_REPLY_NAMES || count == 0)
        return SFTP_BAD_MESSAGE;  // an empty answer would lead on for ever
    while (sftp_name_next(&in, &count, &name))
        if (l->n == REMOTE_LISTING_MAX || !add_entry(l, &name))
            return SFTP_FAILURE;
    return reader_end(&in) == OK ? SFTP_OK : SFTP_BAD_MESSAGE;
}

// Several READDIRs are under way, so that a long folder takes few round trips; two at
// first, for a short one's names and their end. What comes behind the end says nothing.
static uint32_t read_names(struct remote *r, const struct sftp_handle_name *h,
                           struct remote_listing *out) {
    const union sftp_request request = {.handle = {sftp_handle_view(h)}};
    uint32_t tickets[LISTING_ASKS], status = SFTP_OK;
    size_t open = 0, most = 2, i;
    struct sftp_reply reply;
    do {
        while (status == SFTP_OK && open < most) {
            tickets[open] = remote_ask(r, SFTP_OP_READDIR, &request);
            if (tickets[open++] == 0)
                return SFTP_CONNECTION_LOST;
        }
        if (!remote_turn(r, &reply))
            return SFTP_CONNECTION_LOST;
        for (i = 0;
             i < open && (reply.kind == SFTP_REPLY_NONE || tickets[i] != reply.ticket);)
            i++;
        if (i == open)
            continue;
        tickets[i] = tickets[--open];
        if (status != SFTP_OK)
            continue;
        status = reply.kind == SFTP_REPLY_STATUS && reply.status != SFTP_OK
                     ? reply.status
                     : take_names(out, &reply);
        most = 2 * most < LISTING_ASKS ? 2 * most : LISTING_ASKS;
    } while (open > 0 || status == SFTP_OK);
    return status;
}

uint32_t remote_list(struct remote *r, const char *path, struct remote_listing *out) {
    struct sftp_handle_name h;
    struct sftp_reply reply;
    union sftp_request request = path_request(path);
    *out = (struct remote_listing){0};
    uint32_t status =
        opened(remote_call(r, SFTP_OP_OPENDIR, &request, &reply), &reply, &h);
    if (status != SFTP_OK)
        return status;
    status = read_names(r, &h, out);
    remote_close_handle(r, &h);
    return status == SFTP_EOF ? SFTP_OK : status;
}

void remote_listing_free(struct remote_listing *l) {
    for (size_t i = 0; i < l->n; i++) {
        free(l->list[i].name);
        free(l->list[i].line);
    }
    free(l->list);
    *l = (struct remote_listing){0};
}
