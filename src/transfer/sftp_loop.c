#include "transfer/sftp_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "transfer/interrupt.h"
#include "transfer/names.h"
#include "transfer/say.h"

#define LOST 255

// ---- lines ----

struct source {
    FILE *in;
    struct sftp_edit *edit;
    char line[SFTP_LINE_MAX];
};

// NULL: the end. *bad: of a line that is too long.
static const char *next_line(struct source *from, bool *bad) {
    *bad = false;
    if (from->edit != NULL)
        return sftp_edit_line(from->edit);
    errno = 0;
    if (fgets(from->line, sizeof from->line, from->in) == NULL) {
        if (errno != EINTR || feof(from->in))
            return NULL;
        clearerr(from->in);
        from->line[0] = '\0';
        return from->line;
    }
    size_t n = strlen(from->line);
    *bad = n + 1 == sizeof from->line && from->line[n - 1] != '\n';
    if (n > 0 && from->line[n - 1] == '\n')
        from->line[n - 1] = '\0';
    return from->line;
}

// ---- commands ----

// "-" in front: its failure is none; "@": it is not repeated on the output.
struct marks {
    bool forgiven, silent;
};

static const char *take_marks(const char *line, struct marks *m) {
    *m = (struct marks){false, false};
    for (line += strspn(line, " \t"); *line == '-' || *line == '@'; line++) {
        m->forgiven |= *line == '-';
        m->silent |= *line == '@';
    }
    return line + strspn(line, " \t");
}

static bool run_one(struct sftp *s, const char *line) {
    struct marks marks;
    const char *command = take_marks(line, &marks);
    if (!s->terminal && !marks.silent)
        say_always("sftp> %s", CLEAN(line));
    interrupt_clear();
    bool ok = sftp_run_line(s, command);
    if (interrupted())
        say("Interrupt");
    return ok || marks.forgiven;
}

// False: a command of a batch failed, and nothing after it was run.
static bool run_all(struct sftp *s, struct source *from) {
    bool bad, ok = true;
    const char *line;
    while (!s->ended && !s->remote.lost) {
        if (s->terminal && from->edit == NULL)
            printf("sftp> ");
        fflush(stdout);
        interrupt_clear();
        if ((line = next_line(from, &bad)) == NULL)
            break;
        if (bad)
            say("A line is longer than %u bytes", SFTP_LINE_MAX);
        ok = !bad && run_one(s, line);
        fflush(stdout);
        if (s->batch != NULL && !ok)
            return false;
    }
    return !s->remote.lost;
}

// ---- the target's path ----

// A name as a word of a command: nothing in it has a meaning.
static bool as_pattern(const char *name, char out[2 * NAME_PATH]) {
    size_t n = 0;
    for (; *name != '\0'; name++) {
        if (n + 3 > 2 * NAME_PATH)
            return false;
        if (strchr("*?[]\\", *name) != NULL)
            out[n++] = '\\';
        out[n++] = *name;
    }
    out[n] = '\0';
    return true;
}

// A file is fetched, and that was all: *done.
static bool enter(struct sftp *s, bool *done) {
    char path[NAME_PATH], local[2 * NAME_PATH];
    struct sftp_attributes a;
    if (s->target.path == NULL || *s->target.path == '\0')
        return true;
    if (!path_join(path, s->folder, s->target.path))
        return false;
    bool folder =
        remote_stat(&s->remote, path, true, &a) == SFTP_OK && copy_is_folder(&a);
    if (folder && s->local == NULL) {
        char quoted[2 * NAME_PATH], *words[] = {"cd", quoted, NULL};
        if (!s->quiet)
            say_doing("Changing to: %s", CLEAN(path));
        return as_pattern(path, quoted) && sftp_run_words(s, words, 2);
    }
    *done = true;
    // The path may be a pattern; what it is fetched to is a name.
    if (s->local != NULL && !as_pattern(s->local, local))
        return false;
    char *words[] = {"get", s->target.path, local, NULL};
    return sftp_run_words(s, words, s->local != NULL ? 3 : 2);
}

// ---- the session ----

static bool connect_to(struct sftp *s) {
    scoped_words line = {0};
    const char *path;
    struct fault fault = {0};
    struct ssh_target target = {s->target.user, s->target.host, s->target.port};
    enum err e = ssh_words_sftp(&s->ssh, &target, s->server, &line, &path);
    if (e == OK)
        e = remote_open(&s->remote, path, &line, &s->config, &fault);
    if (e != OK) {
        say("%s", CLEAN(e == fault.code ? fault_text(&fault) : err_text(e)));
        return false;
    }
    s->remote.throttle = &s->throttle;
    if (s->batch == NULL && !s->quiet)
        fprintf(stderr, "%s %s.\n",
                s->ssh.direct != NULL ? "Attached to" : "Connected to",
                CLEAN(s->ssh.direct != NULL ? s->ssh.direct : s->target.host));
    uint32_t status = remote_real_path(&s->remote, ".", s->folder);
    if (status == SFTP_OK)
        return true;
    say("Need cwd: %s",
        s->remote.lost ? CLEAN(fault_text(&s->remote.fault)) : sftp_status_text(status));
    (void)remote_close(&s->remote);
    return false;
}

static bool converse(struct sftp *s) {
    static struct source from;
    from.in = stdin;
    if (s->batch != NULL && strcmp(s->batch, "-") != 0)
        from.in = fopen(s->batch, "re");
    if (from.in == NULL) {
        say("%s: %s", CLEAN(s->batch), strerror(errno));
        return false;
    }
    s->terminal = s->batch == NULL && isatty(STDIN_FILENO);
    if (s->terminal)
        from.edit = sftp_edit_new(s);
    bool ok = run_all(s, &from);
    sftp_edit_free(from.edit);
    if (from.in != stdin)
        fclose(from.in);
    return ok;
}

int sftp_session(struct sftp *s) {
    bool fetched = false;
    if (s->batch != NULL && strcmp(s->batch, "-") != 0 && access(s->batch, R_OK) != 0) {
        say("%s: %s", CLEAN(s->batch), strerror(errno));
        return 1;
    }
    interrupt_watch(false);
    if (!connect_to(s))
        return LOST;
    bool ok = enter(s, &fetched);
    if ((ok || s->batch == NULL) && !fetched && !s->remote.lost)
        ok = converse(s);
    bool lost = s->remote.lost;
    if (lost)
        say("%s", CLEAN(fault_text(&s->remote.fault)));
    (void)remote_close(&s->remote);
    return lost ? LOST : ok ? 0 : 1;
}
