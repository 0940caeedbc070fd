// The user's authorized_keys, read as the user and never waited for.
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/address.h"
#include "base/limits.h"
#include "conf/tokens.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/privilege.h"
#include "server/judge.h"

static uint64_t time_of(const struct authkey_time *t) {
    struct tm tm = {.tm_year = t->year - 1900,
                    .tm_mon = t->month - 1,
                    .tm_mday = t->day,
                    .tm_hour = t->hour,
                    .tm_min = t->minute,
                    .tm_sec = t->second,
                    .tm_isdst = -1};
    time_t s = t->utc ? timegm(&tm) : mktime(&tm);
    return s < 0 ? 0 : (uint64_t)s;
}

bool judge_line_expiry(const struct authkey_line *line, uint64_t *at) {
    *at = UINT64_MAX;
    for (size_t i = 0; i < line->expires_count; i++) {
        uint64_t one = time_of(&line->expires[i]);
        if (one < *at)
            *at = one;
    }
    return line->expires_count > 0;
}

enum err judge_line_allows(const struct authkey_line *line, const char *peer,
                           uint64_t wall_s, struct fault *why) {
    uint64_t at;
    if (line->cert_authority)
        return fault_set(why, ERR_UNSUPPORTED, 0, "the key is a certificate authority");
    if (line->verify_required)
        return fault_set(why, ERR_UNSUPPORTED, 0, "verify-required is for security keys");
    if (line->from != NULL) {
        enum address_match m = address_match_list(line->from, peer, peer);
        if (m == ADDRESS_MATCH_ERROR)
            return fault_set(why, ERR_CONFIG, 0, "malformed from=");
        if (m != ADDRESS_MATCH_YES)
            return fault_set(why, ERR_REFUSED, 0, "from= does not allow %s", peer);
    }
    if (judge_line_expiry(line, &at) && wall_s >= at)
        return fault_set(why, ERR_REFUSED, 0, "the key has expired");
    return OK;
}

static enum err scan(const struct judge_search *s, struct view text, const char *path,
                     struct view blob, struct authkey_line *line) {
    struct authkey_scan scan;
    struct fault fault = {0};
    enum err e = authkey_scan_init(&scan, text, path, blob);
    while (e == OK && (e = authkey_scan_next(&scan, line, &fault)) != ERR_NOT_FOUND) {
        if (e == OK) {
            e = judge_line_allows(line, s->peer, s->wall_s, &fault);
            if (e == OK)
                break;
            log_info(s->log, "%s:%lu: %s", path, line->number, fault_text(&fault));
            authkey_free(line);
        } else {
            log_error(s->log, "%s", fault_text(&fault));  // names file and line
        }
        fault_clear(&fault);
        e = OK;
    }
    authkey_scan_free(&scan);
    return e;
}

static enum err read_file(const struct judge_search *s, const char *path,
                          struct buf *text, struct fault *fault) {
    scoped_fd fd = -1;
    TRY(file_open(path, 0, &fd, fault));
    if (s->config->strict_modes)
        TRY(file_check_owner(fd, path, s->account->directory, s->account->uid, fault));
    return file_read_fd(fd, path, LIMIT_KEY_FILE, text, fault);
}

static enum err search_file(const struct judge_search *s, const char *path,
                            struct view blob, struct authkey_line *line) {
    struct buf text = {0};
    struct fault fault = {0};
    enum err e = read_file(s, path, &text, &fault);
    if (e == OK) {
        e = scan(s, buf_view(&text), path, blob, line);
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

static enum err path_of(const struct judge_search *s, const char *pattern, char *out,
                        size_t size, struct fault *fault) {
    char uid[16], expanded[4096];
    snprintf(uid, sizeof uid, "%u", s->account->uid);
    const struct token tokens[] = {
        {'h', s->account->directory}, {'u', s->account->name}, {'U', uid}, {0, NULL}};
    TRY(tokens_expand(TOKENS_AUTHORIZED_KEYS_FILE, tokens, pattern, expanded,
                      sizeof expanded, fault));
    int n = expanded[0] == '/'
                ? snprintf(out, size, "%s", expanded)
                : snprintf(out, size, "%s/%s", s->account->directory, expanded);
    return n > 0 && (size_t)n < size ? OK
                                     : fault_set(fault, ERR_LIMIT, 0, "path is too long");
}

static enum err search_all(const struct judge_search *s, struct view blob,
                           struct authkey_line *line) {
    const struct conf_list *files = &s->config->authorized_keys_file;
    for (size_t i = 0; i < files->n; i++) {
        char path[4096];
        struct fault fault = {0};
        if (strcmp(files->v[i], "none") == 0)
            continue;
        if (path_of(s, files->v[i], path, sizeof path, &fault) != OK) {
            log_error(s->log, "AuthorizedKeysFile %s: %s", files->v[i],
                      fault_text(&fault));
            continue;
        }
        if (search_file(s, path, blob, line) == OK)
            return OK;
    }
    return ERR_NOT_FOUND;
}

enum err judge_find_key(const struct judge_search *s, struct view blob,
                        struct authkey_line *line) {
    const struct account *a = s->account;
    struct privilege user = {a->uid, a->gid, a->groups, a->groups_n};
    struct privilege_before before;
    struct fault fault = {0};
    if (getuid() != 0)
        return search_all(s, blob, line);
    if (privilege_act_as(&user, &before, &fault) != OK) {
        log_error(s->log, "cannot read key files as %s: %s", a->name, fault_text(&fault));
        return ERR_NOT_FOUND;
    }
    enum err e = search_all(s, blob, line);
    privilege_back(&before);
    return e;
}
