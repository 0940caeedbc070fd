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

static int answer_nothing(int n, const struct pam_message **m, struct pam_response **out,
                          void *arg) {
    (void)n;
    (void)m;
    (void)out;
    (void)arg;
    return PAM_CONV_ERR;
}

// A handle that is never ended keeps them. What cannot be loaded is said at the login.
void pam_library_warm(const char *service) {
    static const struct pam_conv conv = {answer_nothing, NULL};
    static pam_handle_t *kept;
    if (kept == NULL && library.start != NULL)
        (void)!library.start(service, NULL, &conv, &kept);
}

const struct pam_library *pam_library(void) {
    return &library;
}
