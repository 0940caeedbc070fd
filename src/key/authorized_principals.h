// AuthorizedPrincipalsFile (sshd_config(5)): one principal a line, options in front of
// it.
#pragma once

#include "key/authorized_keys.h"

struct authorized_principal {
    struct authkey_line line;  // its options; no key
    const char *name;          // into line.text
};

// One line without its end; the errors are those of authkey_parse(). On success the
// caller frees it.
must_check enum err authorized_principal_parse(struct authorized_principal *p,
                                               struct view text, const char *file,
                                               unsigned long number, struct fault *fault);
void authorized_principal_free(struct authorized_principal *p);  // also of a zeroed one
