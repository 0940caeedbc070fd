// Tokens, variables, tildes; what names a shell may see.
#include "conf/tokens.h"

#include "conf_test.h"

static const char *variable(void *ctx, const char *name) {
    (void)ctx;
    return strcmp(name, "A") == 0 ? "alpha" : strcmp(name, "EMPTY") == 0 ? "" : NULL;
}

static const char *home_of(void *ctx, const char *user) {
    (void)ctx;
    return strcmp(user, "anna") == 0 ? "/home/anna" : NULL;
}

static void percent(void **state) {
    (void)state;
    const struct token values[] = {{'h', "host%p"}, {'p', "22"}, {'r', NULL}, {0, NULL}};
    static const struct {
        enum token_use use;
        const char *in;
        enum err e;
        const char *out;  // or a part of the fault
    } rows[] = {
        {TOKENS_PROXY_COMMAND, "nc %h %p 100%%", OK, "nc host%p 22 100%"},
        {TOKENS_PROXY_COMMAND, "", OK, ""},
        {TOKENS_PROXY_COMMAND, "%C", ERR_CONFIG, "unknown token %C"},
        {TOKENS_PROXY_COMMAND, "%r", ERR_CONFIG, "%r has no value"},
        {TOKENS_PROXY_COMMAND, "%n", ERR_CONFIG, "%n has no value"},
        {TOKENS_PROXY_COMMAND, "x%", ERR_CONFIG, "single %"},
        {TOKENS_HOSTNAME, "%p", ERR_CONFIG, "unknown token %p"},
        {TOKENS_HOSTNAME, "%\001", ERR_CONFIG, "unknown token after"},
        {TOKENS_PROXY_COMMAND, "%h%h%h%h%h%h%h%h%h%h", ERR_LIMIT, "too long"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char out[40];
        struct fault fault = {0};
        assert_int_equal(
            tokens_expand(rows[i].use, values, rows[i].in, out, sizeof out, &fault),
            rows[i].e);
        if (rows[i].e == OK)
            assert_string_equal(out, rows[i].out);
        else
            assert_non_null(strstr(fault_text(&fault), rows[i].out));
    }
}

static void variables(void **state) {
    (void)state;
    char out[40];
    assert_int_equal(
        tokens_expand_env("${A}/$A/${EMPTY}x$", variable, NULL, out, sizeof out, NULL),
        OK);
    assert_string_equal(out, "alpha/$A/x$");
    assert_int_equal(tokens_expand_env("${B}", variable, NULL, out, sizeof out, NULL),
                     ERR_CONFIG);
    assert_int_equal(tokens_expand_env("${A", variable, NULL, out, sizeof out, NULL),
                     ERR_CONFIG);
    assert_int_equal(tokens_expand_env("${}", variable, NULL, out, sizeof out, NULL),
                     ERR_CONFIG);
}

static void tilde(void **state) {
    (void)state;
    char out[40];
    assert_int_equal(
        tokens_expand_tilde("~/x", "/h", home_of, NULL, out, sizeof out, NULL), OK);
    assert_string_equal(out, "/h/x");
    assert_int_equal(
        tokens_expand_tilde("~anna", "/h", home_of, NULL, out, sizeof out, NULL), OK);
    assert_string_equal(out, "/home/anna/");
    assert_int_equal(
        tokens_expand_tilde("~/x", "/", home_of, NULL, out, sizeof out, NULL), OK);
    assert_string_equal(out, "/x");
    assert_int_equal(
        tokens_expand_tilde("/x~", "/h", home_of, NULL, out, sizeof out, NULL), OK);
    assert_string_equal(out, "/x~");
    assert_int_equal(
        tokens_expand_tilde("~bert/x", "/h", home_of, NULL, out, sizeof out, NULL),
        ERR_CONFIG);
    assert_int_equal(
        tokens_expand_tilde("~/x", NULL, home_of, NULL, out, sizeof out, NULL),
        ERR_CONFIG);
}

static void safe_names(void **state) {
    (void)state;
    static const char *const good[] = {
        "host", "host.example.org", "10.0.0.1", "::1", "fe80::1%eth0", "[::1]", "a-b_c"};
    static const char *const bad[] = {"",       "-oProxyCommand=x",
                                      "a;b",    "a b",
                                      "`id`",   "$(id)",
                                      "a|b",    "a\nb",
                                      "a'b",    "a\"b",
                                      "a&b",    "a\\b",
                                      "a\033b", "a>b",
                                      "a@b",    "a/b",
                                      "a*b",    "a#b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(token_value_is_safe(TOKEN_SUBJECT_HOST, good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(token_value_is_safe(TOKEN_SUBJECT_HOST, bad[i]));
    assert_true(token_value_is_safe(TOKEN_SUBJECT_USER, "anna@corp"));
    assert_true(token_value_is_safe(TOKEN_SUBJECT_USER, "first last"));
    assert_false(token_value_is_safe(TOKEN_SUBJECT_USER, "-l"));
    assert_false(token_value_is_safe(TOKEN_SUBJECT_USER, " x"));
    assert_false(token_value_is_safe(TOKEN_SUBJECT_USER, "a;b"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percent), cmocka_unit_test(variables), cmocka_unit_test(tilde),
        cmocka_unit_test(safe_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
