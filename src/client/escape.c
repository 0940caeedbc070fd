// The escape parser and its table.
#include "client/escape.h"

#include <stdio.h>

static const struct row {
    char key;
    enum escape_action action;
    const char *shown, *help;
} rows[] = {
    {'.', ESCAPE_DISCONNECT, ".", "end the connection"},
    {'B', ESCAPE_BREAK, "B", "send a BREAK"},
    {'C', ESCAPE_COMMAND, "C", "command line (not there yet)"},
    {'I', ESCAPE_INFO, "I", "say what this connection is"},
    {'R', ESCAPE_REKEY, "R", "renew the keys"},
    {'V', ESCAPE_QUIETER, "V", "fewer messages"},
    {'v', ESCAPE_LOUDER, "v", "more messages"},
    {'Z' & 31, ESCAPE_SUSPEND, "^Z", "suspend ssh"},
    {'#', ESCAPE_CHANNELS, "#", "list channels"},
    {'&', ESCAPE_BACKGROUND, "&", "go to the background when the session ends"},
    {'?', ESCAPE_HELP, "?", "this text"},
};

void escape_init(struct escape *e, int character) {
    *e = (struct escape){.character = character, .line_start = true};
}

static const struct row *row_find(uint8_t key) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((uint8_t)rows[i].key == key)
            return &rows[i];
    return NULL;
}

enum escape_action escape_filter(struct escape *e, struct view *in, uint8_t *out,
                                 size_t *n) {
    *n = 0;
    while (in->n > 0) {
        uint8_t c = *in->p++;
        in->n--;
        if (e->pending) {
            e->pending = false;
            const struct row *row = row_find(c);
            if (row != NULL) {
                e->line_start = true;
                return row->action;
            }
            // Typed twice it stands for itself; before anything else it is sent too.
            out[(*n)++] = (uint8_t)e->character;
            if (c == e->character) {
                e->line_start = false;
                continue;
            }
        } else if (e->line_start && c == e->character && e->character >= 0) {
            e->pending = true;
            continue;
        }
        e->line_start = c == '\r' || c == '\n';
        out[(*n)++] = c;
    }
    return ESCAPE_NOTHING;
}

size_t escape_help(const struct escape *e, char *out, size_t size) {
    size_t n = 0;
    char c = (char)e->character;
    n += (size_t)snprintf(out, size, "%c?\r\nescapes, at the start of a line:\r\n", c);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, " %c%-3s %s\r\n", c, rows[i].shown,
                              rows[i].help);
    if (n < size)
        n += (size_t)snprintf(out + n, size - n,
                              " %c%c   the escape character itself\r\n", c, c);
    return n < size ? n : size - 1;
}
