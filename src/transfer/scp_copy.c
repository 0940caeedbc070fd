// Who copies from where to where: local files by cp, one end remote, both.
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "transfer/interrupt.h"
#include "transfer/say.h"
#include "transfer/scp.h"

#define LOST 255

static bool parse(struct address *a, const char *text) {
    char why[128];
    if (address_parse(a, text, "scp://", true, why))
        return true;
    say("%s: %s", CLEAN(text), why);
    return false;
}

static bool copy_here(struct scp *s, const char *from, const char *to) {
    scoped_words line = {0};
    char path[4096];
    struct fault fault = {0};
    if (!program_find("cp", path, sizeof path)) {
        say("cp is not installed: \"%s\" is not copied", CLEAN(from));
        return false;
    }
    enum err e = words_add(&line, "cp");
    if (e == OK && s->how.recursive)
        e = words_add(&line, "-r");
    if (e == OK && s->how.preserve)
        e = words_add(&line, "-p");
    if (e == OK)
        e = words_add(&line, "--");
    if (e == OK)
        e = words_add(&line, from);
    if (e == OK)
        e = words_add(&line, to);
    return e == OK && program_run(path, &line, &fault) == 0;
}

static char *quoted(const char *word) {
    char *out = malloc(4 * strlen(word) + 3), *p = out;
    if (out == NULL)
        return NULL;
    *p++ = '\'';
    for (; *word != '\0'; word++) {
        if (*word == '\'')
            p = stpcpy(p, "'\\''");
        else
            *p++ = *word;
    }
    *p++ = '\'';
    *p = '\0';
    return out;
}

static bool append(char *out, size_t size, const char *word, bool quote) {
    char *text = quote ? quoted(word) : strdup(word);
    size_t used = strlen(out);
    int n = text != NULL
                ? snprintf(out + used, size - used, "%s%s", used > 0 ? " " : "", text)
                : -1;
    free(text);
    return n >= 0 && (size_t)n < size - used;
}

// [user@]host:path for the scp of the source host.
static bool target_word(const struct address *to, char *out, size_t size) {
    bool colons = strchr(to->host, ':') != NULL;
    int n = snprintf(out, size, "%s%s%s%s%s:%s", to->user != NULL ? to->user : "",
                     to->user != NULL ? "@" : "", colons ? "[" : "", to->host,
                     colons ? "]" : "", to->path);
    return n >= 0 && (size_t)n < size;
}

// -R: the source host runs its scp, which connects to the target's. The words pass the
// shell there, quoted, but for the source's path, whose patterns are its.
static bool copy_without_us(struct scp *s, const struct address *from,
                            const struct address *to) {
    scoped_words line = {0};
    char command[16384] = "", target[8192], port[16];
    struct fault fault = {0};
    struct ssh_target host = {from->user, from->host, from->port};
    bool ok = append(command, sizeof command, "scp", false);
    for (size_t i = 0; i < s->remote_flags.n; i++)
        ok = ok && append(command, sizeof command, s->remote_flags.list[i], true);
    if (to->port != 0) {
        snprintf(port, sizeof port, "-P%u", to->port);
        ok = ok && append(command, sizeof command, port, false);
    }
    ok = ok && append(command, sizeof command, "--", false) &&
         append(command, sizeof command, from->path, false) &&
         target_word(to, target, sizeof target) &&
         append(command, sizeof command, target, true);
    if (!ok) {
        say("%s: the path is too long", CLEAN(from->path));
        return false;
    }
    if (ssh_words_line(&s->ssh, &host, false, command, &line) != OK)
        return false;
    int status = program_run(s->ssh.program, &line, &fault);
    if (status < 0)
        say("%s", fault_text(&fault));
    return status == 0;
}

static bool copy_one(struct scp *s, const struct address *from,
                     const struct address *to) {
    if (!from->remote && !to->remote)
        return copy_here(s, from->path, to->path);
    if (from->remote && to->remote && s->direct_remote)
        return copy_without_us(s, from, to);
    if (from->remote && to->remote)
        return s->legacy ? scp_legacy_cross(s, from, to) : scp_sftp_cross(s, from, to);
    if (from->remote)
        return s->legacy ? scp_legacy_get(s, from, to->path)
                         : scp_sftp_get(s, from, to->path);
    return s->legacy ? scp_legacy_put(s, from->path, to)
                     : scp_sftp_put(s, from->path, to);
}

static bool local_target(struct scp *s, const struct address *to) {
    struct stat st;
    if (to->remote || !s->target_is_folder)
        return true;
    if (stat(to->path, &st) == 0 && S_ISDIR(st.st_mode))
        return true;
    say("%s: Not a directory", CLEAN(to->path));
    return false;
}

int scp_copy(struct scp *s) {
    struct address to = {0};
    bool ok = true, lost = false;
    s->target_is_folder |= s->files_n > 2;
    if (!parse(&to, s->files[s->files_n - 1]) || !local_target(s, &to)) {
        address_free(&to);
        return 1;
    }
    interrupt_watch(true);
    for (size_t i = 0; i + 1 < s->files_n && !interrupted() && !lost; i++) {
        struct address from = {0};
        s->current = i;
        ok &= parse(&from, s->files[i]) && copy_one(s, &from, &to);
        lost = s->unreachable || (from.remote && s->from.open && s->from.remote.lost) ||
               (to.remote && s->to.open && s->to.remote.lost);
        address_free(&from);
    }
    address_free(&to);
    ok &= scp_disconnect(s);
    return lost ? LOST : ok && !interrupted() ? 0 : 1;
}
