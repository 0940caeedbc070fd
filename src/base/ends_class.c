#include "base/ends_class.h"

#include <string.h>

static const char *const names[ENDS_CLASSES] = {
    [ENDS_EXIT] = "exit",
    [ENDS_USER] = "user",
    [ENDS_UNREACHABLE] = "unreachable",
    [ENDS_HOST_KEY] = "host key",
    [ENDS_REFUSED] = "refused",
    [ENDS_SILENCE] = "silence",
    [ENDS_RESET] = "reset",
    [ENDS_CLOSED] = "closed",
    [ENDS_DISCONNECT] = "disconnect",
    [ENDS_LOST] = "lost",
    [ENDS_GRACE] = "grace over",
    [ENDS_GONE] = "gone",
    [ENDS_REMOVED] = "access removed",
    [ENDS_IDLE] = "idle",
    [ENDS_TIMEOUT] = "timeout",
    [ENDS_ERROR] = "error",
    [ENDS_ADMINISTRATOR] = "administrator",
    [ENDS_RESTARTED] = "restarted",
    [ENDS_LIMIT] = "limit",
};

const char *ends_class_name(enum ends_class class) {
    return names[class];
}

bool ends_class_of(struct view name, enum ends_class *class) {
    for (unsigned i = 0; i < ENDS_CLASSES; i++)
        if (view_is(name, names[i])) {
            *class = (enum ends_class)i;
            return true;
        }
    return false;
}

bool ends_class_in(struct view text, enum ends_class *class, struct view *rest) {
    const uint8_t *colon = text.n > 0 ? memchr(text.p, ':', text.n) : NULL;
    if (colon == NULL || !ends_class_of(view_of(text.p, (size_t)(colon - text.p)), class))
        return false;
    size_t from = (size_t)(colon - text.p) + 1;
    from += from < text.n && text.p[from] == ' ';
    if (rest != NULL)
        *rest = view_of(text.p + from, text.n - from);
    return true;
}
