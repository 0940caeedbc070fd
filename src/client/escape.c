// The escape parser and its table.
#include "client/escape.h"

#include <stdio.h>

static const struct row {
    char key;
    enum escape_action action;
    bool own;
    const char *shown, *help;
} rows[] = {
    {'.', ESCAPE_DISCONNECT, false, ".",
     "end the connection (of a shared one: the session)"},
    {'B', ESCAPE_BREAK, false, "B", "send a BREAK"},
    {'C', ESCAPE_COMMAND, true, "C", "command line: forwardings (-h there for help)"},
    {'d', ESCAPE_LEAVE, false, "d",
     "leave the session, to be taken up again: ssh -o Session=NAME"},
    {'I', ESCAPE_INFO, false, "I", "say what this connection is"},
    {'R', ESCAPE_REKEY, false, "R", "renew the keys"},
    {'V', ESCAPE_QUIETER, true, "V", "fewer messages"},
    {'v', ESCAPE_LOUDER, true, "v", "more messages"},
    {'Z' & 31, ESCAPE_SUSPEND, true, "^Z", "suspend ssh"},
    {'#', ESCAPE_CHANNELS, false, "#", "list channels and forwardings"},
    {'&', ESCAPE_BACKGROUND, true, "&",
     "to the background, until what is forwarded ends"},
    {'?', ESCAPE_HELP, false, "?", "this text"},
};

bool escape_is_own(enum escape_action action) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].action == action)
            return rows[i].own;
    return false;
}

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

size_t escape_help(const struct escape *e, bool own, char *out, size_t size) {
    size_t n = 0;
    char c = (char)e->character;
    n += (size_t)snprintf(out, size, "%c?\r\nescapes, at the start of a line:\r\n", c);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && n < size; i++)
        if (own || !rows[i].own)
            n += (size_t)snprintf(out + n, size - n, " %c%-3s %s\r\n", c, rows[i].shown,
                                  rows[i].help);
    if (n < size)
        n += (size_t)snprintf(out + n, size - n,
                              " %c%c   the escape character itself\r\n", c, c);
    return n < size ? n : size - 1;
}
