// sftp: what its files share. sftp.c (main), sftp_options.c (command line), sftp_words.c
// (words of a command), sftp_commands.c (the table of commands, and those on the server's
// files), sftp_transfer.c (get and put), sftp_list.c (ls), sftp_df.c, sftp_local.c
// (commands on this machine), sftp_edit.c (reading lines, completion).
#pragma once

#include <stdio.h>

#include "transfer/address.h"
#include "transfer/copy.h"
#include "transfer/names.h"
#include "transfer/remote_glob.h"
#include "transfer/ssh_words.h"

#define SFTP_LINE_MAX 16384u

struct sftp {
    struct ssh_words ssh;
    struct sftp_client_config config;
    struct throttle throttle;
    const char *server;  // subsystem or path of the server
    const char *batch;   // -b; NULL: none
    bool quiet, not_quiet;
    unsigned verbose;
    struct copy_how how;  // as the command line has it for all transfers
    struct address target;
    const char *local;  // what a file of the target is fetched to; NULL: not given
    // while it runs
    struct remote remote;
    char folder[NAME_PATH];  // where relative names begin, at the server
    bool meter, ended;
    bool terminal;  // lines are typed by a person
};

// False: usage or an error was said.
bool sftp_options(struct sftp *s, int argc, char **argv);

// ---- sftp_words.c ----
// Words of a command as patterns: what was quoted or escaped stands for itself, so
// pattern_plain() gives a name. A word that begins with '#' ends the line. False: a quote
// is open or a word too long (then it was said).
bool sftp_words(const char *line, struct words *out);

// ---- sftp_commands.c ----
struct sftp_call {
    struct sftp *s;
    const char *name;
    char flags[32];  // those given, in order
    char **args;     // patterns
    size_t n;
};
static inline bool sftp_flag(const struct sftp_call *c, char flag) {
    return strchr(c->flags, flag) != NULL;
}

enum sftp_completion {
    SFTP_COMPLETE_NONE,
    SFTP_COMPLETE_REMOTE,
    SFTP_COMPLETE_LOCAL,
};

struct sftp_command {
    const char *name, *flags;
    size_t least, most;  // arguments
    bool (*run)(const struct sftp_call *c);
    enum sftp_completion first, second;
    const char *usage, *help;  // NULL: not in the list
};
const struct sftp_command *sftp_command_at(size_t index);  // NULL past the end

// One line. False: it failed (and that was said).
bool sftp_run_line(struct sftp *s, const char *line);
// The words of a command, already split.
bool sftp_run_words(struct sftp *s, char *const *words, size_t n);

// What a pattern on the server stands for. False: nothing, or the server refuses, and
// that was said.
struct sftp_find {
    const char *before, *after;  // around the name of what is not there
    const char *what;
};
bool sftp_find(const struct sftp_call *c, const char *pattern,
               const struct sftp_find *say, struct remote_matches *found);
// The path on the server that a name stands for; `pattern`: escapes stay. Into out.
bool sftp_absolute(const struct sftp *s, const char *name, bool pattern,
                   char out[NAME_PATH]);

// ---- commands in other files ----
bool sftp_get(const struct sftp_call *c);
bool sftp_put(const struct sftp_call *c);
bool sftp_list(const struct sftp_call *c);
bool sftp_df(const struct sftp_call *c);
bool sftp_local_folder(const struct sftp_call *c);
bool sftp_local_list(const struct sftp_call *c);
bool sftp_local_make(const struct sftp_call *c);
bool sftp_local_where(const struct sftp_call *c);
bool sftp_local_mask(const struct sftp_call *c);
// "!words": by the person's shell; "!": that shell.
bool sftp_local_shell(const char *command);

// ---- sftp_edit.c ----
struct sftp_edit;
// NULL: there is no terminal or no editing; lines are read plainly then.
struct sftp_edit *sftp_edit_new(struct sftp *s);
void sftp_edit_free(struct sftp_edit *e);
// The next line without its newline, valid until the next call; NULL: the end. An
// interrupt gives an empty line.
const char *sftp_edit_line(struct sftp_edit *e);
