// Patterns over the server's files: * ? [abc] [!abc] within each part of a path, a
// backslash takes their meaning away. As glob(3): a name with a leading '.' wants one in
// the pattern.
//
// Only names that match what was asked for come out, and each is a plain one: the server
// cannot make the path lead elsewhere.
#pragma once

#include "transfer/remote_files.h"

struct remote_match {
    char *path;                         // owned
    struct sftp_attributes attributes;  // not those of what a link leads to
};
struct remote_matches {
    struct remote_match *list;  // sorted
    size_t n, room;
    bool pattern;  // it had something to match; else it is one path
};

// SFTP_OK with at least one; SFTP_NO_SUCH_FILE: none. A path without a pattern must be
// there.
uint32_t remote_glob(struct remote *r, const char *pattern, struct remote_matches *out);
void remote_matches_free(struct remote_matches *m);
#define scoped_matches __attribute__((cleanup(remote_matches_free))) struct remote_matches
