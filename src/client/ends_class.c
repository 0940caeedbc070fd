#include "client/ends_class.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name, *advice;
} classes[ENDS_CLASSES] = {
    [ENDS_EXIT] = {"exit", NULL},
    [ENDS_USER] = {"user", NULL},
    [ENDS_UNREACHABLE] =
        {"unreachable", "name, port, route or firewall; `bowline doctor` looks at each"},
    [ENDS_HOST_KEY] = {"host key",
                       "see what ssh said: the key is new, changed or revoked"},
    [ENDS_REFUSED] = {"refused", "`ssh -v` lists the keys that were offered"},
    [ENDS_SILENCE] = {"silence", "the way between was cut, or the host is down or stuck"},
    [ENDS_RESET] = {"reset",
                    "the host went away and came back, or a box between forgot the "
                    "connection: `bowline doctor --idle` measures after how long"},
    [ENDS_CLOSED] = {"closed", "the server's process ended, or a box between closed the "
                               "connection"},
    [ENDS_DISCONNECT] = {"disconnect", "the server ended it on purpose"},
    [ENDS_LOST] = {"lost", "what ran in it goes on at the host until its grace is over, "
                           "unless the text says otherwise"},
    [ENDS_GRACE] = {"grace over", "the host has ended it meanwhile: ResumeGrace there is "
                                  "how long it waits"},
    [ENDS_GONE] = {"gone",
                   "the host was restarted, or what ran there was ended meanwhile"},
    [ENDS_REMOVED] = {"access removed",
                      "the key or account is not let in any more: ask the host's "
                      "administrator"},
    [ENDS_IDLE] = {"idle", "ChannelTimeout in ssh_config is how long it may be quiet"},
    [ENDS_TIMEOUT] = {"timeout",
                      "slow or stuck before the session: ConnectTimeout is the limit"},
    [ENDS_ERROR] = {"error", NULL},
};

const char *ends_class_name(enum ends_class class) {
    return classes[class].name;
}

const char *ends_class_advice(const char *name) {
    for (size_t i = 0; i < ENDS_CLASSES; i++)
        if (strcmp(classes[i].name, name) == 0)
            return classes[i].advice;
    return NULL;
}
