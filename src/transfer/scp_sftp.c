// scp's copies by SFTP.
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "transfer/ahead.h"
#include "transfer/names.h"
#include "transfer/remote_glob.h"
#include "transfer/say.h"
#include "transfer/scp.h"

// ---- sessions ----

static bool same(const char *a, const char *b) {
    return (a == NULL && b == NULL) || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool end_session(struct scp_session *session) {
    if (!session->open)
        return true;
    session->open = false;
    bool lost = session->remote.lost;
    if (lost)
        say("%s", CLEAN(fault_text(&session->remote.fault)));
    address_free(&session->of);
    return remote_close(&session->remote) == 0 && !lost;
}

bool scp_disconnect(struct scp *s) {
    bool from = end_session(&s->from), to = end_session(&s->to);
    return from && to;
}

// The session with that host, opened if it is not; says what goes wrong.
static struct remote *scp_connect(struct scp *s, struct scp_session *session,
                                  const struct address *a) {
    scoped_words line = {0};
    const char *path;
    struct fault fault = {0};
    if (session->open && !session->remote.lost && same(session->of.host, a->host) &&
        same(session->of.user, a->user) && session->of.port == a->port)
        return &session->remote;
    (void)end_session(session);
    struct ssh_target target = {a->user, a->host, a->port};
    enum err e = ssh_words_sftp(&s->ssh, &target, "sftp", &line, &path);
    if (e == OK)
        e = remote_open(&session->remote, path, &line, &s->config, &fault);
    if (e != OK) {
        say("%s", CLEAN(e == fault.code ? fault_text(&fault) : err_text(e)));
        s->unreachable = true;
        return NULL;
    }
    session->open = true;
    session->remote.throttle = &s->throttle;
    session->of = (struct address){.port = a->port};
    session->of.host = strdup(a->host);
    session->of.user = a->user != NULL ? strdup(a->user) : NULL;
    return &session->remote;
}

// ---- paths ----

// As a shell at the other end would take it: empty is home, where the server begins.
static bool remote_path(struct remote *r, const char *path, char out[NAME_PATH]) {
    if (*path == '\0' || strcmp(path, "~") == 0)
        return path_join(out, "", ".");
    if (*path == '~' && path[1] == '/')
        return path_join(out, "",
                         path[2 + strspn(path + 2, "/")] != '\0'
                             ? path + 2 + strspn(path + 2, "/")
                             : ".");
    if (*path != '~')
        return path_join(out, "", path);
    if (!sftp_client_has(r->client, SFTP_OP_EXPAND_PATH)) {
        say("\"%s\": the server does not expand other users' homes; try -O", CLEAN(path));
        return false;
    }
    uint32_t status = remote_real_path(r, path, out);
    if (status != SFTP_OK && !r->lost)
        say_status("expand", path, status);
    return status == SFTP_OK;
}

// folder/last part of `name`.
static bool into_folder(char out[NAME_PATH], const char *folder, const char *name) {
    if (path_into(out, folder, name))
        return true;
    say("\"%s\": the path is too long", CLEAN(name));
    return false;
}

// The target on a server: a folder that is to be one is made if nothing is there.
static bool remote_target(struct scp *s, struct remote *r, const char *target,
                          const char *source, char out[NAME_PATH]) {
    struct sftp_attributes a;
    if (s->into_folder)
        return into_folder(out, target, source);
    uint32_t status = remote_stat(r, target, true, &a);
    if (r->lost)
        return false;
    bool folder = status == SFTP_OK && copy_is_folder(&a);
    if (s->target_is_folder && !folder) {
        if (status == SFTP_OK) {
            say("%s: Not a directory", CLEAN(target));
            return false;
        }
        status = remote_make_folder(r, target, 0777);
        if (status != SFTP_OK) {
            say_status("remote mkdir", target, status);
            return false;
        }
        folder = true;
    }
    s->into_folder = folder && s->target_is_folder;
    return folder ? into_folder(out, target, source) : path_join(out, "", target);
}

// ---- copies ----

// The files of the command line from the current one on, to be put into that folder.
static void put_ahead(struct scp *s, struct remote *r, const char *folder) {
    char target[NAME_PATH], why[128];
    bool room = true;
    if (s->ahead < s->current)
        s->ahead = s->current;
    while (room && s->ahead + 1 < s->files_n) {
        struct address from = {0};
        struct stat st;
        room = address_parse(&from, s->files[s->ahead], "scp://", true, why) &&
               !from.remote && stat(from.path, &st) == 0 && S_ISREG(st.st_mode) &&
               path_into(target, folder, from.path) &&
               ahead_put(r, from.path, target, &s->how);
        address_free(&from);
        s->ahead += room;
    }
}

bool scp_sftp_put(struct scp *s, const char *from, const struct address *to) {
    char path[NAME_PATH], target[NAME_PATH];
    struct stat st;
    struct remote *r = scp_connect(s, &s->to, to);
    if (r == NULL)
        return false;
    if (stat(from, &st) != 0) {
        say("stat local \"%s\": %s", CLEAN(from), strerror(errno));
        return false;
    }
    if (S_ISDIR(st.st_mode) && !s->how.recursive) {
        say("local \"%s\" is not a regular file", CLEAN(from));
        return false;
    }
    if (!remote_path(r, to->path, path) || !remote_target(s, r, path, from, target))
        return false;
    if (s->into_folder)
        put_ahead(s, r, path);
    return S_ISDIR(st.st_mode) ? copy_put_folder(r, from, target, &s->how)
                               : copy_put(r, from, target, &s->how);
}

// What the source names: a pattern's matches or, if there are none, the very name.
static bool find_sources(struct remote *r, const struct address *from,
                         struct remote_matches *found) {
    char path[NAME_PATH];
    if (!remote_path(r, from->path, path))
        return false;
    uint32_t status = remote_glob(r, path, found);
    if (status == SFTP_NO_SUCH_FILE && found->pattern) {
        char literal[2 * NAME_PATH], *out = literal;
        for (const char *p = path; *p != '\0'; p++) {
            if (strchr("*?[\\", *p) != NULL)
                *out++ = '\\';
            *out++ = *p;
        }
        *out = '\0';
        remote_matches_free(found);
        status = remote_glob(r, literal, found);
    }
    if (status != SFTP_OK && !r->lost)
        say("%s: %s", CLEAN(path), sftp_status_text(status));
    return status == SFTP_OK;
}

// Attributes of a match, links followed. False: it leads nowhere, and that was said.
static bool resolve(struct remote *r, struct remote_match *m) {
    if ((m->attributes.flags & SFTP_ATTR_MODE) && !copy_is_link(&m->attributes))
        return true;
    uint32_t status = remote_stat(r, m->path, true, &m->attributes);
    if (status != SFTP_OK && !r->lost)
        say_status("stat remote", m->path, status);
    return status == SFTP_OK;
}

static bool may_be_copied(struct scp *s, const struct remote_match *m) {
    if (!copy_is_folder(&m->attributes) || s->how.recursive)
        return true;
    say("download \"%s\": not a regular file", CLEAN(m->path));
    return false;
}

static bool is_local_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool get_match(struct scp *s, struct remote *r, struct remote_match *m,
                      const char *to, bool folder) {
    char target[NAME_PATH];
    if (!resolve(r, m) || !may_be_copied(s, m))
        return false;
    if (!(folder ? into_folder(target, to, m->path) : path_join(target, "", to)))
        return false;
    return copy_is_folder(&m->attributes)
               ? copy_get_folder(r, m->path, target, &m->attributes, &s->how)
               : copy_get(r, m->path, target, &m->attributes, &s->how);
}

bool scp_sftp_get(struct scp *s, const struct address *from, const char *to) {
    scoped_matches found = {0};
    struct remote *r = scp_connect(s, &s->from, from);
    if (r == NULL || !find_sources(r, from, &found))
        return false;
    bool folder = is_local_folder(to), ok = true;
    if ((found.n > 1 || s->target_is_folder) && !folder) {
        say("%s: Not a directory", CLEAN(to));
        return false;
    }
    size_t ahead = 0;
    for (size_t i = 0; i < found.n && !r->lost; i++) {
        ahead = ahead_get_matches(r, &found, ahead > i ? ahead : i, &s->how);
        ok &= get_match(s, r, &found.list[i], to, folder);
    }
    ahead_forget(r);
    return ok && !r->lost;
}

static bool cross_match(struct scp *s, struct remote *a, struct remote_match *m,
                        struct remote *b, const char *to) {
    char target[NAME_PATH];
    if (!resolve(a, m) || !may_be_copied(s, m) ||
        !remote_target(s, b, to, m->path, target))
        return false;
    return copy_is_folder(&m->attributes)
               ? copy_cross_folder(a, m->path, b, target, &s->how)
               : copy_cross(a, m->path, b, target, &s->how);
}

bool scp_sftp_cross(struct scp *s, const struct address *from, const struct address *to) {
    scoped_matches found = {0};
    char path[NAME_PATH];
    struct remote *a = scp_connect(s, &s->from, from);
    struct remote *b = a != NULL ? scp_connect(s, &s->to, to) : NULL;
    if (b == NULL || !find_sources(a, from, &found) || !remote_path(b, to->path, path))
        return false;
    s->target_is_folder |= found.n > 1;
    bool ok = true;
    for (size_t i = 0; i < found.n && !a->lost && !b->lost; i++)
        ok &= cross_match(s, a, &found.list[i], b, path);
    return ok && !a->lost && !b->lost;
}
