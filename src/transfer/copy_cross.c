// From one server to another, through here. Whole answers of the one become requests to
// the other; what the other does not take waits in the pipe.
#include <errno.h>
#include <poll.h>

#include "io/clock.h"
#include "transfer/copy.h"
#include "transfer/interrupt.h"
#include "transfer/names.h"
#include "transfer/say.h"

struct crossing {
    struct remote *a, *b;
    const struct copy_how *how;
    const char *from, *to;
    struct sftp_attributes st;
    struct sftp_download d;
    struct sftp_upload u;
    struct meter meter;
};

static bool lost(struct remote *r, enum err e, const char *path) {
    struct fault fault = {0};
    fault_set(&fault, e, 0, "\"%s\": %s", CLEAN(path), err_text(e));
    return remote_lost(r, &fault);
}

static bool pass_on(struct crossing *x, const struct sftp_reply *reply) {
    struct span room;
    enum err e =
        sftp_client_write_room(x->b->client, sftp_handle_view(&x->u.handle), &room);
    if (e == OK && reply->bytes.n > room.n)
        e = ERR_LIMIT;
    if (e != OK)
        return lost(x->b, e, x->to);
    memcpy(room.p, reply->bytes.p, reply->bytes.n);
    x->u.next = reply->offset;
    e = sftp_upload_send(&x->u, x->b->client, (uint32_t)reply->bytes.n, clock_ms());
    return e == OK || lost(x->b, e, x->to);
}

static bool take_data(struct crossing *x) {
    struct sftp_reply reply;
    // As long as the other end takes more.
    while (x->u.status != SFTP_OK ||
           sftp_client_allows(x->b->client, sftp_client_block(x->b->client, true))) {
        if (!remote_ready(x->a, &reply))
            return false;
        if (reply.kind == SFTP_REPLY_NONE)
            return true;
        if (reply.operation != SFTP_OP_READ)
            continue;
        if (reply.kind == SFTP_REPLY_DATA && x->u.status == SFTP_OK &&
            !pass_on(x, &reply))
            return false;
        enum err e = sftp_download_take(&x->d, x->a->client, &reply, clock_ms());
        if (e != OK)
            return lost(x->a, e, x->from);
    }
    return true;
}

static bool take_answers(struct crossing *x) {
    struct sftp_reply reply = {.kind = SFTP_REPLY_READY};
    while (reply.kind != SFTP_REPLY_NONE) {
        if (!remote_ready(x->b, &reply))
            return false;
        if (reply.kind == SFTP_REPLY_STATUS && reply.operation == SFTP_OP_WRITE)
            sftp_upload_take(&x->u, &reply);
    }
    meter_set(&x->meter, x->u.acknowledged);
    return true;
}

static bool move(struct crossing *x) {
    bool reads = remote_wants_in(x->a);
    if (!remote_move(x->a, false) || !remote_move(x->b, false))
        return false;
    struct pollfd fds[] = {
        {reads ? x->a->program.out : -1, POLLIN, 0},
        {remote_wants_out(x->a) ? x->a->program.in : -1, POLLOUT, 0},
        {x->b->program.out, POLLIN, 0},
        {remote_wants_out(x->b) ? x->b->program.in : -1, POLLOUT, 0},
    };
    int n = poll(fds, 4, meter_wait(&x->meter));
    if (n < 0)
        return errno == EINTR;
    return (fds[0].revents == 0 || remote_move(x->a, true)) &&
           (fds[2].revents == 0 || remote_move(x->b, true));
}

static bool run(struct crossing *x) {
    while (!sftp_download_done(&x->d) || x->u.under_way > 0) {
        if (interrupted() || x->u.status != SFTP_OK)
            sftp_download_stop(&x->d);
        if (sftp_download_ask(&x->d, x->a->client, clock_ms()) != OK)
            sftp_download_stop(&x->d);
        if (!move(x) || !take_answers(x) || !take_data(x))
            return false;
    }
    return true;
}

static bool settle(struct crossing *x) {
    union sftp_request handle = {.handle = {sftp_handle_view(&x->u.handle)}};
    struct sftp_reply reply;
    bool ok = x->d.status == SFTP_OK && x->u.status == SFTP_OK && !interrupted();
    if (x->d.status != SFTP_OK)
        say_status("read remote", x->from, x->d.status);
    if (x->u.status != SFTP_OK)
        say_status("write remote", x->to, x->u.status);
    if (ok && x->how->preserve) {
        struct sftp_attributes a = x->st;
        a.flags &= SFTP_ATTR_MODE | SFTP_ATTR_TIMES;
        a.mode &= 0777;
        uint32_t status = remote_set(x->b, x->to, true, &a);
        if (status != SFTP_OK)
            say_status("set attributes of", x->to, status);
        ok = status == SFTP_OK;
    }
    uint32_t status = remote_call(x->b, SFTP_OP_CLOSE, &handle, &reply);
    if (status != SFTP_OK && !x->b->lost)
        say_status("close remote", x->to, status);
    return ok && status == SFTP_OK;
}

static bool cross_opened(struct crossing *x, const struct sftp_handle_name *in,
                         const struct sftp_handle_name *out) {
    char name[NAME_PATH];
    uint64_t size = x->st.flags & SFTP_ATTR_SIZE ? x->st.size : 0;
    if (!path_last(name, x->from))
        return false;
    sftp_client_shrink(x->a->client, sftp_client_block(x->b->client, true));
    sftp_download_begin(&x->d, in, 0, size);
    sftp_upload_begin(&x->u, out, 0);
    meter_begin(&x->meter, x->how->meter, name, 0, size);
    x->a->whole = true;
    bool ok = run(x);
    x->a->whole = false;
    meter_end(&x->meter);
    return ok && settle(x);
}

bool copy_cross(struct remote *a, const char *from, struct remote *b, const char *to,
                const struct copy_how *how) {
    struct crossing x = {.a = a, .b = b, .how = how, .from = from, .to = to};
    struct sftp_attributes none = {0};
    struct sftp_handle_name in, out;
    uint32_t status = remote_stat(a, from, true, &x.st);
    if (status == SFTP_OK && !copy_is_file(&x.st)) {
        say("\"%s\": not a regular file", CLEAN(from));
        return false;
    }
    if (status == SFTP_OK)
        status = remote_open_file(a, from, SFTP_OPEN_READ, &none, &in);
    if (status != SFTP_OK) {
        say_status("open remote", from, status);
        return false;
    }
    struct sftp_attributes made = {.flags = SFTP_ATTR_MODE,
                                   .mode = x.st.flags & SFTP_ATTR_MODE ? x.st.mode & 0777
                                                                       : 0666};
    status = remote_open_file(
        b, to, SFTP_OPEN_WRITE | SFTP_OPEN_CREATE | SFTP_OPEN_TRUNCATE, &made, &out);
    if (status != SFTP_OK)
        say_status("dest open", to, status);
    bool ok = status == SFTP_OK && cross_opened(&x, &in, &out);
    remote_close_handle(a, &in);
    return ok;
}

// ---- folders ----

static bool cross_folder(struct remote *a, const char *from, struct remote *b,
                         const char *to, const struct copy_how *how, unsigned depth);

static bool cross_entry(struct remote *a, const char *from, struct remote *b,
                        const char *to, const struct remote_entry *e,
                        const struct copy_how *how, unsigned depth) {
    char source[NAME_PATH], target[NAME_PATH];
    struct sftp_attributes st = e->attributes;
    if (strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0)
        return true;
    if (!name_is_plain(e->name) || !path_join(source, from, e->name) ||
        !path_join(target, to, e->name)) {
        say("the server names \"%s\" in \"%s\", which is no file name: it is left out",
            CLEAN(e->name), CLEAN(from));
        return false;
    }
    if (copy_is_link(&st) && remote_stat(a, source, true, &st) != SFTP_OK) {
        say("\"%s\": a link that leads nowhere is left out", CLEAN(source));
        return false;
    }
    return copy_is_folder(&st) ? cross_folder(a, source, b, target, how, depth + 1)
                               : copy_cross(a, source, b, target, how);
}

static bool cross_folder(struct remote *a, const char *from, struct remote *b,
                         const char *to, const struct copy_how *how, unsigned depth) {
    scoped_listing names = {0};
    struct sftp_attributes st, there;
    if (depth >= COPY_DEPTH_MAX || remote_stat(a, from, true, &st) != SFTP_OK ||
        !copy_is_folder(&st)) {
        say("\"%s\" is not a directory, or too deep", CLEAN(from));
        return false;
    }
    uint32_t mode = st.mode & 0777, status = remote_make_folder(b, to, mode | 0700);
    if (status != SFTP_OK &&
        (remote_stat(b, to, true, &there) != SFTP_OK || !copy_is_folder(&there))) {
        say_status("remote mkdir", to, status);
        return false;
    }
    status = remote_list(a, from, &names);
    if (status != SFTP_OK)
        say_status("remote readdir", from, status);
    bool ok = status == SFTP_OK;
    for (size_t i = 0; i < names.n && !interrupted() && !a->lost && !b->lost; i++)
        ok &= cross_entry(a, from, b, to, &names.list[i], how, depth);
    st.flags &= how->preserve ? SFTP_ATTR_MODE | SFTP_ATTR_TIMES : SFTP_ATTR_MODE;
    st.mode = mode;
    if ((how->preserve || (mode & 0700) != 0700) &&
        remote_set(b, to, true, &st) != SFTP_OK)
        say("set attributes of \"%s\" failed", CLEAN(to));
    return ok && !interrupted() && !a->lost && !b->lost;
}

bool copy_cross_folder(struct remote *a, const char *from, struct remote *b,
                       const char *to, const struct copy_how *how) {
    return cross_folder(a, from, b, to, how, 0);
}
