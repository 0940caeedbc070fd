// CanonicalizeHostname and its kin over a small world of names, through the whole of
// loading: which name is settled, what the second reading does with it.
#include "conf_test.h"

// name, the name that it is an alias of ("": none)
static const char *const world[][2] = {
    {"web.example.org.", "web.example.org"},
    {"db.example.net.", "db7.example.net"},
    {"plain", ""},
    {"alias", "real.example.org"},
    {"full.name.example.", ""},
    {"a.b.example.org.", ""},
};

static unsigned asked;

static bool resolve(void *ctx, const struct client_config *c, const char *name,
                    char *alias, size_t size) {
    (void)ctx;
    (void)c;
    asked++;
    for (size_t i = 0; i < sizeof world / sizeof world[0]; i++)
        if (strcmp(world[i][0], name) == 0) {
            snprintf(alias, size, "%s", world[i][1]);
            return true;
        }
    return false;
}

static enum err load_host(struct client_config *c, const char *host, const char *text,
                          struct conf_problems *p) {
    const struct memory_file files[] = {{"/home/me/.ssh/config", text}, {NULL, NULL}};
    struct conf_source source = memory_source(files);
    struct client_config_input in = {.source = &source,
                                     .user_file = "/home/me/.ssh/config",
                                     .user_folder = "/home/me/.ssh"};
    static struct client_subject s;
    s = (struct client_subject){
        .host = host, .local_user = "me", .home = "/home/me", .resolve = resolve};
    asked = 0;
    return client_config_load(c, &in, &s, p);
}

#define DOMAINS "CanonicalDomains example.com example.org example.net\n"
#define YES DOMAINS "CanonicalizeHostname yes\n"

static void names_are_settled(void **state) {
    (void)state;
    static const struct {
        const char *host, *text, *name;
    } rows[] = {
        {"web", DOMAINS, "web"},  // not asked for
        {"web", YES, "web.example.org"},
        {"WEB", YES, "web.example.org"},
        {"db", YES, "db.example.net"},
        {"plain", YES, "plain"},
        {"a.b", YES, "a.b.example.org"},
        {"a.b", YES "CanonicalizeMaxDots 0\n", "a.b"},
        {"a.b.c", YES, "a.b.c"},
        {"full.name.example.", YES, "full.name.example"},
        {"10.0.0.1", YES, "10.0.0.1"},
        {"0:0::1", YES, "::1"},
        // Aliases, where they may be followed.
        {"db", YES "CanonicalizePermittedCNAMEs *.example.net:*.example.net\n",
         "db7.example.net"},
        {"db", YES "CanonicalizePermittedCNAMEs *.example.net:*.example.org\n",
         "db.example.net"},
        {"db", YES "CanonicalizePermittedCNAMEs a:b *\n", "db7.example.net"},
        {"alias", YES "CanonicalizePermittedCNAMEs *:*.example.org\n",
         "real.example.org"},
        {"alias", YES, "alias"},
        // Names that a proxy looks up.
        {"web", YES "ProxyJump gate\n", "web"},
        {"web", YES "ProxyCommand nc %h\n", "web"},
        {"web", YES "ProxyCommand none\n", "web.example.org"},
        {"web", "CanonicalizeHostname always\nProxyJump gate\n" DOMAINS,
         "web.example.org"},
        // The name of the file is what is made full.
        {"w", YES "Host w\nHostname web\n", "web.example.org"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct client_config c;
        struct conf_problems p;
        assert_int_equal(load_host(&c, rows[i].host, rows[i].text, &p), OK);
        if (strcmp(c.hostname, rows[i].name) != 0)
            print_message("%s: %s\n", rows[i].host, rows[i].text);
        assert_string_equal(c.hostname, rows[i].name);
        client_config_free(&c);
    }
}

static void files_are_read_again(void **state) {
    (void)state;
    static const char text[] =
        YES "Match canonical all\nPort 5\nHost *.example.org\nUser org\nHostname other\n"
            "Match originalhost web\nCompression yes\n";
    struct client_config c;
    struct conf_problems p;
    assert_int_equal(load_host(&c, "web", text, &p), OK);
    assert_int_equal(c.port, 5);
    assert_string_equal(c.user, "org");
    assert_string_equal(c.hostname, "web.example.org");  // settled before
    assert_string_equal(c.original_host, "web");
    assert_true(c.compression);
    client_config_free(&c);
}

static void nothing_is_asked_in_vain(void **state) {
    (void)state;
    struct client_config c;
    struct conf_problems p;
    assert_int_equal(load_host(&c, "a.b.c", YES, &p), OK);
    assert_int_equal(asked, 0);
    client_config_free(&c);
    assert_int_equal(load_host(&c, "web", "Match final all\nPort 5\n", &p), OK);
    assert_int_equal(asked, 0);
    assert_int_equal(c.port, 5);
    client_config_free(&c);
}

static void no_name_may_be_an_end(void **state) {
    (void)state;
    struct client_config c;
    struct conf_problems p;
    static const char text[] = YES "CanonicalizeFallbackLocal no\n";
    assert_int_equal(load_host(&c, "plain", text, &p), ERR_CONFIG);
    assert_true(has_problem(&p, CONF_ERROR, "could not resolve host \"plain\""));
    client_config_free(&c);
    assert_int_equal(load_host(&c, "a.b.c", text, &p), OK);  // full enough
    client_config_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_settled),
        cmocka_unit_test(files_are_read_again),
        cmocka_unit_test(nothing_is_asked_in_vain),
        cmocka_unit_test(no_name_may_be_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
