// bowline doctor (doctor.h): what its files share. It walks the way of a session with the
// client's own machinery (client/client.h) and says of each step how it went and what to
// do.
//
// doctor.c has the command line and the order, doctor_link.c name, TCP, greeting and keys
// with the host, doctor_login.c who the host is and who the user is, doctor_session.c a
// command there, doctor_idle.c how much silence the way bears, doctor_report.c the
// findings and what is printed.
#pragma once

#include "client/client.h"

#define DOCTOR_STEPS_MAX 40
#define DOCTOR_TEXT 1400
#define DOCTOR_LOG 8192

enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_WARN,
    DOCTOR_FAIL,
};

// What may be found: a step's outcome with its remedies. The rows are in doctor_report.c.
enum doctor_finding {
    FOUND_NAME,
    FOUND_NO_NAME,
    FOUND_PROXY,
    FOUND_PROXY_FAILED,
    FOUND_CONNECTED,
    FOUND_REFUSED,
    FOUND_FILTERED,
    FOUND_NO_ROUTE,
    FOUND_PROHIBITED,
    FOUND_UNREACHABLE,
    FOUND_GREETING,
    FOUND_CLOSED_AT_ONCE,
    FOUND_SILENT,
    FOUND_NOT_SSH,
    FOUND_KEYS,
    FOUND_NO_OVERLAP,
    FOUND_BLACK_HOLE,
    FOUND_EXCHANGE_FAILED,
    FOUND_HOST_KNOWN,
    FOUND_HOST_UNKNOWN,
    FOUND_HOST_CHANGED,
    FOUND_HOST_REVOKED,
    FOUND_LET_IN,
    FOUND_KEY_REFUSED,
    FOUND_NO_KEY,
    FOUND_PASSWORD,
    FOUND_LOGIN_CUT,
    FOUND_RUNS,
    FOUND_NOLOGIN,
    FOUND_FORCED,
    FOUND_NOISE,
    FOUND_SESSION_CUT,
    FOUND_SESSION_STUCK,
    FOUND_CLOCK,
    FOUND_CLOCK_OFF,
    FOUND_KEEPALIVE,
    FOUND_NO_LIMIT,
    FOUND_LIMIT,
    FOUND_ENDED,
    FOUND_SPOKEN,
    FOUND_NOT_MEASURED,
    FOUND_COUNT
};

struct doctor_step {
    enum doctor_finding finding;
    uint64_t us;     // that it took; UINT64_MAX: no time belongs to it
    bool passed_by;  // it went on another way: a failure is a warning
    char text[DOCTOR_TEXT];
};

struct doctor {
    struct client *c;
    bool json, idle;
    uint32_t idle_most_s;
    char **argv;  // for client_setup(), of a connection without a session too
    int argc;
    char token[40];  // what the command there says, and nobody else
    struct doctor_step steps[DOCTOR_STEPS_MAX];
    size_t steps_n;
    char log[DOCTOR_LOG];  // what the client has to say, since the step began
    size_t log_n;
    uint64_t began_us, greeted_us;
};

// ---- doctor_report.c ----
__attribute__((format(printf, 4, 5))) void doctor_say(struct doctor *d,
                                                      enum doctor_finding finding,
                                                      uint64_t us, const char *format,
                                                      ...);
enum doctor_verdict doctor_verdict(const struct doctor *d);
// The same on standard output, whole.
must_check enum err doctor_print(const struct doctor *d);
// "KEYWORD VALUE (FILE:LINE)" or "… (default)".
const char *doctor_setting(const struct client *c, const char *keyword, const char *value,
                           char *out, size_t size);

// ---- doctor.c ----
// A client of these arguments, whose words are kept in d->log. NULL: it is said why.
struct client *doctor_client(struct doctor *d, int argc, char **argv);
void doctor_client_drop(struct client *c);
// The time since the last call, in microseconds; forgets what the client said.
uint64_t doctor_lap(struct doctor *d);
// The last line of the log that has `what` in it, from there; NULL: none.
const char *doctor_heard(const struct doctor *d, const char *what, char *out,
                         size_t size);

// ---- the steps: false ends the walk ----
bool doctor_link(struct doctor *d);
bool doctor_handshake(struct doctor *d);
bool doctor_login(struct doctor *d);
void doctor_session(struct doctor *d);
void doctor_idle(struct doctor *d);
