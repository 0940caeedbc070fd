// New keys into the user's known_hosts.
#include <stdio.h>
#include <strings.h>

#include "base/limits.h"
#include "client/hostkeys_check.h"
#include "io/file.h"

// The first of the user's files, its folder made; false: there is none to write to.
static bool first_file(struct client *c, char *path) {
    char folder[PATH_MAX];
    const struct conf_list *files = &c->config.user_known_hosts_file;
    if (files->n == 0 || strcasecmp(files->v[0], "none") == 0 ||
        !client_path(c, files->v[0], path, PATH_MAX) || strcmp(path, "/dev/null") == 0)
        return false;
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder)
        return true;
    *slash = 0;
    if (!file_exists(folder))
        (void)!file_make_directory(folder, NULL);
    return true;
}

static enum err add_line(const struct hostkeys_check *k, const char *path,
                         const char *name, struct fault *fault) {
    scoped_buf line;
    buf_init(&line, LIMIT_TEXT_LINE);
    TRY(known_hosts_make(name, k->c->config.hash_known_hosts, k->plain, &line));
    struct view v = buf_view(&line);
    if (v.n > 0 && v.p[v.n - 1] == '\n')
        v.n--;
    return file_append_line(path, v, 0600, fault);
}

static void add_name(const struct hostkeys_check *k, const char *name, const char *what) {
    struct client *c = k->c;
    char path[PATH_MAX];
    struct fault fault = {0};
    if (!first_file(c, path))
        return;
    enum err e = add_line(k, path, name, &fault);
    if (e != OK)
        log_error(&c->log, "the host key could not be added to %s: %s", path,
                  fault.code != OK ? fault_text(&fault) : err_text(e));
    else
        log_info(&c->log,
                 "Warning: Permanently added %s'%s' (%s) to the list of known hosts.",
                 what, name, k->plain->type->short_name);
}

void hostkeys_add(const struct hostkeys_check *k) {
    char both[sizeof k->c->known_name + sizeof k->address + 2];
    bool address = k->address[0] != 0 && k->address_verdict.result == KNOWN_HOSTS_NEW;
    // Names of one line would give each other away, so hashed ones have lines of their
    // own.
    bool joined = address && !k->c->config.hash_known_hosts;
    snprintf(both, sizeof both, "%s%s%s", k->c->known_name, joined ? "," : "",
             joined ? k->address : "");
    add_name(k, both, "");
    if (address && !joined)
        hostkeys_add_address(k);
}

void hostkeys_add_address(const struct hostkeys_check *k) {
    add_name(k, k->address, "the address ");
}
