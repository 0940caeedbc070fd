// allowed_signers (ssh-keygen(1), ALLOWED SIGNERS): whose signatures of files count.
#pragma once

#include "key/authorized_keys.h"

// Without the list of algorithms an authority's signature is of any that we have.
struct allowed_signer {
    const char *principals;  // pattern list
    bool cert_authority;
    const char *namespaces;      // pattern list; NULL: any
    bool has_after, has_before;  // else for ever
    struct date after, before;   // as written: the caller has the time zone ...
    uint64_t after_s, before_s;  // ... and puts the times here (0, UINT64_MAX)
    struct key *key;
    char *text;  // owned: what the strings point into
};

// One line without its end. ERR_NOT_FOUND: empty or a comment; ERR_UNSUPPORTED: a type of
// key that we do not have; ERR_CONFIG: refused, with file and line in the fault. On
// success the caller frees it.
must_check enum err allowed_signer_parse(struct allowed_signer *s, struct view line,
                                         const char *file, unsigned long number,
                                         struct fault *fault);
void allowed_signer_free(struct allowed_signer *s);  // also of a zeroed one

struct allowed_signer_want {
    const struct key *key;   // who signed
    const char *principal;   // NULL: whoever it may be
    const char *name_space;  // NULL: not looked at
    uint64_t now_s;
};

// Does the line allow it? ERR_REFUSED when not; where it names key and principal and
// refuses all the same (time, name space, certificate), the fault says why.
must_check enum err allowed_signer_check(const struct allowed_signer *s,
                                         const struct allowed_signer_want *want,
                                         struct fault *fault);

bool allowed_signer_names(const struct allowed_signer *s, const char *principal);
