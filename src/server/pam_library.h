// libpam, loaded only where UsePAM says so: two dozen mappings less for each fork of the
// others.
#pragma once

#include <security/pam_appl.h>

#include "base/fault.h"

// Its functions by their own names; see pam(3).
#define PAM_FUNCTIONS(X)                                                                 \
    X(start)                                                                             \
    X(end)                                                                               \
    X(set_item)                                                                          \
    X(get_item)                                                                          \
    X(putenv)                                                                            \
    X(getenvlist)                                                                        \
    X(strerror)                                                                          \
    X(authenticate)                                                                      \
    X(acct_mgmt)                                                                         \
    X(chauthtok)                                                                         \
    X(setcred)                                                                           \
    X(open_session)                                                                      \
    X(close_session)

struct pam_library {
#define PAM_MEMBER(name) __typeof__(pam_##name) *name;
    PAM_FUNCTIONS(PAM_MEMBER)
#undef PAM_MEMBER
};

// Loads it once; forks inherit it. ERR_NOT_FOUND: it is not there, or lacks a function.
must_check enum err pam_library_load(struct fault *fault);
const struct pam_library *pam_library(void);  // after a load that was OK
// Loads the modules of that service for the life of the process and its forks: each login
// finds them there. Nothing of them is called.
void pam_library_warm(const char *service);
