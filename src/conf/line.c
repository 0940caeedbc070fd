// Lines of configuration files: keyword, '=' allowed behind it, words with quotes and
// escapes.
#include <stdlib.h>

#include "conf/script.h"

#define BLANKS " \t\r\n\f\v"

static bool is_escape(const char *s, char quote) {
    return s[0] == '\\' &&
           (s[1] == '\'' || s[1] == '"' || s[1] == '\\' || (quote == 0 && s[1] == ' '));
}

// One word from *s into out (which has room for all of it); false on an open quote.
static bool cut_word(const char **s, char *out) {
    char quote = 0;
    for (; **s != '\0'; (*s)++) {
        if (is_escape(*s, quote))
            *out++ = *++(*s);
        else if (quote == 0 && strchr(BLANKS, **s) != NULL)
            break;
        else if (quote == 0 && (**s == '"' || **s == '\''))
            quote = **s;
        else if (quote != 0 && **s == quote)
            quote = 0;
        else
            *out++ = **s;
    }
    *out = '\0';
    return quote == 0;
}

static enum err cut_words(struct conf_pool *pool, struct conf_line *line,
                          const char **why) {
    struct conf_list words = {0};
    const char *s = line->rest;
    // No word is longer than what is left, and their NULs take the place of blanks.
    char *room = conf_pool_take(pool, strlen(s) + 1);
    if (room == NULL)
        return ERR_MEMORY;
    for (;;) {
        s += strspn(s, BLANKS);
        if (*s == '\0' || *s == '#')
            break;
        if (!cut_word(&s, room)) {
            *why = "a quote is not closed";
            return ERR_CONFIG;
        }
        if (!conf_list_append(pool, &words, room))
            return ERR_MEMORY;
        room += strlen(room) + (*s != '\0');
    }
    line->argv = words.v;
    line->argc = words.n;
    return OK;
}

enum err conf_line_split(struct conf_pool *pool, const char *text, struct conf_line *line,
                         const char **why) {
    *line = (struct conf_line){0};
    text += strspn(text, BLANKS);
    if (*text == '\0' || *text == '#')
        return OK;
    size_t n = strcspn(text, BLANKS "=\"");
    line->keyword = conf_pool_text(pool, view_of(text, n));
    text += n;
    text += strspn(text, BLANKS);
    if (*text == '=') {
        text++;
        text += strspn(text, BLANKS);
    }
    n = strlen(text);
    while (n > 0 && strchr(BLANKS, text[n - 1]) != NULL)
        n--;
    line->rest = conf_pool_text(pool, view_of(text, n));
    if (line->keyword == NULL || line->rest == NULL)
        return ERR_MEMORY;
    if (line->keyword[0] == '\0') {
        *why = "a line begins with no keyword";
        return ERR_CONFIG;
    }
    return cut_words(pool, line, why);
}
