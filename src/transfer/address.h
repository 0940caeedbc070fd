// What a file argument names: a local path, [user@]host:path, or an address of a scheme
// (scp://, sftp://) as [user@]host[:port][/path]. Brackets keep the colons of an IPv6
// address.
#pragma once

#include "base/bytes.h"

struct address {
    bool remote;
    char *user, *host, *path;  // owned; user NULL: not given; path never NULL
    uint16_t port;             // 0: not given
};

// False: `why` (128 bytes) says what is wrong. Free it in either case.
// local: what has no host is a local path (scp); else it is a host (sftp).
bool address_parse(struct address *a, const char *text, const char *scheme, bool local,
                   char why[128]);
void address_free(struct address *a);  // also of a zeroed one
