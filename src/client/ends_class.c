#include "client/ends_class.h"

static const char *const classes[] = {
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
    [ENDS_TIMEOUT] = "timeout",
    [ENDS_ERROR] = "error",
};

const char *ends_class_name(enum ends_class class) {
    return classes[class];
}
