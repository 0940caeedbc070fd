// The table of sftp's commands, and those that change files on the server.
#include <ctype.h>
#include <stdlib.h>

#include "base/text.h"
#include "transfer/interrupt.h"
#include "transfer/names.h"
#include "transfer/say.h"
#include "transfer/sftp.h"

bool sftp_absolute(const struct sftp *s, const char *name, bool pattern,
                   char out[NAME_PATH]) {
    char plain[NAME_PATH], folder[2 * NAME_PATH], *to = folder;
    const char *base = s->folder;
    if (!text_copy(plain, sizeof plain, view_text(name)))
        return false;
    if (!pattern) {
        pattern_plain(plain);
        if (path_join(out, s->folder, plain))
            return true;
    } else {
        // The folder is a name: its characters mean nothing.
        for (const char *p = s->folder; *p != '\0'; p++) {
            if (strchr("*?[]\\", *p) != NULL)
                *to++ = '\\';
            *to++ = *p;
        }
        *to = '\0';
        base = folder;
        if (path_join(out, base, plain))
            return true;
    }
    say("\"%s\": the path is too long", CLEAN(name));
    return false;
}

static bool done(const struct sftp_call *c, const char *what, const char *path,
                 uint32_t status) {
    if (status == SFTP_OK)
        return true;
    if (!c->s->remote.lost)
        say_status(what, path, status);
    return false;
}

// ---- several files by a pattern ----

bool sftp_find(const struct sftp_call *c, const char *pattern,
               const struct sftp_find *words, struct remote_matches *found) {
    char path[NAME_PATH];
    if (!sftp_absolute(c->s, pattern, true, path))
        return false;
    uint32_t status = remote_glob(&c->s->remote, path, found);
    if (status == SFTP_OK)
        return true;
    pattern_plain(path);
    if (status != SFTP_NO_SUCH_FILE || words->before == NULL)
        return done(c, words->what, path, status);
    say("%s \"%s\" not found%s", words->before, CLEAN(path), words->after);
    return false;
}

typedef uint32_t (*each_fn)(const struct sftp_call *c, const char *path, uint32_t value);

static bool each(const struct sftp_call *c, const char *pattern, const char *what,
                 const char *doing, each_fn fn, uint32_t value) {
    scoped_matches found = {0};
    bool ok = true;
    if (!sftp_find(c, pattern, &(struct sftp_find){.what = what}, &found))
        return false;
    for (size_t i = 0; i < found.n && !interrupted(); i++) {
        const char *one = found.list[i].path;
        if (!c->s->quiet && found.n > 1)
            say_doing("%s %s", doing, CLEAN(one));
        ok &= done(c, what, one, fn(c, one, value));
    }
    return ok && !interrupted();
}

static uint32_t remove_one(const struct sftp_call *c, const char *path, uint32_t value) {
    (void)value;
    return remote_remove(&c->s->remote, path, false);
}

static uint32_t set(const struct sftp_call *c, const char *path,
                    struct sftp_attributes *a) {
    return remote_set(&c->s->remote, path, !sftp_flag(c, 'h'), a);
}

static uint32_t mode_one(const struct sftp_call *c, const char *path, uint32_t value) {
    struct sftp_attributes a = {.flags = SFTP_ATTR_MODE, .mode = value};
    return set(c, path, &a);
}

// The protocol sets both owners at a time: the other is what it was.
static uint32_t owner_one(const struct sftp_call *c, const char *path, uint32_t value) {
    struct sftp_attributes a;
    uint32_t status = remote_stat(&c->s->remote, path, !sftp_flag(c, 'h'), &a);
    if (status != SFTP_OK)
        return status;
    if ((a.flags & SFTP_ATTR_OWNER) == 0)
        return SFTP_OP_UNSUPPORTED;
    a.flags = SFTP_ATTR_OWNER;
    *(strcmp(c->name, "chgrp") == 0 ? &a.gid : &a.uid) = value;
    return set(c, path, &a);
}

static bool run_rm(const struct sftp_call *c) {
    bool ok = true;
    for (size_t i = 0; i < c->n; i++)
        ok &= each(c, c->args[i], "remove", "Removing", remove_one, 0);
    return ok;
}

static bool has_lsetstat(const struct sftp_call *c) {
    if (!sftp_flag(c, 'h') || sftp_client_has(c->s->remote.client, SFTP_OP_LSETSTAT))
        return true;
    say("%s -h: the server does not support lsetstat@openssh.com", c->name);
    return false;
}

static bool number(const struct sftp_call *c, int base, uint32_t most, uint32_t *out) {
    char *end = NULL;
    unsigned long n = strtoul(c->args[0], &end, base);
    if (!isdigit((unsigned char)c->args[0][0]) || *end != '\0' || n > most) {
        say("%s: \"%s\" is no number%s", c->name, CLEAN(c->args[0]),
            base == 8 ? " in octal" : "");
        return false;
    }
    *out = (uint32_t)n;
    return true;
}

static bool run_chmod(const struct sftp_call *c) {
    uint32_t mode;
    return has_lsetstat(c) && number(c, 8, 07777, &mode) &&
           each(c, c->args[1], "setstat", "Changing mode on", mode_one, mode);
}

static bool run_owner(const struct sftp_call *c) {
    uint32_t id;
    return has_lsetstat(c) && number(c, 10, UINT32_MAX, &id) &&
           each(c, c->args[1], "setstat",
                c->name[2] == 'g' ? "Changing group on" : "Changing owner on", owner_one,
                id);
}

// ---- one or two files ----

static bool two(const struct sftp_call *c, char from[NAME_PATH], char to[NAME_PATH]) {
    return sftp_absolute(c->s, c->args[0], false, from) &&
           sftp_absolute(c->s, c->args[1], false, to);
}

static bool run_rename(const struct sftp_call *c) {
    char from[NAME_PATH], to[NAME_PATH];
    return two(c, from, to) &&
           done(c, "rename", from,
                remote_rename(&c->s->remote, from, to, sftp_flag(c, 'l')));
}

static bool run_link(const struct sftp_call *c) {
    char from[NAME_PATH], to[NAME_PATH], target[NAME_PATH];
    bool symbolic = sftp_flag(c, 's') || strcmp(c->name, "symlink") == 0;
    if (!two(c, from, to) || !text_copy(target, sizeof target, view_text(c->args[0])))
        return false;
    pattern_plain(target);  // a link's text is as it was written
    return symbolic ? done(c, "symlink", to, remote_symlink(&c->s->remote, target, to))
                    : done(c, "link", to, remote_link(&c->s->remote, from, to));
}

static bool run_copy(const struct sftp_call *c) {
    char from[NAME_PATH], to[NAME_PATH];
    if (!sftp_client_has(c->s->remote.client, SFTP_OP_COPY_DATA)) {
        say("%s: the server does not support copy-data", c->name);
        return false;
    }
    return two(c, from, to) &&
           done(c, "copy", from, remote_copy(&c->s->remote, from, to));
}

static bool run_mkdir(const struct sftp_call *c) {
    char path[NAME_PATH];
    return sftp_absolute(c->s, c->args[0], false, path) &&
           done(c, "remote mkdir", path, remote_make_folder(&c->s->remote, path, 0777));
}

static bool run_rmdir(const struct sftp_call *c) {
    char path[NAME_PATH];
    return sftp_absolute(c->s, c->args[0], false, path) &&
           done(c, "remote rmdir", path, remote_remove(&c->s->remote, path, true));
}

static bool run_cd(const struct sftp_call *c) {
    char path[NAME_PATH], real[NAME_PATH];
    struct sftp_attributes a;
    if (!sftp_absolute(c->s, c->n > 0 ? c->args[0] : "", false, path))
        return false;
    if (c->n == 0)
        (void)text_copy(path, sizeof path, view_text("."));
    if (!done(c, "realpath", path, remote_real_path(&c->s->remote, path, real)) ||
        !done(c, "stat remote", real, remote_stat(&c->s->remote, real, true, &a)))
        return false;
    if ((a.flags & SFTP_ATTR_MODE) && !copy_is_folder(&a)) {
        say("Can't change directory: \"%s\" is not a directory", CLEAN(real));
        return false;
    }
    return text_copy(c->s->folder, NAME_PATH, view_text(real));
}

static bool run_pwd(const struct sftp_call *c) {
    printf("Remote working directory: %s\n", CLEAN(c->s->folder));
    return true;
}

static bool run_quit(const struct sftp_call *c) {
    c->s->ended = true;
    return true;
}

static bool run_version(const struct sftp_call *c) {
    printf("SFTP protocol version %u\n", sftp_client_version(c->s->remote.client));
    return true;
}

static bool run_progress(const struct sftp_call *c) {
    c->s->meter = !c->s->meter;
    printf("Progress meter %s\n", c->s->meter ? "enabled" : "disabled");
    return true;
}

static bool run_help(const struct sftp_call *c) {
    (void)c;
    printf("Available commands:\n");
    for (size_t i = 0; sftp_command_at(i) != NULL; i++) {
        const struct sftp_command *row = sftp_command_at(i);
        if (row->help != NULL)
            printf("%-34s %s\n", row->usage, row->help);
    }
    printf("%-34s %s\n", "!command", "Execute 'command' in local shell");
    printf("%-34s %s\n", "!", "Escape to local shell");
    return true;
}

// ---- the table ----

#define NONE SFTP_COMPLETE_NONE
#define REMOTE SFTP_COMPLETE_REMOTE
#define LOCAL SFTP_COMPLETE_LOCAL
#define MANY 1024u

static const struct sftp_command commands[] = {
    {"bye", "", 0, 0, run_quit, NONE, NONE, "bye", "Quit sftp"},
    {"cd", "", 0, 1, run_cd, REMOTE, NONE, "cd path",
     "Change remote directory to 'path'"},
    {"chdir", "", 0, 1, run_cd, REMOTE, NONE, NULL, NULL},
    {"chgrp", "h", 2, 2, run_owner, NONE, REMOTE, "chgrp [-h] grp path",
     "Change group of file 'path' to 'grp'"},
    {"chmod", "h", 2, 2, run_chmod, NONE, REMOTE, "chmod [-h] mode path",
     "Change permissions of file 'path' to 'mode'"},
    {"chown", "h", 2, 2, run_owner, NONE, REMOTE, "chown [-h] own path",
     "Change owner of file 'path' to 'own'"},
    {"copy", "", 2, 2, run_copy, REMOTE, REMOTE, "copy oldpath newpath",
     "Copy remote file"},
    {"cp", "", 2, 2, run_copy, REMOTE, REMOTE, "cp oldpath newpath", "Copy remote file"},
    {"df", "hi", 0, 1, sftp_df, REMOTE, NONE, "df [-hi] [path]",
     "Display statistics for current directory or filesystem containing 'path'"},
    {"dir", "1afhlnrSt", 0, 1, sftp_list, REMOTE, NONE, NULL, NULL},
    {"exit", "", 0, 0, run_quit, NONE, NONE, "exit", "Quit sftp"},
    {"get", "afPpRr", 1, 2, sftp_get, REMOTE, LOCAL, "get [-afpR] remote [local]",
     "Download file"},
    {"help", "", 0, 0, run_help, NONE, NONE, "help", "Display this help text"},
    {"lcd", "", 0, 1, sftp_local_folder, LOCAL, NONE, "lcd path",
     "Change local directory to 'path'"},
    {"lchdir", "", 0, 1, sftp_local_folder, LOCAL, NONE, NULL, NULL},
    {"lls", "*", 0, MANY, sftp_local_list, LOCAL, LOCAL, "lls [ls-options [path]]",
     "Display local directory listing"},
    {"lmkdir", "", 1, 1, sftp_local_make, LOCAL, NONE, "lmkdir path",
     "Create local directory"},
    {"ln", "s", 2, 2, run_link, REMOTE, REMOTE, "ln [-s] oldpath newpath",
     "Link remote file (-s for symlink)"},
    {"lpwd", "", 0, 0, sftp_local_where, NONE, NONE, "lpwd",
     "Print local working directory"},
    {"ls", "1afhlnrSt", 0, 1, sftp_list, REMOTE, NONE, "ls [-1afhlnrSt] [path]",
     "Display remote directory listing"},
    {"lumask", "", 1, 1, sftp_local_mask, NONE, NONE, "lumask umask",
     "Set local umask to 'umask'"},
    {"mget", "afPpRr", 1, 2, sftp_get, REMOTE, LOCAL, NULL, NULL},
    {"mkdir", "", 1, 1, run_mkdir, REMOTE, NONE, "mkdir path", "Create remote directory"},
    {"mput", "afPpRr", 1, 2, sftp_put, LOCAL, REMOTE, NULL, NULL},
    {"progress", "", 0, 0, run_progress, NONE, NONE, "progress",
     "Toggle display of progress meter"},
    {"put", "afPpRr", 1, 2, sftp_put, LOCAL, REMOTE, "put [-afpR] local [remote]",
     "Upload file"},
    {"pwd", "", 0, 0, run_pwd, NONE, NONE, "pwd", "Display remote working directory"},
    {"quit", "", 0, 0, run_quit, NONE, NONE, "quit", "Quit sftp"},
    {"reget", "fPpRr", 1, 2, sftp_get, REMOTE, LOCAL, "reget [-fpR] remote [local]",
     "Resume download file"},
    {"rename", "l", 2, 2, run_rename, REMOTE, REMOTE, "rename oldpath newpath",
     "Rename remote file"},
    {"reput", "fPpRr", 1, 2, sftp_put, LOCAL, REMOTE, "reput [-fpR] local [remote]",
     "Resume upload file"},
    {"rm", "", 1, MANY, run_rm, REMOTE, REMOTE, "rm path", "Delete remote file"},
    {"rmdir", "", 1, 1, run_rmdir, REMOTE, NONE, "rmdir path", "Remove remote directory"},
    {"symlink", "", 2, 2, run_link, REMOTE, REMOTE, "symlink oldpath newpath",
     "Symlink remote file"},
    {"version", "", 0, 0, run_version, NONE, NONE, "version", "Show SFTP version"},
    {"?", "", 0, 0, run_help, NONE, NONE, "?", "Synonym for help"},
};

const struct sftp_command *sftp_command_at(size_t index) {
    return index < sizeof commands / sizeof commands[0] ? &commands[index] : NULL;
}

static const char *name_at(size_t index, const void *arg) {
    (void)arg;
    const struct sftp_command *row = sftp_command_at(index);
    return row != NULL ? row->name : NULL;
}

// ---- running ----

static const struct sftp_command *find(const char *name) {
    const struct sftp_command *row;
    for (size_t i = 0; (row = sftp_command_at(i)) != NULL; i++)
        if (strcasecmp(row->name, name) == 0)
            return row;
    const char *like = text_suggest(name, name_at, NULL);
    if (like != NULL)
        say("Invalid command \"%s\". Did you mean \"%s\"?", CLEAN(name), like);
    else
        say("Invalid command \"%s\".", CLEAN(name));
    return NULL;
}

// Flags in front of the arguments: "-la", "--".
static bool take_flags(const struct sftp_command *row, struct sftp_call *c) {
    size_t n = 0;
    while (c->n > 0 && c->args[0][0] == '-' && c->args[0][1] != '\0') {
        const char *word = c->args[0] + 1;
        c->args++;
        c->n--;
        if (strcmp(word, "-") == 0)
            break;
        for (; *word != '\0'; word++) {
            if (strchr(row->flags, *word) == NULL) {
                say("%s: Invalid flag -%c", c->name,
                    isprint((unsigned char)*word) ? *word : '?');
                return false;
            }
            if (n + 1 < sizeof c->flags && strchr(c->flags, *word) == NULL)
                c->flags[n++] = *word;
        }
    }
    return true;
}

bool sftp_run_words(struct sftp *s, char *const *words, size_t n) {
    const struct sftp_command *row = find(words[0]);
    if (row == NULL)
        return false;
    struct sftp_call c = {.s = s, .name = row->name, .n = n - 1};
    c.args = (char **)(uintptr_t)(words + 1);
    if (strcmp(row->flags, "*") != 0 && !take_flags(row, &c))
        return false;
    if (c.n < row->least || c.n > row->most) {
        say("%s: %s. Usage: %s", row->name,
            c.n < row->least ? "an argument is missing" : "too many arguments",
            row->usage != NULL ? row->usage : "see help");
        return false;
    }
    return row->run(&c);
}

bool sftp_run_line(struct sftp *s, const char *line) {
    scoped_words words = {0};
    line += strspn(line, " \t");
    if (*line == '!')
        return sftp_local_shell(line + 1 + strspn(line + 1, " \t"));
    if (strncmp(line, "lls", 3) == 0 && (line[3] == '\0' || line[3] == ' ')) {
        char *whole[] = {"lls", (char *)(uintptr_t)line, NULL};
        return sftp_run_words(s, whole, 2);  // the shell splits these
    }
    if (!sftp_words(line, &words))
        return false;
    return words.n == 0 || sftp_run_words(s, words.list, words.n);
}
