#include "agent/constraint.h"

#include <stdlib.h>

#include "agent/protocol.h"
#include "base/text.h"

enum {
    CONSTRAIN_LIFETIME = 1,
    CONSTRAIN_CONFIRM = 2,
    CONSTRAIN_EXTENSION = 255,
};

void agent_constraints_free(struct agent_constraints *c) {
    agent_destinations_free(&c->destinations);
    for (size_t i = 0; i < c->certificates_n; i++)
        key_free(c->certificates[i]);
    free(c->certificates);
    *c = (struct agent_constraints){0};
}

static enum err twice(struct fault *fault, const char *what) {
    return fault_set(fault, ERR_FORMAT, 0, "the constraint %s comes twice", what);
}

// ---- extensions ----

static enum err read_provider(struct agent_constraints *c, struct reader *r,
                              struct fault *fault) {
    if (c->provider.p != NULL)
        return twice(fault, AGENT_SK_PROVIDER);
    c->provider = read_text(r);
    if (r->err == OK && c->provider.n == 0)
        return ERR_FORMAT;
    return r->err;
}

static enum err read_destinations(struct agent_constraints *c, struct reader *r,
                                  struct fault *fault) {
    if (c->destinations.n > 0)
        return twice(fault, AGENT_RESTRICT_DESTINATION);
    struct view contents = read_string(r);
    TRY(r->err);
    return agent_destinations_read(&c->destinations, contents, fault);
}

static enum err add_certificate(struct agent_constraints *c, struct view blob,
                                struct fault *fault) {
    if (c->certificates_n == AGENT_CERTIFICATES_MAX)
        return fault_set(fault, ERR_LIMIT, 0, "over %d certificates",
                         AGENT_CERTIFICATES_MAX);
    struct key **more =
        reallocarray(c->certificates, c->certificates_n + 1, sizeof more[0]);
    if (more == NULL)
        return ERR_MEMORY;
    c->certificates = more;
    TRY(key_from_blob(&more[c->certificates_n], blob, fault));
    if (more[c->certificates_n++]->certificate == NULL)
        return fault_set(fault, ERR_KEY, 0, "a plain key among the certificates");
    return OK;
}

static enum err read_certificates(struct agent_constraints *c, struct reader *r,
                                  struct fault *fault) {
    if (c->certificates != NULL)
        return twice(fault, AGENT_ASSOCIATED_CERTS);
    c->certificates_only = read_bool(r);
    struct view contents = read_string(r);
    TRY(r->err);
    struct reader list = reader_of(contents);
    while (reader_left(&list) > 0) {
        struct view blob = read_string(&list);
        TRY(list.err);
        TRY(add_certificate(c, blob, fault));
    }
    return list.err;
}

enum where {
    WITH_KEYS = 1,
    WITH_SMARTCARDS = 2,
    ANYWHERE = 3,
};

static const struct {
    const char *name;
    enum where where;
    enum err (*read)(struct agent_constraints *c, struct reader *r, struct fault *fault);
} extensions[] = {
    {AGENT_SK_PROVIDER, WITH_KEYS, read_provider},
    {AGENT_RESTRICT_DESTINATION, ANYWHERE, read_destinations},
    {AGENT_ASSOCIATED_CERTS, WITH_SMARTCARDS, read_certificates},
};

static enum err read_extension(struct agent_constraints *c, struct reader *r,
                               enum where where, struct fault *fault) {
    char clean[80];
    struct view name = read_text(r);
    TRY(r->err);
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
        if (view_is(name, extensions[i].name) && (extensions[i].where & where) != 0)
            return extensions[i].read(c, r, fault);
    return fault_set(fault, ERR_UNSUPPORTED, 0, "unknown constraint \"%s\"",
                     text_clean(clean, sizeof clean, name));
}

// ---- all ----

static enum err read_lifetime(struct agent_constraints *c, struct reader *r,
                              struct fault *fault) {
    if (c->lifetime_s != 0)
        return twice(fault, "of a lifetime");
    c->lifetime_s = read_u32(r);
    // No time at all: it would be taken for no limit.
    if (r->err == OK && c->lifetime_s == 0)
        return fault_set(fault, ERR_FORMAT, 0, "a lifetime of 0 seconds");
    return r->err;
}

static enum err read_one(struct agent_constraints *c, struct reader *r, enum where where,
                         struct fault *fault) {
    uint8_t type = read_u8(r);
    switch (type) {
    case CONSTRAIN_LIFETIME:
        return read_lifetime(c, r, fault);
    case CONSTRAIN_CONFIRM:
        if (c->confirm)
            return twice(fault, "of confirmation");
        c->confirm = true;
        return OK;
    case CONSTRAIN_EXTENSION:
        return read_extension(c, r, where, fault);
    default:
        return fault_set(fault, ERR_UNSUPPORTED, 0, "unknown constraint %u", type);
    }
}

enum err agent_constraints_read(struct agent_constraints *out, struct reader *r,
                                bool smartcard, struct fault *fault) {
    struct agent_constraints c = {0};
    enum err e = r->err;
    while (e == OK && reader_left(r) > 0)
        e = read_one(&c, r, smartcard ? WITH_SMARTCARDS : WITH_KEYS, fault);
    if (e != OK) {
        agent_constraints_free(&c);
        return fault_set(fault, e, 0, "constraints: %s", err_text(e));
    }
    *out = c;
    return OK;
}

// ---- writing ----

static void write_extension(struct writer *w, const char *name) {
    write_u8(w, CONSTRAIN_EXTENSION);
    write_text(w, name);
}

static void write_destinations(struct writer *w, const struct agent_destinations *d) {
    scoped_buf list;
    buf_init(&list, AGENT_MESSAGE_MAX);
    struct writer inner = writer_to_buf(&list);
    agent_destinations_write(&inner, d);
    if (inner.err != OK)
        w->err = inner.err;
    write_extension(w, AGENT_RESTRICT_DESTINATION);
    write_string(w, buf_view(&list));
}

static void write_certificates(struct writer *w, const struct agent_constraints *c) {
    size_t n = 0;
    for (size_t i = 0; i < c->certificates_n; i++)
        n += 4 + c->certificates[i]->blob_len;
    write_extension(w, AGENT_ASSOCIATED_CERTS);
    write_bool(w, c->certificates_only);
    write_u32(w, (uint32_t)n);
    for (size_t i = 0; i < c->certificates_n; i++)
        write_string(w, key_blob(c->certificates[i]));
}

void agent_constraints_write(struct writer *w, const struct agent_constraints *c) {
    if (c->lifetime_s != 0) {
        write_u8(w, CONSTRAIN_LIFETIME);
        write_u32(w, c->lifetime_s);
    }
    if (c->confirm)
        write_u8(w, CONSTRAIN_CONFIRM);
    if (c->provider.p != NULL) {
        write_extension(w, AGENT_SK_PROVIDER);
        write_string(w, c->provider);
    }
    if (c->destinations.n > 0)
        write_destinations(w, &c->destinations);
    if (c->certificates_n > 0)
        write_certificates(w, c);
}

bool agent_constraints_any(const struct agent_constraints *c) {
    return c->lifetime_s != 0 || c->confirm || c->provider.p != NULL ||
           c->destinations.n > 0 || c->certificates_n > 0;
}
