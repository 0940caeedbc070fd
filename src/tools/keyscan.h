// ssh-keyscan: what its files share. ssh-keyscan.c (command line), keyscan_hosts.c (whom
// to ask), keyscan_scan.c (asking many at a time), keyscan_print.c (what is printed).
#pragma once

#include <stdio.h>

#include "base/buf.h"
#include "base/fault.h"
#include "key/key.h"

#define KEYSCAN_FATAL 255
#define KEYSCAN_FILES 32
#define KEYSCAN_LINE 8192

struct keyscan {
    int family;  // AF_UNSPEC, AF_INET, AF_INET6
    uint16_t port;
    uint32_t timeout_s;  // of silence
    bool certificates, sshfp, hash_names, quiet;
    unsigned verbose;
    const struct digest_alg *sshfp_hash;  // NULL: all
    unsigned types;                       // bits of keyscan_types
    const char *files[KEYSCAN_FILES];
    size_t files_n;
    char *const *args;
    size_t args_n;
    size_t found;
};

// A type as -t names it: one connection for each.
struct keyscan_type {
    const char *name;
    const char *algorithms;    // host key algorithms
    const char *certificates;  // with -c
    bool standard;
};
const struct keyscan_type *keyscan_type_at(size_t index);  // NULL past the end

// On standard error, with a newline.
void keyscan_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// ---- keyscan_hosts.c ----
struct keyscan_hosts {
    const struct keyscan *k;
    size_t file, arg;
    FILE *in;
    char line[KEYSCAN_LINE];
    // Of a range of addresses: what comes next, and how many are left after it.
    uint8_t address[16];
    int range_family;  // AF_UNSPEC: none is open
    unsigned __int128 left;
};
// The next one: addresses to try one after the other ("a,b"), and the names to print.
// False: there are no more. Both are in the struct's memory until the next call.
bool keyscan_hosts_next(struct keyscan_hosts *h, const char **addresses,
                        const char **names);

// ---- keyscan_scan.c ----
int keyscan_scan(struct keyscan *k);

// ---- keyscan_print.c ----
// The greeting of a server, as a comment on standard error.
void keyscan_print_greeting(const struct keyscan *k, const char *host,
                            struct view greeting);
// The key of the hosts (names and commas), on standard output.
void keyscan_print_key(struct keyscan *k, const char *names, struct view blob);
