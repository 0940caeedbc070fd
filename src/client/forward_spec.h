// What -L, -R, -D and -W, and LocalForward, RemoteForward and DynamicForward say: where
// to listen and what to connect to. A pure parser; ssh(1) has the forms.
#pragma once

#include "base/bytes.h"

#define FORWARD_TEXT 1025

// A socket of TCP, or of a path.
struct forward_end {
    char host[FORWARD_TEXT];  // empty: not given; without brackets
    uint32_t port;
    char path[FORWARD_TEXT];  // not empty: a Unix socket
};

struct forward_spec {
    struct forward_end listen, connect;
    bool host_given;  // listen.host was there, even empty ("" and "*": all addresses)
    bool dynamic;     // connect is what each client asks for (SOCKS)
};

enum forward_kind {
    FORWARD_LOCAL,    // must say what to connect to
    FORWARD_REMOTE,   // may, else dynamic
    FORWARD_DYNAMIC,  // must not
};

// [bind:]port[:host:hostport], with paths in place of either; a blank may stand between
// the two halves. False if it is malformed.
bool forward_spec_parse(struct forward_spec *spec, enum forward_kind kind,
                        const char *text);
// The form of such a text, for people.
const char *forward_spec_form(enum forward_kind kind);
// -W: host:port or a path.
bool forward_end_parse(struct forward_end *end, const char *text);
// The place in `text` where its second half begins, as one character after a colon; 0:
// there is no second half. Only of text that parses.
size_t forward_spec_second(const char *text);
// "host:port", "[::1]:22" or the path.
const char *forward_end_text(const struct forward_end *end, char *out, size_t size);
