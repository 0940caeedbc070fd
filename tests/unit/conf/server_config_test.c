// sshd_config: values, Match, Include, problems, round trips, and beside Debian's sshd
// -T.
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "conf_test.h"

static const struct memory_file no_files[] = {{NULL, NULL}};

// One file named /f.
static enum err load_files(struct server_config *c, const struct memory_file *files,
                           struct conf_problems *p) {
    struct conf_source source = memory_source(files);
    struct server_config_input in = {.source = &source, .file = "/f"};
    return server_config_load(c, &in, p);
}

static enum err load(struct server_config *c, const char *text, struct conf_problems *p) {
    const struct memory_file files[] = {{"/f", text}, {NULL, NULL}};
    return load_files(c, files, p);
}

static void must_load(struct server_config *c, const char *text) {
    struct conf_problems p;
    enum err e = load(c, text, &p);
    if (e != OK)
        print_problems(&p);
    assert_int_equal(e, OK);
}

static void defaults(void **state) {
    (void)state;
    scoped_server_config c;
    must_load(&c, "");
    assert_int_equal(c.port.n, 1);
    assert_int_equal(c.port.v[0], 22);
    assert_int_equal(c.listens.n, 1);
    assert_null(c.listens.v[0].host);
    assert_int_equal(c.listens.v[0].port, 22);
    assert_int_equal(c.permit_root_login, PERMIT_ROOT_PROHIBIT_PASSWORD);
    assert_true(c.pubkey_authentication && c.strict_modes && c.tcp_keep_alive &&
                c.permit_tty);
    assert_false(c.use_pam || c.x11_forwarding || c.permit_empty_passwords);
    assert_int_equal(c.login_grace_time, 120);
    assert_int_equal(c.max_auth_tries, 6);
    assert_int_equal(c.max_sessions, 10);
    assert_int_equal(c.max_startups.begin, 10);
    assert_int_equal(c.max_startups.rate, 30);
    assert_int_equal(c.max_startups.full, 100);
    assert_int_equal(c.client_alive_count_max, 3);
    assert_int_equal(c.log_level, LOG_LEVEL_INFO);
    assert_int_equal(c.syslog_facility, 4 << 3);
    assert_int_equal(c.per_source_max_startups, UINT32_MAX);
    assert_true(c.per_source_penalties.enabled);
    assert_int_equal(c.per_source_penalties.authfail_ms, 5000);
    assert_int_equal(c.host_key.n, 3);
    assert_int_equal(c.authorized_keys_file.n, 2);
    assert_string_equal(c.authorized_keys_file.v[0], ".ssh/authorized_keys");
    assert_int_equal(c.ipqos.interactive, 0xb8);
    assert_int_equal(c.ipqos.bulk, -1);
    assert_int_equal(c.stream_local_bind_mask, 0177);
    assert_null(c.banner);
    assert_int_equal(c.required_rsa_size, 1024);
}

static void values(void **state) {
    (void)state;
    scoped_server_config c;
    must_load(
        &c, "port 2222\nPORT=2223\n  ListenAddress\t127.0.0.1 # a comment\n"
            "ListenAddress [::1]:99\nLoginGraceTime 1m30s\n"
            "MaxStartups 5:50:60\nRekeyLimit 1G 1h\nAcceptEnv LANG LC_*\nAcceptEnv X\n"
            "Banner \"/etc/a banner\"\nPermitRootLogin forced-commands-only\n"
            "LogLevel debug2\nSyslogFacility local3\nSubsystem sftp /usr/lib/sftp-server "
            "-l INFO\n"
            "AllowUsers anna bert@10.0.0.0/8\nPidFile none\nHostKey /k1\nHostKey '/k 2'\n"
            "SetEnv A=1 \"B=two words\"\nClientAliveInterval 30\nCiphers aes128-ctr\n"
            "PerSourceNetBlockSize 24:64\nUnusedConnectionTimeout none\n"
            "PerSourcePenalties no\nAllowTcpForwarding no\n# end\n");
    assert_int_equal(c.port.n, 2);
    assert_int_equal(c.listens.n, 3);
    assert_string_equal(c.listens.v[0].host, "127.0.0.1");
    assert_int_equal(c.listens.v[1].port, 2223);
    assert_string_equal(c.listens.v[2].host, "::1");
    assert_int_equal(c.listens.v[2].port, 99);
    assert_int_equal(c.login_grace_time, 90);
    assert_int_equal(c.max_startups.full, 60);
    assert_int_equal(c.rekey_limit.bytes, 1u << 30);
    assert_int_equal(c.rekey_limit.seconds, 3600);
    assert_int_equal(c.accept_env.n, 3);
    assert_string_equal(c.banner, "/etc/a banner");
    assert_int_equal(c.permit_root_login, PERMIT_ROOT_FORCED_COMMANDS_ONLY);
    assert_int_equal(c.log_level, LOG_LEVEL_DEBUG2);
    assert_int_equal(c.syslog_facility, 19 << 3);
    assert_int_equal(c.subsystem.n, 1);
    assert_string_equal(c.subsystem.v[0].command, "/usr/lib/sftp-server -l INFO");
    assert_int_equal(c.allow_users.n, 2);
    assert_null(c.pid_file);
    assert_string_equal(c.host_key.v[1], "/k 2");
    assert_string_equal(c.set_env.v[1], "B=two words");
    assert_string_equal(c.ciphers, "aes128-ctr");
    assert_int_equal(c.per_source_net_block_size.ip6_bits, 64);
}

static void first_value_wins(void **state) {
    (void)state;
    scoped_server_config c;
    struct conf_problems p;
    const struct memory_file files[] = {{"/f", "MaxAuthTries 3\nMaxAuthTries 4\n"},
                                        {NULL, NULL}};
    struct conf_source source = memory_source(files);
    const char *lines[] = {"LogLevel=ERROR", "maxsessions 2"};
    struct server_config_input in = {
        .source = &source, .file = "/f", .lines = lines, .lines_n = 2};
    assert_int_equal(server_config_load(&c, &in, &p), OK);
    assert_int_equal(c.max_auth_tries, 3);
    assert_int_equal(c.max_sessions, 2);
    assert_int_equal(c.log_level, LOG_LEVEL_ERROR);
}

static void malformed(void **state) {
    (void)state;
    static const struct {
        const char *line, *part;
    } rows[] = {
        {"Port 0", "1 to 65535"},
        {"Port 22 23", "left over"},
        {"Port", "needs a value"},
        {"PubkeyAuthentication maybe", "yes or no"},
        {"PermitRootLogin perhaps", "without-password"},
        {"LoginGraceTime 5x", "a time"},
        {"MaxStartups 10:0:20", "10:30:100"},
        {"MaxStartups 20:30:10", "10:30:100"},
        {"ListenAddress [::1", "bad address"},
        {"AcceptEnv", "needs a value"},
        {"RekeyLimit 1X", "no size"},
        {"RekeyLimit 3", "too small"},
        {"Banner \"open", "not closed"},
        {"ClientAliveIntervall 3", "did you mean ClientAliveInterval?"},
        {"Zzzzzz 3", "unknown keyword \"Zzzzzz\""},
        {"ProxyJump x", "belongs into ssh_config"},
        {"Match", "needs a criterion"},
        {"Match Usr x", "did you mean user?"},
        {"Match User", "needs a value"},
        {"Match Address 10.0.0.1/8", "malformed"},
        {"Match LocalPort x", "malformed"},
        {"Match all User x", "cannot be combined"},
        {"Match exec x", "unknown criterion"},
        {"AllowUsers a@10.0.0.1/8", "bad hosts"},
        {"Subsystem sftp", "a name and a command"},
        {"StreamLocalBindMask 999", "octal"},
        {"SetEnv A", "NAME=value"},
        {"IPQoS zz", "DSCP"},
        {"RDomain x", "Linux has no routing domain of a process"},
        {"AuthenticationMethods foo", "unknown method"},
        {"PerSourcePenalties crash:x", "authfail:5s"},
        {"PerSourcePenaltyExemptList 10.0.0.1/8", "no list of networks"},
        {"PermitOpen host", "host:port"},
        {"ChannelTimeout session", "session=10m"},
        {"Include", "Include needs a path"},
        {"=x", "no keyword"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct conf_problems p;
        struct server_config c;
        char text[200];
        snprintf(text, sizeof text, "\n%s\n", rows[i].line);
        assert_int_equal(load(&c, text, &p), ERR_CONFIG);
        assert_true(has_problem(&p, CONF_ERROR, "/f:2: "));
        assert_true(has_problem(&p, CONF_ERROR, rows[i].part));
        server_config_free(&c);
    }
}

static void many_problems(void **state) {
    (void)state;
    struct conf_problems p;
    scoped_server_config c;
    char text[2000] = "";
    for (int i = 0; i < 50; i++)
        strcat(text, "Nonsense x\n");
    assert_int_equal(load(&c, text, &p), ERR_CONFIG);
    assert_int_equal(p.n, CONF_PROBLEMS_MAX);
    assert_int_equal(p.errors, 50);
    assert_true(has_problem(&p, CONF_ERROR, "/f:20: "));
}

static void missing_file(void **state) {
    (void)state;
    struct conf_problems p;
    scoped_server_config c;
    assert_int_equal(load_files(&c, no_files, &p), ERR_CONFIG);
    assert_true(has_problem(&p, CONF_ERROR, "/f: not found"));
}

static void later_keywords(void **state) {
    (void)state;
    struct conf_problems p;
    scoped_server_config c;
    assert_int_equal(load(&c,
                          "UsePAM no\nX11Forwarding no\nPasswordAuthentication no\n"
                          "ChrootDirectory none\nUseDNS no\nAuthenticationMethods any\n",
                          &p),
                     OK);
    assert_int_equal(p.n, 0);
    server_config_free(&c);
    assert_int_equal(
        load(&c, "UseDNS yes\nKerberosAuthentication yes\nUseLogin yes\nProtocol 2\n",
             &p),
        OK);
    assert_int_equal(p.n, 2);
    assert_true(c.use_dns);
    assert_true(has_problem(&p, CONF_NOTE, "/f:2: keyword KerberosAuthentication"));
    assert_true(has_problem(&p, CONF_WARNING, "/f:3: keyword UseLogin is deprecated"));
}

static void aliases(void **state) {
    (void)state;
    scoped_server_config c;
    must_load(&c,
              "ChallengeResponseAuthentication no\nKeepAlive no\nDSAAuthentication no\n");
    assert_false(c.kbd_interactive_authentication || c.tcp_keep_alive ||
                 c.pubkey_authentication);
}

// --- Match

static void match(const struct server_config *c, const char *test,
                  struct server_config *out) {
    struct conf_pool pool = {0};
    struct server_subject s = {0};
    struct fault fault = {0};
    assert_int_equal(server_subject_parse(&s, &pool, test, &fault), OK);
    static const char *const groups[] = {"staff", "sftp"};
    if (s.user != NULL && strcmp(s.user, "grouped") == 0) {
        s.groups = groups;
        s.groups_n = 2;
    }
    assert_int_equal(server_config_match(c, &s, out, &fault), OK);
    conf_pool_drop(&pool);
}

static unsigned tries(const struct server_config *c, const char *test) {
    struct server_config out;
    match(c, test, &out);
    unsigned n = out.max_auth_tries;
    server_config_free(&out);
    return n;
}

static void match_criteria(void **state) {
    (void)state;
    scoped_server_config c;
    must_load(&c, "MaxAuthTries 1\n"
                  "Match User anna,b*,!bad\nMaxAuthTries 2\n"
                  "Match Address 10.0.0.0/8,!10.9.0.0/16\nMaxAuthTries 3\n"
                  "Match Group sftp\nMaxAuthTries 4\n"
                  "Match LocalPort 2222 LocalAddress 127.0.0.1\nMaxAuthTries 5\n"
                  "Match Host *.example.org\nMaxAuthTries 6\n"
                  "Match invalid-user\nMaxAuthTries 7\n"
                  "Match !User=carl Rdomain blue\nMaxAuthTries 8\n");
    assert_true(server_config_asks_groups(&c));
    assert_int_equal(c.max_auth_tries, 1);
    assert_int_equal(tries(&c, "user=anna"), 2);
    assert_int_equal(tries(&c, "user=bert,addr=10.1.1.1"), 2);
    assert_int_equal(tries(&c, "user=bad"), 1);
    assert_int_equal(tries(&c, "user=x,addr=10.1.1.1"), 3);
    assert_int_equal(tries(&c, "user=x,addr=10.9.1.1"), 1);
    assert_int_equal(tries(&c, "user=grouped"), 4);
    assert_int_equal(tries(&c, "lport=2222,laddr=127.0.0.1"), 5);
    assert_int_equal(tries(&c, "lport=2222"), 1);
    assert_int_equal(tries(&c, "user=x,host=A.example.ORG"), 6);
    assert_int_equal(tries(&c, "user=x,invalid-user"), 7);
    assert_int_equal(tries(&c, "user=dora,rdomain=blue"), 8);
    assert_int_equal(tries(&c, "user=carl,rdomain=blue"), 1);
    // Who is not known is not "not carl".
    assert_int_equal(tries(&c, "rdomain=blue"), 1);
}

static void match_merging(void **state) {
    (void)state;
    scoped_server_config c, out;
    must_load(
        &c,
        "AcceptEnv GLOBAL\nSubsystem sftp /global\nSubsystem other /other\nPermitTTY no\n"
        "Match User anna\nAcceptEnv ONE\nSubsystem sftp /first\nBanner /b\n"
        "Match all\nAcceptEnv TWO\nSubsystem sftp /second\nPermitTTY yes\nBanner none\n");
    match(&c, "user=anna", &out);
    // Lists of blocks add up and take the place of the global one, as OpenSSH does.
    assert_int_equal(out.accept_env.n, 2);
    assert_string_equal(out.accept_env.v[0], "ONE");
    assert_string_equal(out.accept_env.v[1], "TWO");
    assert_int_equal(out.subsystem.n, 2);
    assert_string_equal(out.subsystem.v[0].command, "/first");
    assert_string_equal(out.subsystem.v[1].name, "other");
    assert_true(out.permit_tty);
    assert_string_equal(out.banner, "/b");
    assert_int_equal(c.accept_env.n, 1);
    assert_false(c.permit_tty);
    server_config_free(&out);
    match(&c, "user=x", &out);
    assert_null(out.banner);
    assert_string_equal(out.subsystem.v[0].command, "/second");
    assert_int_equal(out.accept_env.n, 1);
}

static void match_refuses_global_keywords(void **state) {
    (void)state;
    struct conf_problems p;
    scoped_server_config c;
    assert_int_equal(
        load(&c, "Match User x\nPort 22\nUsePAM no\nMatch all\nPermitTTY maybe\n", &p),
        ERR_CONFIG);
    assert_int_equal(p.errors, 3);
    assert_true(
        has_problem(&p, CONF_ERROR, "/f:2: keyword Port is not allowed inside a Match"));
    assert_true(has_problem(&p, CONF_ERROR, "/f:5: PermitTTY is yes or no"));
}

static void includes(void **state) {
    (void)state;
    const struct memory_file files[] = {
        {"/f",
         "Include /d/*.conf\nInclude rel\nMaxSessions 9\nMatch User anna\nInclude /m\n"
         "PermitTTY no\n"},
        {"/d/1.conf", "MaxAuthTries 2\nMatch User x\nMaxAuthTries 3\n"},
        {"/d/2.conf", "MaxAuthTries 4\n"},
        {"/etc/ssh/rel", "MaxSessions 8\n"},
        {"/m", "MaxAuthTries 5\nMatch Address 10.0.0.0/8\nMaxSessions 7\n"},
        {NULL, NULL}};
    struct conf_problems p;
    scoped_server_config c, out;
    assert_int_equal(load_files(&c, files, &p), OK);
    assert_int_equal(c.max_auth_tries, 2);
    assert_int_equal(c.max_sessions, 8);
    assert_int_equal(tries(&c, "user=x"), 3);
    assert_int_equal(tries(&c, "user=anna"), 5);
    match(&c, "user=anna,addr=10.0.0.1", &out);
    assert_int_equal(out.max_sessions, 7);
    assert_false(out.permit_tty);
    server_config_free(&out);
    match(&c, "user=bert,addr=10.0.0.1", &out);
    // The inner block is inside the outer one.
    assert_int_equal(out.max_sessions, 8);
}

static void include_loops_end(void **state) {
    (void)state;
    const struct memory_file one[] = {{"/f", "Include /f\n"}, {NULL, NULL}};
    const struct memory_file two[] = {{"/f", "Include /f /f\n"}, {NULL, NULL}};
    struct conf_problems p;
    scoped_server_config c;
    assert_int_equal(load_files(&c, one, &p), ERR_CONFIG);
    assert_true(has_problem(&p, CONF_ERROR, "too many levels"));
    server_config_free(&c);
    assert_int_equal(load_files(&c, two, &p), ERR_LIMIT);
}

// --- dump, text, explain

static char *dump(const struct server_config *c, struct buf *b) {
    buf_init(b, 1u << 20);
    assert_int_equal(server_config_dump(c, b), OK);
    return buf_text(b);
}

static const char *const whole =
    "Port 2200\nListenAddress 127.0.0.1\nListenAddress [::1]:99\nAddressFamily any\n"
    "PermitRootLogin yes\nBanner \"/a b\"\nMaxStartups 5\nRekeyLimit 64M 30m\n"
    "Subsystem sftp internal-sftp -l INFO\nAllowUsers a b@*.org\nDenyGroups x\nAcceptEnv "
    "LANG\n"
    "SetEnv A=1 \"B=x y\"\nHostKey /one\nHostKey \"/t wo\"\nAuthorizedKeysFile none\n"
    "StreamLocalBindMask 0077\nLogLevel DEBUG\nPidFile none\nClientAliveInterval 1m\n"
    "AllowTcpForwarding no\nMACs hmac-sha2-256\nPerSourcePenalties no\n"
    "Match User anna Address 10.0.0.0/8\nMaxAuthTries 2\nBanner none\nMatch "
    "all\nPermitTTY no\n";

static void dump_round_trip(void **state) {
    (void)state;
    scoped_server_config a, b;
    scoped_buf first, second;
    must_load(&a, whole);
    char *one = dump(&a, &first);
    must_load(&b, one);
    assert_string_equal(one, dump(&b, &second));
    assert_non_null(strstr(one, "listenaddress 127.0.0.1:2200\n"));
    assert_non_null(strstr(one, "banner \"/a b\"\n"));
    assert_non_null(strstr(one, "permitrootlogin yes\n"));
    assert_non_null(strstr(one, "maxstartups 5:30:5\n"));
}

static void text_round_trip(void **state) {
    (void)state;
    scoped_server_config a, b;
    scoped_buf text, again, one, two;
    must_load(&a, whole);
    buf_init(&text, 1u << 20);
    buf_init(&again, 1u << 20);
    assert_int_equal(server_config_text(&a, &text), OK);
    char *first = buf_text(&text);
    must_load(&b, first);
    assert_int_equal(server_config_text(&b, &again), OK);
    assert_string_equal(first, buf_text(&again));
    assert_string_equal(dump(&a, &one), dump(&b, &two));
    assert_int_equal(tries(&b, "user=anna,addr=10.0.0.1"), 2);
}

// --- algorithms are somebody else's

static enum err check_algorithms(void *ctx, enum conf_algorithms kind, const char *spec,
                                 char *out, size_t size, struct fault *fault) {
    (void)ctx;
    if (spec != NULL && strcmp(spec, "bad") == 0)
        return fault_set(fault, ERR_CONFIG, 0, "no such algorithm: bad");
    snprintf(out, size, "%d:%s", (int)kind, spec != NULL ? spec : "default");
    return OK;
}

static void algorithms(void **state) {
    (void)state;
    const struct memory_file files[] = {
        {"/f", "Ciphers ^x\nMatch User a\nPubkeyAcceptedAlgorithms +y\n"}, {NULL, NULL}};
    const struct memory_file bad[] = {
        {"/f", "Match User a\nPubkeyAcceptedAlgorithms bad\n"}, {NULL, NULL}};
    struct conf_source source = memory_source(files);
    struct server_config_input in = {
        .source = &source, .file = "/f", .algorithms = check_algorithms};
    struct conf_problems p;
    scoped_server_config c, out;
    assert_int_equal(server_config_load(&c, &in, &p), OK);
    assert_string_equal(c.ciphers, "0:^x");
    assert_string_equal(c.macs, "1:default");
    match(&c, "user=a", &out);
    assert_string_equal(out.pubkey_accepted_algorithms, "4:+y");
    assert_string_equal(out.macs, "1:default");
    server_config_free(&out);
    server_config_free(&c);
    source = memory_source(bad);
    assert_int_equal(server_config_load(&c, &in, &p), ERR_CONFIG);
    assert_true(
        has_problem(&p, CONF_ERROR, "/f:2: PubkeyAcceptedAlgorithms: no such algorithm"));
    memset(&out, 0, sizeof out);
}

// --- Debian's file, and its sshd

static const char *const debian =
    "Include /etc/ssh/sshd_config.d/*.conf\n#Port 22\nKbdInteractiveAuthentication no\n"
    "UsePAM yes\nX11Forwarding yes\nPrintMotd no\nAcceptEnv LANG LC_*\n"
    "Subsystem\tsftp\t/usr/lib/openssh/sftp-server\n";

static void debian_loads(void **state) {
    (void)state;
    struct conf_problems p;
    scoped_server_config c;
    assert_int_equal(load(&c, debian, &p), OK);
    assert_int_equal(p.errors, 0);
    assert_false(c.print_motd);
    assert_int_equal(c.accept_env.n, 2);
    assert_string_equal(c.subsystem.v[0].command, "/usr/lib/openssh/sftp-server");
}

// Keywords whose value differs between 9.2 as Debian has it and 10.5, or is the build's
// own.
static bool incomparable(const char *line) {
    static const char *const words[] = {"hostkey ",
                                        "ciphers ",
                                        "macs ",
                                        "kexalgorithms ",
                                        "hostkeyalgorithms ",
                                        "pubkeyacceptedalgorithms ",
                                        "hostbasedacceptedalgorithms ",
                                        "casignaturealgorithms ",
                                        "ipqos ",
                                        "gssapi",
                                        "persource",
                                        "pamservicename",
                                        "sshd",
                                        "refuseconnection",
                                        "channeltimeout",
                                        "logverbose",
                                        "rdomain",
                                        "kerberosgetafstoken",
                                        "listenaddress ",
                                        "setenv "};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(line, words[i], strlen(words[i])) == 0)
            return true;
    return false;
}

// What Debian's sshd says, line by line, has to be in ours.
static void compare_with_sshd(const char *text, const char *test) {
    char folder[] = "/tmp/bowline-conf-XXXXXX", path[64], command[700], line[4096];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/f", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    // As root sshd wants a folder under /run, so it gets a /run of its own.
    snprintf(
        command, sizeof command,
        "ssh-keygen -q -t ed25519 -N '' -f %s/k 2>/dev/null; "
        "if [ $(id -u) = 0 ]; then unshare -m sh -c 'mount -t tmpfs none /run && mkdir "
        "/run/sshd && /usr/sbin/sshd -T -h %s/k -f %s -C %s'; else /usr/sbin/sshd -T -h "
        "%s/k "
        "-f %s -C %s; fi 2>/dev/null",
        folder, folder, path, test, folder, path, test);
    scoped_server_config c, out;
    scoped_buf b;
    must_load(&c, text);
    match(&c, test, &out);
    char *ours = dump(&out, &b);
    FILE *theirs = popen(command, "r");
    assert_non_null(theirs);
    size_t n = 0, wrong = 0;
    while (fgets(line, sizeof line, theirs) != NULL) {
        n++;
        if (incomparable(line) || strstr(ours, line) != NULL)
            continue;
        print_message("sshd -T says: %s", line);
        wrong++;
    }
    pclose(theirs);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
    if (n == 0) {
        print_message("skipped: OpenSSH's sshd is not installed\n");
        skip();
    }
    assert_int_equal(wrong, 0);
}

static void like_sshd(void **state) {
    (void)state;
    compare_with_sshd("", "user=root,host=h,addr=127.0.0.1");
    compare_with_sshd(debian, "user=root,host=h,addr=127.0.0.1");
    compare_with_sshd(
        "Port 2022\nPort 2023\nLoginGraceTime 1h\nMaxStartups 3:10:20\n"
        "RekeyLimit 1G 2h\nAllowUsers a b\nAllowUsers c\nDenyGroups g\n"
        "ClientAliveInterval 5m\nPermitRootLogin prohibit-password\nLogLevel DEBUG1\n"
        "SyslogFacility LOCAL7\nBanner /etc/issue\nAcceptEnv A B\nPermitTTY no\n"
        "StreamLocalBindMask 0111\nAuthorizedKeysFile %h/.k /etc/k/%u\n"
        "Compression no\nGatewayPorts clientspecified\nAllowTcpForwarding local\n"
        "PermitOpen a:1 b:2\nPermitUserEnvironment yes\nMaxSessions 3\n",
        "user=root,host=h,addr=127.0.0.1");
    compare_with_sshd(
        "MaxAuthTries 5\nAcceptEnv G\nAllowUsers *\nMatch Address 127.0.0.0/8\n"
        "MaxAuthTries 4\nAcceptEnv L\nMatch User roo?,!rooo\nMaxAuthTries 2\n"
        "Banner none\nAcceptEnv M\nX11Forwarding yes\nMatch all\nPermitTTY no\n"
        "Match LocalPort 99\nPermitTTY yes\nMatch Host *.org\nMaxSessions 2\n",
        "user=root,host=h.org,addr=127.0.0.1,lport=98");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(values),
        cmocka_unit_test(first_value_wins),
        cmocka_unit_test(malformed),
        cmocka_unit_test(many_problems),
        cmocka_unit_test(missing_file),
        cmocka_unit_test(later_keywords),
        cmocka_unit_test(aliases),
        cmocka_unit_test(match_criteria),
        cmocka_unit_test(match_merging),
        cmocka_unit_test(match_refuses_global_keywords),
        cmocka_unit_test(includes),
        cmocka_unit_test(include_loops_end),
        cmocka_unit_test(dump_round_trip),
        cmocka_unit_test(text_round_trip),
        cmocka_unit_test(algorithms),
        cmocka_unit_test(debian_loads),
        cmocka_unit_test(like_sshd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
