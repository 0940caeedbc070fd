// Prints the option tables for the manual pages: SIDE, keyword, status, scope, merge,
// syntax, default, since, alias, reason; one row a line, tabs between. Runs at build time
// alone.
#include <stdio.h>

#include "conf/option.h"

static const char *text(const char *s) {
    return s != NULL ? s : "";
}

static void print_words(const struct conf_option *o) {
    const struct conf_word *w = o->detail;
    for (const char *bar = ""; w->word != NULL; w++) {
        printf("%s%s", bar, w->word);
        bar = " | ";
    }
}

static void print_table(const char *side, const struct conf_table *t) {
    static const char *const status[] = {"done",       "ignore", "warn", "refuse",
                                         "deprecated", "gone",   "block"};
    for (size_t i = 0; i < t->n; i++) {
        const struct conf_option *o = &t->options[i];
        printf("%s\t%s\t%s\t%s\t%s\t", side, o->name, status[o->status],
               o->scope == CONF_MATCH ? "match" : "global",
               o->merge == CONF_APPEND ? "append" : "first");
        if (o->type == &conf_type_word)
            print_words(o);
        else
            printf("%s", text(o->type->syntax));
        printf("\t%s\t%s\t%s\t%s\n", text(o->fallback), text(o->since), text(o->alias_of),
               text(o->reason));
    }
}

int main(void) {
    print_table("server", &conf_server_table);
    print_table("client", &conf_client_table);
    return 0;
}
