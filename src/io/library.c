#include "io/library.h"

#include <dlfcn.h>
#include <string.h>

enum err library_load(const char *name, void **library, struct fault *fault) {
    *library = dlopen(name, RTLD_NOW | RTLD_GLOBAL | RTLD_NODELETE);
    return *library != NULL ? OK : fault_set(fault, ERR_NOT_FOUND, 0, "%s", dlerror());
}

enum err library_find(void *library, const char *name, void *function,
                      struct fault *fault) {
    void *found = dlsym(library != NULL ? library : RTLD_DEFAULT, name);
    if (found == NULL)
        return fault_set(fault, ERR_NOT_FOUND, 0, "no %s in its library", name);
    // ISO C converts no object pointer to a function's; POSIX says they have one form.
    memcpy(function, &found, sizeof found);
    return OK;
}
