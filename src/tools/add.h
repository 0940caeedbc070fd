// ssh-add: what its files share. ssh-add.c (which command), add_files.c (keys of files),
// add_destination.c (-h), add_commands.c (all else).
#pragma once

#include <limits.h>

#include "io/prompt.h"
#include "key/key.h"
#include "signer/agent_link.h"

#define ADD_FAILED 1
#define ADD_NO_AGENT 2
#define ADD_FATAL 255
#define ADD_HOST_FILES 32

struct add {
    struct agent_link agent;
    int command;  // letter; 0: add
    bool remove;  // -d
    bool plain_only, certificates_only, no_expiry, quiet;
    int verbose;
    const struct digest_alg *hash;
    struct agent_constraints constraints;
    const char *provider;  // -S
    const char *host_files[ADD_HOST_FILES];
    size_t host_files_n;
    const char *destinations[AGENT_DESTINATIONS_MAX];
    size_t destinations_n;
    const char *library;  // -s, -e
    char *const *args;
    size_t args_n;
    char home[PATH_MAX];
    char passphrase[PROMPT_MAX];  // the last one that was right, tried first
};

// On standard error, with a newline; returns ADD_FAILED.
int add_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// ---- add_files.c ----
int add_files(struct add *a);  // adds or removes the keys of files, or the default ones
int add_resident(struct add *a);  // -K
// The first line of a public file, or of a private one's readable half.
must_check enum err add_read_public(const char *path, struct key **key, struct fault *f);

// ---- add_destination.c: false: it is said why ----
bool add_destinations(struct add *a);

// ---- add_commands.c ----
int add_list(struct add *a);     // -l, -L
int add_clear(struct add *a);    // -D
int add_lock(struct add *a);     // -x, -X
int add_test(struct add *a);     // -T
int add_query(struct add *a);    // -Q
int add_library(struct add *a);  // -s, -e
