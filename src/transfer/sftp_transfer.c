// sftp's get and put, with patterns.
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/text.h"
#include "transfer/ahead.h"
#include "transfer/interrupt.h"
#include "transfer/names.h"
#include "transfer/say.h"
#include "transfer/sftp.h"

static struct copy_how how_of(const struct sftp_call *c) {
    struct copy_how how = c->s->how;
    how.recursive |= sftp_flag(c, 'r') || sftp_flag(c, 'R');
    how.preserve |= sftp_flag(c, 'p') || sftp_flag(c, 'P');
    how.resume |= sftp_flag(c, 'a') || strncmp(c->name, "re", 2) == 0;
    how.sync |= sftp_flag(c, 'f');
    how.meter = c->s->meter;
    how.doings = !c->s->quiet;
    if (how.sync && strstr(c->name, "put") != NULL &&
        !sftp_client_has(c->s->remote.client, SFTP_OP_FSYNC)) {
        say("put -f: the server does not support fsync@openssh.com; going on without");
        how.sync = false;
    }
    return how;
}

static bool is_local_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool single(const char *to) {
    say("Multiple source paths, but destination \"%s\" is not a directory", CLEAN(to));
    return false;
}

static bool too_long(const char *path) {
    say("\"%s\": the path is too long", CLEAN(path));
    return false;
}

// ---- get ----

static bool get_one(const struct sftp_call *c, struct remote_match *m, const char *to,
                    bool into, const struct copy_how *how) {
    char target[NAME_PATH];
    struct remote *r = &c->s->remote;
    if (!(into ? path_into(target, to, m->path) : path_join(target, "", to)))
        return too_long(m->path);
    bool link = copy_is_link(&m->attributes);
    if (link && remote_stat(r, m->path, true, &m->attributes) != SFTP_OK) {
        say("stat remote \"%s\": a link that leads nowhere", CLEAN(m->path));
        return false;
    }
    if (!copy_is_folder(&m->attributes))
        return copy_get(r, m->path, target, &m->attributes, how);
    if (how->recursive)
        return copy_get_folder(r, m->path, target, &m->attributes, how);
    say("download \"%s\": not a regular file", CLEAN(m->path));
    return false;
}

bool sftp_get(const struct sftp_call *c) {
    scoped_matches found = {0};
    char to[NAME_PATH] = ".";
    struct copy_how how = how_of(c);
    if (!sftp_find(c, c->args[0], &(struct sftp_find){"File", ".", "stat remote"},
                   &found))
        return false;
    if (c->n > 1 && !text_copy(to, sizeof to, view_text(c->args[1])))
        return too_long(c->args[1]);
    pattern_plain(to);
    bool into = c->n < 2 || is_local_folder(to), ok = true;
    if (found.n > 1 && !into)
        return single(to);
    size_t ahead = 0;
    for (size_t i = 0; i < found.n && !interrupted() && !c->s->remote.lost; i++) {
        ahead = ahead_get_matches(&c->s->remote, &found, ahead > i ? ahead : i, &how);
        ok &= get_one(c, &found.list[i], to, into, &how);
    }
    ahead_forget(&c->s->remote);
    return ok && !interrupted();
}

// ---- put ----

static bool put_one(const struct sftp_call *c, const char *from, const char *to,
                    bool into, const struct copy_how *how) {
    char target[NAME_PATH];
    struct stat st;
    if (stat(from, &st) != 0) {
        say_errno("stat local", from);
        return false;
    }
    if (!(into ? path_into(target, to, from) : path_join(target, "", to)))
        return too_long(from);
    if (!S_ISDIR(st.st_mode))
        return copy_put(&c->s->remote, from, target, how);
    if (how->recursive)
        return copy_put_folder(&c->s->remote, from, target, how);
    say("local \"%s\" is not a regular file", CLEAN(from));
    return false;
}

static size_t put_ahead(const struct sftp_call *c, const glob_t *found, size_t next,
                        const char *to, const struct copy_how *how) {
    char target[NAME_PATH];
    struct stat st;
    for (; next < found->gl_pathc; next++) {
        const char *from = found->gl_pathv[next];
        if (stat(from, &st) != 0 || !S_ISREG(st.st_mode) ||
            !path_into(target, to, from) || !ahead_put(&c->s->remote, from, target, how))
            break;
    }
    return next;
}

static bool is_remote_folder(const struct sftp_call *c, const char *path) {
    struct sftp_attributes a;
    return remote_stat(&c->s->remote, path, true, &a) == SFTP_OK && copy_is_folder(&a);
}

bool sftp_put(const struct sftp_call *c) {
    char to[NAME_PATH];
    glob_t found = {0};
    struct copy_how how = how_of(c);
    if (!sftp_absolute(c->s, c->n > 1 ? c->args[1] : ".", false, to))
        return false;
    int failed = glob(c->args[0], GLOB_TILDE, NULL, &found);
    if (failed != 0) {
        char plain[NAME_PATH];
        (void)text_copy(plain, sizeof plain, view_text(c->args[0]));
        pattern_plain(plain);
        say("stat local \"%s\": %s", CLEAN(plain),
            strerror(failed == GLOB_NOMATCH ? ENOENT : EIO));
        return false;
    }
    bool into = c->n < 2 || is_remote_folder(c, to);
    bool ok = found.gl_pathc < 2 || into || single(to);
    size_t ahead = 0;
    for (size_t i = 0;
         i < found.gl_pathc && (ok || into) && !interrupted() && !c->s->remote.lost;
         i++) {
        if (into)
            ahead = put_ahead(c, &found, ahead > i ? ahead : i, to, &how);
        ok &= put_one(c, found.gl_pathv[i], to, into, &how);
    }
    ahead_forget(&c->s->remote);
    globfree(&found);
    return ok && !interrupted();
}
