// Lines from a person: editing, history and completion by libedit where it is installed,
// which is loaded only here.
#include <ctype.h>
#include <glob.h>
#include <histedit.h>
#include <locale.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/text.h"
#include "io/library.h"
#include "transfer/interrupt.h"
#include "transfer/names.h"
#include "transfer/say.h"
#include "transfer/sftp.h"

#define HISTORY_SIZE 100

#define EDIT_FUNCTIONS(X)                                                                \
    X(el_init)                                                                           \
    X(el_set)                                                                            \
    X(el_gets)                                                                           \
    X(el_end)                                                                            \
    X(el_line)                                                                           \
    X(el_insertstr)                                                                      \
    X(el_source)                                                                         \
    X(history_init)                                                                      \
    X(history_end)                                                                       \
    X(history)

struct library {
#define X(name) __typeof__(name) *name;
    EDIT_FUNCTIONS(X)
#undef X
};

struct sftp_edit {
    struct library lib;
    struct sftp *s;
    EditLine *line;
    History *past;
    char text[SFTP_LINE_MAX];
};

static struct sftp_edit *the_edit;  // the library's callbacks get nothing of ours

static const char *prompt(EditLine *line) {
    (void)line;
    return "sftp> ";
}

// ---- completion ----

// The start of the last word, and which word it is.
static const char *last_word(const char *text, size_t n, size_t *index) {
    size_t at = 0, start = 0;
    char quote = '\0';
    bool within = false;
    *index = 0;
    for (; at < n; at++) {
        char c = text[at];
        if (c == '\\' && at + 1 < n) {
            if (!within)
                start = at;
            within = true;
            at++;
        } else if (quote != '\0') {
            quote = c == quote ? '\0' : quote;
        } else if (c == ' ' || c == '\t') {
            *index += within;
            within = false;
        } else {
            if (!within)
                start = at;
            within = true;
            quote = c == '"' || c == '\'' ? c : '\0';
        }
    }
    return text + (within ? start : n);
}

static void add_command(struct words *found, const char *begun) {
    const struct sftp_command *row;
    for (size_t i = 0; (row = sftp_command_at(i)) != NULL; i++)
        if (strncasecmp(row->name, begun, strlen(begun)) == 0)
            (void)!words_add(found, row->name);
}

static void add_path(struct words *found, const char *path, bool folder) {
    char marked[NAME_PATH];
    snprintf(marked, sizeof marked, "%s%s", path, folder ? "/" : "");
    (void)!words_add(found, marked);
}

static void add_remote(struct sftp *s, struct words *found, const char *pattern) {
    scoped_matches m = {0};
    char path[NAME_PATH];
    if (!sftp_absolute(s, pattern, true, path) ||
        remote_glob(&s->remote, path, &m) != SFTP_OK)
        return;
    for (size_t i = 0; i < m.n; i++) {
        const char *one = m.list[i].path;
        size_t n = strlen(s->folder);
        if (*pattern != '/' && strncmp(one, s->folder, n) == 0)
            one += one[n] == '/' ? n + 1 : n == 1 ? 1 : 0;
        add_path(found, one, copy_is_folder(&m.list[i].attributes));
    }
}

static void add_local(struct words *found, const char *pattern) {
    glob_t m = {0};
    struct stat st;
    if (glob(pattern, 0, NULL, &m) == 0)
        for (size_t i = 0; i < m.gl_pathc; i++)
            add_path(found, m.gl_pathv[i],
                     stat(m.gl_pathv[i], &st) == 0 && S_ISDIR(st.st_mode));
    globfree(&m);
}

static enum sftp_completion kind_of(const char *text, size_t index) {
    char name[32];
    const struct sftp_command *row;
    text += strspn(text, " \t-@");
    (void)text_copy(name, sizeof name, view_of(text, strcspn(text, " \t")));
    for (size_t i = 0; (row = sftp_command_at(i)) != NULL; i++)
        if (strcasecmp(row->name, name) == 0)
            return index == 1 ? row->first : row->second;
    return SFTP_COMPLETE_NONE;
}

// Length of what all have in front.
static size_t common(const struct words *w) {
    size_t n = strlen(w->list[0]);
    for (size_t i = 1; i < w->n; i++)
        for (size_t k = 0; k < n; k++)
            if (w->list[i][k] != w->list[0][k])
                n = k;
    return n;
}

// What is missing of a name, escaped as the open quote of the word wants it.
static void insert(struct sftp_edit *e, const char *text, size_t n, char quote) {
    char out[2 * NAME_PATH];
    size_t at = 0;
    for (size_t i = 0; i < n && at + 3 < sizeof out; i++) {
        const char *special = quote == '\0' ? " \t\"'\\*?[]#" : "\\";
        if (strchr(special, text[i]) != NULL || (quote != '\0' && text[i] == quote))
            out[at++] = '\\';
        out[at++] = text[i];
    }
    out[at] = '\0';
    if (at > 0)
        (void)e->lib.el_insertstr(e->line, out);
}

// The terminal sees names cleaned; one that is not clean is not completed either.
static bool all_clean(const struct words *found) {
    for (size_t i = 0; i < found->n; i++)
        for (const char *p = found->list[i]; *p != '\0'; p++)
            if (iscntrl((unsigned char)*p))
                return false;
    return true;
}

static void offer(struct sftp_edit *e, const struct words *found, const char *begun,
                  char quote) {
    size_t n = common(found), have = strlen(begun);
    bool folder = n > 0 && found->list[0][n - 1] == '/';
    if (n > have)
        insert(e, found->list[0] + have, n - have, quote);
    if (found->n == 1 && !folder) {
        char end[] = {quote, ' ', '\0'};
        (void)e->lib.el_insertstr(e->line, quote != '\0' ? end : " ");
    } else if (found->n > 1 && n <= have) {
        printf("\n");
        for (size_t i = 0; i < found->n; i++)
            printf("%s  ", CLEAN(found->list[i]));
        printf("\n");
    }
}

static unsigned char complete(EditLine *line, int key) {
    struct sftp_edit *e = the_edit;
    const LineInfo *info = e->lib.el_line(line);
    char text[SFTP_LINE_MAX], pattern[NAME_PATH + 1], begun[NAME_PATH];
    scoped_words found = {0}, words = {0};
    size_t index;
    (void)key;
    if (!text_copy(text, sizeof text,
                   view_of(info->buffer, (size_t)(info->cursor - info->buffer))))
        return CC_ERROR;
    const char *word = last_word(text, strlen(text), &index);
    char quote = *word == '"' || *word == '\'' ? *word : '\0';
    char closed[SFTP_LINE_MAX];
    snprintf(closed, sizeof closed, "%.*s%c", (int)(sizeof closed - 2), word,
             quote != '\0' ? quote : ' ');
    if (*word != '\0' && (!sftp_words(closed, &words) || words.n != 1))
        return CC_ERROR;
    snprintf(pattern, sizeof pattern, "%.*s*", (int)NAME_PATH - 2,
             words.n > 0 ? words.list[0] : "");
    (void)text_copy(begun, sizeof begun, view_of(pattern, strlen(pattern) - 1));
    pattern_plain(begun);
    enum sftp_completion kind = kind_of(text, index);
    if (index == 0)
        add_command(&found, begun);
    else if (kind == SFTP_COMPLETE_REMOTE)
        add_remote(e->s, &found, pattern);
    else if (kind == SFTP_COMPLETE_LOCAL)
        add_local(&found, pattern);
    if (found.n == 0 || !all_clean(&found) || strlen(found.list[0]) < strlen(begun))
        return CC_ERROR;
    offer(e, &found, begun, quote);
    return CC_REDISPLAY;
}

// ---- lines ----

static bool load(struct library *lib) {
    void *handle;
    struct fault fault = {0};
    if (library_load("libedit.so.2", &handle, &fault) != OK)
        return false;
#define X(name)                                                                          \
    if (library_find(handle, #name, &lib->name, &fault) != OK)                           \
        return false;
    EDIT_FUNCTIONS(X)
#undef X
    return true;
}

struct sftp_edit *sftp_edit_new(struct sftp *s) {
    HistEvent event;
    struct sftp_edit *e = calloc(1, sizeof *e);
    if (e == NULL || !load(&e->lib)) {
        free(e);
        return NULL;
    }
    e->s = s;
    the_edit = e;
    (void)setlocale(LC_CTYPE, "");
    e->line = e->lib.el_init("sftp", stdin, stdout, stderr);
    e->past = e->lib.history_init();
    if (e->line == NULL || e->past == NULL) {
        sftp_edit_free(e);
        return NULL;
    }
    e->lib.history(e->past, &event, H_SETSIZE, HISTORY_SIZE);
    e->lib.el_set(e->line, EL_HIST, e->lib.history, e->past);
    e->lib.el_set(e->line, EL_PROMPT, prompt);
    e->lib.el_set(e->line, EL_EDITOR, "emacs");
    e->lib.el_set(e->line, EL_TERMINAL, NULL);
    e->lib.el_set(e->line, EL_SIGNAL, 1);
    (void)e->lib.el_source(e->line, NULL);  // ~/.editrc
    e->lib.el_set(e->line, EL_ADDFN, "sftp-complete", "Complete a name", complete);
    e->lib.el_set(e->line, EL_BIND, "^I", "sftp-complete", NULL);
    return e;
}

void sftp_edit_free(struct sftp_edit *e) {
    if (e == NULL)
        return;
    if (e->line != NULL)
        e->lib.el_end(e->line);
    if (e->past != NULL)
        e->lib.history_end(e->past);
    free(e);
    the_edit = NULL;
}

const char *sftp_edit_line(struct sftp_edit *e) {
    HistEvent event;
    int n = 0;
    const char *line = e->lib.el_gets(e->line, &n);
    if (line == NULL || n <= 0) {
        printf("\n");
        return interrupted() ? "" : NULL;
    }
    if (n > 1)
        e->lib.history(e->past, &event, H_ENTER, line);
    (void)text_copy(e->text, sizeof e->text, view_of(line, strcspn(line, "\n")));
    return e->text;
}
