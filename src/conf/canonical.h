// CanonicalizeHostname and its kin: which name a short one stands for (ssh_config(5)).
#pragma once

#include "conf/client_config.h"

// The settings, as they are after the first pass; defaults filled in.
struct canonical {
    int how;      // CANONICALIZE_…
    bool direct;  // no proxy: names are looked up here
    const struct conf_list *domains, *cnames;
    uint32_t max_dots;
    bool fallback_local;
};

// The name that the host's stands for, into out; the host itself where none is to be
// looked for. ERR_NOT_FOUND: none was found, and CanonicalizeFallbackLocal is off.
must_check enum err canonical_name(const struct canonical *rules,
                                   const struct client_subject *subject,
                                   const struct client_config *c, const char *host,
                                   char *out, size_t size);

// May the words stand in CanonicalDomains; in CanonicalizePermittedCNAMEs ("*", or
// FROM:TO lists of patterns)?
bool canonical_domain_is_good(const char *word);
bool canonical_cname_is_good(const char *word);
