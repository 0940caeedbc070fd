// What listener and gates need of the configuration, in one block of bytes: the keeper
// makes it once, a listener maps it, gates inherit it by fork. No secrets, no paths.
#pragma once

#include "base/buf.h"
#include "base/fault.h"
#include "base/version.h"
#include "transport/transport.h"
#include "wire/writer.h"

// Most of it: penalties, 27 bytes for each of twice LIMIT_PENALTY_SOURCES.
#define SETTINGS_MAX (64u * 1024u * 1024u)
#define SETTINGS_HOST_KEYS_MAX 16
#define SETTINGS_IDENT "SSH-2.0-Bowline_" BOWLINE_VERSION " like " BOWLINE_LIKE
// An identification that starts so takes packets of LIMIT_CHANNEL_PACKET_BOWLINE.
#define SETTINGS_IDENT_BOWLINE "SSH-2.0-Bowline_"

// Texts are views with their NUL, so that settings_text() can use them in place.
struct settings {
    uint32_t version;
    struct view ident, kex, host_key_algorithms, ciphers, macs, user_algorithms, sig_algs,
        methods;
    struct view banner;
    uint32_t per_source_max;  // PerSourceMaxStartups; UINT32_MAX: none
    struct view penalties;    // penalty_rules_write(), then what is in force
    uint32_t max_tries, grace_s, startups_begin, startups_rate, startups_full, log_level;
    uint64_t rekey_bytes;
    uint32_t rekey_s;
    uint32_t dscp_interactive, dscp_bulk;  // + 1; 0: leave it
    bool keepalive;
    uint32_t uid, gid;  // of listener and gates, where the keeper is root
    bool has_identity;
    struct view host_keys;  // pairs: string blob, string algorithms with NUL
    struct view compression;
    struct view moduli;  // text of the moduli file, where group exchange is on
    bool resume;         // connections may outlive their links (doc/resume.md)
};

static inline const char *settings_text(struct view v) {
    return v.n > 0 ? (const char *)v.p : "";
}
// A C string as a view with its NUL.
struct view settings_view(const char *text);

void settings_encode(const struct settings *s, struct writer *w);
// Views point into `bytes`. Checks that each text ends in NUL.
must_check enum err settings_decode(struct settings *s, struct view bytes,
                                    struct fault *fault);

// The host keys as the transport wants them; at most SETTINGS_HOST_KEYS_MAX.
must_check enum err settings_host_keys(const struct settings *s,
                                       struct transport_host_key *out, size_t *n);
