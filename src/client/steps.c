// The five steps, one line each: `bowline: link ...`; and what a server has to say.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "client/client.h"
#include "io/fd.h"

static void say(struct client *c, const char *name, const char *text) {
    char line[1200];
    if (c->redial != NULL || (c->flags.log_file != NULL && !c->flags.show_steps)) {
        log_debug(&c->log, "%-8s %s", name, text);
        return;
    }
    int n = snprintf(line, sizeof line, "bowline: %-8s %s\n", name, text);
    (void)!fd_write_full(STDERR_FILENO, view_of(line, (size_t)n));
}

void client_step_held(struct client *c) {
    if (c->held_step[0] != 0)
        say(c, "session", c->held_step);
    c->held_step[0] = 0;
}

void client_step(struct client *c, const char *name, const char *format, ...) {
    if (!c->flags.show_steps && c->log.level < LOG_LEVEL_DEBUG1)
        return;
    char text[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    if (c->hold_step)
        snprintf(c->held_step, sizeof c->held_step, "%s", text);
    else
        say(c, name, text);
}

// "A" where both directions agree, else "A, B back".
static void both_ways(char *out, size_t size, const char *there, const char *back) {
    if (strcmp(there, back) == 0)
        snprintf(out, size, "%s", there);
    else
        snprintf(out, size, "%s, %s back", there, back);
}

void client_step_secured(struct client *c) {
    const struct transport_agreed *a = transport_agreed(c->link.transport);
    char cipher[160], mac[160], ident[128];
    both_ways(cipher, sizeof cipher, a->cipher_c2s, a->cipher_s2c);
    both_ways(mac, sizeof mac, a->mac_c2s, a->mac_s2c);
    client_step(c, "secured", "%s, %s%s%s%s; the server is %s", a->kex, cipher,
                mac[0] != 0 ? " " : "", mac, a->strict ? "" : " (not strict)",
                text_clean(ident, sizeof ident, transport_peer_ident(c->link.transport)));
}

void client_show_text(struct client *c, struct view text) {
    if (c->log.level < LOG_LEVEL_INFO)
        return;
    size_t size = text.n * 4 + 1;
    char *clean = malloc(size);
    if (clean == NULL)
        return;
    size_t n = text_clean_lines(clean, size, text);
    (void)!fd_write_full(STDERR_FILENO, view_of(clean, n));
    free(clean);
}
