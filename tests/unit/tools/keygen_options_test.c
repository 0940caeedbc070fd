// The command line of ssh-keygen.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <unistd.h>

#include "tools/keygen.h"

static int parse(struct keygen *k, const char *const *args) {
    static char *argv[24];
    argv[0] = (char *)(uintptr_t) "ssh-keygen";
    int argc = 1;
    for (; args[argc - 1] != NULL; argc++)
        argv[argc] = (char *)(uintptr_t)args[argc - 1];
    *k = (struct keygen){.hash = &digest_sha256};
    optind = 0;
    return keygen_options(k, argc, argv);
}
#define PARSE(k, ...) parse((k), (const char *const[]){__VA_ARGS__, NULL})

static void options_land_in_their_fields(void **state) {
    (void)state;
    struct keygen k;
    assert_int_equal(PARSE(&k, "-qt", "rsa", "-b4096", "-C", "c", "-f", "k", "-N", ""),
                     0);
    assert_int_equal(k.command, 0);
    assert_true(k.quiet);
    assert_string_equal(k.type, "rsa");
    assert_int_equal(k.bits, 4096);
    assert_string_equal(k.new_pass, "");
    assert_int_equal(
        PARSE(&k, "-p", "-a", "100", "-Z", "aes128-ctr", "-m", "PEM", "-P", "old"), 0);
    assert_int_equal(k.command, 'p');
    assert_int_equal(k.rounds, 100);
    assert_string_equal(k.old_pass, "old");
    assert_int_equal(PARSE(&k, "-l", "-E", "MD5", "-v"), 0);
    assert_ptr_equal(k.hash, &digest_md5);
}

static void flags_that_are_commands_too(void **state) {
    (void)state;
    struct keygen k;
    assert_int_equal(PARSE(&k, "-l"), 0);
    assert_int_equal(k.command, 'l');
    assert_int_equal(PARSE(&k, "-H"), 0);
    assert_int_equal(k.command, 'H');
    assert_int_equal(PARSE(&k, "-lF", "host"), 0);
    assert_int_equal(k.command, 'F');
    assert_string_equal(k.host, "host");
    assert_int_equal(PARSE(&k, "-H", "-F", "host"), 0);
    assert_int_equal(k.command, 'F');
    assert_true(k.hash_hosts);
}

static void letters_that_serve_several_commands(void **state) {
    (void)state;
    struct keygen k;
    assert_int_equal(PARSE(&k, "-s", "ca", "-I", "id", "-n", "a,b", "-O", "clear", "-O",
                           "pty", "-z", "7", "x.pub", "y.pub"),
                     0);
    assert_int_equal(k.command, 's');
    assert_int_equal(k.option_count, 2);
    assert_string_equal(k.options[1], "pty");
    assert_int_equal(k.arg_count, 2);
    assert_string_equal(k.args[1], "y.pub");
    assert_int_equal(PARSE(&k, "-k", "-u", "-f", "krl", "-s", "ca.pub", "spec"), 0);
    assert_int_equal(k.command, 'k');
    assert_true(k.update);
    assert_int_equal(PARSE(&k, "-Q", "-l", "-f", "krl"), 0);
    assert_int_equal(k.command, 'Q');
    assert_int_equal(PARSE(&k, "-Y", "verify", "-s", "sig", "-r", "krl", "-n", "file"),
                     0);
    assert_int_equal(k.command, 'Y');
    assert_string_equal(k.dns_host, "krl");
    assert_int_equal(PARSE(&k, "-r", "host", "-g"), 0);
    assert_int_equal(k.command, 'r');
    assert_int_equal(PARSE(&k, "-L", "-f", "x"), 0);
    assert_int_equal(k.command, 'L');
    assert_int_equal(PARSE(&k, "-y", "file"), KEYGEN_USAGE);
}

static void refusals(void **state) {
    (void)state;
    struct keygen k;
    assert_int_equal(PARSE(&k, "-x"), KEYGEN_USAGE);
    assert_int_equal(PARSE(&k, "-?"), KEYGEN_USAGE);
    assert_int_equal(PARSE(&k, "-t"), KEYGEN_USAGE);
    assert_int_equal(PARSE(&k, "extra"), KEYGEN_USAGE);
    assert_int_equal(PARSE(&k, "-y", "-p"), KEYGEN_USAGE);
    assert_int_equal(PARSE(&k, "-D"), KEYGEN_USAGE);
    assert_int_equal(PARSE(&k, "-b", "12x"), KEYGEN_FAILED);
    assert_int_equal(PARSE(&k, "-b", "-5"), KEYGEN_FAILED);
    assert_int_equal(PARSE(&k, "-a", "99999999999"), KEYGEN_FAILED);
    assert_int_equal(PARSE(&k, "-E", "sha-1"), KEYGEN_FAILED);
    assert_int_equal(PARSE(&k, "-Z", "none"), KEYGEN_FAILED);
    assert_int_equal(PARSE(&k, "-F", ""), KEYGEN_FAILED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_land_in_their_fields),
        cmocka_unit_test(flags_that_are_commands_too),
        cmocka_unit_test(letters_that_serve_several_commands),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
