// One check of a host's key: what its files share. hostkeys_files.c reads what is known,
// hostkeys.c finds and decides, hostkeys_say.c has the words, hostkeys_add.c keeps what
// was found to be right.
#pragma once

#include "client/hostkeys.h"
#include "key/sshfp.h"

#define HOSTKEYS_FILES_MAX 32

// The files as they were when first looked at: one look for each run. What
// KnownHostsCommand printed last stands behind them.
struct hostkeys_files {
    struct known_hosts_file at[HOSTKEYS_FILES_MAX + 1];
    struct buf text[HOSTKEYS_FILES_MAX + 1];
    char path[HOSTKEYS_FILES_MAX][PATH_MAX];
    size_t users;  // those of UserKnownHostsFile are the first
    size_t n;      // without the command's
    bool command;
};

struct hostkeys_check {
    struct client *c;
    struct hostkeys_files *files;
    struct key *key;    // as the server shows it
    struct key *plain;  // the same without its certificate
    char fingerprint[KEY_FINGERPRINT_SIZE];
    struct known_hosts_verdict verdict;
    bool certified;         // the verdict is about the authority of a good certificate
    char name[1025];        // the host's, or its alias, without the port
    char address[80 + 16];  // for CheckHostIP, as in known_hosts; "": not wanted
    struct known_hosts_verdict address_verdict;
    struct sshfp_verdict dns;
};

// ---- hostkeys_files.c ----
must_check enum err hostkeys_read(struct client *c);
size_t hostkeys_count(const struct hostkeys_files *f);
// Runs KnownHostsCommand where there is one: `what` is ORDER, HOSTNAME or ADDRESS, `name`
// what is looked for, `key` NULL where none is known yet. A failure ends the connection.
must_check enum err hostkeys_run_command(struct client *c, const char *what,
                                         const char *name, const struct key *key);

// ---- hostkeys_say.c ----
// Another key is on record, of the same type or another.
bool hostkeys_is_changed(enum known_hosts_result result);
void hostkeys_say_changed(const struct hostkeys_check *k);
void hostkeys_say_refused(const struct hostkeys_check *k);
void hostkeys_say_address_differs(const struct hostkeys_check *k);
void hostkeys_say_step(const struct hostkeys_check *k, const char *how);
void hostkeys_say_picture(const struct hostkeys_check *k);
// yes, no, or the fingerprint typed or pasted.
bool hostkeys_ask(const struct hostkeys_check *k);

// ---- hostkeys_add.c ----
// To the user's first file: the host, and its address where that is wanted and new.
void hostkeys_add(const struct hostkeys_check *k);
void hostkeys_add_address(const struct hostkeys_check *k);
