#include "base/err.h"

static const struct {
    const char *text;
    enum disconnect_reason reason;
} errors[] = {[OK] = {"success", DISCONNECT_BY_APPLICATION},
#define X(name, text, reason) [name] = {text, DISCONNECT_##reason},
              ERR_TABLE(X)
#undef X
};

const char *err_text(enum err e) {
    return (unsigned)e < ERR_COUNT ? errors[e].text : "unknown error";
}

enum disconnect_reason err_disconnect_reason(enum err e) {
    return (unsigned)e < ERR_COUNT ? errors[e].reason : DISCONNECT_BY_APPLICATION;
}
