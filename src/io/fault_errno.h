// errno in words for people.
#pragma once

#include "base/fault.h"

// Fills the fault with "WHAT: text of errno" and returns the code that suits errno:
// ERR_NOT_FOUND for ENOENT and ENOTDIR, ERR_REFUSED for EACCES and EPERM, ERR_MEMORY,
// ERR_TIMEOUT, ERR_CLOSED for EPIPE and ECONNRESET, ERR_LIMIT for EMFILE, ENFILE,
// EMSGSIZE, EFBIG, ENOSPC, else ERR_IO. errno is left as it was. `f` may be NULL. Foreign
// text in the arguments is the caller's to clean.
enum err fault_errno(struct fault *f, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// The code alone, for an errno value; OK for 0.
enum err err_of_errno(int number);
