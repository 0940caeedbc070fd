// The user's authorized_keys, read as the user and never waited for; what an
// AuthorizedKeysCommand says; and the order in which these are asked.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/address.h"
#include "base/limits.h"
#include "base/text.h"
#include "conf/tokens.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/privilege.h"
#include "server/judge.h"

bool judge_line_expiry(const struct authkey_line *line, uint64_t *at) {
    *at = UINT64_MAX;
    for (size_t i = 0; i < line->expires_count; i++) {
        uint64_t one = clock_date_s(&line->expires[i]);
        if (one < *at)
            *at = one;
    }
    return line->expires_count > 0;
}

enum err judge_line_allows(const struct authkey_line *line, bool authority,
                           struct judge_source from, uint64_t wall_s, struct fault *why) {
    uint64_t at;
    char clean[200];
    if (line->cert_authority != authority)
        return fault_set(why, ERR_UNSUPPORTED, 0,
                         authority ? "the key is no certificate authority"
                                   : "the key is a certificate authority");
    if (line->from != NULL) {
        enum address_match m = address_match_list(line->from, from.host, from.address);
        if (m == ADDRESS_MATCH_ERROR)
            return fault_set(why, ERR_CONFIG, 0, "malformed from=\"%s\"",
                             text_clean(clean, sizeof clean, view_text(line->from)));
        if (m != ADDRESS_MATCH_YES)
            return fault_set(why, ERR_REFUSED, 0, "from= does not allow %s", from.host);
    }
    if (judge_line_expiry(line, &at) && wall_s >= at)
        return fault_set(why, ERR_REFUSED, 0, "the key has expired");
    return OK;
}

void judge_match_free(struct judge_match *m) {
    authkey_free(&m->line);
    free(m->text);
    *m = (struct judge_match){0};
}

// ---- text with lines ----

static enum err take_line(const struct judge_search *s, struct authkey_line *line,
                          struct judge_match *m, struct fault *fault) {
    bool authority = s->key->certificate != NULL;
    TRY(judge_line_allows(line, authority, (struct judge_source){s->host, s->peer},
                          s->wall_s, fault));
    if (authority)
        TRY(judge_certificate_under_line(s, line, fault));
    return judge_combine(s, m, line, fault);
}

static enum err scan(const struct judge_search *s, struct view text, const char *name,
                     struct judge_match *m) {
    struct authkey_scan scan;
    struct authkey_line line;
    struct fault fault = {0};
    const struct key *wanted =
        s->key->certificate != NULL ? s->key->certificate->ca : s->key;
    enum err e = authkey_scan_init(&scan, text, name, key_blob(wanted));
    while (e == OK && (e = authkey_scan_next(&scan, &line, &fault)) != ERR_NOT_FOUND) {
        if (e == OK) {
            unsigned long number = line.number;
            e = take_line(s, &line, m, &fault);
            if (e == OK)
                break;
            log_info(s->log, "%s:%lu: %s", name, number, fault_text(&fault));
            authkey_free(&line);
        } else {
            log_error(s->log, "%s", fault_text(&fault));  // names file and line
        }
        fault_clear(&fault);
        e = OK;
    }
    authkey_scan_free(&scan);
    return e;
}

// ---- files ----

enum err judge_read_file(const struct judge_search *s, const char *path, struct buf *text,
                         struct fault *fault) {
    scoped_fd fd = -1;
    TRY(file_open(path, 0, &fd, fault));
    if (s->config->strict_modes)
        TRY(file_check_owner(fd, path, s->account->directory, s->account->uid, fault));
    return file_read_fd(fd, path, LIMIT_KEY_FILE, text, fault);
}

static enum err search_file(const struct judge_search *s, const char *path,
                            struct judge_match *m) {
    struct buf text = {0};
    struct fault fault = {0};
    enum err e = judge_read_file(s, path, &text, &fault);
    if (e == OK) {
        e = scan(s, buf_view(&text), path, m);
    } else {
        if (e == ERR_NOT_FOUND)
            log_debug(s->log, "%s", fault_text(&fault));
        else
            log_info(s->log, "Authentication refused: %s", fault_text(&fault));
        e = ERR_NOT_FOUND;
    }
    buf_free(&text);
    return e;
}

enum err judge_path(const struct judge_search *s, const char *pattern, char *out,
                    size_t size, struct fault *fault) {
    char uid[16], expanded[4096];
    snprintf(uid, sizeof uid, "%u", s->account->uid);
    const struct token tokens[] = {
        {'h', s->account->directory}, {'u', s->user}, {'U', uid}, {0, NULL}};
    TRY(tokens_expand(TOKENS_AUTHORIZED_KEYS_FILE, tokens, pattern, expanded,
                      sizeof expanded, fault));
    int n = expanded[0] == '/'
                ? snprintf(out, size, "%s", expanded)
                : snprintf(out, size, "%s/%s", s->account->directory, expanded);
    return n > 0 && (size_t)n < size ? OK
                                     : fault_set(fault, ERR_LIMIT, 0, "path is too long");
}

static enum err search_files(const struct judge_search *s, void *arg) {
    struct judge_match *m = arg;
    const struct conf_list *files = &s->config->authorized_keys_file;
    for (size_t i = 0; i < files->n; i++) {
        char path[4096];
        struct fault fault = {0};
        if (strcmp(files->v[i], "none") == 0)
            continue;
        if (judge_path(s, files->v[i], path, sizeof path, &fault) != OK) {
            log_error(s->log, "AuthorizedKeysFile %s: %s", files->v[i],
                      fault_text(&fault));
            continue;
        }
        if (search_file(s, path, m) == OK)
            return OK;
    }
    return ERR_NOT_FOUND;
}

enum err judge_as_user(const struct judge_search *s,
                       enum err (*fn)(const struct judge_search *s, void *arg),
                       void *arg) {
    const struct account *a = s->account;
    struct privilege user = {a->uid, a->gid, a->groups, a->groups_n};
    struct privilege_before before;
    struct fault fault = {0};
    if (getuid() != 0)
        return fn(s, arg);
    if (privilege_act_as(&user, &before, &fault) != OK) {
        log_error(s->log, "cannot read key files as %s: %s", a->name, fault_text(&fault));
        return ERR_NOT_FOUND;
    }
    enum err e = fn(s, arg);
    privilege_back(&before);
    return e;
}

// ---- all of it ----

static enum err search_command(const struct judge_search *s, struct judge_match *m) {
    struct buf text;
    const struct judge_command command = {"AuthorizedKeysCommand",
                                          s->config->authorized_keys_command,
                                          s->config->authorized_keys_command_user, false};
    TRY(judge_command_run(s, &command, &text));
    enum err e = scan(s, buf_view(&text), "AuthorizedKeysCommand", m);
    buf_free(&text);
    return e;
}

enum err judge_find_key(const struct judge_search *s, struct judge_match *m) {
    *m = (struct judge_match){0};
    if (judge_key_revoked(s))
        return ERR_NOT_FOUND;
    if (s->key->certificate != NULL && judge_find_certificate(s, m) == OK)
        return OK;
    if (search_command(s, m) == OK)
        return OK;
    return judge_as_user(s, search_files, m);
}
