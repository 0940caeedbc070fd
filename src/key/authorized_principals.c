// The principal is the last word; what stands in front of it are options, as in
// authorized_keys.
#include "key/authorized_principals.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "key/authkey_options.h"

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

// Ends the text at a comment: a # that begins a word, outside of quotes.
static void cut_comment(char *text) {
    bool quoted = false;
    for (char *p = text; *p != '\0'; p++) {
        if (*p == '\\' && quoted && p[1] == '"')
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (*p == '#' && !quoted && (p == text || is_blank(p[-1]))) {
            *p = '\0';
            return;
        }
    }
}

static char *trimmed(char *text) {
    size_t n = strlen(text);
    while (n > 0 && is_blank(text[n - 1]))
        text[--n] = '\0';
    while (is_blank(*text))
        text++;
    return text;
}

static enum err parse_text(struct authorized_principal *p,
                           const struct authkey_place *place) {
    cut_comment(p->line.text);
    char *at = trimmed(p->line.text), *last = at + strlen(at);
    if (*at == '\0')
        return ERR_NOT_FOUND;
    while (last > at && !is_blank(last[-1]))
        last--;
    p->name = last;
    if (last == at)
        return OK;
    TRY(authkey_options_parse(&p->line, &at, place));
    while (is_blank(*at))
        at++;
    return at == last ? OK
                      : authkey_refuse(place, ERR_CONFIG,
                                       "one principal is expected behind the options");
}

enum err authorized_principal_parse(struct authorized_principal *p, struct view text,
                                    const char *file, unsigned long number,
                                    struct fault *fault) {
    struct authkey_place place = {file, number, fault};
    *p = (struct authorized_principal){.line = {.permit = {true, true, true, true, true},
                                                .tunnel = AUTHKEY_TUNNEL_NONE,
                                                .number = number}};
    if (text.n > 0 && text.p[text.n - 1] == '\r')
        text.n--;
    if (text.n > LIMIT_TEXT_LINE)
        return authkey_refuse(&place, ERR_CONFIG, "the line is too long");
    if (text.n > 0 && memchr(text.p, '\0', text.n) != NULL)
        return authkey_refuse(&place, ERR_CONFIG, "the line holds a NUL byte");
    p->line.text = malloc(text.n + 1);
    if (p->line.text == NULL)
        return ERR_MEMORY;
    (void)text_copy(p->line.text, text.n + 1, text);
    enum err e = parse_text(p, &place);
    if (e != OK)
        authorized_principal_free(p);
    return e;
}

void authorized_principal_free(struct authorized_principal *p) {
    authkey_free(&p->line);
    *p = (struct authorized_principal){0};
}
