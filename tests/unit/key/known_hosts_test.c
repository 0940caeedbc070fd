// known_hosts: names, hashes, patterns, markers, verdicts, damage, removal.
#include "key_test_support.h"

#include <stdio.h>
#include <stdlib.h>

#include "key/known_hosts.h"

struct text {
    char s[16384];
};

// "HOSTS type base64\n" for each pair of arguments: a host field and a fixture's name.
static struct known_hosts_file file_of(struct text *t, const char *const (*rows)[2],
                                       size_t n) {
    t->s[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        char line[4096];
        if (rows[i][1] == NULL)
            snprintf(line, sizeof line, "%s\n", rows[i][0]);
        else
            snprintf(line, sizeof line, "%s %s\n", rows[i][0],
                     fixture_named(rows[i][1])->public_line);
        strncat(t->s, line, sizeof t->s - strlen(t->s) - 1);
    }
    return (struct known_hosts_file){"the file", view_text(t->s)};
}

static struct known_hosts_verdict check(const struct known_hosts_file *f,
                                        const char *name, const char *fixture) {
    struct known_hosts_verdict v;
    struct key *k = key_of(fixture);
    assert_int_equal(known_hosts_check(f, 1, name, key_blob(k), &v), OK);
    key_free(k);
    return v;
}

static void names_for_files(void **state) {
    (void)state;
    char name[64];
    assert_int_equal(known_hosts_name(name, sizeof name, "Host.Example", 22), OK);
    assert_string_equal(name, "host.example");
    assert_int_equal(known_hosts_name(name, sizeof name, "host", 2222), OK);
    assert_string_equal(name, "[host]:2222");
    assert_int_equal(known_hosts_name(name, sizeof name, "::1", 2222), OK);
    assert_string_equal(name, "[::1]:2222");
    assert_int_equal(known_hosts_name(name, 4, "host", 22), ERR_LIMIT);
}

static void verdicts(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"# a comment", NULL},
        {"alpha,10.0.0.1", "ed25519"},
        {"alpha", "rsa2048"},
        {"[alpha]:2222", "ecdsa256"},
        {"*.example.org,!bad.example.org", "ed25519"},
        {"Upper.Case", "ed25519"},
        {"@revoked *", "rsa1024"},
        {"@cert-authority *.ca", "ecdsa256"},
    };
    static const struct {
        const char *name, *fixture;
        enum known_hosts_result want;
        unsigned long line;
    } want[] = {
        {"alpha", "ed25519", KNOWN_HOSTS_OK, 2},
        {"10.0.0.1", "ed25519", KNOWN_HOSTS_OK, 2},
        {"alpha", "rsa2048", KNOWN_HOSTS_OK, 3},
        {"alpha", "ed25519-aes128-ctr", KNOWN_HOSTS_CHANGED, 2},
        {"alpha", "ecdsa256", KNOWN_HOSTS_OTHER_TYPE, 2},
        {"[alpha]:2222", "ecdsa256", KNOWN_HOSTS_OK, 4},
        {"[alpha]:2223", "ecdsa256", KNOWN_HOSTS_NEW, 0},
        {"beta", "ed25519", KNOWN_HOSTS_NEW, 0},
        {"a.example.org", "ed25519", KNOWN_HOSTS_OK, 5},
        {"bad.example.org", "ed25519", KNOWN_HOSTS_NEW, 0},
        {"upper.case", "ed25519", KNOWN_HOSTS_OK, 6},
        {"anything", "rsa1024", KNOWN_HOSTS_IS_REVOKED, 7},
        {"alpha", "rsa1024", KNOWN_HOSTS_IS_REVOKED, 7},
        {"x.ca", "ecdsa256", KNOWN_HOSTS_NEW, 0},
    };
    struct text t;
    struct known_hosts_file f = file_of(&t, rows, sizeof rows / sizeof rows[0]);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        struct known_hosts_verdict v = check(&f, want[i].name, want[i].fixture);
        assert_int_equal(v.result, want[i].want);
        assert_int_equal(v.line.number, want[i].line);
        assert_int_equal(v.damaged_count, 0);
        if (want[i].line != 0)
            assert_string_equal(v.line.file, "the file");
    }
}

static void hashes(void **state) {
    (void)state;
    struct key *k = key_of("ed25519");
    scoped_buf out;
    buf_init(&out, 4096);
    assert_int_equal(known_hosts_make("[h]:22022", true, k, &out), OK);
    assert_int_equal(known_hosts_make("plain", false, k, &out), OK);
    struct known_hosts_file f = {"f", buf_view(&out)};
    assert_int_equal(check(&f, "[h]:22022", "ed25519").result, KNOWN_HOSTS_OK);
    assert_int_equal(check(&f, "[h]:22023", "ed25519").result, KNOWN_HOSTS_NEW);
    assert_int_equal(check(&f, "plain", "ed25519").line.number, 2);
    struct known_hosts_line line;
    struct known_hosts_cursor c = known_hosts_cursor_of(&f);
    assert_int_equal(known_hosts_next(&c, &line), KNOWN_HOSTS_ENTRY);
    assert_true(known_hosts_line_hashed(&line));
    // By another tool (openssl dgst -sha1 -mac hmac):
    // salt of 20 zero bytes, name "example".
    static const char fixed[] = "|1|AAAAAAAAAAAAAAAAAAAAAAAAAAA=|"
                                "h+6HkyawQEA5iho44Q9JDz4WN6M="
                                " ssh-ed25519 AAAA";
    struct known_hosts_file g = {"g", view_text(fixed)};
    c = known_hosts_cursor_of(&g);
    assert_int_equal(known_hosts_next(&c, &line), KNOWN_HOSTS_ENTRY);
    assert_true(known_hosts_line_matches(&line, "example"));
    assert_false(known_hosts_line_matches(&line, "exampla"));
    key_free(k);
}

static void damaged_lines_are_passed_over(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"onlyhost", NULL},
        {"@unknown-marker alpha", "ed25519"},
        {"alpha ssh-ed25519 AAAA!", NULL},
        {"|1|short|hash", "ed25519"},
        {"|1|", "ed25519"},
        {"", NULL},
        {"alpha", "ed25519"},
    };
    struct text t;
    struct known_hosts_file f = file_of(&t, rows, sizeof rows / sizeof rows[0]);
    struct known_hosts_verdict v = check(&f, "alpha", "ed25519");
    assert_int_equal(v.result, KNOWN_HOSTS_OK);
    assert_int_equal(v.line.number, 7);
    assert_int_equal(v.damaged_count, 3);
    assert_int_equal(v.damaged.number, 1);
    // A line too long, and one with a NUL.
    char *big = malloc(LIMIT_TEXT_LINE + 64);
    memset(big, 'a', LIMIT_TEXT_LINE + 64);
    struct known_hosts_file g = {"g", view_of(big, LIMIT_TEXT_LINE + 64)};
    v = check(&g, "alpha", "ed25519");
    assert_int_equal(v.damaged_count, 1);
    free(big);
    struct known_hosts_file nul = {"n", view_of("alpha\0 ssh-ed25519 AAAA", 23)};
    assert_int_equal(check(&nul, "alpha", "ed25519").damaged_count, 1);
}

static void types_of_a_host(void **state) {
    (void)state;
    static const char *const rows[][2] = {{"alpha", "rsa2048"},
                                          {"alpha", "ed25519"},
                                          {"alpha", "rsa1024"},
                                          {"beta", "ecdsa256"}};
    struct text t;
    struct known_hosts_file f = file_of(&t, rows, 4);
    const struct key_type *types[8];
    assert_int_equal(known_hosts_types(&f, 1, "alpha", types, 8), 2);
    assert_string_equal(types[0]->name, "ssh-rsa");
    assert_string_equal(types[1]->name, "ssh-ed25519");
    assert_int_equal(known_hosts_types(&f, 1, "alpha", types, 1), 1);
    assert_int_equal(known_hosts_types(&f, 1, "gamma", types, 8), 0);
}

static void other_names_of_a_key(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"alpha", "rsa2048"}, {"beta,gamma", "rsa2048"}, {"delta", "ed25519"}};
    struct text t;
    struct known_hosts_file f = file_of(&t, rows, 3);
    struct known_hosts_line lines[1];
    size_t n;
    struct key *k = key_of("rsa2048");
    assert_int_equal(known_hosts_with_key(&f, 1, key_blob(k), lines, 1, &n), OK);
    assert_int_equal(n, 2);
    assert_true(view_is(lines[0].hosts, "alpha"));
    assert_int_equal(known_hosts_find(&f, 1, "gamma", lines, 1), 1);
    assert_int_equal(lines[0].number, 2);
    key_free(k);
}

static void removal_leaves_the_rest(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"# top", NULL},   {"alpha", "rsa2048"},       {"beta", "ed25519"},
        {"damaged", NULL}, {"alpha,other", "ed25519"}, {"@revoked alpha", "rsa1024"}};
    static const char *const rest[][2] = {{"# top", NULL},
                                          {"beta", "ed25519"},
                                          {"damaged", NULL},
                                          {"@revoked alpha", "rsa1024"}};
    struct text t, want;
    struct known_hosts_file f = file_of(&t, rows, 6);
    file_of(&want, rest, 4);
    scoped_buf out;
    buf_init(&out, 65536);
    size_t n;
    assert_int_equal(known_hosts_remove(&f, "alpha", &out, &n), OK);
    assert_int_equal(n, 2);
    assert_true(view_is(buf_view(&out), want.s));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_for_files),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(hashes),
        cmocka_unit_test(damaged_lines_are_passed_over),
        cmocka_unit_test(types_of_a_host),
        cmocka_unit_test(other_names_of_a_key),
        cmocka_unit_test(removal_leaves_the_rest),
    };
    return cmocka_run_group_tests(tests, start_crypto, NULL);
}
