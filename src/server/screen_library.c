#include "server/screen_library.h"

#include "io/library.h"

enum err screen_library_load(struct screen_library *library, struct fault *fault) {
    void *loaded;
    TRY(library_load("libvterm.so.0", &loaded, fault));
#define FIND(name) TRY(library_find(loaded, "vterm_" #name, &library->name, fault));
    SCREEN_FUNCTIONS(FIND)
#undef FIND
    return OK;
}
