// Certificates made (-s).
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/limits.h"
#include "base/text.h"
#include "io/clock.h"
#include "tools/keygen_signer.h"
#include "tools/keygen_validity.h"

// What -O may switch, and what a user's certificate permits without it.
static const struct permit {
    const char *name;  // of -O, behind "no-" or "permit-"
    const char *extension;
} permits[] = {
    {"x11-forwarding", "permit-X11-forwarding"},
    {"agent-forwarding", "permit-agent-forwarding"},
    {"port-forwarding", "permit-port-forwarding"},
    {"pty", "permit-pty"},
    {"user-rc", "permit-user-rc"},
};
#define PERMITS (sizeof permits / sizeof permits[0])
#define OPTIONS_MAX (KEYGEN_OPTIONS + PERMITS + 4)

struct work {
    const struct keygen *k;
    struct certificate_template t;
    bool permit[PERMITS], no_touch, verify;
    struct certificate_option options[OPTIONS_MAX];
    size_t count;
    char names[KEYGEN_OPTIONS][128];  // of options that -O names itself
    size_t named;
    char *principals_text;
    const char **principals;
    const struct signature_alg *alg;
    struct keygen_signer by;
    struct key *ca;  // its plain public half
};

static bool set_permit(struct work *w, const char *option) {
    bool on = strncasecmp(option, "permit-", 7) == 0;
    if (!on && strncasecmp(option, "no-", 3) != 0)
        return false;
    for (size_t i = 0; i < PERMITS; i++) {
        if (strcasecmp(permits[i].name, option + (on ? 7 : 3)) == 0) {
            w->permit[i] = on;
            return true;
        }
    }
    return false;
}

static bool add(struct work *w, const char *name, const char *value, bool critical) {
    if (w->count == OPTIONS_MAX)
        return keygen_fail("too many options") == 0;
    for (size_t i = 0; i < w->count; i++) {
        if (strcmp(w->options[i].name, name) == 0 && w->options[i].critical == critical)
            return keygen_fail("%s already specified", name) == 0;
    }
    w->options[w->count++] = (struct certificate_option){
        .name = name,
        .data = value != NULL ? view_text(value) : (struct view){0},
        .critical = critical,
        .string = value != NULL,
    };
    return true;
}

// "extension:name[=contents]" and "critical:…", taken as they are.
static bool add_named(struct work *w, const char *text, bool critical) {
    const char *equals = strchr(text, '=');
    size_t n = equals != NULL ? (size_t)(equals - text) : strlen(text);
    char *name = w->names[w->named++];
    if (n == 0 || !text_copy(name, sizeof w->names[0], view_of(text, n)))
        return keygen_fail("bad option name in \"%s\"", text) == 0;
    return add(w, name, equals != NULL ? equals + 1 : NULL, critical);
}

static bool add_address(struct work *w, const char *list) {
    if (list[0] == '\0' || address_match_cidr_list(list, NULL) == ADDRESS_MATCH_ERROR)
        return keygen_fail("Invalid source-address list") == 0;
    return add(w, "source-address", list, true);
}

static bool take_option(struct work *w, const char *option) {
    const char *value;
    if (strcasecmp(option, "clear") == 0) {
        memset(w->permit, 0, sizeof w->permit);
        return true;
    }
    if (set_permit(w, option))
        return true;
    if (strcasecmp(option, "no-touch-required") == 0)
        return w->no_touch = true;
    if (strcasecmp(option, "verify-required") == 0)
        return w->verify = true;
    if (strncasecmp(option, "extension:", 10) == 0)
        return add_named(w, option + 10, false);
    if (strncasecmp(option, "critical:", 9) == 0)
        return add_named(w, option + 9, true);
    if ((value = keygen_option_value(option, "force-command")) != NULL)
        return value[0] != '\0' ? add(w, "force-command", value, true)
                                : keygen_fail("Empty force-command option") == 0;
    if ((value = keygen_option_value(option, "source-address")) != NULL)
        return add_address(w, value);
    return keygen_fail("Unsupported certificate option \"%s\"", option) == 0;
}

static bool take_options(struct work *w) {
    bool user = !w->k->host_certificate;
    for (size_t i = 0; i < PERMITS; i++)
        w->permit[i] = user;
    for (size_t i = 0; i < w->k->option_count; i++) {
        if (!take_option(w, w->k->options[i]))
            return false;
    }
    for (size_t i = 0; i < PERMITS; i++) {
        if (user && w->permit[i] && !add(w, permits[i].extension, NULL, false))
            return false;
    }
    if (w->verify && !add(w, "verify-required", NULL, true))
        return false;
    return !w->no_touch || add(w, "no-touch-required", NULL, false);
}

static bool take_principals(struct work *w) {
    const char *names = w->k->names;
    if (names == NULL)
        return true;
    w->principals_text = strdup(names);
    w->principals = calloc(LIMIT_CERTIFICATE_PRINCIPALS, sizeof *w->principals);
    if (w->principals_text == NULL || w->principals == NULL)
        return keygen_fail("out of memory") == 0;
    char *rest = w->principals_text;
    for (char *name; (name = strsep(&rest, ",")) != NULL;) {
        if (name[0] == '\0')
            return keygen_fail("empty principal name") == 0;
        if (w->t.principal_count == LIMIT_CERTIFICATE_PRINCIPALS)
            return keygen_fail("Too many certificate principals specified") == 0;
        w->principals[w->t.principal_count++] = name;
    }
    return true;
}

// "7", or "+7": one more for each file.
static bool take_serial(struct work *w, bool *counts) {
    const char *text = w->k->serial;
    *counts = text != NULL && text[0] == '+';
    return text == NULL || text_number(text + *counts, 0, UINT64_MAX, &w->t.serial) ||
           keygen_fail("Invalid serial number \"%s\"", text) == 0;
}

static bool take_algorithm(struct work *w, const struct key *ca) {
    const struct alg *a;
    for (size_t i = 0; (a = alg_at(ALG_SIGNATURE, i)) != NULL; i++) {
        if (!key_can_sign_with(ca, a->signature) ||
            (w->k->type != NULL && strcmp(w->k->type, a->name) != 0))
            continue;
        w->alg = a->signature;
        return true;
    }
    return keygen_fail("the authority's %s key can not sign with %s",
                       ca->type->short_name,
                       w->k->type != NULL ? w->k->type : "any algorithm") == 0;
}

static bool prepare(struct work *w, bool *counts) {
    const struct keygen *k = w->k;
    w->t = (struct certificate_template){
        .kind = k->host_certificate ? CERTIFICATE_HOST : CERTIFICATE_USER,
        .valid_before = CERTIFICATE_FOR_EVER,
        .key_id = k->identity,
    };
    if (k->validity != NULL && !validity_parse(k->validity, clock_wall_s(),
                                               &w->t.valid_after, &w->t.valid_before))
        return keygen_fail("Invalid certificate life specification %s", k->validity) == 0;
    if (!take_options(w) || !take_principals(w) || !take_serial(w, counts))
        return false;
    w->t.options = w->options;
    w->t.option_count = w->count;
    w->t.principals = w->principals;
    return true;
}

static void tell(const struct work *w, const char *path) {
    char valid[96], clean[512];
    fprintf(stderr, "Signed %s key %s: id \"%s\" serial %" PRIu64 "%s%s valid %s\n",
            w->k->host_certificate ? "host" : "user", path,
            text_clean(clean, sizeof clean, view_text(w->k->identity)), w->t.serial,
            w->k->names != NULL ? " for " : "", w->k->names != NULL ? w->k->names : "",
            validity_text(valid, sizeof valid, w->t.valid_after, w->t.valid_before));
}

static bool save(const struct work *w, const struct key *certificate, const char *file) {
    char path[KEYGEN_PATH + 16];
    size_t n = strlen(file);
    if (n > 4 && strcmp(file + n - 4, ".pub") == 0)
        n -= 4;
    snprintf(path, sizeof path, "%.*s-cert.pub", (int)n, file);
    scoped_buf text;
    buf_init(&text, LIMIT_KEY_FILE);
    if (key_public_text(certificate, &text) != OK ||
        buf_append(&text, view_text("\n")) != OK)
        return keygen_fail("out of memory") == 0;
    if (!keygen_write_file(path, buf_view(&text), 0644))
        return false;
    if (!w->k->quiet)
        tell(w, path);
    return true;
}

static enum err make(struct work *w, const struct key *subject, struct key **out,
                     struct fault *f) {
    scoped_buf blob, signature;
    buf_init(&blob, LIMIT_CERTIFICATE);
    buf_init(&signature, LIMIT_CERTIFICATE);
    TRY(certificate_begin(subject, &w->t, w->ca, &blob, f));
    TRY(keygen_signer_sign(&w->by, w->alg, buf_view(&blob), &signature, f));
    return certificate_end(out, subject, w->ca, buf_view(&signature), &blob, f);
}

static bool certify(struct work *w, const char *file) {
    struct key *subject, *certificate;
    struct fault f = {0};
    if (keygen_load_public(file, &subject, &f) != OK)
        return keygen_fail("load pubkey \"%s\": %s", file, fault_reason(&f, file)) == 0;
    enum err e = make(w, subject, &certificate, &f);
    key_free(subject);
    if (e != OK)
        return keygen_fail("%s: %s", file, f.text[0] != '\0' ? f.text : err_text(e)) == 0;
    bool ok = save(w, certificate, file);
    key_free(certificate);
    return ok;
}

static int certify_all(struct work *w) {
    bool counts = false;
    bool ok = prepare(w, &counts) && keygen_signer_open(&w->by, w->k, w->k->ca, false) &&
              (w->ca = keygen_signer_plain(&w->by)) != NULL && take_algorithm(w, w->ca);
    for (size_t i = 0; ok && i < w->k->arg_count; i++) {
        ok = certify(w, w->k->args[i]);
        w->t.serial += counts;
    }
    keygen_signer_close(&w->by);
    key_free(w->ca);
    return ok ? 0 : KEYGEN_FAILED;
}

int keygen_certify(struct keygen *k) {
    struct work w = {.k = k, .by = {.agent = {.fd = -1}}};
    if (k->identity == NULL)
        return keygen_fail("Must specify key id (-I) when certifying");
    if (k->arg_count == 0)
        return keygen_fail("no public key files are named");
    int status = certify_all(&w);
    free(w.principals_text);
    free(w.principals);
    return status;
}
