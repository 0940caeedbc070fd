// One line: principals [options] key.
#include "key/allowed_signers.h"

#include <stdlib.h>
#include <strings.h>

#include "base/limits.h"
#include "base/text.h"
#include "key/authkey_options.h"
#include "key/certificate.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

// A word, or a text in double quotes, ended in place; NULL: the quote is open.
static char *take_word(char **at) {
    bool quoted = **at == '"';
    char *start = *at + quoted, *p = start;
    while (*p != '\0' && (quoted ? *p != '"' : !is_blank(*p)))
        p++;
    if (quoted && *p == '\0')
        return NULL;
    if (*p != '\0')
        *p++ = '\0';
    *at = p;
    return start;
}

static enum err set_time(char *value, bool *has, struct date *t,
                         const struct authkey_place *place, const char *name) {
    if (*has)
        return authkey_refuse(place, ERR_CONFIG, "option %s is given twice", name);
    *has = true;
    return authkey_time_parse(value, t)
               ? OK
               : authkey_refuse(place, ERR_CONFIG, "bad time of option %s", name);
}

static enum err take_option(struct allowed_signer *s, char **at,
                            const struct authkey_place *place) {
    char *name = *at;
    size_t n = strcspn(name, "=, \t");
    char end = name[n];
    *at = name + n;
    if (n == 14 && strncasecmp(name, "cert-authority", n) == 0 && end != '=') {
        s->cert_authority = true;
        return OK;
    }
    if (end != '=' || name[n + 1] != '"')
        return authkey_refuse(place, ERR_CONFIG, "bad option");
    name[n] = '\0';
    *at = name + n + 1;
    char *value = take_word(at);
    if (value == NULL)
        return authkey_refuse(place, ERR_CONFIG, "an open quote");
    if (strcasecmp(name, "namespaces") == 0 && s->namespaces == NULL) {
        s->namespaces = value;
        return OK;
    }
    if (strcasecmp(name, "valid-after") == 0)
        return set_time(value, &s->has_after, &s->after, place, "valid-after");
    if (strcasecmp(name, "valid-before") == 0)
        return set_time(value, &s->has_before, &s->before, place, "valid-before");
    return authkey_refuse(place, ERR_CONFIG, "unknown or repeated option");
}

static enum err take_options(struct allowed_signer *s, char **at,
                             const struct authkey_place *place) {
    for (;; (*at)++) {
        TRY(take_option(s, at, place));
        if (is_blank(**at))
            return OK;
        if (**at != ',')
            return authkey_refuse(place, ERR_CONFIG,
                                  **at == '\0'
                                      ? "options without a key"
                                      : "a comma or blank is missing behind an option");
    }
}

static enum err parse_text(struct allowed_signer *s, const struct authkey_place *place) {
    char *at = s->text;
    while (is_blank(*at))
        at++;
    if (*at == '\0' || *at == '#')
        return ERR_NOT_FOUND;
    s->principals = take_word(&at);
    if (s->principals == NULL || s->principals[0] == '\0')
        return authkey_refuse(place, ERR_CONFIG, "no principals");
    while (is_blank(*at))
        at++;
    if (!authkey_starts_with_type(at, strcspn(at, " \t")))
        TRY(take_options(s, &at, place));
    struct fault why = {0};
    enum err e = key_from_public_text(&s->key, view_text(at), &why);
    if (e != OK)
        return authkey_refuse(place, e == ERR_UNSUPPORTED ? e : ERR_CONFIG, "%s",
                              fault_text(&why));
    if (s->key->certificate != NULL && s->cert_authority)
        return authkey_refuse(place, ERR_CONFIG,
                              "a certificate where an authority's key is needed");
    return OK;
}

enum err allowed_signer_parse(struct allowed_signer *s, struct view line,
                              const char *file, unsigned long number,
                              struct fault *fault) {
    struct authkey_place place = {file, number, fault};
    *s = (struct allowed_signer){.before_s = UINT64_MAX};
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n > LIMIT_TEXT_LINE)
        return authkey_refuse(&place, ERR_CONFIG, "the line is too long");
    if (line.n > 0 && memchr(line.p, '\0', line.n) != NULL)
        return authkey_refuse(&place, ERR_CONFIG, "the line holds a NUL byte");
    s->text = malloc(line.n + 1);
    if (s->text == NULL)
        return ERR_MEMORY;
    (void)text_copy(s->text, line.n + 1, line);
    enum err e = parse_text(s, &place);
    if (e != OK)
        allowed_signer_free(s);
    return e;
}

void allowed_signer_free(struct allowed_signer *s) {
    key_free(s->key);
    free(s->text);
    *s = (struct allowed_signer){0};
}

bool allowed_signer_names(const struct allowed_signer *s, const char *principal) {
    return text_match_list(s->principals, principal, false) == 1;
}

static enum err check_certificate(const struct allowed_signer *s,
                                  const struct allowed_signer_want *w,
                                  struct fault *fault) {
    const struct certificate *c = w->key->certificate;
    const struct signature_alg *alg = certificate_signature_alg(c);
    if (!view_equal(key_blob(c->ca), key_blob(s->key)))
        return ERR_REFUSED;
    struct certificate_want want = {.kind = CERTIFICATE_USER,
                                    .ca_algorithms = alg != NULL ? alg->name : "",
                                    .now_s = w->now_s,
                                    .principal = w->principal};
    return certificate_check(w->key, &want, fault) == OK ? OK : ERR_REFUSED;
}

enum err allowed_signer_check(const struct allowed_signer *s,
                              const struct allowed_signer_want *w, struct fault *fault) {
    if (w->principal != NULL && !allowed_signer_names(s, w->principal))
        return ERR_REFUSED;
    // A certificate counts by its authority, or when it is the very one of the line.
    if (w->key->certificate != NULL && s->cert_authority)
        TRY(check_certificate(s, w, fault));
    else if (s->cert_authority || !view_equal(key_blob(w->key), key_blob(s->key)))
        return ERR_REFUSED;
    if (s->namespaces != NULL && w->name_space != NULL &&
        text_match_list(s->namespaces, w->name_space, false) != 1)
        return fault_set(fault, ERR_REFUSED, 0,
                         "key is not permitted in this name space");
    if (w->now_s < s->after_s)
        return fault_set(fault, ERR_REFUSED, 0, "key is not yet valid");
    if (w->now_s > s->before_s)
        return fault_set(fault, ERR_REFUSED, 0, "key has expired");
    return OK;
}
