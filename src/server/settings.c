#include "server/settings.h"

#include "server/ipc_table.h"

static const struct message_field fields[] = {
    FIELD(U32, settings, version),
    FIELD(STRING, settings, ident),
    FIELD(STRING, settings, kex),
    FIELD(STRING, settings, host_key_algorithms),
    FIELD(STRING, settings, ciphers),
    FIELD(STRING, settings, macs),
    FIELD(STRING, settings, user_algorithms),
    FIELD(STRING, settings, sig_algs),
    FIELD(STRING, settings, methods),
    FIELD(STRING, settings, banner),
    FIELD(U32, settings, per_source_max),
    FIELD(STRING, settings, penalties),
    FIELD(U32, settings, max_tries),
    FIELD(U32, settings, grace_s),
    FIELD(U32, settings, startups_begin),
    FIELD(U32, settings, startups_rate),
    FIELD(U32, settings, startups_full),
    FIELD(U32, settings, log_level),
    FIELD(U64, settings, rekey_bytes),
    FIELD(U32, settings, rekey_s),
    FIELD(U32, settings, dscp_interactive),
    FIELD(U32, settings, dscp_bulk),
    FIELD(BOOL, settings, keepalive),
    FIELD(U32, settings, uid),
    FIELD(U32, settings, gid),
    FIELD(BOOL, settings, has_identity),
    FIELD(STRING, settings, host_keys),
    FIELD(STRING, settings, compression),
    FIELD(STRING, settings, moduli),
    FIELD(BOOL, settings, resume),
    FIELDS_END,
};

struct view settings_view(const char *text) {
    return text != NULL ? view_of(text, strlen(text) + 1) : view_of("", 1);
}

void settings_encode(const struct settings *s, struct writer *w) {
    fields_encode(w, fields, s);
}

static bool is_text(struct view v) {
    return v.n > 0 && v.p[v.n - 1] == '\0' && memchr(v.p, 0, v.n) == v.p + v.n - 1;
}

enum err settings_decode(struct settings *s, struct view bytes, struct fault *fault) {
    static const struct fields_of of = {0, "settings", sizeof *s, fields};
    struct reader r = reader_of(bytes);
    TRY(fields_decode(&of, &r, s, fault));
    const struct view texts[] = {s->ident,    s->kex,     s->host_key_algorithms,
                                 s->ciphers,  s->macs,    s->user_algorithms,
                                 s->sig_algs, s->methods, s->compression};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!is_text(texts[i]))
            return fault_set(fault, ERR_FORMAT, 0, "settings: text %zu is malformed", i);
    if (s->version != IPC_VERSION)
        return fault_set(fault, ERR_VERSION, 0,
                         "settings of version %u, this is version %u", s->version,
                         IPC_VERSION);
    return OK;
}

enum err settings_host_keys(const struct settings *s, struct transport_host_key *out,
                            size_t *n) {
    struct reader r = reader_of(s->host_keys);
    *n = 0;
    while (reader_left(&r) > 0) {
        struct view blob = read_string(&r), algorithms = read_string(&r);
        if (r.err != OK || !is_text(algorithms))
            return ERR_FORMAT;
        if (*n == SETTINGS_HOST_KEYS_MAX)
            return ERR_LIMIT;
        out[(*n)++] = (struct transport_host_key){blob, (const char *)algorithms.p};
    }
    return *n > 0 ? OK : ERR_NOT_FOUND;
}
