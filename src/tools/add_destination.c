// -h: "[user@]host" or "from>[user@]to", with the host keys that known_hosts files have.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/file.h"
#include "key/base64.h"
#include "key/known_hosts.h"
#include "tools/add.h"

#define LINES_MAX 256
#define FILES_MAX ADD_HOST_FILES

struct files {
    struct buf texts[FILES_MAX];
    struct known_hosts_file files[FILES_MAX];
    char names[FILES_MAX][PATH_MAX + 32];
    size_t n;
};

static void files_free(struct files *f) {
    for (size_t i = 0; i < f->n; i++)
        buf_free(&f->texts[i]);
    free(f);
}

static void read_file(struct files *f, const char *path) {
    struct fault fault = {0};
    size_t i = f->n;
    if (file_read(path, FILE_STREAM, LIMIT_KNOWN_HOSTS, &f->texts[i], &fault) != OK)
        return;
    snprintf(f->names[i], sizeof f->names[i], "%s", path);
    f->files[i] = (struct known_hosts_file){f->names[i], buf_view(&f->texts[i])};
    f->n++;
}

static void read_files(const struct add *a, struct files *f) {
    static const char *const standard[] = {"~/.ssh/known_hosts", "~/.ssh/known_hosts2",
                                           "/etc/ssh/ssh_known_hosts",
                                           "/etc/ssh/ssh_known_hosts2"};
    char path[PATH_MAX + 32];
    size_t n = a->host_files_n > 0 ? a->host_files_n : 4;
    for (size_t i = 0; i < n; i++) {
        const char *name = a->host_files_n > 0 ? a->host_files[i] : standard[i];
        snprintf(path, sizeof path, "%s%s", name[0] == '~' ? a->home : "",
                 name[0] == '~' ? name + 1 : name);
        read_file(f, path);
    }
}

// ---- a host's keys ----

static void add_line(struct agent_hop *h, const struct known_hosts_line *line) {
    scoped_buf blob;
    buf_init(&blob, LIMIT_CERTIFICATE);
    struct agent_hop_key k = {.authority = line->marker == KNOWN_HOSTS_CERT_AUTHORITY};
    if (line->marker == KNOWN_HOSTS_REVOKED || base64_decode(&blob, line->base64) != OK ||
        key_from_blob(&k.key, buf_view(&blob), NULL) != OK)
        return;
    struct agent_hop_key *more = reallocarray(h->keys, h->keys_n + 1, sizeof h->keys[0]);
    if (more == NULL) {
        key_free(k.key);
        return;
    }
    h->keys = more;
    more[h->keys_n++] = k;
}

static bool find_keys(const struct files *f, struct agent_hop *h) {
    static struct known_hosts_line lines[LINES_MAX];
    char name[1100];
    if (known_hosts_name(name, sizeof name, h->host, 0) != OK)
        return add_say("Invalid host name \"%s\"", h->host) == 0;
    size_t n = known_hosts_find(f->files, f->n, name, lines, LINES_MAX);
    for (size_t i = 0; i < n && i < LINES_MAX; i++)
        add_line(h, &lines[i]);
    return h->keys_n > 0 ||
           add_say("No host keys found for destination \"%s\"", h->host) == 0;
}

// ---- the text ----

static bool parse_hop(const struct files *f, struct agent_hop *h, struct view text) {
    const uint8_t *at = memchr(text.p, '@', text.n);
    if (at != NULL) {
        size_t n = (size_t)(at - text.p);
        h->user = n > 0 ? strndup((const char *)text.p, n) : NULL;
        text = view_of(at + 1, text.n - n - 1);
    }
    h->host = text.n > 0 ? strndup((const char *)text.p, text.n) : NULL;
    if (h->host == NULL)
        return add_say("Invalid key destination constraint: does not specify user or "
                       "host") == 0;
    return find_keys(f, h);
}

static bool parse(const struct files *f, struct agent_destination *d, const char *text) {
    const char *mark = strchr(text, '>');
    if (mark == NULL)
        return parse_hop(f, &d->to, view_text(text));
    if (!parse_hop(f, &d->from, view_of(text, (size_t)(mark - text))))
        return false;
    if (d->from.user != NULL)
        return add_say("Invalid key constraint %s: cannot specify user on 'from' host",
                       text) == 0;
    return parse_hop(f, &d->to, view_text(mark + 1));
}

bool add_destinations(struct add *a) {
    struct agent_destinations *d = &a->constraints.destinations;
    if (a->destinations_n == 0)
        return true;
    struct files *f = calloc(1, sizeof *f);
    d->list = calloc(a->destinations_n, sizeof d->list[0]);
    bool good = f != NULL && d->list != NULL;
    if (good)
        read_files(a, f);
    for (size_t i = 0; good && i < a->destinations_n; i++)
        good = parse(f, &d->list[d->n++], a->destinations[i]);
    if (f != NULL)
        files_free(f);
    return good;
}
