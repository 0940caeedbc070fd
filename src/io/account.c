#include "io/account.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <shadow.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "io/clock.h"
#include "io/fault_errno.h"
#include "io/fd.h"

#define TEXT_START 1024u
#define TEXT_MAX (1024u * 1024u)

void account_drop(struct account *a) {
    if (a->password != NULL)
        secret_wipe(a->password, strlen(a->password));
    free(a->name);
    free(a->directory);
    free(a->shell);
    free(a->groups);
    free(a->password);
    *a = (struct account){0};
}

static enum err copy_groups(struct account *a) {
    int n = ACCOUNT_GROUPS_MAX;
    a->groups = calloc(ACCOUNT_GROUPS_MAX, sizeof *a->groups);
    if (a->groups == NULL)
        return ERR_MEMORY;
    // More groups than that are cut: less access, never more.
    if (getgrouplist(a->name, a->gid, a->groups, &n) < 0)
        n = ACCOUNT_GROUPS_MAX;
    a->groups_n = (size_t)n;
    return OK;
}

static bool starts_with(const char *s, const char *start) {
    return strncmp(s, start, strlen(start)) == 0;
}

// Negative: no end, over already, or too far off to be warned of.
static long days_left(long end, long today, long warn) {
    return end > 0 && end - today <= warn ? end - today : -1;
}

static void judge_shadow(struct account *a, const struct spwd *s) {
    long today = (long)(clock_wall_s() / 86400);
    a->shadow_known = true;
    a->locked = starts_with(s->sp_pwdp, "!") || starts_with(s->sp_pwdp, "*LK*");
    a->expired = s->sp_expire > 0 && today > s->sp_expire;
    a->must_change =
        s->sp_lstchg == 0 || (s->sp_lstchg > 0 && s->sp_max >= 0 && s->sp_max < 99999 &&
                              today > s->sp_lstchg + s->sp_max);
    a->account_days = days_left(s->sp_expire, today, s->sp_warn);
    a->password_days = s->sp_lstchg > 0 && s->sp_max >= 0 && s->sp_max < 99999
                           ? days_left(s->sp_lstchg + s->sp_max, today, s->sp_warn)
                           : -1;
    a->password = strdup(s->sp_pwdp);
}

// An entry is short, and wiping costs a page fault for each page of the room.
static void look_at_shadow(struct account *a) {
    int bad = ERANGE;
    for (size_t size = TEXT_START; bad == ERANGE && size <= TEXT_MAX / 16; size *= 4) {
        struct spwd s, *found = NULL;
        char *text = malloc(size);
        if (text == NULL)
            return;
        bad = getspnam_r(a->name, &s, text, size, &found);
        if (bad == 0 && found != NULL)
            judge_shadow(a, &s);
        secret_wipe(text, size);
        free(text);
    }
}

static enum err copy_passwd(const struct passwd *pw, struct account *a) {
    a->uid = pw->pw_uid;
    a->gid = pw->pw_gid;
    a->name = strdup(pw->pw_name);
    a->directory = strdup(pw->pw_dir);
    a->shell = strdup(pw->pw_shell[0] != '\0' ? pw->pw_shell : "/bin/sh");
    if (a->name == NULL || a->directory == NULL || a->shell == NULL)
        return ERR_MEMORY;
    TRY(copy_groups(a));
    look_at_shadow(a);
    return OK;
}

// One of the two: by name, or by uid where name is NULL.
static enum err look_up(const char *name, uid_t uid, struct account *a, struct fault *f) {
    *a = (struct account){.account_days = -1, .password_days = -1};
    for (size_t size = TEXT_START; size <= TEXT_MAX; size *= 4) {
        struct passwd pw, *found = NULL;
        char *text = malloc(size);
        if (text == NULL)
            return fault_set(f, ERR_MEMORY, 0, "out of memory");
        int bad = name != NULL ? getpwnam_r(name, &pw, text, size, &found)
                               : getpwuid_r(uid, &pw, text, size, &found);
        enum err e = found != NULL ? copy_passwd(found, a) : ERR_NOT_FOUND;
        free(text);
        if (bad == ERANGE)
            continue;
        if (found == NULL && bad != 0 && bad != ENOENT && bad != ESRCH) {
            errno = bad;
            return fault_errno(f, "account database");
        }
        if (e != OK) {
            account_drop(a);
            fault_set(f, e, 0, e == ERR_NOT_FOUND ? "no such account" : "out of memory");
        }
        return e;
    }
    return fault_set(f, ERR_LIMIT, 0, "account entry too long");
}

enum err account_by_name(const char *name, struct account *a, struct fault *f) {
    return look_up(name, 0, a, f);
}

enum err account_by_uid(uid_t uid, struct account *a, struct fault *f) {
    return look_up(NULL, uid, a, f);
}

// False without such a group; else what fn says of it.
static bool with_group(gid_t gid, bool (*fn)(const struct group *group, void *arg),
                       void *arg) {
    bool good = false;
    int bad = ERANGE;
    for (size_t room = TEXT_START; bad == ERANGE && room <= TEXT_MAX; room *= 4) {
        struct group group, *found = NULL;
        char *text = malloc(room);
        if (text == NULL)
            return false;
        bad = getgrgid_r(gid, &group, text, room, &found);
        good = bad == 0 && found != NULL && fn(found, arg);
        free(text);
    }
    return good;
}

static bool copy_name(const struct group *group, void *arg) {
    const struct span *out = arg;
    size_t n = strlen(group->gr_name);
    if (n < out->n)
        memcpy(out->p, group->gr_name, n + 1);
    return n < out->n;
}

bool account_group_name(gid_t gid, char *out, size_t size) {
    return with_group(gid, copy_name, &(struct span){(uint8_t *)out, size});
}

void account_each_group(const struct account *a, bool (*fn)(void *arg, const char *name),
                        void *arg) {
    char name[256];
    for (size_t i = 0; i < a->groups_n; i++)
        if (account_group_name(a->groups[i], name, sizeof name) && !fn(arg, name))
            return;
}

// The group has that name and no other member.
static bool is_alone(const struct group *group, void *arg) {
    const char *name = arg;
    bool alone = strcmp(group->gr_name, name) == 0;
    for (char **m = group->gr_mem; alone && *m != NULL; m++)
        alone = strcmp(*m, name) == 0;
    return alone;
}

bool account_private_group(uid_t uid, gid_t gid) {
    scoped_account a = {0};
    bool alone = account_by_uid(uid, &a, NULL) == OK && a.gid == gid && uid != 0 &&
                 with_group(gid, is_alone, a.name);
    if (!alone)
        return false;
    setpwent();
    for (const struct passwd *p; alone && (p = getpwent()) != NULL;)
        alone = p->pw_gid != gid || p->pw_uid == uid;
    endpwent();
    return alone;
}

enum err account_check_shell(const struct account *a, struct fault *f) {
    struct stat st;
    if (stat(a->shell, &st) != 0)
        return errno == ENOENT
                   ? fault_set(f, ERR_REFUSED, 0, "shell %s does not exist", a->shell)
                   : fault_errno(f, "shell %s", a->shell);
    if (!S_ISREG(st.st_mode) || (st.st_mode & 0111) == 0)
        return fault_set(f, ERR_REFUSED, 0, "shell %s is not executable", a->shell);
    return OK;
}

bool account_nologin(const struct account *a, char *out, size_t size) {
    static const char *const paths[] = {"/run/nologin", "/etc/nologin"};
    if (a->uid == 0)
        return false;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct stat st;
        if (stat(paths[i], &st) != 0)
            continue;
        scoped_fd fd = open(paths[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        size_t n = 0;
        if (fd >= 0 && S_ISREG(st.st_mode))
            (void)!fd_read_full(fd, (struct span){(uint8_t *)out, size - 1}, &n);
        out[n] = '\0';
        return true;
    }
    return false;
}

bool account_in_netgroup(const char *group, const char *host, const char *user) {
    return innetgr(group, host, user, NULL) == 1;
}
