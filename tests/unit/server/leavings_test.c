// What a holder has in /tmp, and a keeper removes for it: by names that are none nothing
// is touched, nor what is another's, a link, or a folder with something else in it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/leavings.h"

#define PID 4711

static void names(void **state) {
    (void)state;
    static const struct {
        enum leaving kind;
        const char *name;
        bool good;
    } rows[] = {
        {LEAVING_AGENT, "", true},
        {LEAVING_AGENT, "ssh-XXXXAoYQm6", true},
        {LEAVING_AGENT, "ssh-XXXXAoYQm", false},
        {LEAVING_AGENT, "ssh-XXXXAoYQm67", false},
        {LEAVING_AGENT, "ssh-../../etc/", false},
        {LEAVING_AGENT, "ssh-XXXX/oYQm6", false},
        {LEAVING_AGENT, "ssh-XXXX.oYQm6", false},
        {LEAVING_AGENT, "sshXXXXXXAoYQm", false},
        {LEAVING_AGENT, "sshauth.XXXXXXXXXaZ01b9", false},
        {LEAVING_AUTH_INFO, "sshauth.XXXXXXXXXaZ01b9", true},
        {LEAVING_AUTH_INFO, "sshauth.XXXXXXXXXaZ01b", false},
        {LEAVING_AUTH_INFO, "ssh-XXXXAoYQm6", false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct leavings l = {.name = {"before", "before"}};
        bool good = leavings_take(&l, rows[i].kind, view_text(rows[i].name));
        assert_int_equal(good, rows[i].good);
        assert_string_equal(l.name[rows[i].kind], good ? rows[i].name : "before");
    }
}

static void touch(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

// A folder as an agent's, with a file in it.
static void make(char *folder, const char *inside, char *path, size_t size) {
    strcpy(folder, LEAVING_AGENT_TEMPLATE);
    assert_non_null(mkdtemp(folder));
    snprintf(path, size, "%s/%s", folder, inside);
    touch(path);
}

static void remove_one(enum leaving kind, const char *path, uid_t uid) {
    struct leavings l = {0};
    assert_true(leavings_take(&l, kind, view_text(path + strlen(LEAVINGS_AT))));
    leaving_remove(&l, kind, uid, PID);
    assert_string_equal(l.name[kind], "");
}

static bool there(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

static void removes_what_was_left(void **state) {
    (void)state;
    char folder[64], path[96], info[] = LEAVING_AUTH_INFO_TEMPLATE;
    make(folder, "agent.4711", path, sizeof path);
    remove_one(LEAVING_AGENT, folder, geteuid());
    assert_false(there(folder));
    remove_one(LEAVING_AGENT, folder, geteuid());  // there is none
    close(mkstemp(info));
    remove_one(LEAVING_AUTH_INFO, info, geteuid());
    assert_false(there(info));
}

static void leaves_the_rest(void **state) {
    (void)state;
    char folder[64], path[96], link[] = "/tmp/ssh-XXXXLnkQm6",
                               info[] = LEAVING_AUTH_INFO_TEMPLATE;
    make(folder, "agent.4712", path, sizeof path);  // of another process
    remove_one(LEAVING_AGENT, folder, geteuid());
    assert_true(there(path));
    remove_one(LEAVING_AGENT, folder, geteuid() + 1);  // of another user
    assert_true(there(path));
    unlink(path);
    remove_one(LEAVING_AGENT, folder, geteuid() + 1);
    assert_true(there(folder));
    snprintf(path, sizeof path, "%s/agent.4711", folder);
    touch(path);
    assert_int_equal(symlink(folder, link), 0);
    remove_one(LEAVING_AGENT, link, geteuid());
    assert_true(there(path));
    assert_true(there(link));
    unlink(link);
    chmod(folder, 0755);  // not as a holder makes it
    remove_one(LEAVING_AGENT, folder, geteuid());
    assert_true(there(path));
    unlink(path);
    rmdir(folder);
    close(mkstemp(info));
    remove_one(LEAVING_AUTH_INFO, info, geteuid() + 1);
    assert_true(there(info));
    unlink(info);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(removes_what_was_left),
        cmocka_unit_test(leaves_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
