// Forwarding specifications.
#include "client/forward_spec.h"

#include <stdio.h>

#include "base/text.h"

#define FIELDS_MAX 4

struct field {
    char text[FORWARD_TEXT];
    bool path;
    size_t at;  // where it begins in the whole
};

struct fields {
    struct field f[FIELDS_MAX];
    size_t n;
};

// A field up to ':', the half's blank or the end; brackets and backslashes hide colons.
static bool take_field(struct field *f, const char *text, size_t *at) {
    size_t n = 0;
    bool bracket = text[*at] == '[';
    f->at = *at;
    *at += bracket;
    f->path = text[*at] == '/';
    for (; text[*at] != 0; ++*at) {
        char c = text[*at];
        if (bracket ? c == ']' : c == ':' || c == ' ')
            break;
        if (c == '\\' && !bracket && text[*at + 1] != 0)
            c = text[++*at];
        if (n + 1 >= sizeof f->text)
            return false;
        f->text[n++] = c;
    }
    f->text[n] = 0;
    if (bracket && text[(*at)++] != ']')
        return false;
    return true;
}

static bool take_fields(struct fields *fields, const char *text) {
    fields->n = 0;
    for (size_t at = 0;;) {
        if (fields->n == FIELDS_MAX || !take_field(&fields->f[fields->n++], text, &at))
            return false;
        if (text[at] == 0)
            return true;
        if (text[at] != ':' && text[at] != ' ')
            return false;
        at++;
    }
}

static bool set_host(struct forward_end *end, const struct field *f) {
    return text_copy(end->host, sizeof end->host, view_text(f->text));
}

static bool set_port(struct forward_end *end, const struct field *f, bool zero) {
    uint64_t port;
    if (!text_number(f->text, zero ? 0 : 1, 65535, &port))
        return false;
    end->port = (uint32_t)port;
    return true;
}

// One path, one port, or address and port. path_max: longest that a socket can have.
static bool set_end(struct forward_end *end, const struct field *f, size_t n, bool zero) {
    if (n == 1 && f[0].path)
        return text_copy(end->path, sizeof end->path, view_text(f[0].text));
    if (n == 1)
        return set_port(end, &f[0], zero);
    return n == 2 && !f[0].path && !f[1].path && set_host(end, &f[0]) &&
           set_port(end, &f[1], zero);
}

// How many of the fields say where to listen; a path stands for itself, and what is
// connected to is a path or two fields.
static size_t listen_fields(const struct fields *fs) {
    if (fs->n <= 1)
        return fs->n;
    if (fs->f[fs->n - 1].path)
        return fs->n - 1;
    if (fs->n == 2)
        return fs->f[0].path ? 1 : 2;
    return fs->n - 2;
}

bool forward_spec_parse(struct forward_spec *spec, enum forward_kind kind,
                        const char *text) {
    struct fields fs;
    memset(spec, 0, sizeof *spec);
    if (!take_fields(&fs, text))
        return false;
    size_t n = listen_fields(&fs), rest = fs.n - n;
    spec->dynamic = rest == 0;
    if ((kind == FORWARD_LOCAL && rest == 0) || (kind == FORWARD_DYNAMIC && rest != 0))
        return false;
    spec->host_given = n == 2;
    if (!set_end(&spec->listen, fs.f, n, kind == FORWARD_REMOTE) ||
        (rest > 0 && !set_end(&spec->connect, fs.f + n, rest, false)))
        return false;
    return rest == 0 || spec->connect.path[0] != 0 || spec->connect.host[0] != 0;
}

size_t forward_spec_second(const char *text) {
    struct fields fs;
    if (!take_fields(&fs, text))
        return 0;
    size_t n = listen_fields(&fs);
    return n < fs.n ? fs.f[n].at : 0;
}

const char *forward_spec_form(enum forward_kind kind) {
    return kind == FORWARD_DYNAMIC  ? "[address:]port"
           : kind == FORWARD_REMOTE ? "[address:]port[:host:port]"
                                    : "[address:]port:host:port";
}

bool forward_end_parse(struct forward_end *end, const char *text) {
    struct fields fs;
    memset(end, 0, sizeof *end);
    if (!take_fields(&fs, text) || strchr(text, ' ') != NULL)
        return false;
    if (fs.n == 1 && !fs.f[0].path)
        return false;
    return set_end(end, fs.f, fs.n, false) && (end->path[0] != 0 || end->host[0] != 0);
}

const char *forward_end_text(const struct forward_end *end, char *out, size_t size) {
    bool v6 = strchr(end->host, ':') != NULL;
    if (end->path[0] != 0)
        snprintf(out, size, "%s", end->path);
    else
        snprintf(out, size, "%s%s%s:%u", v6 ? "[" : "", end->host, v6 ? "]" : "",
                 end->port);
    return out;
}
