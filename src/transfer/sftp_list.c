// sftp's ls. Names are cleaned before they reach the terminal.
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "io/clock.h"
#include "io/pty.h"
#include "sftp/mode_text.h"
#include "transfer/interrupt.h"
#include "transfer/names.h"
#include "transfer/remote_owners.h"
#include "transfer/say.h"
#include "transfer/sftp.h"

#define HALF_A_YEAR (365u * 24u * 3600u / 2u)

struct row {
    const char *name;  // to be shown, not clean
    const char *line;  // the server's own; NULL: none
    const struct sftp_attributes *a;
};

struct rows {
    struct row *list;
    size_t n;
};

// ---- order ----

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static int by_time(const void *a, const void *b) {
    uint32_t x = ((const struct row *)a)->a->mtime, y = ((const struct row *)b)->a->mtime;
    return x != y ? (x < y) - (x > y) : by_name(a, b);
}

static int by_size(const void *a, const void *b) {
    uint64_t x = ((const struct row *)a)->a->size, y = ((const struct row *)b)->a->size;
    return x != y ? (x < y) - (x > y) : by_name(a, b);
}

static void sort(const struct sftp_call *c, struct rows *rows) {
    if (sftp_flag(c, 'f') || rows->n == 0)
        return;
    qsort(rows->list, rows->n, sizeof *rows->list,
          sftp_flag(c, 't')   ? by_time
          : sftp_flag(c, 'S') ? by_size
                              : by_name);
    for (size_t i = 0; sftp_flag(c, 'r') && i < rows->n / 2; i++) {
        struct row other = rows->list[i];
        rows->list[i] = rows->list[rows->n - 1 - i];
        rows->list[rows->n - 1 - i] = other;
    }
}

// ---- the long form ----

static void date(uint32_t when, char *out, size_t size) {
    time_t t = (time_t)when;
    uint64_t now = clock_wall_s();
    struct tm tm;
    bool recent = when <= now && when + HALF_A_YEAR > now;
    if (localtime_r(&t, &tm) == NULL ||
        strftime(out, size, recent ? "%b %e %H:%M" : "%b %e  %Y", &tm) == 0)
        snprintf(out, size, "?");
}

static void size_text(const struct sftp_call *c, uint64_t n, char out[32]) {
    static const char units[] = "BKMGTPE";
    double shown = (double)n;
    size_t i = 0;
    if (!sftp_flag(c, 'h')) {
        snprintf(out, 32, "%8llu", (unsigned long long)n);
        return;
    }
    while (shown >= 1000 && units[i + 1] != '\0') {
        shown /= 1024;
        i++;
    }
    snprintf(out, 32, shown < 10 && i > 0 ? "%7.1f%c" : "%7.0f%c", shown, units[i]);
}

// The server's own line, with the name as it was asked for (`ls -l folder`: folder/file).
static void print_line(const struct row *row) {
    const char *base = strrchr(row->name, '/');
    base = base != NULL ? base + 1 : row->name;
    size_t n = strlen(row->line), m = strlen(base);
    size_t kept = n > m && strcmp(row->line + n - m, base) == 0 ? n - m : n;
    char line[SAY_SIZE];
    text_one_line(line, sizeof line, view_of(row->line, kept));
    printf("%s%s\n", line, kept < n ? CLEAN(row->name) : "");
}

static void print_long(const struct sftp_call *c, const struct row *row,
                       const struct remote_owners *owners) {
    char mode[11], size[32], when[32], user[REMOTE_OWNER], group[REMOTE_OWNER];
    bool ours = sftp_flag(c, 'n') || sftp_flag(c, 'h') || row->line == NULL;
    if (!ours) {
        print_line(row);
        return;
    }
    if (row->a->flags & SFTP_ATTR_MODE)
        sftp_mode_text(mode, row->a->mode);
    else
        snprintf(mode, sizeof mode, "??????????");
    remote_owner(owners, row->a->uid, false, user);
    remote_owner(owners, row->a->gid, true, group);
    size_text(c, row->a->size, size);
    date(row->a->mtime, when, sizeof when);
    printf("%s    ? %-8s %-8s %s %s %s\n", mode, user, group, size, when,
           CLEAN(row->name));
}

// ---- the short form ----

static size_t terminal_width(void) {
    struct pty_size size = {0};
    return pty_get_size(STDOUT_FILENO, &size) == OK && size.columns > 0 ? size.columns
                                                                        : 80;
}

static void print_columns(const struct rows *rows) {
    size_t widest = 0, width = terminal_width();
    for (size_t i = 0; i < rows->n; i++) {
        size_t n = strlen(CLEAN(rows->list[i].name));
        widest = n > widest ? n : widest;
    }
    size_t columns = width / (widest + 2) > 0 ? width / (widest + 2) : 1;
    size_t space = width / columns, lines = (rows->n + columns - 1) / columns;
    for (size_t line = 0; line < lines && !interrupted(); line++) {
        for (size_t i = line; i < rows->n; i += lines)
            printf("%-*s", columns > 1 ? (int)space : 0, CLEAN(rows->list[i].name));
        printf("\n");
    }
}

static void print(const struct sftp_call *c, struct rows *rows) {
    bool full = sftp_flag(c, 'l') || sftp_flag(c, 'n');
    struct remote_owners owners = {0};
    sort(c, rows);
    if (full && !sftp_flag(c, 'n')) {
        for (size_t i = 0; i < rows->n; i++)
            remote_owners_add(&owners, rows->list[i].a);
        remote_owners_ask(&c->s->remote, &owners);
    }
    if (!full && !sftp_flag(c, '1'))
        print_columns(rows);
    for (size_t i = 0; i < rows->n && (full || sftp_flag(c, '1')) && !interrupted();
         i++) {
        if (full)
            print_long(c, &rows->list[i], &owners);
        else
            printf("%s\n", CLEAN(rows->list[i].name));
    }
    remote_owners_free(&owners);
}

// ---- what is listed ----

// As it was asked for: relative names without the folder in front.
static const char *shown(const struct sftp_call *c, const char *path) {
    size_t n = strlen(c->s->folder);
    bool asked_whole = c->n > 0 && c->args[0][0] == '/';
    if (asked_whole || strncmp(path, c->s->folder, n) != 0)
        return path;
    return path[n] == '/' ? path + n + 1 : n == 1 && path[1] != '\0' ? path + 1 : path;
}

// Names with the path in front that leads to them from where we are.
static bool list_folder(const struct sftp_call *c, const char *path) {
    scoped_listing names = {0};
    scoped_words paths = {0};
    char whole[NAME_PATH];
    uint32_t status = remote_list(&c->s->remote, path, &names);
    if (status != SFTP_OK && !c->s->remote.lost)
        say_status("remote readdir", path, status);
    struct rows rows = {calloc(names.n + 1, sizeof *rows.list), 0};
    for (size_t i = 0; i < names.n && rows.list != NULL; i++) {
        const struct remote_entry *e = &names.list[i];
        if ((*e->name == '.' && !sftp_flag(c, 'a')) || !path_join(whole, path, e->name) ||
            words_add(&paths, shown(c, whole)) != OK)
            continue;
        rows.list[rows.n++] =
            (struct row){paths.list[paths.n - 1], e->line, &e->attributes};
    }
    if (rows.list != NULL)
        print(c, &rows);
    free(rows.list);
    return status == SFTP_OK && !interrupted();
}

static bool list_matches(const struct sftp_call *c, const struct remote_matches *found) {
    struct rows rows = {calloc(found->n, sizeof *rows.list), found->n};
    if (rows.list == NULL)
        return false;
    for (size_t i = 0; i < found->n; i++)
        rows.list[i] =
            (struct row){shown(c, found->list[i].path), NULL, &found->list[i].attributes};
    print(c, &rows);
    free(rows.list);
    return !interrupted();
}

bool sftp_list(const struct sftp_call *c) {
    scoped_matches found = {0};
    struct sftp_attributes a;
    if (c->n == 0)
        return list_folder(c, c->s->folder);
    if (!sftp_find(c, c->args[0], &(struct sftp_find){"Can't ls:", "", "Can't ls:"},
                   &found))
        return false;
    const struct remote_match *only = &found.list[0];
    bool folder =
        found.n == 1 && (copy_is_folder(&only->attributes) ||
                         (copy_is_link(&only->attributes) &&
                          remote_stat(&c->s->remote, only->path, true, &a) == SFTP_OK &&
                          copy_is_folder(&a)));
    return folder ? list_folder(c, only->path) : list_matches(c, &found);
}
