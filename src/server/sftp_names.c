// Paths made absolute, homes, owners' names, dates: what an SFTP server tells of them.
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "io/account.h"
#include "server/sftp_files.h"

#define LINKS_MAX 40  // as the kernel
#define HALF_A_YEAR (365 * 24 * 60 * 60 / 2)

// ---- realpath ----

struct resolve {
    char done[SFTP_PATH_SIZE];  // absolute, without links; "" is the root
    char left[SFTP_PATH_SIZE];  // what is still to be gone
    int links;
};

static int fail(int number) {
    errno = number;
    return -1;
}

static void up(struct resolve *r) {
    char *slash = strrchr(r->done, '/');
    if (slash != NULL)
        *slash = '\0';
}

// The next part off r->left; false: none.
static bool next_part(struct resolve *r, char part[SFTP_NAME_SIZE], int *error) {
    const char *p = r->left + strspn(r->left, "/");
    size_t n = strcspn(p, "/");
    *error = 0;
    if (n == 0)
        return false;
    if (n >= SFTP_NAME_SIZE) {
        *error = ENAMETOOLONG;
        return false;
    }
    memcpy(part, p, n);
    part[n] = '\0';
    memmove(r->left, p + n, strlen(p + n) + 1);
    return true;
}

static bool is_last(const struct resolve *r) {
    return r->left[strspn(r->left, "/")] == '\0';
}

static int go_link(struct resolve *r) {
    char whole[2 * SFTP_PATH_SIZE];
    ssize_t n = readlink(r->done, whole, SFTP_PATH_SIZE - 1);
    if (n < 0)
        return -1;
    if (++r->links > LINKS_MAX)
        return fail(ELOOP);
    whole[n] = '\0';
    up(r);
    if (whole[0] == '/')
        r->done[0] = '\0';
    snprintf(whole + n, sizeof whole - (size_t)n, "/%s", r->left);
    return text_copy(r->left, sizeof r->left, view_text(whole)) ? 0 : fail(ENAMETOOLONG);
}

static int go(struct resolve *r, const char *part) {
    struct stat st;
    size_t n = strlen(r->done);
    if (strcmp(part, ".") == 0)
        return 0;
    if (strcmp(part, "..") == 0) {
        up(r);
        return 0;
    }
    if (n + 1 + strlen(part) >= sizeof r->done)
        return fail(ENAMETOOLONG);
    snprintf(r->done + n, sizeof r->done - n, "/%s", part);
    if (lstat(r->done, &st) != 0)
        return errno == ENOENT && is_last(r) ? 0 : -1;
    if (S_ISLNK(st.st_mode))
        return go_link(r);
    return S_ISDIR(st.st_mode) || is_last(r) ? 0 : fail(ENOTDIR);
}

enum sftp_status sftp_files_realpath(struct sftp_vfs *v, const char *path, char *out) {
    const struct sftp_files *f = (const struct sftp_files *)(void *)v;
    struct resolve r = {.links = 0};
    char part[SFTP_NAME_SIZE];
    int error;
    const char *head = path[0] == '/' ? "" : f->start;
    if (strlen(head) + 1 + strlen(path) >= sizeof r.left)
        return SFTP_BAD_MESSAGE;
    snprintf(r.left, sizeof r.left, "%s/%s", head, path);
    while (next_part(&r, part, &error))
        if (go(&r, part) != 0)
            return sftp_status_of_errno(errno);
    if (error != 0)
        return sftp_status_of_errno(error);
    text_copy(out, SFTP_PATH_SIZE, view_text(r.done[0] != '\0' ? r.done : "/"));
    return SFTP_OK;
}

// ---- accounts ----

enum sftp_status sftp_files_home(struct sftp_vfs *v, const char *user, char *out) {
    (void)v;
    const struct passwd *pw = user[0] == '\0' ? getpwuid(getuid()) : getpwnam(user);
    if (pw == NULL || !text_copy(out, SFTP_PATH_SIZE, view_text(pw->pw_dir)))
        return SFTP_FAILURE;
    return SFTP_OK;
}

static bool look_up(uint32_t id, bool group, char *out, size_t size) {
    if (group)
        return account_group_name(id, out, size);
    const struct passwd *pw = getpwuid(id);
    return pw != NULL && text_copy(out, size, view_text(pw->pw_name));
}

bool sftp_files_owner(struct sftp_vfs *v, uint32_t id, bool group, char *out,
                      size_t size) {
    struct sftp_files *f = (struct sftp_files *)(void *)v;
    const struct sftp_owner *found = NULL;
    for (size_t i = 0; i < SFTP_OWNERS && found == NULL; i++) {
        const struct sftp_owner *o = &f->owners[i];
        if (o->known && o->id == id && o->group == group)
            found = o;
    }
    if (found == NULL) {
        struct sftp_owner *o = &f->owners[f->owners_n++ % SFTP_OWNERS];
        *o = (struct sftp_owner){.known = true, .group = group, .id = id};
        o->named = look_up(id, group, o->name, sizeof o->name);
        found = o;
    }
    return found->named && text_copy(out, size, view_text(found->name));
}

void sftp_files_date(struct sftp_vfs *v, uint32_t when, bool full, char *out,
                     size_t size) {
    time_t at = when, now = time(NULL);
    struct tm tm;
    (void)v;
    out[0] = '\0';
    if (localtime_r(&at, &tm) == NULL)
        return;
    bool recent = at <= now && now - at < HALF_A_YEAR;
    const char *format = full ? "%Y%m%d-%H:%M:%S" : recent ? "%b %e %H:%M" : "%b %e  %Y";
    if (strftime(out, size, format, &tm) == 0)
        out[0] = '\0';
}
