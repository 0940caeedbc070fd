#include "base/fault.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum err fault_set(struct fault *f, enum err code, uint8_t message, const char *format,
                   ...) {
    if (f == NULL || f->code != OK)
        return code;
    f->code = code;
    f->message = message;
    va_list ap;
    va_start(ap, format);
    vsnprintf(f->text, sizeof f->text, format, ap);
    va_end(ap);
    return code;
}

void fault_clear(struct fault *f) {
    memset(f, 0, sizeof *f);
}

const char *fault_text(const struct fault *f) {
    return f->text[0] != '\0' ? f->text : err_text(f->code);
}

const char *fault_reason(const struct fault *f, const char *name) {
    size_t n = strlen(name);
    const char *text = fault_text(f);
    bool named = strncmp(text, name, n) == 0 && strncmp(text + n, ": ", 2) == 0;
    return named ? text + n + 2 : text;
}
