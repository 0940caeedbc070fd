// Shared libraries that only some configurations need, so that the processes of the
// others do not carry their pages and mappings through each fork.
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

// The library of that soname ("libpam.so.0"), loaded for the life of the process; its
// names are there for libraries loaded later. ERR_NOT_FOUND with the loader's words.
must_check enum err library_load(const char *name, void **library, struct fault *fault);

// *function is that name's address in the library; with NULL for it, whichever comes
// first in the process. ERR_NOT_FOUND: the library has none.
must_check enum err library_find(void *library, const char *name, void *function,
                                 struct fault *fault);
