// Certificates of users: who vouches for them, for whom they are, what they allow; and
// which keys are revoked.
#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/file.h"
#include "key/authorized_principals.h"
#include "key/krl.h"
#include "server/judge.h"

// ---- revocation ----

static bool revoked_by(const struct judge_search *s, const char *path) {
    struct buf text = {0};
    struct fault fault = {0};
    char fingerprint[KEY_FINGERPRINT_SIZE];
    bool revoked = true;
    enum err e = file_read(path, 0, LIMIT_KRL, &text, &fault);
    if (e == OK)
        e = revoked_keys_check(buf_view(&text), path, s->key, &revoked, &fault);
    // Whatever cannot be read refuses every key.
    revoked = revoked || e != OK;
    key_fingerprint(fingerprint, sizeof fingerprint, key_plain_blob(s->key),
                    &digest_sha256);
    if (e != OK)
        log_error(s->log,
                  "Error checking authentication key %s in revoked keys file %s: %s",
                  fingerprint, path, fault_text(&fault));
    else if (revoked)
        log_error(s->log, "Authentication key %s %s revoked by file %s",
                  s->key->type->short_name, fingerprint, path);
    buf_free(&text);
    return revoked;
}

bool judge_key_revoked(const struct judge_search *s) {
    const struct conf_list *files = &s->config->revoked_keys;
    for (size_t i = 0; i < files->n; i++)
        if (strcmp(files->v[i], "none") != 0 && revoked_by(s, files->v[i]))
            return true;
    return false;
}

// ---- judging ----

static enum err check(const struct judge_search *s, const char *principal,
                      struct fault *why) {
    const struct certificate *c = s->key->certificate;
    struct certificate_want want = {.kind = CERTIFICATE_USER,
                                    .ca_algorithms = s->config->ca_signature_algorithms,
                                    .now_s = s->wall_s,
                                    .principal = principal,
                                    .peer = s->peer};
    TRY(certificate_check(s->key, &want, why));
    if (c->ca->type->kind == PK_RSA && pk_bits(c->ca->pk) < s->config->required_rsa_size)
        return fault_set(why, ERR_REFUSED, 0, "certificate of an RSA key of %u bits",
                         pk_bits(c->ca->pk));
    return c->principal_count > 0
               ? OK
               : fault_set(why, ERR_REFUSED, 0, "certificate without principals");
}

enum err judge_certificate_under_line(const struct judge_search *s,
                                      const struct authkey_line *line,
                                      struct fault *why) {
    if (line->principals != NULL &&
        !certificate_names_any(s->key->certificate, line->principals))
        return fault_set(why, ERR_REFUSED, 0,
                         "Certificate does not contain an authorized principal");
    return check(s, line->principals != NULL ? NULL : s->user, why);
}

static uint32_t line_permits(const struct authkey_permits *p) {
    return (p->pty ? PERMIT_PTY : 0) |
           (p->port_forwarding ? PERMIT_PORT_FORWARDING | PERMIT_TUNNEL : 0) |
           (p->agent_forwarding ? PERMIT_AGENT_FORWARDING : 0) |
           (p->x11_forwarding ? PERMIT_X11_FORWARDING : 0) |
           (p->user_rc ? PERMIT_USER_RC : 0);
}

static uint32_t certificate_permits(const struct certificate_options *o) {
    return (o->permit_pty ? PERMIT_PTY : 0) |
           (o->permit_port_forwarding ? PERMIT_PORT_FORWARDING | PERMIT_TUNNEL : 0) |
           (o->permit_agent_forwarding ? PERMIT_AGENT_FORWARDING : 0) |
           (o->permit_x11_forwarding ? PERMIT_X11_FORWARDING : 0) |
           (o->permit_user_rc ? PERMIT_USER_RC : 0);
}

enum err judge_combine(const struct judge_search *s, struct judge_match *m,
                       struct authkey_line *line, struct fault *why) {
    struct judge_match made = {.permits = line_permits(&line->permit),
                               .command = line->command,
                               .no_touch_required = line->no_touch_required,
                               .verify_required = line->verify_required};
    if (s->key->certificate != NULL) {
        const struct certificate_options *o = &s->key->certificate->options;
        made.permits &= certificate_permits(o);
        made.no_touch_required = made.no_touch_required && o->no_touch_required;
        made.verify_required = made.verify_required || o->verify_required;
        if (o->force_command.p != NULL) {
            if (line->command != NULL && !view_is(o->force_command, line->command))
                return fault_set(why, ERR_REFUSED, 0,
                                 "Forced command options from certificate and "
                                 "authorized_keys do not match");
            made.text = strndup((const char *)o->force_command.p, o->force_command.n);
            if (made.text == NULL)
                return fault_set(why, ERR_MEMORY, 0, "out of memory");
            made.command = made.text;
        }
    }
    made.line = *line;
    *line = (struct authkey_line){0};
    *m = made;
    return OK;
}

// ---- TrustedUserCAKeys ----

static bool authority_in(const struct judge_search *s, const char *path) {
    struct buf text = {0};
    struct fault fault = {0};
    struct authkey_scan scan;
    struct authkey_line line;
    bool found = false;
    if (file_read(path, 0, LIMIT_KEY_FILE, &text, &fault) != OK) {
        log_error(s->log, "TrustedUserCAKeys: %s", fault_text(&fault));
        return false;
    }
    enum err e = authkey_scan_init(&scan, buf_view(&text), path,
                                   key_blob(s->key->certificate->ca));
    while (e == OK && !found &&
           (e = authkey_scan_next(&scan, &line, &fault)) != ERR_NOT_FOUND) {
        if (e == OK) {
            found = true;
            authkey_free(&line);
        } else {
            log_error(s->log, "%s", fault_text(&fault));
        }
        fault_clear(&fault);
        e = OK;
    }
    authkey_scan_free(&scan);
    buf_free(&text);
    return found;
}

static bool authority_trusted(const struct judge_search *s) {
    const struct conf_list *files = &s->config->trusted_user_ca_keys;
    for (size_t i = 0; i < files->n; i++)
        if (strcmp(files->v[i], "none") != 0 && authority_in(s, files->v[i]))
            return true;
    return false;
}

// ---- principals ----

static enum err take_principal(const struct judge_search *s,
                               struct authorized_principal *p, struct judge_match *m,
                               struct fault *fault) {
    const struct certificate *c = s->key->certificate;
    if (!certificate_names(c, view_text(p->name)))
        return ERR_NOT_FOUND;
    TRY(judge_line_allows(&p->line, false, (struct judge_source){s->host, s->peer},
                          s->wall_s, fault));
    TRY(check(s, NULL, fault));
    return judge_combine(s, m, &p->line, fault);
}

static enum err take_principal_line(const struct judge_search *s, struct view text,
                                    const char *name, unsigned long number,
                                    struct judge_match *m) {
    struct authorized_principal p;
    struct fault fault = {0};
    enum err e = authorized_principal_parse(&p, text, name, number, &fault);
    if (e == OK) {
        e = take_principal(s, &p, m, &fault);
        authorized_principal_free(&p);
    }
    if (e != OK && e != ERR_NOT_FOUND)
        log_info(s->log, "%s:%lu: %s", name, number, fault_text(&fault));
    return e;
}

static enum err scan_principals(const struct judge_search *s, struct view text,
                                const char *name, struct judge_match *m) {
    unsigned long number = 0;
    while (text.n > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        if (take_principal_line(s, view_of(text.p, n), name, ++number, m) == OK)
            return OK;
        n += end != NULL;
        text = view_of(text.p + n, text.n - n);
    }
    return ERR_NOT_FOUND;
}

static enum err principals_file(const struct judge_search *s, void *arg) {
    struct judge_match *m = arg;
    char path[4096];
    struct buf text = {0};
    struct fault fault = {0};
    enum err e =
        judge_path(s, s->config->authorized_principals_file, path, sizeof path, &fault);
    if (e == OK)
        e = judge_read_file(s, path, &text, &fault);
    if (e == OK)
        e = scan_principals(s, buf_view(&text), path, m);
    else
        log_info(s->log, "AuthorizedPrincipalsFile: %s", fault_text(&fault));
    buf_free(&text);
    return e;
}

static enum err principals_command(const struct judge_search *s, struct judge_match *m) {
    struct buf text;
    const struct judge_command command = {
        "AuthorizedPrincipalsCommand", s->config->authorized_principals_command,
        s->config->authorized_principals_command_user, true};
    TRY(judge_command_run(s, &command, &text));
    enum err e = scan_principals(s, buf_view(&text), "AuthorizedPrincipalsCommand", m);
    buf_free(&text);
    return e;
}

static enum err by_name(const struct judge_search *s, struct judge_match *m,
                        struct fault *why) {
    struct authkey_line line = {.permit = {true, true, true, true, true},
                                .tunnel = AUTHKEY_TUNNEL_NONE,
                                // Nothing else speaks of it here: the certificate does.
                                .no_touch_required = true};
    TRY(check(s, s->user, why));
    return judge_combine(s, m, &line, why);
}

static bool is_set(const char *value) {
    return value != NULL && strcmp(value, "none") != 0;
}

enum err judge_find_certificate(const struct judge_search *s, struct judge_match *m) {
    struct fault why = {0};
    const struct server_config *c = s->config;
    if (!authority_trusted(s))
        return ERR_NOT_FOUND;
    if (is_set(c->authorized_principals_file) ||
        is_set(c->authorized_principals_command)) {
        if (is_set(c->authorized_principals_file) &&
            judge_as_user(s, principals_file, m) == OK)
            return OK;
        if (principals_command(s, m) == OK)
            return OK;
        log_info(s->log, "Certificate does not contain an authorized principal");
        return ERR_NOT_FOUND;
    }
    enum err e = by_name(s, m, &why);
    if (e != OK)
        log_info(s->log, "%s", fault_text(&why));
    return e;
}
