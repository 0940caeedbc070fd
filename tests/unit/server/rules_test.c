// Who is turned away and who may log in: MaxStartups and the judge's rules, on made-up
// facts.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// cmocka wants the above
#include <cmocka.h>

#include "auth/publickey.h"
#include "crypto/crypto.h"
#include "io/password_hash.h"
#include "server/judge.h"
#include "server/settings.h"
#include "server/startups.h"

static unsigned refused_of_100(const struct startups *s, uint32_t pending) {
    unsigned n = 0;
    for (uint32_t r = 0; r < 100; r++)
        n += startups_refuse(s, pending, r);
    return n;
}

static void startups_grow_in_a_line(void **state) {
    (void)state;
    const struct startups s = {10, 30, 60}, sharp = {10, 100, 10}, flat = {5, 0, 15};
    assert_int_equal(refused_of_100(&s, 0), 0);
    assert_int_equal(refused_of_100(&s, 9), 0);
    assert_int_equal(refused_of_100(&s, 10), 30);
    assert_int_equal(refused_of_100(&s, 35), 65);
    assert_int_equal(refused_of_100(&s, 60), 100);
    assert_int_equal(refused_of_100(&s, UINT32_MAX), 100);
    assert_int_equal(refused_of_100(&sharp, 9), 0);
    assert_int_equal(refused_of_100(&sharp, 10), 100);
    assert_int_equal(refused_of_100(&flat, 5), 0);
    assert_int_equal(refused_of_100(&flat, 10), 50);
}

#define LIST(...)                                                                        \
    {                                                                                    \
        (const char *[]){__VA_ARGS__},                                                   \
            sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)                       \
    }

static struct account person = {
    .name = (char *)"ann", .uid = 1000, .gid = 1000, .shadow_known = true};

static const char *allowed(const struct server_config *config, struct judge_case c) {
    static struct fault why;
    static const char *groups[] = {"staff", "ann"};
    memset(&why, 0, sizeof why);
    if (c.groups.n == 0)
        c.groups = (struct judge_groups){groups, 2};
    c.peer = "192.0.2.7";
    c.host = c.host != NULL ? c.host : c.peer;
    c.user = "ann";
    return judge_account_allowed(config, &c, &why) == OK ? NULL : why.text;
}

static const struct judge_case ann = {.account = &person, .as_root = true};

static void accounts_themselves(void **state) {
    (void)state;
    const struct server_config none = {0};
    struct account locked = person, expired = person;
    locked.locked = expired.expired = true;
    assert_null(allowed(&none, ann));
    struct judge_case c = {.as_root = true};
    assert_string_equal(allowed(&none, c), "Invalid user ann from 192.0.2.7");
    c.account = &locked;
    assert_non_null(strstr(allowed(&none, c), "account is locked"));
    c.account = &expired;
    assert_non_null(strstr(allowed(&none, c), "expired"));
    c = ann;
    c.shell_fault = "shell /x does not exist";
    assert_string_equal(allowed(&none, c),
                        "User ann not allowed because shell /x does not exist");
    // A server of an ordinary user's lets only this one in.
    c = (struct judge_case){.account = &person, .own_uid = 1000};
    assert_null(allowed(&none, c));
    c.own_uid = 1001;
    assert_non_null(allowed(&none, c));
}

static void users_and_groups(void **state) {
    (void)state;
    const struct {
        struct server_config config;
        bool good;
    } rows[] = {
        {{.allow_users = LIST("ann")}, true},
        {{.allow_users = LIST("bob")}, false},
        {{.allow_users = LIST("bob", "a*")}, true},
        {{.allow_users = LIST("ann@192.0.2.*")}, true},
        {{.allow_users = LIST("ann@192.0.2.0/24")}, true},
        {{.allow_users = LIST("ann@198.51.100.0/24")}, false},
        {{.allow_users = LIST("!ann", "*")}, false},
        {{.allow_users = LIST("*", "!ann")}, false},
        {{.deny_users = LIST("ann")}, false},
        {{.deny_users = LIST("bob")}, true},
        {{.deny_users = LIST("ann"), .allow_users = LIST("ann")}, false},
        {{.deny_users = LIST("ann@198.51.100.1")}, true},
        {{.deny_users = LIST("!ann")}, true},
        {{.deny_users = LIST("!ann", "*")}, false},
        {{.deny_groups = LIST("!staff")}, true},
        {{.allow_groups = LIST("staff")}, true},
        {{.allow_groups = LIST("wheel")}, false},
        {{.allow_groups = LIST("!staff", "ann")}, false},
        {{.deny_groups = LIST("st*")}, false},
        {{.deny_groups = LIST("wheel")}, true},
        {{.allow_users = LIST("ann"), .allow_groups = LIST("wheel")}, false},
        {{.refuse_connection = true}, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((allowed(&rows[i].config, ann) == NULL) != rows[i].good)
            fail_msg("row %zu", i);
}

static void root_logins(void **state) {
    (void)state;
    static const struct {
        int permit;
        enum judge_method method;
        bool forced, good;
    } rows[] = {
        {PERMIT_ROOT_NO, METHOD_PUBLICKEY, false, false},
        {PERMIT_ROOT_NO, METHOD_PUBLICKEY, true, false},
        {PERMIT_ROOT_NO, METHOD_PASSWORD, false, false},
        {PERMIT_ROOT_PROHIBIT_PASSWORD, METHOD_PUBLICKEY, false, true},
        {PERMIT_ROOT_PROHIBIT_PASSWORD, METHOD_PASSWORD, true, false},
        {PERMIT_ROOT_PROHIBIT_PASSWORD, METHOD_KBDINT, true, false},
        {PERMIT_ROOT_PROHIBIT_PASSWORD, METHOD_NONE, true, false},
        {PERMIT_ROOT_FORCED_COMMANDS_ONLY, METHOD_PUBLICKEY, false, false},
        {PERMIT_ROOT_FORCED_COMMANDS_ONLY, METHOD_PUBLICKEY, true, true},
        {PERMIT_ROOT_FORCED_COMMANDS_ONLY, METHOD_PASSWORD, true, false},
        {PERMIT_ROOT_YES, METHOD_PUBLICKEY, false, true},
        {PERMIT_ROOT_YES, METHOD_PASSWORD, false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server_config config = {.permit_root_login = rows[i].permit};
        assert_int_equal(
            judge_root_allowed(&config, 0, rows[i].method, rows[i].forced, NULL) == OK,
            rows[i].good);
        assert_int_equal(judge_root_allowed(&config, 1000, rows[i].method, false, NULL),
                         OK);
    }
}

static void methods_alone(void **state) {
    (void)state;
    struct judge_methods m;
    char text[JUDGE_METHODS_TEXT];
    struct server_config config = {.pubkey_authentication = true,
                                   .password_authentication = true,
                                   .kbd_interactive_authentication = true};
    assert_true(judge_methods_start(&m, &config));
    assert_string_equal(judge_methods_text(&m, text, sizeof text), "publickey,password");
    assert_false(judge_methods_may(&m, METHOD_KBDINT));
    assert_false(judge_methods_may(&m, METHOD_NONE));
    config.use_pam = config.permit_empty_passwords = true;
    assert_true(judge_methods_start(&m, &config));
    assert_string_equal(judge_methods_text(&m, text, sizeof text),
                        "publickey,password,keyboard-interactive");
    assert_true(judge_methods_may(&m, METHOD_NONE));
    assert_true(judge_methods_done(&m, METHOD_PASSWORD));
}

static void methods_in_lists(void **state) {
    (void)state;
    struct judge_methods m;
    char text[JUDGE_METHODS_TEXT];
    struct server_config config = {.pubkey_authentication = true,
                                   .password_authentication = true};
    config.authentication_methods =
        (struct conf_list)LIST("publickey,password", "password,publickey,publickey");
    assert_true(judge_methods_start(&m, &config));
    assert_string_equal(judge_methods_text(&m, text, sizeof text), "publickey,password");
    assert_false(judge_methods_done(&m, METHOD_PASSWORD));
    assert_string_equal(judge_methods_text(&m, text, sizeof text), "publickey");
    assert_false(judge_methods_done(&m, METHOD_PUBLICKEY));
    assert_string_equal(judge_methods_text(&m, text, sizeof text), "publickey,password");
    struct judge_methods other = m;
    assert_true(judge_methods_done(&m, METHOD_PUBLICKEY));
    assert_true(judge_methods_done(&other, METHOD_PASSWORD));
}

static void methods_of_lists_are_enabled(void **state) {
    (void)state;
    struct judge_methods m;
    char text[JUDGE_METHODS_TEXT];
    struct server_config config = {.pubkey_authentication = true,
                                   .kbd_interactive_authentication = true};
    config.authentication_methods = (struct conf_list)LIST("publickey,password");
    assert_false(judge_methods_start(&m, &config));
    assert_string_equal(judge_methods_text(&m, text, sizeof text), "");
    config.authentication_methods = (struct conf_list)LIST(
        "publickey,keyboard-interactive:pam", "publickey,password");
    assert_false(judge_methods_start(&m, &config));
    config.use_pam = true;
    assert_true(judge_methods_start(&m, &config));
    assert_int_equal(m.lists_n, 1);
    assert_false(judge_methods_done(&m, METHOD_PUBLICKEY));
    assert_string_equal(judge_methods_text(&m, text, sizeof text),
                        "keyboard-interactive");
    assert_true(judge_methods_done(&m, METHOD_KBDINT));
    config.authentication_methods =
        (struct conf_list)LIST("keyboard-interactive:bsdauth");
    assert_false(judge_methods_start(&m, &config));
}

static struct judge_source at_address(const char *address) {
    return (struct judge_source){address, address};
}

static void options_of_a_line(void **state) {
    (void)state;
    struct date past = {2001, 1, 2, 3, 4, 5, true}, future = {2101, 1, 2, 3, 4, 5, true};
    struct authkey_line line = {0};
    const uint64_t now = 1800000000;
    assert_int_equal(judge_line_allows(&line, false, at_address("192.0.2.1"), now, NULL),
                     OK);
    line.from = "192.0.2.0/24,!192.0.2.9";
    assert_int_equal(judge_line_allows(&line, false, at_address("192.0.2.1"), now, NULL),
                     OK);
    assert_int_equal(judge_line_allows(&line, false, at_address("192.0.2.9"), now, NULL),
                     ERR_REFUSED);
    assert_int_equal(
        judge_line_allows(&line, false, at_address("198.51.100.1"), now, NULL),
        ERR_REFUSED);
    const struct judge_source named = {"a.example", "192.0.2.1"};
    line.from = "*.example";
    assert_int_equal(judge_line_allows(&line, false, named, now, NULL), OK);
    assert_int_equal(judge_line_allows(&line, false, at_address("192.0.2.1"), now, NULL),
                     ERR_REFUSED);
    line.from = "*.example,!192.0.2.0/24";
    assert_int_equal(judge_line_allows(&line, false, named, now, NULL), ERR_REFUSED);
    line = (struct authkey_line){.expires = &future, .expires_count = 1};
    uint64_t at;
    assert_int_equal(judge_line_allows(&line, false, at_address("192.0.2.1"), now, NULL),
                     OK);
    assert_true(judge_line_expiry(&line, &at) && at > now);
    line.expires = &past;
    assert_int_equal(judge_line_allows(&line, false, at_address("192.0.2.1"), now, NULL),
                     ERR_REFUSED);
    line = (struct authkey_line){.cert_authority = true};
    assert_int_equal(judge_line_allows(&line, false, at_address("192.0.2.1"), now, NULL),
                     ERR_UNSUPPORTED);
    assert_int_equal(judge_line_allows(&line, true, at_address("192.0.2.1"), now, NULL),
                     OK);
}

// A signature is good for its own session, user, key and algorithm only.
static void signatures(void **state) {
    (void)state;
    struct pk *pk = NULL;
    struct key *key = NULL;
    assert_int_equal(pk_generate(&pk, PK_ED25519, PK_P256, 0), OK);
    assert_int_equal(key_from_pk(&key, pk), OK);
    const struct alg *alg = alg_find(ALG_SIGNATURE, view_text("ssh-ed25519"));
    struct buf data, signature;
    buf_init(&data, 65536);
    buf_init(&signature, 4096);
    struct key_touch touch;
    struct publickey_request q = {.user = view_text("ann"),
                                  .service = view_text("ssh-connection"),
                                  .algorithm = view_text("ssh-ed25519"),
                                  .blob = key_blob(key),
                                  .has_signature = true};
    struct writer w = writer_to_buf(&data);
    publickey_encode_signed(&w, view_text("session one"), &q);
    assert_int_equal(writer_end(&w), OK);
    assert_int_equal(key_sign(key, alg->signature, buf_view(&data), &signature), OK);
    struct ipc_key_auth m = {1, q.algorithm, q.blob, buf_view(&data),
                             buf_view(&signature)};
    struct judge_signature want = {view_text("session one"), view_text("host"),
                                   view_text("ann"), "ssh-ed25519", 1024};
    assert_int_equal(judge_signature_check(&want, &m, &touch, NULL), OK);
    struct judge_signature other = want;
    other.session_id = view_text("session two");
    assert_int_not_equal(judge_signature_check(&other, &m, &touch, NULL), OK);
    other = want;
    other.user = view_text("bob");
    assert_int_not_equal(judge_signature_check(&other, &m, &touch, NULL), OK);
    other = want;
    other.algorithms = "rsa-sha2-256";
    assert_int_not_equal(judge_signature_check(&other, &m, &touch, NULL), OK);
    signature.p[signature.end - 1] ^= 1;
    assert_int_not_equal(judge_signature_check(&want, &m, &touch, NULL), OK);
    signature.p[signature.end - 1] ^= 1;
    m.data.n--;
    assert_int_not_equal(judge_signature_check(&want, &m, &touch, NULL), OK);
    buf_free(&data);
    buf_free(&signature);
    key_free(key);
}

static void settings_there_and_back(void **state) {
    (void)state;
    uint8_t bytes[1024];
    static const uint8_t keys[] = "\0\0\0\4blob\0\0\0\4alg";
    struct settings s = {.version = IPC_VERSION, .max_tries = 6, .grace_s = 120}, back;
    s.ident = s.kex = s.host_key_algorithms = s.ciphers = s.macs = s.user_algorithms =
        s.sig_algs = s.methods = s.compression = settings_view("text");
    s.host_keys = view_of(keys, sizeof keys);
    struct writer w = writer_to_span((struct span){bytes, sizeof bytes});
    settings_encode(&s, &w);
    assert_int_equal(settings_decode(&back, view_of(bytes, w.n), NULL), OK);
    assert_string_equal(settings_text(back.ciphers), "text");
    assert_int_equal(back.grace_s, 120);
    struct transport_host_key out[SETTINGS_HOST_KEYS_MAX];
    size_t n;
    assert_int_equal(settings_host_keys(&back, out, &n), OK);
    assert_int_equal(n, 1);
    assert_string_equal(out[0].algorithms, "alg");
    for (size_t cut = 0; cut < w.n; cut++)
        assert_int_not_equal(settings_decode(&back, view_of(bytes, cut), NULL), OK);
    s.macs = view_text("no end");
    w = writer_to_span((struct span){bytes, sizeof bytes});
    settings_encode(&s, &w);
    assert_int_not_equal(settings_decode(&back, view_of(bytes, w.n), NULL), OK);
}

// no-touch-required and verify-required, of the configuration and of the key's line.
static void touches(void **state) {
    (void)state;
    const struct key_touch none = {.security_key = true},
                           touched = {.security_key = true, .present = true},
                           all = {.security_key = true,
                                  .present = true,
                                  .verified = true},
                           other = {0};
    struct server_config config = {0};
    struct judge_match m = {0};
    assert_int_equal(judge_touch_allowed(&config, &m, &other, NULL), OK);
    assert_int_not_equal(judge_touch_allowed(&config, &m, &none, NULL), OK);
    assert_int_equal(judge_touch_allowed(&config, &m, &touched, NULL), OK);
    m.no_touch_required = true;
    assert_int_equal(judge_touch_allowed(&config, &m, &none, NULL), OK);
    m.verify_required = true;
    assert_int_not_equal(judge_touch_allowed(&config, &m, &touched, NULL), OK);
    assert_int_equal(judge_touch_allowed(&config, &m, &all, NULL), OK);
    m.verify_required = false;
    config.pubkey_auth_options = PUBKEY_TOUCH_REQUIRED;
    assert_int_not_equal(judge_touch_allowed(&config, &m, &none, NULL), OK);
    config.pubkey_auth_options = PUBKEY_VERIFY_REQUIRED;
    assert_int_not_equal(judge_touch_allowed(&config, &m, &touched, NULL), OK);
}

static void password_hashes(void **state) {
    (void)state;
    static const char *const sha512 =
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3"
        "uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
    char text[PASSWORD_HASH_SIZE];
    assert_true(password_matches("Hello world!", sha512));
    assert_false(password_matches("Hello world", sha512));
    assert_false(password_matches("", ""));
    assert_false(password_matches("x", "*"));
    assert_false(password_matches("x", "!"));
    assert_true(password_hash_stand_in(text, sizeof text)[0] == '$');
    assert_false(password_matches("", text));
    assert_false(password_matches("x", text));
}

static int start(void **state) {
    (void)state;
    return crypto_init() == OK ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(startups_grow_in_a_line),
        cmocka_unit_test(accounts_themselves),
        cmocka_unit_test(users_and_groups),
        cmocka_unit_test(root_logins),
        cmocka_unit_test(methods_alone),
        cmocka_unit_test(methods_in_lists),
        cmocka_unit_test(methods_of_lists_are_enabled),
        cmocka_unit_test(options_of_a_line),
        cmocka_unit_test(signatures),
        cmocka_unit_test(touches),
        cmocka_unit_test(password_hashes),
        cmocka_unit_test(settings_there_and_back),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
