// Requests on paths (draft-ietf-secsh-filexfer-02 s.6.5 to 6.11).
#include "base/text.h"
#include "sftp/server_state.h"

static void look(struct sftp_server *s, const union sftp_request *r, bool follow) {
    char path[SFTP_PATH_SIZE];
    struct sftp_attributes a;
    if (!sftp_path(s, r->path.path, path))
        return;
    sftp_note_path(s, LOG_LEVEL_VERBOSE, follow ? "stat name" : "lstat name", path);
    enum sftp_status status = s->vfs->stat(s->config.vfs, path, follow, &a);
    if (status == SFTP_OK)
        sftp_answer_attributes(s, &a);
    else
        sftp_answer_status(s, status);
}

static void do_stat(struct sftp_server *s, const union sftp_request *r) {
    look(s, r, true);
}

static void do_lstat(struct sftp_server *s, const union sftp_request *r) {
    look(s, r, false);
}

static void do_remove(struct sftp_server *s, const union sftp_request *r) {
    char path[SFTP_PATH_SIZE];
    if (!sftp_path(s, r->path.path, path))
        return;
    sftp_note_path(s, LOG_LEVEL_INFO, "remove name", path);
    sftp_answer_status(s, s->vfs->remove(s->config.vfs, path, false));
}

static void do_remove_folder(struct sftp_server *s, const union sftp_request *r) {
    char path[SFTP_PATH_SIZE];
    if (!sftp_path(s, r->path.path, path))
        return;
    sftp_note_path(s, LOG_LEVEL_INFO, "rmdir name", path);
    sftp_answer_status(s, s->vfs->remove(s->config.vfs, path, true));
}

static void do_make_folder(struct sftp_server *s, const union sftp_request *r) {
    char path[SFTP_PATH_SIZE], shown[SFTP_SHOWN];
    struct sftp_attributes a;
    if (!sftp_attributes(s, r->path_attributes.attributes, &a) ||
        !sftp_path(s, r->path_attributes.path, path))
        return;
    uint32_t mode = a.flags & SFTP_ATTR_MODE ? a.mode & 07777 : 0777;
    sftp_note(s, LOG_LEVEL_INFO, "mkdir name \"%s\" mode 0%o",
              text_clean(shown, sizeof shown, view_text(path)), mode);
    sftp_answer_status(s, s->vfs->make_folder(s->config.vfs, path, mode));
}

// Both paths, logged. False: answered.
static bool two_paths(struct sftp_server *s, const union sftp_request *r,
                      const char *what, char from[SFTP_PATH_SIZE],
                      char to[SFTP_PATH_SIZE]) {
    char shown[2][SFTP_SHOWN / 2];
    if (!sftp_path(s, r->two_paths.from, from) || !sftp_path(s, r->two_paths.to, to))
        return false;
    sftp_note(s, LOG_LEVEL_INFO, "%s old \"%s\" new \"%s\"", what,
              text_clean(shown[0], sizeof shown[0], view_text(from)),
              text_clean(shown[1], sizeof shown[1], view_text(to)));
    return true;
}

static void do_rename(struct sftp_server *s, const union sftp_request *r) {
    char from[SFTP_PATH_SIZE], to[SFTP_PATH_SIZE];
    if (two_paths(s, r, "rename", from, to))
        sftp_answer_status(s, s->vfs->rename(s->config.vfs, from, to, false));
}

static void do_posix_rename(struct sftp_server *s, const union sftp_request *r) {
    char from[SFTP_PATH_SIZE], to[SFTP_PATH_SIZE];
    if (two_paths(s, r, "posix-rename", from, to))
        sftp_answer_status(s, s->vfs->rename(s->config.vfs, from, to, true));
}

static void do_link(struct sftp_server *s, const union sftp_request *r) {
    char from[SFTP_PATH_SIZE], to[SFTP_PATH_SIZE];
    if (two_paths(s, r, "hardlink", from, to))
        sftp_answer_status(s, s->vfs->link(s->config.vfs, from, to));
}

static void do_symlink(struct sftp_server *s, const union sftp_request *r) {
    char from[SFTP_PATH_SIZE], to[SFTP_PATH_SIZE];
    if (two_paths(s, r, "symlink", from, to))
        sftp_answer_status(s, s->vfs->symlink(s->config.vfs, from, to));
}

static void answer_path(struct sftp_server *s, enum sftp_status status,
                        const char *path) {
    if (status == SFTP_OK)
        sftp_answer_name(s, path);
    else
        sftp_answer_status(s, status);
}

static void do_readlink(struct sftp_server *s, const union sftp_request *r) {
    char path[SFTP_PATH_SIZE], out[SFTP_PATH_SIZE];
    if (!sftp_path(s, r->path.path, path))
        return;
    sftp_note_path(s, LOG_LEVEL_VERBOSE, "readlink", path);
    answer_path(s, s->vfs->readlink(s->config.vfs, path, out), out);
}

static void do_realpath(struct sftp_server *s, const union sftp_request *r) {
    char path[SFTP_PATH_SIZE], out[SFTP_PATH_SIZE];
    if (!sftp_path(s, r->path.path, path))
        return;
    if (path[0] == '\0')
        memcpy(path, ".", 2);
    sftp_note_path(s, LOG_LEVEL_VERBOSE, "realpath", path);
    answer_path(s, s->vfs->realpath(s->config.vfs, path, out), out);
}

// "~", "~/x": the starting folder; "~user/x": that user's home.
static enum sftp_status expand(struct sftp_server *s, char path[SFTP_PATH_SIZE]) {
    char user[256], home[SFTP_PATH_SIZE], whole[SFTP_PATH_SIZE];
    if (path[0] != '~')
        return SFTP_OK;
    size_t n = strcspn(path, "/");
    if (n == 1)
        memcpy(home, ".", 2);
    else if (!text_copy(user, sizeof user, view_of(path + 1, n - 1)) ||
             s->vfs->home(s->config.vfs, user, home) != SFTP_OK)
        return SFTP_NO_SUCH_FILE;
    size_t head = strlen(home), tail = strlen(path + n);
    if (head + tail >= sizeof whole)
        return SFTP_BAD_MESSAGE;
    memcpy(whole, home, head);
    memcpy(whole + head, path + n, tail + 1);
    memcpy(path, whole, head + tail + 1);
    return SFTP_OK;
}

static void do_expand(struct sftp_server *s, const union sftp_request *r) {
    char path[SFTP_PATH_SIZE], out[SFTP_PATH_SIZE];
    if (!sftp_path(s, r->path.path, path))
        return;
    sftp_note_path(s, LOG_LEVEL_VERBOSE, "expand", path);
    enum sftp_status status = expand(s, path);
    if (path[0] == '\0')
        memcpy(path, ".", 2);
    if (status == SFTP_OK)
        status = s->vfs->realpath(s->config.vfs, path, out);
    answer_path(s, status, out);
}

static void do_home(struct sftp_server *s, const union sftp_request *r) {
    char user[SFTP_PATH_SIZE], out[SFTP_PATH_SIZE];
    if (!sftp_path(s, r->path.path, user))
        return;
    sftp_note_path(s, LOG_LEVEL_VERBOSE, "home-directory", user);
    answer_path(s, s->vfs->home(s->config.vfs, user, out), out);
}

const sftp_handler sftp_path_handlers[SFTP_OP_COUNT] = {
    [SFTP_OP_STAT] = do_stat,           [SFTP_OP_LSTAT] = do_lstat,
    [SFTP_OP_REMOVE] = do_remove,       [SFTP_OP_MKDIR] = do_make_folder,
    [SFTP_OP_RMDIR] = do_remove_folder, [SFTP_OP_REALPATH] = do_realpath,
    [SFTP_OP_RENAME] = do_rename,       [SFTP_OP_POSIX_RENAME] = do_posix_rename,
    [SFTP_OP_HARDLINK] = do_link,       [SFTP_OP_READLINK] = do_readlink,
    [SFTP_OP_SYMLINK] = do_symlink,     [SFTP_OP_EXPAND_PATH] = do_expand,
    [SFTP_OP_HOME_DIRECTORY] = do_home,
};
