#include "server/pam_library.h"

#include "io/library.h"

static struct pam_library library;
static void *loaded;

// Looked for in the whole process, so that libraries which stand in front of libpam are
// heard.
enum err pam_library_load(struct fault *fault) {
    if (loaded != NULL)
        return OK;
    void *handle;
    TRY(library_load("libpam.so.0", &handle, fault));
#define PAM_FIND(name) TRY(library_find(NULL, "pam_" #name, &library.name, fault));
    PAM_FUNCTIONS(PAM_FIND)
#undef PAM_FIND
    loaded = handle;
    return OK;
}

const struct pam_library *pam_library(void) {
    return &library;
}
