#include "transfer/ssh_words.h"

#include <stdio.h>

#include "base/text.h"
#include "transfer/program.h"
#include "transfer/say.h"

enum err ssh_words_init(struct ssh_words *s) {
    static const char *const fixed[] = {"-x", "-oPermitLocalCommand=no",
                                        "-oClearAllForwardings=yes",
                                        "-oRemoteCommand=none", "-oRequestTTY=no"};
    program_ssh(s->program, sizeof s->program);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        TRY(words_add(&s->options, fixed[i]));
    return OK;
}

void ssh_words_free(struct ssh_words *s) {
    words_free(&s->options);
}

enum err ssh_words_flag(struct ssh_words *s, char flag, const char *value) {
    const char text[] = {'-', flag, '\0'};
    TRY(words_add(&s->options, text));
    return value != NULL ? words_add(&s->options, value) : OK;
}

static enum err add_all(struct words *line, const struct words *more) {
    for (size_t i = 0; i < more->n; i++)
        TRY(words_add(line, more->list[i]));
    return OK;
}

enum err ssh_words_line(const struct ssh_words *s, const struct ssh_target *t,
                        bool subsystem, const char *command, struct words *line) {
    char port[8];
    TRY(words_add(line, s->program));
    TRY(add_all(line, &s->options));
    if (t->port != 0) {
        snprintf(port, sizeof port, "%u", t->port);
        TRY(words_add(line, "-p"));
        TRY(words_add(line, port));
    }
    if (t->user != NULL) {
        TRY(words_add(line, "-l"));
        TRY(words_add(line, t->user));
    }
    if (subsystem)
        TRY(words_add(line, "-s"));
    TRY(words_add(line, "--"));
    TRY(words_add(line, t->host));
    return words_add(line, command);
}

// A command line as a person writes it, without a shell: blanks and quotes.
static enum err split(const char *text, struct words *line) {
    char copy[4096], *cursor = copy, *word;
    bool bad = false;
    if (!text_copy(copy, sizeof copy, view_text(text)))
        return ERR_LIMIT;
    while ((word = text_word(&cursor, false, &bad)) != NULL)
        TRY(words_add(line, word));
    return line->n > 0 && !bad ? OK : ERR_FORMAT;
}

enum err ssh_words_sftp(const struct ssh_words *s, const struct ssh_target *t,
                        const char *server, struct words *line, const char **path) {
    if (s->direct != NULL) {
        TRY(split(s->direct, line));
        *path = line->list[0];
    } else {
        TRY(ssh_words_line(s, t, strchr(server, '/') == NULL, server, line));
        *path = s->program;
    }
    for (size_t i = 0; i < line->n; i++)
        say_debug("%s: %s", i == 0 ? "Executing" : "        ", CLEAN(line->list[i]));
    return OK;
}
