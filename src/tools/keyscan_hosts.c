// Whom to ask: arguments, lines of files, and ranges of addresses ("10.0.0.0/24"), which
// are counted through, never listed.
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tools/keyscan.h"

// ---- ranges ----

// The address with all bits after the prefix 0, and how many follow it.
static bool open_range(struct keyscan_hosts *h, const char *text) {
    char part[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    uint64_t bits = 0;
    if (slash == NULL ||
        !text_copy(part, sizeof part, view_of(text, (size_t)(slash - text))))
        return false;
    int family = strchr(part, ':') != NULL ? AF_INET6 : AF_INET;
    unsigned size = family == AF_INET6 ? 128 : 32;
    if (inet_pton(family, part, h->address) != 1 ||
        !text_number(slash + 1, 0, size, &bits))
        return false;
    for (unsigned i = (unsigned)bits; i < size; i++)
        if ((h->address[i / 8] & (0x80u >> (i % 8))) != 0)
            return false;
    unsigned free_bits = size - (unsigned)bits;
    h->left = free_bits == 128 ? ~(unsigned __int128)0
                               : ((unsigned __int128)1 << free_bits) - 1;
    h->range_family = family;
    return true;
}

static void step(struct keyscan_hosts *h) {
    size_t i = h->range_family == AF_INET6 ? 16 : 4;
    while (i-- > 0 && ++h->address[i] == 0)
        continue;
}

static bool next_in_range(struct keyscan_hosts *h, const char **name) {
    if (h->range_family == AF_UNSPEC ||
        inet_ntop(h->range_family, h->address, h->line, sizeof h->line) == NULL)
        return false;
    *name = h->line;
    if (h->left == 0)
        h->range_family = AF_UNSPEC;
    else
        step(h);
    h->left -= h->left > 0;
    return true;
}

// ---- files and arguments ----

static FILE *open_file(const char *path) {
    if (strcmp(path, "-") == 0)
        return stdin;
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        keyscan_say("%s: %s", path, strerror(errno));
        exit(KEYSCAN_FATAL);
    }
    return in;
}

static void close_file(struct keyscan_hosts *h) {
    if (h->in != stdin)
        fclose(h->in);
    h->in = NULL;
    h->file++;
}

static bool next_line(struct keyscan_hosts *h) {
    while (h->file < h->k->files_n) {
        if (h->in == NULL)
            h->in = open_file(h->k->files[h->file]);
        if (fgets(h->line, sizeof h->line, h->in) != NULL)
            return true;
        close_file(h);
    }
    return false;
}

static bool next_text(struct keyscan_hosts *h) {
    if (next_line(h))
        return true;
    while (h->arg < h->k->args_n)
        if (text_copy(h->line, sizeof h->line, view_text(h->k->args[h->arg++])))
            return true;
    return false;
}

bool keyscan_hosts_next(struct keyscan_hosts *h, const char **addresses,
                        const char **names) {
    if (next_in_range(h, addresses)) {
        *names = *addresses;
        return true;
    }
    while (next_text(h)) {
        char *save = NULL;
        h->line[strcspn(h->line, "#\r\n")] = '\0';
        *addresses = strtok_r(h->line, " \t", &save);
        if (*addresses == NULL)
            continue;
        *names = strtok_r(NULL, " \t", &save);
        if (*names == NULL)
            *names = *addresses;
        if (*names == *addresses && open_range(h, *addresses))
            return keyscan_hosts_next(h, addresses, names);
        return true;
    }
    return false;
}
