#include "io/fault_errno.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int number;
    enum err code;
} codes[] = {
    {0, OK},
    {ENOENT, ERR_NOT_FOUND},
    {ENOTDIR, ERR_NOT_FOUND},
    {ESRCH, ERR_NOT_FOUND},
    {EACCES, ERR_REFUSED},
    {EPERM, ERR_REFUSED},
    {EROFS, ERR_REFUSED},
    {ELOOP, ERR_REFUSED},
    {EEXIST, ERR_REFUSED},
    {ECONNREFUSED, ERR_REFUSED},
    {ENOMEM, ERR_MEMORY},
    {ENOBUFS, ERR_MEMORY},
    {ETIMEDOUT, ERR_TIMEOUT},
    {EPIPE, ERR_CLOSED},
    {ECONNRESET, ERR_CLOSED},
    {EMFILE, ERR_LIMIT},
    {ENFILE, ERR_LIMIT},
    {EMSGSIZE, ERR_LIMIT},
    {EFBIG, ERR_LIMIT},
    {ENOSPC, ERR_LIMIT},
    {EDQUOT, ERR_LIMIT},
    {ENAMETOOLONG, ERR_LIMIT},
    {ETOOMANYREFS, ERR_LIMIT},
    {ENOSYS, ERR_UNSUPPORTED},
    {EOPNOTSUPP, ERR_UNSUPPORTED},
};

enum err err_of_errno(int number) {
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].number == number)
            return codes[i].code;
    return ERR_IO;
}

enum err fault_errno(struct fault *f, const char *format, ...) {
    int number = errno;
    // A failure whose errno was lost is still a failure.
    enum err code = number == 0 ? ERR_IO : err_of_errno(number);
    char what[FAULT_TEXT_SIZE];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof what, format, ap);
    va_end(ap);
    fault_set(f, code, 0, "%s: %s", what, strerror(number));
    errno = number;
    return code;
}
