// Taking certificates apart and judging them. Behind the key's own fields stand:
//
//     uint64 serial  uint32 kind  string key id  string principals
//     uint64 valid after  uint64 valid before
//     string critical options  string extensions  string reserved
//     string the authority's key  string signature (over everything before it)
#include "key/certificate.h"

#include <stdlib.h>

#include "base/address.h"
#include "base/limits.h"
#include "base/text.h"
#include "key/fields.h"
#include "wire/messages.h"

// --- options
// -----------------------------------------------------------------------------------

bool certificate_next(struct view *list, struct view *text) {
    struct reader r = reader_of(*list);
    *text = read_string(&r);
    if (r.err != OK)
        return false;
    *list = view_of(r.p, (size_t)(r.end - r.p));
    return true;
}

bool certificate_next_option(struct view *list, struct view *name, struct view *data) {
    return certificate_next(list, name) && certificate_next(list, data);
}

enum option_kind {
    OPTION_FLAG,
    OPTION_TEXT,  // a string without NUL within the data
};

static const struct option {
    const char *name;
    bool critical;
    enum option_kind kind;
    size_t field;
} options[] = {
#define AT(name) offsetof(struct certificate_options, name)
    {"force-command", true, OPTION_TEXT, AT(force_command)},
    {"source-address", true, OPTION_TEXT, AT(source_address)},
    {"verify-required", true, OPTION_FLAG, AT(verify_required)},
    {"permit-X11-forwarding", false, OPTION_FLAG, AT(permit_x11_forwarding)},
    {"permit-agent-forwarding", false, OPTION_FLAG, AT(permit_agent_forwarding)},
    {"permit-port-forwarding", false, OPTION_FLAG, AT(permit_port_forwarding)},
    {"permit-pty", false, OPTION_FLAG, AT(permit_pty)},
    {"permit-user-rc", false, OPTION_FLAG, AT(permit_user_rc)},
    {"no-touch-required", false, OPTION_FLAG, AT(no_touch_required)},
#undef AT
};
#define OPTIONS (sizeof options / sizeof options[0])

static const struct option *option_find(struct view name, bool critical) {
    for (size_t i = 0; i < OPTIONS; i++) {
        if (options[i].critical == critical && view_is(name, options[i].name))
            return &options[i];
    }
    return NULL;
}

// A known option once, its data of the right form.
static enum err option_take(struct certificate_options *o, const struct option *option,
                            struct view data) {
    void *field = (char *)o + option->field;
    struct reader r = reader_of(data);
    if (option->kind == OPTION_FLAG) {
        bool *flag = field;
        if (*flag || data.n != 0)
            return ERR_FORMAT;
        *flag = true;
        return OK;
    }
    struct view *text = field;
    if (text->p != NULL)
        return ERR_FORMAT;
    *text = read_text(&r);
    return reader_end(&r);
}

static enum err options_read(struct certificate *c, struct view list, bool critical) {
    struct reader r = reader_of(list);
    for (size_t n = 0; reader_left(&r) > 0; n++) {
        struct view name = read_text(&r), data = read_string(&r);
        if (r.err != OK || name.n == 0)
            return ERR_FORMAT;
        if (n >= LIMIT_CERTIFICATE_OPTIONS)
            return ERR_LIMIT;
        // Options are about users' sessions: a host's certificate has none that we know.
        const struct option *option =
            c->kind == CERTIFICATE_USER ? option_find(name, critical) : NULL;
        if (option != NULL)
            TRY(option_take(&c->options, option, data));
        else if (critical && c->options.unknown_critical.p == NULL)
            c->options.unknown_critical = name;
    }
    return OK;
}

// --- taking apart
// ------------------------------------------------------------------------------

static enum err principals_check(struct certificate *c) {
    struct reader r = reader_of(c->principals);
    while (reader_left(&r) > 0) {
        struct view name = read_text(&r);
        if (r.err != OK || name.n == 0)
            return ERR_FORMAT;
        if (++c->principal_count > LIMIT_CERTIFICATE_PRINCIPALS)
            return ERR_LIMIT;
    }
    return OK;
}

static enum err ca_read(struct certificate *c, struct view blob, struct fault *fault) {
    struct reader r = reader_of(blob);
    const struct key_type *type = key_type_find(read_string(&r));
    // Looked at before its key is: a chain could be as deep as it is long.
    if (r.err == OK && type != NULL && type->plain != NULL)
        return fault_set(fault, ERR_KEY, 0,
                         "the certificate's authority is a certificate itself");
    enum err e = key_from_blob(&c->ca, blob, fault);
    return e == OK ? OK : fault_set(fault, e, 0, "the certificate's authority");
}

// The plain key's blob: its name, then the fields as they stand in the certificate.
static enum err plain_make(struct certificate *c, const struct key *k,
                           const uint8_t *fields_end) {
    struct reader r = reader_of(key_blob(k));
    (void)read_string(&r);
    (void)read_string(&r);
    buf_init(&c->plain, LIMIT_CERTIFICATE);
    struct writer w = writer_to_buf(&c->plain);
    write_text(&w, k->type->plain);
    write_bytes(&w, view_of(r.p, (size_t)(fields_end - r.p)));
    return writer_end(&w);
}

static enum err fields_read(struct certificate *c, const struct key *k, struct reader *r,
                            struct fault *fault) {
    TRY(plain_make(c, k, r->p));
    c->serial = read_u64(r);
    uint32_t kind = read_u32(r);
    c->key_id = read_text(r);
    c->principals = read_string(r);
    c->valid_after = read_u64(r);
    c->valid_before = read_u64(r);
    c->critical = read_string(r);
    c->extensions = read_string(r);
    (void)read_string(r);  // reserved: ignored by the format's definition
    struct view ca = read_string(r);
    c->signed_part = view_of(k->blob, (size_t)(r->p - k->blob));
    c->signature = read_string(r);
    TRY(reader_end(r));
    if (kind != CERTIFICATE_USER && kind != CERTIFICATE_HOST)
        return ERR_FORMAT;
    c->kind = (enum certificate_kind)kind;
    TRY(principals_check(c));
    TRY(options_read(c, c->critical, true));
    TRY(options_read(c, c->extensions, false));
    return ca_read(c, ca, fault);
}

enum err certificate_read(struct certificate **out, const struct key *k, struct reader *r,
                          struct fault *fault) {
    struct certificate *c = calloc(1, sizeof *c);
    if (c == NULL)
        return ERR_MEMORY;
    enum err e = fields_read(c, k, r, fault);
    if (e != OK) {
        certificate_free(c);
        return fault_set(fault, e, 0, "%s: %s", k->type->name, err_text(e));
    }
    *out = c;
    return OK;
}

void certificate_free(struct certificate *c) {
    if (c == NULL)
        return;
    key_free(c->ca);
    buf_free(&c->plain);
    free(c);
}

// --- judging
// -----------------------------------------------------------------------------------

bool certificate_names(const struct certificate *c, struct view principal) {
    struct view list = c->principals, name;
    while (certificate_next(&list, &name)) {
        if (view_equal(name, principal))
            return true;
    }
    return false;
}

bool certificate_names_any(const struct certificate *c, const char *names) {
    while (names[0] != '\0') {
        size_t n = strcspn(names, ",");
        if (n > 0 && certificate_names(c, view_of(names, n)))
            return true;
        names += n + (names[n] == ',');
    }
    return false;
}

bool certificate_names_host(const struct certificate *c, const char *host) {
    struct view list = c->principals, name;
    char pattern[1024];
    while (certificate_next(&list, &name)) {
        if (text_copy(pattern, sizeof pattern, name) &&
            text_match_list(pattern, host, true) == 1)
            return true;
    }
    return false;
}

const struct signature_alg *certificate_signature_alg(const struct certificate *c) {
    return key_signature_alg(c->signature);
}

static enum err check_signature(const struct certificate *c, const char *algorithms,
                                struct fault *fault) {
    const struct signature_alg *alg = certificate_signature_alg(c);
    struct key_touch touch;
    if (alg == NULL || !name_list_has(view_text(algorithms), alg->name))
        return fault_set(fault, ERR_SIGNATURE, 0,
                         "certificate signed with an algorithm that is not allowed%s%s",
                         alg != NULL ? ": " : "", alg != NULL ? alg->name : "");
    // Whether an authority touches its key for each certificate is its own affair.
    if (key_verify_touch(c->ca, alg, c->signature, c->signed_part, &touch) != OK)
        return fault_set(fault, ERR_SIGNATURE, 0, "certificate with a wrong signature");
    return OK;
}

static enum err check_time(const struct certificate *c, uint64_t now_s,
                           struct fault *fault) {
    if (now_s < c->valid_after)
        return fault_set(fault, ERR_REFUSED, 0, "certificate not yet valid");
    if (now_s >= c->valid_before)
        return fault_set(fault, ERR_REFUSED, 0, "certificate expired");
    return OK;
}

static enum err check_principal(const struct certificate *c, const char *principal,
                                struct fault *fault) {
    if (c->principal_count == 0)
        return fault_set(fault, ERR_REFUSED, 0, "certificate without principals");
    if (c->kind == CERTIFICATE_HOST ? certificate_names_host(c, principal)
                                    : certificate_names(c, view_text(principal)))
        return OK;
    return fault_set(fault, ERR_REFUSED, 0, "certificate for other principals");
}

static enum err check_address(const struct certificate *c, const char *peer,
                              struct fault *fault) {
    struct view list = c->options.source_address;
    char text[4096], clean[64];
    if (list.p == NULL)
        return OK;
    if (!text_copy(text, sizeof text, list) ||
        address_match_cidr_list(text, peer) == ADDRESS_MATCH_ERROR)
        return fault_set(fault, ERR_REFUSED, 0, "certificate with a malformed address");
    if (address_match_cidr_list(text, peer) == ADDRESS_MATCH_YES)
        return OK;
    return fault_set(fault, ERR_REFUSED, 0, "certificate is not for use from %s",
                     text_clean(clean, sizeof clean, view_text(peer)));
}

enum err certificate_check(const struct key *k, const struct certificate_want *want,
                           struct fault *fault) {
    const struct certificate *c = k->certificate;
    char clean[80];
    if (c == NULL)
        return fault_set(fault, ERR_KEY, 0, "no certificate");
    if (c->kind != want->kind)
        return fault_set(fault, ERR_REFUSED, 0, "certificate for a %s, not a %s",
                         c->kind == CERTIFICATE_HOST ? "host" : "user",
                         want->kind == CERTIFICATE_HOST ? "host" : "user");
    TRY(check_signature(c, want->ca_algorithms, fault));
    TRY(check_time(c, want->now_s, fault));
    if (c->options.unknown_critical.p != NULL)
        return fault_set(fault, ERR_REFUSED, 0,
                         "certificate with unknown critical option \"%s\"",
                         text_clean(clean, sizeof clean, c->options.unknown_critical));
    if (want->principal != NULL)
        TRY(check_principal(c, want->principal, fault));
    return want->peer != NULL ? check_address(c, want->peer, fault) : OK;
}
