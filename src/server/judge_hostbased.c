// The judge's hostbased method: a host that we know vouches for its user. Two things have
// to be so, and both are looked at in any case: hosts.equiv and its like name the host
// and its user, and the key that signed is that host's by known_hosts.
#include <limits.h>
#include <stdio.h>
#include <strings.h>

#include "auth/server.h"
#include "base/limits.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/file.h"
#include "key/known_hosts.h"
#include "server/judge_state.h"
#include "server/rhosts.h"

#define HOST_SIZE 256
#define FILES_MAX 4
#define TEXT_SIZE 1024
#define USER_FILE_MAX (1024u * 1024u)

static const char *const system_equiv[] = {"/etc/hosts.equiv", "/etc/ssh/shosts.equiv"};
static const char *const system_known[] = {"/etc/ssh/ssh_known_hosts",
                                           "/etc/ssh/ssh_known_hosts2"};
static const char *const user_known[] = {".ssh/known_hosts", ".ssh/known_hosts2"};

struct claim {
    const struct judge_search *s;
    struct rhosts_case who;
    bool listed;
    struct buf texts[FILES_MAX];
    struct known_hosts_file files[FILES_MAX];
    char names[FILES_MAX][PATH_MAX];
    size_t files_n;
};

// ---- who is named ----

static void search_rhosts(struct claim *c, const char *path, struct view text) {
    unsigned long number = 0;
    switch (rhosts_search(text, &c->who, &number)) {
    case RHOSTS_NOTHING:
        return;
    case RHOSTS_ALLOWED:
        c->listed = true;
        break;
    case RHOSTS_REFUSED:
        break;
    }
    log_debug(c->s->log, "%s:%lu: %s %s", path, number, c->who.host,
              c->listed ? "is let in" : "is refused");
}

static void system_rhosts(struct claim *c) {
    // Nobody but root's own files let anybody in as root.
    for (size_t i = 0; i < 2 && c->s->account->uid != 0 && !c->listed; i++) {
        scoped_buf text = {0};
        struct fault fault = {0};
        enum err e = file_read(system_equiv[i], 0, USER_FILE_MAX, &text, &fault);
        if (e == OK)
            search_rhosts(c, system_equiv[i], buf_view(&text));
        else if (e != ERR_NOT_FOUND)
            log_info(c->s->log, "hostbased: %s", fault_text(&fault));
    }
}

// In the home, with the user's rights. False: it is not there, or not to be trusted.
static bool read_own(struct claim *c, const char *name, char *path, size_t size,
                     struct buf *text) {
    struct fault fault = {0};
    int n = snprintf(path, size, "%s/%s", c->s->account->directory, name);
    if (n < 0 || (size_t)n >= size)
        return false;
    enum err e = judge_read_file(c->s, path, text, &fault);
    if (e != OK && e != ERR_NOT_FOUND)
        log_info(c->s->log, "hostbased: %s", fault_text(&fault));
    return e == OK;
}

static void own_rhosts(struct claim *c) {
    static const char *const names[] = {".shosts", ".rhosts"};
    static const size_t counts[] = {
        [IGNORE_RHOSTS_NO] = 2, [IGNORE_RHOSTS_YES] = 0, [IGNORE_RHOSTS_SHOSTS_ONLY] = 1};
    for (size_t i = 0; i < counts[c->s->config->ignore_rhosts] && !c->listed; i++) {
        char path[PATH_MAX];
        struct buf text = {0};
        if (read_own(c, names[i], path, sizeof path, &text))
            search_rhosts(c, path, buf_view(&text));
        buf_free(&text);
    }
}

// ---- whose key it is ----

static void add_file(struct claim *c, const char *path) {
    struct known_hosts_file *f = &c->files[c->files_n];
    text_copy(c->names[c->files_n], PATH_MAX, view_text(path));
    *f = (struct known_hosts_file){c->names[c->files_n], buf_view(&c->texts[c->files_n])};
    c->files_n++;
}

static void system_files(struct claim *c) {
    for (size_t i = 0; i < 2; i++) {
        struct fault fault = {0};
        enum err e = file_read(system_known[i], 0, LIMIT_KNOWN_HOSTS,
                               &c->texts[c->files_n], &fault);
        if (e == OK)
            add_file(c, system_known[i]);
        else if (e != ERR_NOT_FOUND)
            log_info(c->s->log, "hostbased: %s", fault_text(&fault));
    }
}

// What lies in the home, all in one go.
static enum err own_files(const struct judge_search *s, void *arg) {
    struct claim *c = arg;
    own_rhosts(c);
    for (size_t i = 0; i < 2 && !s->config->ignore_user_known_hosts; i++) {
        char path[PATH_MAX];
        if (read_own(c, user_known[i], path, sizeof path, &c->texts[c->files_n]))
            add_file(c, path);
    }
    return OK;
}

static bool certificate_is_known(struct claim *c, const char *name) {
    const struct key *key = c->s->key;
    struct fault why = {0};
    struct known_hosts_verdict v;
    struct certificate_want want = {.kind = CERTIFICATE_HOST,
                                    .ca_algorithms =
                                        c->s->config->ca_signature_algorithms,
                                    .now_s = c->s->wall_s,
                                    .principal = name};
    if (known_hosts_check_authority(c->files, c->files_n, name,
                                    key_blob(key->certificate->ca), &v) != OK ||
        v.result != KNOWN_HOSTS_OK)
        return false;
    if (certificate_check(key, &want, &why) == OK)
        return true;
    log_info(c->s->log, "hostbased: certificate of %s: %s", name, fault_text(&why));
    return false;
}

static bool key_is_known(struct claim *c) {
    char name[HOST_SIZE];
    struct known_hosts_verdict v;
    if (judge_key_revoked(c->s) ||
        known_hosts_name(name, sizeof name, c->who.host, 0) != OK)
        return false;
    if (known_hosts_check(c->files, c->files_n, name, key_plain_blob(c->s->key), &v) !=
            OK ||
        v.result == KNOWN_HOSTS_IS_REVOKED)
        return false;
    if (c->s->key->certificate != NULL)
        return certificate_is_known(c, name);
    return v.result == KNOWN_HOSTS_OK;
}

static bool host_vouches(struct claim *c) {
    system_rhosts(c);
    system_files(c);
    if (judge_as_user(c->s, own_files, c) != OK)
        c->listed = false;
    bool known = key_is_known(c);
    for (size_t i = 0; i < FILES_MAX; i++)
        buf_free(&c->texts[i]);
    if (c->listed != known)
        log_verbose(c->s->log, "hostbased: %s %s", c->who.host,
                    known ? "and its user are in none of hosts.equiv, shosts.equiv, "
                            ".shosts and .rhosts that count"
                          : "has another key in the known_hosts files, or none");
    return c->listed && known;
}

// ---- the request ----

// A host's name without the dot at its end; false: it is none.
static bool take_name(char *out, size_t size, struct view name) {
    if (name.n > 0 && name.p[name.n - 1] == '.')
        name.n--;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= ' ' || name.p[i] >= 127 || strchr("*?,!|#", name.p[i]) != NULL)
            return false;
    return name.n > 0 && text_copy(out, size, name);
}

static bool is_good(struct judge *j, const struct ipc_hostbased *m, const struct key *key,
                    const char *host, const char *user) {
    const struct judge_start *st = j->start;
    struct fault why = {0};
    struct judge_signature want = {st->session_id, st->host_key, view_text(j->asked),
                                   j->config.hostbased_accepted_algorithms,
                                   j->config.required_rsa_size};
    struct judge_search s = {
        &j->config,     &j->account, j->user,        st->peer, st->local, st->peer_port,
        st->local_port, st->domain,  clock_wall_s(), &j->log,  key,       j->host};
    bool by_name = j->config.hostbased_uses_name_from_packet_only;
    struct claim c = {.s = &s,
                      .who = {by_name ? host : j->host, by_name ? host : st->peer, user,
                              j->user, account_in_netgroup}};
    if (!by_name && strcasecmp(host, j->host) != 0)
        log_info(&j->log,
                 "userauth_hostbased mismatch: client sends %s, but we look at "
                 "its %s %s",
                 host, j->host == st->peer ? "address" : "name", j->host);
    enum err right = judge_hostbased_check(&want, m, &why);
    bool vouched = host_vouches(&c);
    if (right != OK)
        log_verbose(&j->log, "hostbased for %s from %s: %s", j->user, st->peer,
                    fault_text(&why));
    return right == OK && vouched && j->allowed &&
           judge_methods_may(&j->methods, METHOD_HOSTBASED);
}

void judge_on_hostbased(struct judge *j, const struct ipc_hostbased *m) {
    struct key *key = NULL;
    char text[TEXT_SIZE], host[HOST_SIZE], user[HOST_SIZE];
    char clean_host[HOST_SIZE], clean_user[HOST_SIZE];
    bool named = take_name(host, sizeof host, m->host) &&
                 text_copy(user, sizeof user, m->client_user) && user[0] != '\0';
    bool good = key_from_blob(&key, m->blob, NULL) == OK && named &&
                is_good(j, m, key, host, user);
    judge_key_text(j, key, m->blob, text, sizeof text);
    log_verbose(&j->log, "hostbased: %s, client user \"%s\", client host \"%s\"", text,
                text_clean(clean_user, sizeof clean_user, m->client_user),
                text_clean(clean_host, sizeof clean_host, m->host));
    // A host has several keys, any of which speaks for it.
    if (good && (judge_identity_add(j, "host", view_text(host), view_text(user)) != OK ||
                 judge_key_used(j, "hostbased", key) != OK))
        good = false;
    key_free(key);
    if (!good) {
        judge_refuse(j, m->ticket, "hostbased", text);
        return;
    }
    text_copy(j->grant.key, sizeof j->grant.key, view_text(text));
    judge_fulfilled(j, m->ticket, METHOD_HOSTBASED);
}
