// scp -O: the other end runs scp too, and both speak rcp's protocol.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/fd.h"
#include "transfer/rcp.h"
#include "transfer/say.h"
#include "transfer/scp.h"

// "scp -r -p -t -- path": what the other end's shell runs. The path is as the person
// wrote it, so that the shell there expands it, as ever with this protocol.
static bool remote_command(const struct scp *s, const char *role, const char *path,
                           char *out, size_t size) {
    const char *dash = *path == '-' ? "-- " : "";
    int n = snprintf(out, size, "scp%s%s%s%s %s %s%s", s->verbose > 0 ? " -v" : "",
                     s->how.recursive ? " -r" : "", s->how.preserve ? " -p" : "",
                     s->target_is_folder && *role == 't' ? " -d" : "",
                     *role == 't' ? "-t" : "-f", dash, *path != '\0' ? path : ".");
    if (n >= 0 && (size_t)n < size)
        return true;
    say("%s: the path is too long", CLEAN(path));
    return false;
}

static bool start(struct scp *s, const struct address *a, const char *role,
                  struct program *p) {
    scoped_words line = {0};
    char command[8192];
    struct fault fault = {0};
    struct ssh_target target = {a->user, a->host, a->port};
    if (!remote_command(s, role, a->path, command, sizeof command))
        return false;
    enum err e = ssh_words_line(&s->ssh, &target, false, command, &line);
    if (e == OK)
        e = program_start(p, s->ssh.program, &line, &fault);
    if (e != OK)
        say("%s", e == fault.code ? fault_text(&fault) : err_text(e));
    return e == OK;
}

static void furnish(const struct scp *s, struct rcp *r) {
    r->recursive = s->how.recursive;
    r->preserve = s->how.preserve;
    r->folder = s->target_is_folder;
    r->meter = s->how.meter;
}

bool scp_legacy_put(struct scp *s, const char *from, const struct address *to) {
    struct program p;
    struct rcp r;
    char *paths[] = {(char *)(uintptr_t)from, NULL};
    if (!start(s, to, "to", &p)) {
        program_end(&p);
        return false;
    }
    rcp_init(&r, p.out, p.in);
    furnish(s, &r);
    r.throttle = &s->throttle;
    if (rcp_begin(&r))
        rcp_source(&r, paths, 1);
    rcp_free(&r);
    return program_end(&p) == 0 && r.errors == 0;
}

bool scp_legacy_get(struct scp *s, const struct address *from, const char *to) {
    struct program p;
    struct rcp r;
    if (!start(s, from, "from", &p)) {
        program_end(&p);
        return false;
    }
    rcp_init(&r, p.out, p.in);
    furnish(s, &r);
    r.throttle = &s->throttle;
    r.asked = s->unchecked ? NULL : from->path;
    rcp_sink(&r, to);
    rcp_free(&r);
    return program_end(&p) == 0 && r.errors == 0;
}

// The two speak with each other; our part is the two ssh.
bool scp_legacy_cross(struct scp *s, const struct address *from,
                      const struct address *to) {
    scoped_words line = {0};
    struct program p;
    char command[8192];
    struct fault fault = {0};
    struct ssh_target target = {to->user, to->host, to->port};
    if (!start(s, from, "from", &p) ||
        !remote_command(s, "to", to->path, command, sizeof command) ||
        ssh_words_line(&s->ssh, &target, false, command, &line) != OK ||
        fd_set_nonblock(p.in, false) != OK || fd_set_nonblock(p.out, false) != OK) {
        program_end(&p);
        return false;
    }
    int second = program_join(&p, s->ssh.program, &line, &fault);
    if (second < 0)
        say("%s", fault_text(&fault));
    int first = program_end(&p);
    return first == 0 && second == 0;
}

int scp_serve(struct scp *s) {
    struct rcp r;
    rcp_init(&r, STDIN_FILENO, STDOUT_FILENO);
    furnish(s, &r);
    r.far = true;
    r.meter = false;
    if (s->role == SCP_SINK)
        rcp_sink(&r, s->files[0]);
    else if (rcp_begin(&r))
        rcp_source(&r, s->files, s->files_n);
    rcp_free(&r);
    return r.errors == 0 ? 0 : 1;
}
