// The findings of `bowline doctor`, one row each, and what is printed of them.
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "client/doctor_steps.h"
#include "io/fd.h"

#define OUT_MAX (256u * 1024)

static const struct finding {
    const char *step, *name;
    enum doctor_verdict verdict;
    const char *client, *server, *firewall;  // remedies; NULL: none there
} findings[FOUND_COUNT] = {
    [FOUND_NAME] = {"name", "name", DOCTOR_OK, NULL, NULL, NULL},
    [FOUND_NO_NAME] = {"name", "no-name", DOCTOR_FAIL,
                       "check the spelling, Hostname and CanonicalDomains in ssh_config, "
                       "/etc/hosts and /etc/resolv.conf; try the address instead",
                       "give the host a record in the domain name system",
                       "let this machine ask its name servers (port 53)"},
    [FOUND_PROXY] = {"tcp", "proxy", DOCTOR_OK, NULL, NULL, NULL},
    [FOUND_PROXY_FAILED] = {"tcp", "proxy-failed", DOCTOR_FAIL,
                            "run bowline doctor for the jump host, or the program of "
                            "ProxyCommand by hand",
                            NULL, NULL},
    [FOUND_CONNECTED] = {"tcp", "connected", DOCTOR_OK, NULL, NULL, NULL},
    [FOUND_REFUSED] =
        {"tcp", "refused", DOCTOR_FAIL, "check the port (-p, Port in ssh_config)",
         "start sshd there, and look at Port and ListenAddress in its "
         "sshd_config",
         "a rule that rejects with a reset looks the same: let the port in"},
    [FOUND_FILTERED] = {"tcp", "filtered", DOCTOR_FAIL,
                        "check address and port; try from another network, or by a jump "
                        "host (-J)",
                        "see that the host is up and has a way back to this network",
                        "packets are dropped on the way: let TCP to this port in"},
    [FOUND_NO_ROUTE] = {"tcp", "no-route", DOCTOR_FAIL,
                        "look at addresses and routes of this machine (ip route get "
                        "ADDRESS); is a VPN down? For IPv4 alone: -4",
                        "see that the host is up",
                        "a rule that rejects with host-unreachable looks the same"},
    [FOUND_PROHIBITED] = {"tcp", "prohibited", DOCTOR_FAIL, NULL, NULL,
                          "a rule of this machine, or one on the way, prohibits it: let "
                          "TCP to this port out"},
    [FOUND_UNREACHABLE] = {"tcp", "unreachable", DOCTOR_FAIL,
                           "look at BindAddress and BindInterface in ssh_config, and at "
                           "this machine's network",
                           NULL, NULL},
    [FOUND_GREETING] = {"banner", "greeting", DOCTOR_OK, NULL, NULL, NULL},
    [FOUND_CLOSED_AT_ONCE] =
        {"banner", "closed-at-once", DOCTOR_FAIL,
         "wait some minutes: many attempts that failed are punished",
         "MaxStartups, PerSourceMaxStartups or PerSourcePenalties of "
         "sshd_config, or hosts.deny, turn this address away; its "
         "log says which",
         "a proxy or balancer without a host behind it closes so"},
    [FOUND_SILENT] = {"banner", "silent", DOCTOR_FAIL,
                      "check the port: what listens there waits for the client to speak "
                      "first, as HTTP and TLS do",
                      "the host may be stuck or out of memory; UseDNS waits for a name "
                      "server",
                      "a box between may answer for a host that is not there"},
    [FOUND_NOT_SSH] = {"banner", "not-ssh", DOCTOR_FAIL,
                       "check host and port: something other than SSH listens there",
                       "look which program has the port (ss -ltnp)",
                       "a captive portal or proxy may answer in the host's place"},
    [FOUND_KEYS] = {"exchange", "keys", DOCTOR_OK, NULL, NULL, NULL},
    [FOUND_NO_OVERLAP] = {"exchange", "no-overlap", DOCTOR_FAIL,
                          "for this host alone, add what it has to KexAlgorithms, "
                          "HostKeyAlgorithms, Ciphers or MACs with a +",
                          "bring the server up to date, or add a method of this client's "
                          "to the same keyword of sshd_config",
                          NULL},
    [FOUND_BLACK_HOLE] =
        {"exchange", "large-packets-lost", DOCTOR_FAIL,
         "lower the MTU of the interface or VPN (ip link set dev NAME mtu "
         "1280), or set net.ipv4.tcp_mtu_probing=1",
         "the same at the host",
         "let ICMP fragmentation-needed and packet-too-big through, or "
         "clamp the MSS to the path MTU"},
    [FOUND_EXCHANGE_FAILED] = {"exchange", "failed", DOCTOR_FAIL, NULL,
                               "the log of sshd says why it ended the connection",
                               "a box that looks into connections may have cut it"},
    [FOUND_HOST_KNOWN] = {"host key", "known", DOCTOR_OK, NULL, NULL, NULL},
    [FOUND_HOST_UNKNOWN] = {"host key", "unknown", DOCTOR_FAIL,
                            "compare the fingerprint with what the host's administrator "
                            "says, then connect once with ssh and answer yes",
                            "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub shows the "
                            "right one",
                            NULL},
    [FOUND_HOST_CHANGED] =
        {"host key", "changed", DOCTOR_FAIL,
         "ask whoever runs the host whether its key has changed; only "
         "then forget the old one with ssh-keygen -R",
         "put the old host keys back, or tell the users of the new ones",
         "a host between may have answered in its place"},
    [FOUND_HOST_REVOKED] =
        {"host key", "revoked", DOCTOR_FAIL,
         "do not connect; RevokedHostKeys or a @revoked line names this "
         "key",
         "give the host a new key", NULL},
    [FOUND_LET_IN] = {"login", "let-in", DOCTOR_OK, NULL, NULL, NULL},
    [FOUND_KEY_REFUSED] = {"login", "key-refused", DOCTOR_FAIL,
                           "name the right user and key (User, -i, IdentityFile); "
                           "ssh-copy-id puts a key there",
                           "look at authorized_keys, its owner and mode (StrictModes), "
                           "AllowUsers, PubkeyAcceptedAlgorithms; sshd's log says why",
                           NULL},
    [FOUND_NO_KEY] = {"login", "no-key", DOCTOR_FAIL,
                      "make a key with ssh-keygen, name it with -i, or give it to the "
                      "agent with ssh-add",
                      NULL, NULL},
    [FOUND_PASSWORD] = {"login", "password-wanted", DOCTOR_WARN,
                        "the way is fine up to here: ssh will ask; doctor asks for none. "
                        "ssh-copy-id makes it go by key",
                        NULL, NULL},
    [FOUND_LOGIN_CUT] =
        {"login", "cut", DOCTOR_FAIL,
         "fewer keys: IdentitiesOnly yes with the right IdentityFile",
         "MaxAuthTries, LoginGraceTime or DenyUsers of sshd_config; its log "
         "says which",
         NULL},
    [FOUND_RUNS] = {"session", "runs", DOCTOR_OK, NULL, NULL, NULL},
    [FOUND_NOLOGIN] = {"session", "no-shell", DOCTOR_FAIL, NULL,
                       "the account's shell lets nobody in (nologin, false), or there is "
                       "/etc/nologin: see getent passwd USER",
                       NULL},
    [FOUND_FORCED] = {"session", "forced-command", DOCTOR_WARN,
                      "this key or account is for one command; another key may be for a "
                      "shell",
                      "ForceCommand in sshd_config, or command= in authorized_keys",
                      NULL},
    [FOUND_NOISE] =
        {"session", "noise", DOCTOR_WARN, NULL,
         "the account's shell prints text at its start (.bashrc), which breaks "
         "scp, sftp and rsync: print only where the shell is interactive",
         NULL},
    [FOUND_SESSION_CUT] = {"session", "cut", DOCTOR_FAIL, NULL,
                           "the log of sshd says why the session was refused or ended "
                           "(MaxSessions, limits of memory or processes)",
                           NULL},
    [FOUND_SESSION_STUCK] = {"session", "stuck", DOCTOR_FAIL, NULL,
                             "the account's shell does not come to an end: look at its "
                             "start files, and at home folders on file servers",
                             NULL},
    [FOUND_CLOCK] = {"clock", "same", DOCTOR_OK, NULL, NULL, NULL},
    [FOUND_CLOCK_OFF] = {"clock", "off", DOCTOR_WARN,
                         "set this machine's clock, if it is this one that is wrong: "
                         "certificates and one-time passwords need it",
                         "have a time service set the host's clock", NULL},
    [FOUND_KEEPALIVE] = {"idle", "settings", DOCTOR_OK, NULL, NULL, NULL},
    [FOUND_NO_LIMIT] = {"idle", "no-limit", DOCTOR_OK, NULL, NULL, NULL},
    [FOUND_LIMIT] =
        {"idle", "limit", DOCTOR_WARN,
         "ServerAliveInterval below half of the limit; Bowline's ssh does so by "
         "itself where it is not set",
         "ClientAliveInterval below half of the limit, for all clients; bowline "
         "config explain sshd USER@ADDRESS names the line that sets it, "
         "ChannelTimeout and UnusedConnectionTimeout",
         "raise the idle time of established connections (NAT, conntrack, load "
         "balancer), or let the box reset what it forgets"},
    [FOUND_ENDED] =
        {"idle", "ended-by-server", DOCTOR_WARN,
         "a session has a channel, which the connections that measure have not: it is "
         "hit "
         "by ChannelTimeout alone, and signs of life do not count for either",
         "UnusedConnectionTimeout ends connections without a channel; bowline config "
         "explain sshd USER@ADDRESS names the line that sets it, and ChannelTimeout",
         "a proxy or balancer with an idle limit closes so: raise it"},
    [FOUND_SPOKEN] = {"idle", "kept-by-server", DOCTOR_OK, NULL,
                      "bowline config explain sshd USER@ADDRESS names the line that sets "
                      "ClientAliveInterval",
                      NULL},
    [FOUND_NOT_MEASURED] = {"idle", "not-measured", DOCTOR_WARN,
                            "log in without a password or confirmation: measuring takes "
                            "several connections",
                            "MaxStartups may be too low for several connections at once",
                            NULL},
};

// ---- taking down ----

void doctor_say(struct doctor *d, enum doctor_finding finding, uint64_t us,
                const char *format, ...) {
    if (d->steps_n == DOCTOR_STEPS_MAX)
        return;
    struct doctor_step *s = &d->steps[d->steps_n++];
    va_list ap;
    s->finding = finding;
    s->us = us;
    va_start(ap, format);
    vsnprintf(s->text, sizeof s->text, format, ap);
    va_end(ap);
}

static enum doctor_verdict verdict_of(const struct doctor_step *s) {
    enum doctor_verdict v = findings[s->finding].verdict;
    return v == DOCTOR_FAIL && s->passed_by ? DOCTOR_WARN : v;
}

enum doctor_verdict doctor_verdict(const struct doctor *d) {
    enum doctor_verdict worst = DOCTOR_OK;
    for (size_t i = 0; i < d->steps_n; i++)
        if (verdict_of(&d->steps[i]) > worst)
            worst = verdict_of(&d->steps[i]);
    return worst;
}

const char *doctor_setting(const struct client *c, const char *keyword, const char *value,
                           char *out, size_t size) {
    const struct conf_origin *o = client_config_origin(&c->config, keyword);
    if (o->file == NULL)
        snprintf(out, size, "%s %s (default)", keyword, value);
    else if (o->line == 0)
        snprintf(out, size, "%s %s (%s)", keyword, value, o->file);
    else
        snprintf(out, size, "%s %s (%s:%u)", keyword, value, o->file, o->line);
    return out;
}

// ---- printing ----

static const char *const verdicts[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "FAIL"};
static const char *const json_verdicts[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail"};

static void put_remedy(const char *where, const char *what) {
    if (what != NULL)
        printf("%25s %s: %s\n", "", where, what);
}

static void print_step(const struct doctor_step *s) {
    const struct finding *f = &findings[s->finding];
    char time[24] = "", clean[DOCTOR_TEXT];
    if (s->us != UINT64_MAX)
        snprintf(time, sizeof time, "%.1f ms", (double)s->us / 1000);
    printf("%-9s %-5s %9s %s\n", f->step, verdicts[verdict_of(s)], time,
           text_one_line(clean, sizeof clean, view_text(s->text)));
    put_remedy("client", f->client);
    put_remedy("server", f->server);
    put_remedy("firewall", f->firewall);
}

static void put_member(struct json *j, const char *name, const char *text) {
    if (text != NULL)
        json_member_text(j, name, text);
}

static void add_step(struct json *j, const struct doctor_step *s) {
    const struct finding *f = &findings[s->finding];
    char clean[DOCTOR_TEXT];
    json_object(j);
    json_member_text(j, "step", f->step);
    json_member_text(j, "verdict", json_verdicts[verdict_of(s)]);
    json_member_text(j, "finding", f->name);
    json_member_text(j, "text", text_one_line(clean, sizeof clean, view_text(s->text)));
    if (s->us != UINT64_MAX)
        json_member_u64(j, "us", s->us);
    json_name(j, "remedies");
    json_object(j);
    put_member(j, "client", f->client);
    put_member(j, "server", f->server);
    put_member(j, "firewall", f->firewall);
    json_object_end(j);
    json_object_end(j);
}

static enum err print_json(const struct doctor *d) {
    scoped_buf out;
    buf_init(&out, OUT_MAX);
    struct json j = json_to_buf(&out);
    json_object(&j);
    json_member_text(&j, "host", d->c->config.original_host);
    json_member_text(&j, "name", d->c->config.hostname);
    json_member_u64(&j, "port", d->c->config.port);
    json_member_text(&j, "user", d->c->config.user);
    json_member_text(&j, "verdict", json_verdicts[doctor_verdict(d)]);
    json_name(&j, "steps");
    json_array(&j);
    for (size_t i = 0; i < d->steps_n; i++)
        add_step(&j, &d->steps[i]);
    json_array_end(&j);
    json_object_end(&j);
    TRY(json_end(&j));
    TRY(buf_append(&out, view_text("\n")));
    return fd_write_full(STDOUT_FILENO, buf_view(&out));
}

enum err doctor_print(const struct doctor *d) {
    if (d->json)
        return print_json(d);
    for (size_t i = 0; i < d->steps_n; i++)
        print_step(&d->steps[i]);
    return fflush(stdout) == 0 ? OK : ERR_IO;
}
