// ssh_config: values, Host and Match, passes, problems, round trips, and beside Debian's
// ssh -G.
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/files.h"
#include "conf_test.h"

struct hooks {
    const char *command;
    int calls;
};

static bool run_exec(void *ctx, const char *command) {
    struct hooks *h = ctx;
    h->command = strcmp(command, "test h.example.org anna") == 0 ? "seen" : "other";
    h->calls++;
    return strcmp(h->command, "seen") == 0;
}

static bool in_network(void *ctx, const char *list) {
    (void)ctx;
    return strcmp(list, "10.0.0.0/8") == 0;
}

static bool hash(void *ctx, const char *text, char *out) {
    (void)ctx;
    snprintf(out, 65, "<%.60s>", text);
    return true;
}

static const char *environment(void *ctx, const char *name) {
    (void)ctx;
    return strcmp(name, "WHERE") == 0 ? "there" : NULL;
}

static struct client_subject subject(const char *host) {
    return (struct client_subject){.host = host,
                                   .local_user = "me",
                                   .local_uid = "1000",
                                   .local_host = "pc.example.org",
                                   .home = "/home/me",
                                   .env = environment,
                                   .connection_hash = hash};
}

static enum err load_for(struct client_config *c, const char *text,
                         const struct client_subject *s, struct conf_problems *p) {
    const struct memory_file files[] = {
        {"/home/me/.ssh/config", text},
        {"/etc/ssh/ssh_config", "Host *\nServerAliveInterval 77\nSendEnv LANG\n"},
        {"/home/me/.ssh/more", "Host inc\nPort 3000\nHost other\nPort 3001\n"},
        {"/home/me/.ssh/there.conf", "Compression no\nPort 4000\n"},
        {NULL, NULL}};
    struct conf_source source = memory_source(files);
    struct client_config_input in = {.source = &source,
                                     .user_file = "/home/me/.ssh/config",
                                     .system_file = "/etc/ssh/ssh_config",
                                     .user_folder = "/home/me/.ssh"};
    return client_config_load(c, &in, s, p);
}

static void must_load(struct client_config *c, const char *host, const char *text) {
    struct conf_problems p;
    struct client_subject s = subject(host);
    enum err e = load_for(c, text, &s, &p);
    if (e != OK)
        print_problems(&p);
    assert_int_equal(e, OK);
}

static void defaults(void **state) {
    (void)state;
    scoped_client_config c;
    must_load(&c, "Host.Example", "");
    assert_string_equal(c.original_host, "Host.Example");
    assert_string_equal(c.hostname, "host.example");
    assert_string_equal(c.user, "me");
    assert_int_equal(c.port, 22);
    assert_int_equal(c.strict_host_key_checking, STRICT_HOST_KEY_ASK);
    assert_int_equal(c.server_alive_interval, 77);
    assert_int_equal(c.server_alive_count_max, 3);
    assert_true(c.identity_file_is_default && c.tcp_keep_alive &&
                c.password_authentication);
    assert_int_equal(c.escape_char, '~');
    assert_int_equal(c.request_tty, REQUEST_TTY_AUTO);
    assert_int_equal(c.number_of_password_prompts, 3);
    assert_int_equal(c.user_known_hosts_file.n, 2);
    assert_int_equal(c.obscure_keystroke_timing.interval_ms, 20);
    assert_null(c.proxy_jump);
    assert_null(c.identity_agent);
    assert_int_equal(c.log_level, LOG_LEVEL_INFO);
    assert_int_equal(c.connect_timeout, 0);
}

static void host_blocks(void **state) {
    (void)state;
    static const char *const text =
        "Host web* !webmail\nPort 2000\nUser web\n"
        "Host *.org\n  Hostname %h.\nPort 2001\n"
        "Host *\nPort 2002\nIdentityFile ~/.ssh/a\nIdentityFile b\n";
    scoped_client_config c;
    must_load(&c, "web1", text);
    assert_int_equal(c.port, 2000);
    assert_string_equal(c.user, "web");
    assert_int_equal(c.identity_file.n, 2);
    assert_false(c.identity_file_is_default);
    client_config_free(&c);
    must_load(&c, "webmail", text);
    assert_int_equal(c.port, 2002);
    assert_string_equal(c.user, "me");
    client_config_free(&c);
    must_load(&c, "x.org", text);
    assert_int_equal(c.port, 2001);
    assert_string_equal(c.hostname, "x.org.");
}

static void subject_comes_first(void **state) {
    (void)state;
    struct conf_problems p;
    struct client_subject s = subject("h");
    s.user = "anna";
    s.port = 99;
    scoped_client_config c;
    assert_int_equal(load_for(&c, "User x\nPort 1\n", &s, &p), OK);
    assert_string_equal(c.user, "anna");
    assert_int_equal(c.port, 99);
}

static unsigned port_of(const char *host, const char *text,
                        const struct client_subject *like) {
    struct conf_problems p;
    struct client_subject s = like != NULL ? *like : subject(host);
    struct client_config c;
    s.host = host;
    enum err e = load_for(&c, text, &s, &p);
    if (e != OK)
        print_problems(&p);
    assert_int_equal(e, OK);
    unsigned port = c.port;
    client_config_free(&c);
    return port;
}

static void match_criteria(void **state) {
    (void)state;
    struct client_subject s = subject("h");
    assert_int_equal(port_of("h", "Match host h\nPort 5\n", NULL), 5);
    assert_int_equal(port_of("h", "Hostname real\nMatch host real\nPort 5\n", NULL), 5);
    assert_int_equal(port_of("h", "Hostname real\nMatch originalhost h\nPort 5\n", NULL),
                     5);
    assert_int_equal(port_of("h", "Match !host h\nPort 5\n", NULL), 22);
    assert_int_equal(port_of("h", "User u\nMatch user u\nPort 5\n", NULL), 5);
    assert_int_equal(port_of("h", "Match user me localuser m*\nPort 5\n", NULL), 5);
    assert_int_equal(port_of("h", "Tag t\nMatch tagged t\nPort 5\n", NULL), 5);
    assert_int_equal(port_of("h", "Match tagged \"\"\nPort 5\n", NULL), 5);
    assert_int_equal(port_of("h", "Match all\nPort 5\n", NULL), 5);
    assert_int_equal(port_of("h", "Match localnetwork 10.0.0.0/8\nPort 5\n", NULL), 22);
    s.localnetwork = in_network;
    assert_int_equal(port_of("h", "Match localnetwork 10.0.0.0/8\nPort 5\n", &s), 5);
    s.tag = "x";
    assert_int_equal(port_of("h", "Match tagged=x\nPort 5\n", &s), 5);
    s.command = "git-upload-pack x";
    assert_int_equal(port_of("h", "Match command git-*\nPort 5\n", &s), 5);
    s.session_type = "exec";
    assert_int_equal(port_of("h", "Match sessiontype exec,shell\nPort 5\n", &s), 5);
    assert_int_equal(port_of("h", "Match version Bow*\nPort 5\n", &s), 5);
    assert_int_equal(port_of("h", "Match version OpenSSH_10.*\nPort 5\n", &s), 5);
    assert_int_equal(port_of("h", "Match version OpenSSH_9.*\nPort 5\n", &s), 22);
    assert_int_equal(port_of("h", "Match version *,!OpenSSH_*\nPort 5\n", &s), 22);
}

static void match_exec(void **state) {
    (void)state;
    struct hooks h = {NULL, 0};
    struct client_subject s = subject("h");
    s.exec = run_exec;
    s.hook_ctx = &h;
    const char *text =
        "User anna\nHostname h.example.org\nMatch exec \"test %h %r\"\nPort 5\n";
    assert_int_equal(port_of("h", text, &s), 5);
    assert_string_equal(h.command, "seen");
    // What is decided by the first criterion is not run.
    h.calls = 0;
    assert_int_equal(port_of("h", "Match host x exec \"boom\"\nPort 5\n", &s), 22);
    assert_int_equal(h.calls, 0);
    s.exec = NULL;
    assert_int_equal(port_of("h", "Match !exec \"boom\"\nPort 5\n", &s), 22);
}

static void final_pass(void **state) {
    (void)state;
    assert_int_equal(port_of("h", "Match final\nPort 5\n", NULL), 5);
    assert_int_equal(port_of("h",
                             "Host real\nPort 6\nHost h\nHostname REAL\nMatch final all\n"
                             "BatchMode yes\n",
                             NULL),
                     6);
    assert_int_equal(port_of("h",
                             "Host real\nPort 6\nHost h\nHostname real\nMatch final all\n"
                             "BatchMode yes\n",
                             NULL),
                     6);
    scoped_client_config c;
    must_load(&c, "h",
              "SendEnv A\nLocalForward 1 a:1\nIdentityFile x\nMatch final\nSendEnv B\n");
    assert_int_equal(c.identity_file.n, 1);
    assert_int_equal(c.local_forward.n, 1);
    assert_int_equal(c.send_env.n, 3);
}

static void includes(void **state) {
    (void)state;
    assert_int_equal(port_of("inc", "Include more\nPort 9\n", NULL), 3000);
    assert_int_equal(port_of("other", "Include ~/.ssh/more\nPort 9\n", NULL), 3001);
    assert_int_equal(port_of("x", "Include more\nPort 9\n", NULL), 9);
    assert_int_equal(port_of("inc", "Host x\nInclude more\nHost *\nPort 9\n", NULL), 9);
    assert_int_equal(port_of("inc", "Include ${WHERE}.conf\nPort 9\n", NULL), 4000);
    assert_int_equal(port_of("there", "Include %h.conf\nPort 9\n", NULL), 4000);
    struct conf_problems p;
    scoped_client_config c;
    struct client_subject s = subject("h");
    assert_int_equal(load_for(&c, "Include ${NOT}.conf\n", &s, &p), ERR_CONFIG);
    assert_true(
        has_problem(&p, CONF_ERROR, "config:1: Include: environment variable NOT"));
}

static void values(void **state) {
    (void)state;
    scoped_client_config c;
    must_load(&c, "h",
              "EscapeChar ^B\nConnectTimeout 2m\nAddKeysToAgent confirm 1h\n"
              "ControlPersist 10m\nSendEnv LC_* -LC_*\nSendEnv X\n"
              "StrictHostKeyChecking accept-new\nPubkeyAuthentication unbound\n"
              "RequestTTY=force\nRemoteCommand echo \"a # b\"\nSetEnv A=b\n"
              "ForwardAgent $SOCK\nTunnelDevice 3\nObscureKeystrokeTiming interval:50\n"
              "RemoteForward 80\nRemoteForward 81 x:2\nDynamicForward 1080\n"
              "VerifyHostKeyDNS ask\nUserKnownHostsFile /a \"/b c\"\nIPQoS af21 0x20\n");
    assert_int_equal(c.escape_char, 2);
    assert_int_equal(c.connect_timeout, 120);
    assert_true(c.add_keys_to_agent.confirm);
    assert_int_equal(c.add_keys_to_agent.seconds, 3600);
    assert_int_equal(c.control_persist_seconds, 600);
    assert_int_equal(c.send_env.n, 2);
    assert_int_equal(c.strict_host_key_checking, STRICT_HOST_KEY_ACCEPT_NEW);
    assert_int_equal(c.pubkey_authentication, PUBKEY_AUTH_UNBOUND);
    assert_string_equal(c.remote_command, "echo \"a # b\"");
    assert_string_equal(c.forward_agent_path, "$SOCK");
    assert_int_equal(c.tunnel_device.local, 3);
    assert_int_equal(c.tunnel_device.remote, -1);
    assert_int_equal(c.obscure_keystroke_timing.interval_ms, 50);
    assert_int_equal(c.remote_forward.n, 2);
    assert_string_equal(c.remote_forward.v[1], "81 x:2");
    assert_string_equal(c.user_known_hosts_file.v[1], "/b c");
    assert_int_equal(c.ipqos.bulk, 0x20);
}

static void malformed(void **state) {
    (void)state;
    static const struct {
        const char *line, *part;
    } rows[] = {
        {"Port 70000", "1 to 65535"},
        {"StrictHostKeyChecking perhaps", "accept-new"},
        {"StrictHostKeyCheking yes", "did you mean StrictHostKeyChecking?"},
        {"ClientAliveInterval 3", "belongs into sshd_config"},
        {"EscapeChar ab", "one character"},
        {"LocalForward 80", "one to connect to"},
        {"DynamicForward 80 81", "listen on"},
        {"ProxyJump -x", "bad host"},
        {"SendEnv A=b", "bad name"},
        {"Match group x", "unknown criterion"},
        {"Match localnetwork 10.*", "malformed"},
        {"Host", "needs a pattern"},
        {"Match !all", "cannot be negated"},
        {"Hostname %q", "unknown token"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct conf_problems p;
        struct client_config c;
        struct client_subject s = subject("h");
        assert_int_equal(load_for(&c, rows[i].line, &s, &p), ERR_CONFIG);
        assert_true(has_problem(&p, CONF_ERROR, "/home/me/.ssh/config:1: "));
        assert_true(has_problem(&p, CONF_ERROR, rows[i].part));
        client_config_free(&c);
    }
}

static void ignore_unknown(void **state) {
    (void)state;
    assert_int_equal(
        port_of("h",
                "IgnoreUnknown UseKeychain,Foo*\nUseKeychain yes\nFooBar 1\nPort 5\n",
                NULL),
        5);
}

static void paths(void **state) {
    (void)state;
    char out[256];
    struct fault fault = {0};
    struct client_subject s = subject("h");
    scoped_client_config c;
    must_load(&c, "h", "Hostname real\nPort 44\nUser u\n");
    assert_int_equal(client_config_path(&c, &s, "~/%h-%n-%p-%r-%u-%i-%l-%L-%k%%${WHERE}",
                                        out, sizeof out, &fault),
                     OK);
    assert_string_equal(out, "/home/me/real-h-44-u-me-1000-pc.example.org-pc-real%there");
    assert_int_equal(client_config_path(&c, &s, "/c/%C", out, sizeof out, &fault), OK);
    assert_string_equal(out, "/c/<pc.example.orgreal44u>");
    assert_int_equal(client_config_path(&c, &s, "/c/%q", out, sizeof out, &fault),
                     ERR_CONFIG);
    assert_non_null(strstr(fault_text(&fault), "%q"));
}

static void user_tokens(void **state) {
    (void)state;
    struct conf_problems p;
    struct client_subject s = subject("web");
    scoped_client_config c;
    must_load(&c, "web", "User %u-%n%%\n");
    assert_string_equal(c.user, "me-web%");
    client_config_free(&c);
    assert_int_equal(load_for(&c, "User %q\n", &s, &p), ERR_CONFIG);
    assert_true(has_problem(&p, CONF_ERROR, "config:1: User: unknown token %q"));
    client_config_free(&c);
    s.user = "a%b";
    assert_int_equal(load_for(&c, "", &s, &p), OK);
    assert_string_equal(c.user, "a%b");
}

static void dump_round_trip(void **state) {
    (void)state;
    scoped_client_config a, b;
    scoped_buf first, second;
    buf_init(&first, 1u << 20);
    buf_init(&second, 1u << 20);
    must_load(
        &a, "h",
        "Hostname real\nUser u\nEscapeChar ^B\nSendEnv A B\nSetEnv \"C=d e\" F=g\n"
        "LocalForward 1 a:1\nControlPersist 9\nAddKeysToAgent confirm\nTunnelDevice 1:2\n"
        "RemoteCommand echo \"x y\"\nIdentityFile \"/a b\"\nUserKnownHostsFile none\n");
    assert_int_equal(client_config_dump(&a, &first), OK);
    char *one = buf_text(&first);
    char *body = strchr(one, '\n') + 1;  // without "host h", which is a block
    must_load(&b, "h", body);
    assert_int_equal(client_config_dump(&b, &second), OK);
    assert_string_equal(one, buf_text(&second));
}

static void bad_permissions(void **state) {
    (void)state;
    char path[] = "/tmp/bowline-conf-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "Port 5\n", 7), 7);
    assert_int_equal(fchmod(fd, 0666), 0);
    struct client_subject s = subject("h");
    struct client_config_input in = {.source = &conf_files, .user_file = path};
    struct conf_problems p;
    scoped_client_config c;
    assert_int_equal(client_config_load(&c, &in, &s, &p), ERR_CONFIG);
    assert_true(has_problem(&p, CONF_ERROR, "Bad owner or permissions"));
    client_config_free(&c);
    assert_int_equal(fchmod(fd, 0600), 0);
    assert_int_equal(client_config_load(&c, &in, &s, &p), OK);
    assert_int_equal(c.port, 5);
    client_config_free(&c);
    // -F does not ask for the mode, but the file has to be there.
    assert_int_equal(fchmod(fd, 0666), 0);
    in = (struct client_config_input){.source = &conf_files, .file = path};
    assert_int_equal(client_config_load(&c, &in, &s, &p), OK);
    client_config_free(&c);
    unlink(path);
    close(fd);
    assert_int_equal(client_config_load(&c, &in, &s, &p), ERR_CONFIG);
    assert_true(has_problem(&p, CONF_ERROR, "No such file"));
}

static const char *const debian =
    "Include /etc/ssh/ssh_config.d/*.conf\n\nHost *\n#   ForwardAgent no\n    SendEnv "
    "LANG LC_*\n"
    "    HashKnownHosts yes\n    GSSAPIAuthentication yes\n";

static void debian_loads(void **state) {
    (void)state;
    struct conf_problems p;
    struct client_subject s = subject("h");
    scoped_client_config c;
    assert_int_equal(load_for(&c, debian, &s, &p), OK);
    assert_true(c.hash_known_hosts);
    assert_int_equal(p.n, 1);
    assert_true(has_problem(&p, CONF_NOTE, "config:7: keyword GSSAPIAuthentication"));
}

// Values that 10.5 or the build has otherwise than Debian's 9.2.
static bool incomparable(const char *line) {
    static const char *const words[] = {"gssapi",
                                        "hostkeyalgorithms ",
                                        "ciphers ",
                                        "macs ",
                                        "kexalgorithms ",
                                        "hostbasedacceptedalgorithms ",
                                        "casignaturealgorithms ",
                                        "pubkeyacceptedalgorithms ",
                                        "ipqos ",
                                        "identityfile ~/.ssh/id_",
                                        "userknownhostsfile ",
                                        "forwardx11trusted ",
                                        "canonicaldomains none",
                                        "logverbose none",
                                        "canonicalizePermittedcnames",
                                        "user "};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(line, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

static void compare_with_ssh(const char *text) {
    char path[] = "/tmp/bowline-conf-XXXXXX", command[200], line[4096];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    snprintf(command, sizeof command, "ssh -G -F %s web.example.org 2>/dev/null", path);
    FILE *theirs = popen(command, "r");
    assert_non_null(theirs);
    struct client_subject s = subject("web.example.org");
    struct client_config_input in = {.source = &conf_files, .file = path};
    struct conf_problems p;
    scoped_client_config c;
    scoped_buf b;
    buf_init(&b, 1u << 20);
    assert_int_equal(client_config_load(&c, &in, &s, &p), OK);
    assert_int_equal(client_config_dump(&c, &b), OK);
    char *ours = buf_text(&b);
    size_t n = 0, wrong = 0;
    while (fgets(line, sizeof line, theirs) != NULL) {
        n++;
        if (incomparable(line) || strstr(ours, line) != NULL)
            continue;
        print_message("ssh -G says: %s", line);
        wrong++;
    }
    pclose(theirs);
    unlink(path);
    if (n == 0) {
        print_message("skipped: OpenSSH's ssh is not installed\n");
        skip();
    }
    assert_int_equal(wrong, 0);
}

static void like_ssh(void **state) {
    (void)state;
    compare_with_ssh("\n");
    compare_with_ssh(
        "Host web*\nPort 2022\nHostname %h.lan\nServerAliveInterval 1m\n"
        "StrictHostKeyChecking no\nEscapeChar none\nConnectTimeout 7\n"
        "SendEnv LANG LC_*\nRekeyLimit 1G 1h\nLogLevel VERBOSE\nBatchMode yes\n"
        "Host *\nPort 9\nRequestTTY force\nTCPKeepAlive no\nHashKnownHosts yes\n"
        "PubkeyAuthentication host-bound\nControlPersist 90\nAddressFamily inet6\n"
        "Match host *.lan\nNumberOfPasswordPrompts 1\nCheckHostIP yes\n"
        "Match originalhost nothing\nCompression yes\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(host_blocks),
        cmocka_unit_test(subject_comes_first),
        cmocka_unit_test(match_criteria),
        cmocka_unit_test(match_exec),
        cmocka_unit_test(final_pass),
        cmocka_unit_test(includes),
        cmocka_unit_test(values),
        cmocka_unit_test(malformed),
        cmocka_unit_test(ignore_unknown),
        cmocka_unit_test(paths),
        cmocka_unit_test(user_tokens),
        cmocka_unit_test(dump_round_trip),
        cmocka_unit_test(bad_permissions),
        cmocka_unit_test(debian_loads),
        cmocka_unit_test(like_ssh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
