// Typed events: one table {name, fields, who may tell it, meaning} and one of the fields.
// The encoder, doc/events.md (scripts/mkevents) and the tests are driven by them.
//
// An event is one JSON object on one line: "v" (EVENT_SCHEMA), "time" (UTC, RFC 3339),
// "event", then its fields in the order of the table. Names and meanings stay; what is
// new comes as new events and fields. A text that is empty, and an optional number that
// is not known, are left out.
#pragma once

#include "base/buf.h"

#define EVENT_SCHEMA 1u
// A line with its newline. Atomic for a pipe (PIPE_BUF), and what syslog takes.
#define EVENT_LINE_MAX 4096u
#define EVENT_UNKNOWN UINT64_MAX  // an optional number that is left out

// name, JSON's name, kind, most bytes of a text, meaning
#define EVENT_FIELDS(X)                                                                  \
    X(VERSION, version, TEXT, 64, "version of the server")                               \
    X(CONFIG, config, TEXT, 512, "the configuration file")                               \
    X(CONNECTION, connection, TEXT, 48,                                                  \
      "the connection's id, as `bowline sessions` shows it")                             \
    X(PEER, peer, TEXT, 64, "address of the peer; of a penalty: its network")            \
    X(PEER_PORT, peer_port, NUMBER, 0, "its port")                                       \
    X(LOCAL, local, TEXT, 64, "our address")                                             \
    X(LOCAL_PORT, local_port, NUMBER, 0, "our port")                                     \
    X(USER, user, TEXT, 255,                                                             \
      "the name given; before a login succeeded: the peer's word")                       \
    X(UID, uid, NUMBER, 0, "the user's number")                                          \
    X(METHOD, method, TEXT, 64, "publickey, password, keyboard-interactive/pam, none")   \
    X(KEY_TYPE, key_type, TEXT, 32, "ED25519, RSA, ED25519-CERT …")                      \
    X(KEY, key, TEXT, 128, "fingerprint of the key (of a certificate: of its own key)")  \
    X(COMMENT, comment, TEXT, 96, "comment of the line in authorized_keys")              \
    X(CERT_ID, cert_id, TEXT, 255, "key id of the certificate")                          \
    X(CERT_SERIAL, cert_serial, TEXT, 20, "its serial number, in decimal")               \
    X(CA, ca, TEXT, 160, "type and fingerprint of its authority")                        \
    X(CHANNEL, channel, NUMBER, 0, "our number of the channel")                          \
    X(KIND, kind, TEXT, 48, "what was opened")                                           \
    X(COMMAND, command, TEXT, 1024, "the command or subsystem asked for")                \
    X(TTY, tty, TEXT, 32, "the terminal")                                                \
    X(HOST, host, TEXT, 255, "host, address or path of a forward")                       \
    X(PORT, port, NUMBER, 0, "its port; 0 of a path")                                    \
    X(STATUS, status, OPTION, 0, "exit status of the program")                           \
    X(SIGNAL, signal, TEXT, 16, "the signal that it died of")                            \
    X(BYTES_IN, bytes_in, NUMBER, 0, "bytes from the peer")                              \
    X(BYTES_OUT, bytes_out, NUMBER, 0, "bytes to the peer")                              \
    X(SECONDS, seconds, NUMBER, 0, "how long it lasted, or will last")                   \
    X(COUNT, count, NUMBER, 0, "how many")                                               \
    X(BY_UID, by_uid, NUMBER, 0, "who did it")                                           \
    X(BY_PID, by_pid, NUMBER, 0, "the process that asked for it")                        \
    X(REASON, reason, TEXT, 64, "why, in one word of a fixed set")                       \
    X(TEXT, text, TEXT, 512, "more of it, for people")                                   \
    X(CLASS, class, TEXT, 32, "what the end was, a word of doc/ends.md")

enum event_field {
#define X(NAME, name, kind, max, meaning) EVENT_FIELD_##NAME,
    EVENT_FIELDS(X)
#undef X
    EVENT_FIELDS_N
};

#define EVENT_TYPE_TEXT struct view
#define EVENT_TYPE_NUMBER uint64_t
#define EVENT_TYPE_OPTION uint64_t

// Values for any event; those that are not its fields are not looked at. Views are the
// caller's; texts may be anybody's bytes.
struct event {
#define X(NAME, name, kind, max, meaning) EVENT_TYPE_##kind name;
    EVENT_FIELDS(X)
#undef X
};

#define EVENT_F(NAME) (UINT64_C(1) << EVENT_FIELD_##NAME)
#define EVENT_PEER (EVENT_F(CONNECTION) | EVENT_F(PEER) | EVENT_F(PEER_PORT))
#define EVENT_ENDS                                                                       \
    (EVENT_F(PEER) | EVENT_F(PEER_PORT) | EVENT_F(LOCAL) | EVENT_F(LOCAL_PORT))
#define EVENT_KEY                                                                        \
    (EVENT_F(METHOD) | EVENT_F(KEY_TYPE) | EVENT_F(KEY) | EVENT_F(CERT_ID) |             \
     EVENT_F(CERT_SERIAL) | EVENT_F(CA))
#define EVENT_WHO (EVENT_PEER | EVENT_F(USER))
#define EVENT_WHERE (EVENT_F(KIND) | EVENT_F(HOST) | EVENT_F(PORT))
#define EVENT_BYTES (EVENT_F(BYTES_IN) | EVENT_F(BYTES_OUT))
#define EVENT_WHY (EVENT_F(REASON) | EVENT_F(TEXT))

// name, JSON's name, holders may tell it, fields, meaning
#define EVENTS(X)                                                                        \
    X(SERVER_STARTED, "server.started", false, EVENT_F(VERSION) | EVENT_F(CONFIG),       \
      "the server began to run")                                                         \
    X(SERVER_LISTENING, "server.listening", false, EVENT_F(LOCAL) | EVENT_F(LOCAL_PORT), \
      "a socket listens")                                                                \
    X(SERVER_RELOADED, "server.reloaded", false, EVENT_F(VERSION) | EVENT_F(CONFIG),     \
      "SIGHUP: the configuration was read again")                                        \
    X(SERVER_RELOAD_FAILED, "server.reload_failed", false,                               \
      EVENT_F(CONFIG) | EVENT_F(TEXT), "SIGHUP: it is not usable, the old one stays")    \
    X(SERVER_STOPPED, "server.stopped", false, EVENT_F(SIGNAL) | EVENT_F(COUNT),         \
      "the server ends; count: logins that go on without it")                            \
    X(CONNECTION_ACCEPTED, "connection.accepted", false,                                 \
      EVENT_F(CONNECTION) | EVENT_ENDS, "somebody connected")                            \
    X(CONNECTION_REFUSED, "connection.refused", false,                                   \
      EVENT_ENDS | EVENT_F(COUNT) | EVENT_WHY,                                           \
      "and was turned away at once: max-startups, source-max-startups, penalty; count: " \
      "others since the last such event that were not told one by one")                  \
    X(CONNECTION_CLOSED, "connection.closed", false, EVENT_WHO | EVENT_WHY,              \
      "the link ended: closed, disconnected, protocol, grace-time, auth-tries, "         \
      "session-over, bad-ident, no-ident, no-match, lost, server, not-resumed, "         \
      "released (its connection goes on without it), resumed (it goes on as another)")   \
    X(PENALTY_STARTED, "penalty.started", false,                                         \
      EVENT_F(PEER) | EVENT_F(SECONDS) | EVENT_F(REASON),                                \
      "a source is refused from now on: crash, authfail, invaliduser, noauth, "          \
      "grace-exceeded, refuseconnection")                                                \
    X(LOGIN_FAILED, "login.failed", false, EVENT_WHO | EVENT_KEY | EVENT_WHY,            \
      "one attempt failed: invalid-user, not-allowed (text says why), credentials")      \
    X(LOGIN_PARTIAL, "login.partial", false, EVENT_WHO | EVENT_KEY,                      \
      "one method is fulfilled, more are asked for")                                     \
    X(LOGIN_SUCCEEDED, "login.succeeded", false,                                         \
      EVENT_WHO | EVENT_F(LOCAL) | EVENT_F(LOCAL_PORT) | EVENT_F(UID) | EVENT_KEY |      \
          EVENT_F(COMMENT),                                                              \
      "the user is let in")                                                              \
    X(LOGIN_ENDED, "login.ended", false,                                                 \
      EVENT_WHO | EVENT_F(UID) | EVENT_F(SECONDS) | EVENT_BYTES | EVENT_WHY |            \
          EVENT_F(CLASS),                                                                \
      "everything of that login is over: the words of connection.closed, or "            \
      "administrator, crashed, too-many-suspended, not-resumed (in time), resumed (it "  \
      "goes on as another)")                                                             \
    X(SESSION_OPENED, "session.opened", true,                                            \
      EVENT_F(CONNECTION) | EVENT_F(USER) | EVENT_F(CHANNEL) | EVENT_F(KIND) |           \
          EVENT_F(COMMAND) | EVENT_F(TTY),                                               \
      "a program was started: shell, command, subsystem")                                \
    X(SESSION_REFUSED, "session.refused", true,                                          \
      EVENT_F(CONNECTION) | EVENT_F(USER) | EVENT_F(CHANNEL) | EVENT_F(KIND) |           \
          EVENT_F(COMMAND) | EVENT_F(REASON),                                            \
      "a session was not: max-sessions, no-more-sessions, not-found, failed")            \
    X(SESSION_CLOSED, "session.closed", true,                                            \
      EVENT_F(CONNECTION) | EVENT_F(USER) | EVENT_F(CHANNEL) | EVENT_F(TTY) |            \
          EVENT_F(STATUS) | EVENT_F(SIGNAL) | EVENT_BYTES,                               \
      "its channel is over")                                                             \
    X(FORWARD_OPENED, "forward.opened", true,                                            \
      EVENT_F(CONNECTION) | EVENT_F(USER) | EVENT_F(CHANNEL) | EVENT_WHERE,              \
      "a forwarded connection: the channel's type, and where it goes or came in")        \
    X(FORWARD_REFUSED, "forward.refused", true,                                          \
      EVENT_F(CONNECTION) | EVENT_F(USER) | EVENT_WHERE | EVENT_WHY,                     \
      "one that was not made: not-permitted, unreachable, malformed")                    \
    X(FORWARD_CLOSED, "forward.closed", true,                                            \
      EVENT_F(CONNECTION) | EVENT_F(USER) | EVENT_F(CHANNEL) | EVENT_F(KIND) |           \
          EVENT_BYTES,                                                                   \
      "a forwarded connection is over")                                                  \
    X(LISTEN_OPENED, "listen.opened", true,                                              \
      EVENT_F(CONNECTION) | EVENT_F(USER) | EVENT_WHERE,                                 \
      "a socket listens for the peer; kind: the type of the channels that it makes")     \
    X(LISTEN_REFUSED, "listen.refused", true,                                            \
      EVENT_F(CONNECTION) | EVENT_F(USER) | EVENT_WHERE | EVENT_F(REASON),               \
      "one that does not: not-permitted, failed")                                        \
    X(LISTEN_CLOSED, "listen.closed", true,                                              \
      EVENT_F(CONNECTION) | EVENT_F(USER) | EVENT_WHERE, "a socket listens no more")     \
    X(ADMIN_ENDED, "admin.ended", false,                                                 \
      EVENT_WHO | EVENT_F(BY_UID) | EVENT_F(BY_PID) | EVENT_F(TEXT),                     \
      "`bowline sessions end`: the login is told to end; text: what its user reads")     \
    X(EVENTS_LOST, "events.lost", false,                                                 \
      EVENT_F(CONNECTION) | EVENT_F(COUNT) | EVENT_F(REASON),                            \
      "events that are not here: write-failed (the log could not be written), too-many " \
      "(of one connection)")                                                             \
    X(CONNECTION_SUSPENDED, "connection.suspended", false,                               \
      EVENT_WHO | EVENT_F(SECONDS) | EVENT_F(REASON),                                    \
      "the link is gone, the connection waits for its client; reason: lost, silent, "    \
      "left (with sessions that somebody may take up); "                                 \
      "seconds: at most")                                                                \
    X(CONNECTION_RESUMED, "connection.resumed", false,                                   \
      EVENT_WHO | EVENT_F(SECONDS) | EVENT_F(TEXT),                                      \
      "its client is back, from that address; seconds: without a link; text: id of the " \
      "connection that it came by, whose login ends with this")                          \
    X(CONNECTION_RESUME_REFUSED, "connection.resume_refused", false,                     \
      EVENT_WHO | EVENT_WHY | EVENT_F(CLASS),                                            \
      "a client came for a connection and did not get it: unknown, ended, identity, "    \
      "proof, epoch, gap, busy; text: id of that connection")                            \
    X(SESSION_LEFT, "session.left", true,                                                \
      EVENT_F(CONNECTION) | EVENT_F(USER) | EVENT_F(CHANNEL) | EVENT_WHY,                \
      "one with a terminal goes on without its channel: asked, taken (up elsewhere), "   \
      "lost (its link); text: its name")                                                 \
    X(SESSION_VIEWED, "session.viewed", true,                                            \
      EVENT_F(CONNECTION) | EVENT_F(USER) | EVENT_F(KIND) | EVENT_F(HOST) |              \
          EVENT_F(TEXT),                                                                 \
      "somebody sees a terminal: attach, watch; host: who; text: the session's name")

enum event_number {
#define X(NAME, name, holder, fields, meaning) EVENT_##NAME,
    EVENTS(X)
#undef X
    EVENT_COUNT
};

const char *event_name(enum event_number number);
const char *event_meaning(enum event_number number);
uint64_t event_fields(enum event_number number);  // EVENT_F() of each
bool event_of_holder(enum event_number number);   // holders may tell it
const char *event_field_name(enum event_field field);
const char *event_field_meaning(enum event_field field);
const char *event_field_type(enum event_field field);  // "text", "number", …
size_t event_field_max(enum event_field field);        // bytes of a text

// One line with its newline, at most EVENT_LINE_MAX bytes: texts are cut to their most,
// and further where the line would be longer ("cut":true says so). `time_us`: since 1970.
must_check enum err event_encode(enum event_number number, const struct event *e,
                                 uint64_t time_us, struct buf *out);
