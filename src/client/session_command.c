// The command line of ~C (EnableEscapeCommandline): forwardings that come and go, and
// commands here (PermitLocalCommand).
#include <ctype.h>
#include <stdio.h>

#include "base/text.h"
#include "client/run.h"
#include "client/session.h"
#include "io/prompt.h"

static void say(struct session *s, const char *text) {
    session_show(s, text, strlen(text));
    session_show(s, "\r\n", 2);
}

static void help(struct session *s) {
    static const char *const lines[] = {
        "Commands:",
        "  -L[address:]port:host:hostport   forward a port here",
        "  -R[address:]port[:host:hostport] forward a port there (alone: SOCKS)",
        "  -D[address:]port                 SOCKS here",
        "  -KL[address:]port                end a forwarding",
        "  -KR[address:]port",
        "  -KD[address:]port",
        "  !command                         run a command here",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (lines[i][2] != '!' || s->c->config.permit_local_command)
            say(s, lines[i]);
}

static bool kind_of(char letter, enum forward_kind *kind) {
    static const struct {
        char letter;
        enum forward_kind kind;
    } kinds[] = {{'L', FORWARD_LOCAL}, {'R', FORWARD_REMOTE}, {'D', FORWARD_DYNAMIC}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].letter == toupper((unsigned char)letter)) {
            *kind = kinds[i].kind;
            return true;
        }
    return false;
}

static enum err add(struct session *s, enum forward_kind kind, const char *text) {
    struct forward_spec spec;
    struct forward_rule *rule;
    enum forward_outcome outcome;
    if (!forward_spec_parse(&spec, kind, text)) {
        say(s, "Bad forwarding specification.");
        return OK;
    }
    TRY(forwards_ask(&s->run->forwards, kind, &spec, (struct forward_asker){0}, &rule,
                     &outcome));
    say(s, outcome == FORWARD_FAILED ? "Port forwarding failed." : "Forwarding port.");
    return OK;
}

// Only where it listens is named: that is the form of a dynamic one.
static enum err cancel(struct session *s, enum forward_kind kind, const char *text) {
    struct forward_spec spec;
    bool found = false;
    if (!forward_spec_parse(&spec, FORWARD_DYNAMIC, text)) {
        say(s, "Bad forwarding close specification.");
        return OK;
    }
    TRY(forwards_cancel(&s->run->forwards, kind, &spec, &found));
    say(s, found ? "Canceled forwarding." : "Unknown port forwarding.");
    return OK;
}

static const char *skip_blanks(const char *p) {
    while (*p == ' ' || *p == '\t')
        p++;
    return p;
}

static enum err obey(struct session *s, const char *line) {
    enum forward_kind kind;
    line = skip_blanks(line);
    if (*line == 0)
        return OK;
    if (*line == '!' && s->c->config.permit_local_command) {
        local_command_run(s->c, skip_blanks(line + 1));
        return OK;
    }
    line += *line == '-';
    if (*line == 'h' || *line == 'H' || *line == '?') {
        help(s);
        return OK;
    }
    bool ends = *line == 'K' || *line == 'k';
    line += ends;
    if (!kind_of(*line, &kind)) {
        say(s, "Invalid command.");
        return OK;
    }
    line = skip_blanks(line + 1);
    return ends ? cancel(s, kind, line) : add(s, kind, line);
}

enum err session_command_line(struct session *s) {
    char line[PROMPT_MAX];
    struct fault fault = {0};
    if (!s->c->config.enable_escape_commandline) {
        session_show(s, "\r\n", 2);
        say(s, "commandline disabled");
        return OK;
    }
    session_leave_raw(s);
    session_show(s, "\r\n", 2);
    enum err e =
        prompt_ask("ssh> ", PROMPT_ECHO | PROMPT_NO_ASKPASS, line, sizeof line, &fault);
    if (e == OK)
        e = obey(s, line);
    else
        e = OK;  // nothing was asked for
    session_enter_raw(s);
    return e;
}
