#include "server/sftp_mounts.h"

#include <fcntl.h>

#include "io/fd.h"
#include "io/file.h"

#define MOUNTS_MAX (1024u * 1024u)

// File systems that answer, or fail, at once: disks and memory. What is not named here is
// taken for one that may hang.
static const char *const local[] = {
    "bcachefs", "bpf",    "btrfs",    "cgroup",      "cgroup2", "configfs",
    "debugfs",  "devpts", "devtmpfs", "efivarfs",    "erofs",   "exfat",
    "ext2",     "ext3",   "ext4",     "f2fs",        "fusectl", "hugetlbfs",
    "iso9660",  "jfs",    "mqueue",   "nilfs2",      "ntfs3",   "overlay",
    "proc",     "pstore", "ramfs",    "reiserfs",    "rootfs",  "securityfs",
    "squashfs", "sysfs",  "tmpfs",    "tracefs",     "udf",     "ufs",
    "vfat",     "xfs",    "zfs",      "binfmt_misc", "nsfs",    "aufs",
};

static const char *const elsewhere[] = {"/proc", "/sys", "/dev", "/run", "/boot"};

static bool is_local(struct view type) {
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        if (view_is(type, local[i]))
            return true;
    return false;
}

static bool is_elsewhere(struct view path) {
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        size_t n = strlen(elsewhere[i]);
        if (path.n >= n && memcmp(path.p, elsewhere[i], n) == 0 &&
            (path.n == n || path.p[n] == '/'))
            return true;
    }
    return false;
}

static struct view word(struct view *line) {
    size_t n = 0;
    while (n < line->n && line->p[n] != ' ')
        n++;
    struct view out = view_of(line->p, n);
    n += n < line->n;
    *line = view_of(line->p + n, line->n - n);
    return out;
}

// proc(5): ID PARENT DEVICE ROOT PLACE OPTIONS [FIELD…] - TYPE SOURCE OPTIONS
static bool line_is_local(struct view line) {
    struct view place = {0}, one;
    for (int i = 0; i < 5; i++)
        place = word(&line);
    do
        one = word(&line);
    while (one.n > 0 && !view_is(one, "-"));
    struct view type = word(&line);
    return is_elsewhere(place) || is_local(type);
}

bool sftp_mounts_local_in(const char *text) {
    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, "\n");
        if (n > 0 && !line_is_local(view_of(p, n)))
            return false;
        p += n + (p[n] == '\n');
    }
    return true;
}

bool sftp_mounts_local(void) {
    scoped_fd fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    scoped_buf text = {0};
    if (fd < 0 || file_read_fd(fd, "mountinfo", MOUNTS_MAX, &text, NULL) != OK)
        return false;
    return text.p != NULL && sftp_mounts_local_in((const char *)text.p + text.start);
}
