// What the server adds to the SFTP engine: flags, mounts, the files themselves.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the above
#include <cmocka.h>

#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "server/sftp_files.h"
#include "server/sftp_mounts.h"
#include "server/sftp_options.h"

static const struct sftp_user user = {"kim", "/home/kim", "192.0.2.1"};

static void options(void **state) {
    struct sftp_options o;
    (void)state;
    assert_int_equal(sftp_options_parse_text(&o, "", &user, NULL), OK);
    assert_int_equal(o.level, LOG_LEVEL_ERROR);
    assert_int_equal(o.facility, LOG_AUTH);
    assert_int_equal(o.allowed, SFTP_OPERATIONS_ALL);
    assert_false(o.read_only || o.to_stderr || o.masked || o.help);
    assert_int_equal(
        sftp_options_parse_text(&o, " -eR -lINFO -f LOCAL3 -u 027\t-d \"%d/a b/%u%%\"",
                                &user, NULL),
        OK);
    assert_true(o.read_only && o.to_stderr && o.masked);
    assert_int_equal(o.mask, 027);
    assert_int_equal(o.level, LOG_LEVEL_INFO);
    assert_int_equal(o.facility, LOG_LOCAL3);
    assert_string_equal(o.start, "/home/kim/a b/kim%");
    assert_int_equal(sftp_options_parse_text(&o, "-R -- host sftp", &user, NULL), OK);
    assert_true(o.read_only);
    assert_int_equal(
        sftp_options_parse_text(&o, "-p stat,read,fsync -P read", &user, NULL), OK);
    assert_int_equal(o.allowed, 1ull << SFTP_OP_STAT | 1ull << SFTP_OP_FSYNC);
}

static void bad_options(void **state) {
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"-x", "unknown option -x"},
        {"-d", "option -d wants an argument"},
        {"-d %h", "unknown token %h"},
        {"-u 8", "invalid umask"},
        {"-u 1777", "invalid umask"},
        {"-u ''", "invalid umask"},
        {"-l LOUD", "invalid log level"},
        {"-f NOWHERE", "invalid log facility"},
        {"-P stat,,read", "unknown request \"\""},
        {"-R x", "unexpected argument"},
        {"-d \"open", "quote"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct sftp_options o;
        struct fault fault = {0};
        if (sftp_options_parse_text(&o, rows[i].text, &user, &fault) == OK)
            fail_msg("%s", rows[i].text);
        if (strstr(fault_text(&fault), rows[i].why) == NULL)
            fail_msg("%s: %s", rows[i].text, fault_text(&fault));
    }
}

static void mounts(void **state) {
    (void)state;
    assert_true(sftp_mounts_local_in(""));
    assert_true(sftp_mounts_local_in(
        "24 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
        "25 24 0:22 / /proc rw - proc proc rw\n"
        "30 24 0:23 / /tmp rw,nosuid master:3 shared:4 - tmpfs tmpfs rw\n"
        "40 25 0:30 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n"
        "41 24 0:31 / /run/user/1000/gvfs rw - fuse.gvfsd-fuse gvfsd-fuse rw\n"));
    assert_false(sftp_mounts_local_in("24 1 254:1 / / rw - ext4 /dev/vda1 rw\n"
                                      "50 24 0:40 / /home rw shared:9 - nfs4 h:/x rw\n"));
    assert_false(sftp_mounts_local_in("50 24 0:40 / /mnt/a rw - fuse.sshfs h: rw"));
    assert_false(sftp_mounts_local_in("50 24 0:40 / /process rw - autofs x rw"));
    assert_false(sftp_mounts_local_in("nonsense\n"));
}

// ---- files ----

static struct sftp_files files;
static char folder[64];

static int make(void **state) {
    (void)state;
    strcpy(folder, "/tmp/bowline-sftp-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    return sftp_files_open(&files, folder, NULL, NULL) == OK ? 0 : -1;
}

static int drop(void **state) {
    (void)state;
    sftp_files_close(&files);
    return rmdir(folder);
}

static enum sftp_status real(const char *path, char *out) {
    return files.vfs.ops->realpath(&files.vfs, path, out);
}

static void paths_are_resolved(void **state) {
    const struct sftp_vfs_ops *ops = files.vfs.ops;
    struct sftp_vfs *v = &files.vfs;
    char out[SFTP_PATH_SIZE], want[200];
    (void)state;
    assert_int_equal(ops->make_folder(v, "d", 0755), SFTP_OK);
    assert_int_equal(ops->symlink(v, "../d/./", "d/again"), SFTP_OK);
    assert_int_equal(ops->symlink(v, "loop", "loop"), SFTP_OK);
    assert_int_equal(ops->symlink(v, "/", "root"), SFTP_OK);
    assert_int_equal(ops->symlink(v, "gone", "dangling"), SFTP_OK);
    assert_int_equal(real("", out), SFTP_OK);
    assert_string_equal(out, folder);
    assert_int_equal(real("d/again/again//./new", out), SFTP_OK);
    snprintf(want, sizeof want, "%s/d/new", folder);
    assert_string_equal(out, want);
    assert_int_equal(real("root", out), SFTP_OK);
    assert_string_equal(out, "/");
    assert_int_equal(real("root/../../..", out), SFTP_OK);
    assert_string_equal(out, "/");
    assert_int_equal(real("dangling", out), SFTP_OK);
    snprintf(want, sizeof want, "%s/gone", folder);
    assert_string_equal(out, want);
    assert_int_equal(real("loop", out), SFTP_NO_SUCH_FILE);
    assert_int_equal(real("none/none", out), SFTP_NO_SUCH_FILE);
    assert_int_equal(real("/etc/passwd/x", out), SFTP_NO_SUCH_FILE);
    for (const char *const *p =
             (const char *const[]){"d/again", "loop", "root", "dangling", NULL};
         *p != NULL; p++)
        assert_int_equal(ops->remove(v, *p, false), SFTP_OK);
    assert_int_equal(ops->remove(v, "d", true), SFTP_OK);
}

static void long_paths_are_refused(void **state) {
    static char path[SFTP_PATH_SIZE];
    char out[SFTP_PATH_SIZE];
    (void)state;
    memset(path, 'x', 300);
    assert_int_equal(real(path, out), SFTP_BAD_MESSAGE);
    for (size_t i = 0; i + 1 < sizeof path; i++)
        path[i] = i % 2 ? '/' : '.';
    assert_int_equal(real(path, out), SFTP_BAD_MESSAGE);  // with the folder in front
}

static void masks_hold_for_a_moment(void **state) {
    const struct sftp_vfs_ops *ops = files.vfs.ops;
    struct sftp_vfs *v = &files.vfs;
    struct sftp_attributes a;
    intptr_t node;
    mode_t before = umask(022);
    (void)state;
    files.masked = true;
    files.mask = 0007;
    assert_int_equal(ops->open(v, "f", SFTP_OPEN_WRITE | SFTP_OPEN_CREATE, 0666, &node),
                     SFTP_OK);
    assert_int_equal(ops->fstat(v, node, false, &a), SFTP_OK);
    assert_int_equal(a.mode & 0777, 0660);
    assert_int_equal(ops->close(v, node, false), SFTP_OK);
    files.masked = false;
    assert_int_equal(umask(before), 022);
    assert_int_equal(ops->remove(v, "f", false), SFTP_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(mounts),
        cmocka_unit_test_setup_teardown(paths_are_resolved, make, drop),
        cmocka_unit_test_setup_teardown(long_paths_are_refused, make, drop),
        cmocka_unit_test_setup_teardown(masks_hold_for_a_moment, make, drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
