#include "io/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/fault_errno.h"

static bool is_exactly(uid_t uid, gid_t gid) {
    uid_t r, e, s;
    gid_t rg, eg, sg;
    return getresuid(&r, &e, &s) == 0 && getresgid(&rg, &eg, &sg) == 0 && r == uid &&
           e == uid && s == uid && rg == gid && eg == gid && sg == gid;
}

static bool can_return(uid_t uid, gid_t gid) {
    if (uid != 0 && (setuid(0) == 0 || seteuid(0) == 0))
        return true;
    return uid != 0 && gid != 0 && (setgid(0) == 0 || setegid(0) == 0);
}

enum err privilege_drop(const struct privilege *to, struct fault *f) {
    if (geteuid() != 0) {
        if (is_exactly(to->uid, to->gid))
            return OK;
        return fault_set(f, ERR_REFUSED, 0, "cannot become uid %u from uid %u",
                         (unsigned)to->uid, (unsigned)geteuid());
    }
    if (setgroups(to->groups_n, to->groups) != 0 ||
        setresgid(to->gid, to->gid, to->gid) != 0 ||
        setresuid(to->uid, to->uid, to->uid) != 0)
        return fault_errno(f, "become uid %u", (unsigned)to->uid);
    if (!is_exactly(to->uid, to->gid) || can_return(to->uid, to->gid))
        return fault_set(f, ERR_REFUSED, 0, "becoming uid %u did not hold",
                         (unsigned)to->uid);
    return OK;
}

static enum err save_groups(struct privilege_before *before, struct fault *f) {
    int n = getgroups(0, NULL);
    if (n < 0)
        return fault_errno(f, "getgroups");
    before->groups = calloc((size_t)n + 1, sizeof *before->groups);
    if (before->groups == NULL)
        return fault_set(f, ERR_MEMORY, 0, "out of memory");
    n = getgroups(n, before->groups);
    if (n < 0)
        return fault_errno(f, "getgroups");
    before->groups_n = (size_t)n;
    return OK;
}

enum err privilege_act_as(const struct privilege *as, struct privilege_before *before,
                          struct fault *f) {
    *before = (struct privilege_before){.uid = geteuid(), .gid = getegid()};
    if (before->uid != 0) {
        if (before->uid == as->uid)
            return OK;
        return fault_set(f, ERR_REFUSED, 0, "cannot act as uid %u", (unsigned)as->uid);
    }
    enum err e = save_groups(before, f);
    if (e != OK) {
        free(before->groups);
        *before = (struct privilege_before){0};
        return e;
    }
    before->changed = true;
    if (setgroups(as->groups_n, as->groups) == 0 && setegid(as->gid) == 0 &&
        seteuid(as->uid) == 0)
        return OK;
    e = fault_errno(f, "act as uid %u", (unsigned)as->uid);
    privilege_back(before);
    return e;
}

void privilege_back(struct privilege_before *before) {
    if (!before->changed)
        return;
    if (seteuid(before->uid) != 0 || setegid(before->gid) != 0 ||
        setgroups(before->groups_n, before->groups) != 0)
        abort();
    free(before->groups);
    *before = (struct privilege_before){0};
}

void privilege_drop_capabilities(void) {
    for (unsigned long i = 0; i < 64; i++)
        if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0 && errno == EINVAL)
            break;
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0}};
    (void)syscall(SYS_capset, &header, none);
}
