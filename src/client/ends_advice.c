#include "client/ends_advice.h"

#include <stddef.h>

static const char *const advice[ENDS_CLASSES] = {
    [ENDS_UNREACHABLE] = "name, port, route or firewall; `bowline doctor` looks at each",
    [ENDS_HOST_KEY] = "see what ssh said: the key is new, changed or revoked",
    [ENDS_REFUSED] = "`ssh -v` lists the keys that were offered",
    [ENDS_SILENCE] = "the way between was cut, or the host is down or stuck",
    [ENDS_RESET] = "the host went away and came back, or a box between forgot the "
                   "connection: `bowline doctor --idle` measures after how long",
    [ENDS_CLOSED] = "the server's process ended, or a box between closed the connection",
    [ENDS_DISCONNECT] = "the server ended it on purpose",
    [ENDS_LOST] = "what ran in it goes on at the host until its grace is over, unless "
                  "the text says otherwise",
    [ENDS_GRACE] = "the host has ended it meanwhile: ResumeGrace there is how long it "
                   "waits",
    [ENDS_GONE] = "the host was restarted, or what ran there was ended meanwhile",
    [ENDS_REMOVED] = "the key or account is not let in any more: ask the host's "
                     "administrator",
    [ENDS_IDLE] = "ChannelTimeout in ssh_config, and ChannelTimeout and "
                  "UnusedConnectionTimeout at the host, are how long it may be quiet",
    [ENDS_TIMEOUT] = "slow or stuck before the session: ConnectTimeout is the limit",
    [ENDS_ADMINISTRATOR] = "somebody ended it at the host: ask its administrator",
    [ENDS_RESTARTED] = "what ran there has ended with the host, or with its server",
    [ENDS_LIMIT] = "the host keeps 16 connections of a user without a link: end those "
                   "that nobody needs",
};

const char *ends_advice(const char *name) {
    enum ends_class class;
    return ends_class_of(view_text(name), &class) ? advice[class] : NULL;
}
