// Of bowline doctor: does the host let this user in?
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "client/doctor_steps.h"
#include "wire/messages.h"

// The client's own lines about the keys: what was offered, what was not and why, and what
// is likely to help (client/refusal.h).
static void gather(const struct doctor *d, char *out, size_t size) {
    size_t n = 0;
    out[0] = 0;
    for (const char *at = d->log; *at != 0 && n + 1 < size;) {
        size_t length = strcspn(at, "\n");
        bool key = strncmp(at, "  ", 2) == 0,
             other = strncmp(at, "Agent: ", 7) == 0 ||
                     strncmp(at, "No key was", 10) == 0 ||
                     strncmp(at, "Keys that", 9) == 0 || strncmp(at, "Not used", 8) == 0;
        if (key || other) {
            int more = snprintf(out + n, size - n, "%s%.*s",
                                n == 0              ? ""
                                : out[n - 1] == ':' ? " "
                                                    : "; ",
                                (int)length - (key ? 2 : 0), at + (key ? 2 : 0));
            n += more > 0 ? (size_t)more : 0;
        }
        at += length + (at[length] == '\n');
    }
}

static enum doctor_finding why_refused(const struct doctor *d) {
    char line[100];
    const struct client *c = d->c;
    struct view methods = view_text(c->end.methods_left);
    bool keys = name_list_has(methods, "publickey") &&
                c->config.pubkey_authentication != PUBKEY_AUTH_NO;
    bool offered = doctor_heard(d, "Keys that were offered", line, sizeof line) != NULL;
    bool password = name_list_has(methods, "password") ||
                    name_list_has(methods, "keyboard-interactive");
    if (password && (!keys || !offered))
        return FOUND_PASSWORD;
    return offered ? FOUND_KEY_REFUSED : FOUND_NO_KEY;
}

static void say_refused(struct doctor *d) {
    char notes[900], methods[200];
    enum doctor_finding finding = why_refused(d);
    gather(d, notes, sizeof notes);
    text_clean(methods, sizeof methods, view_text(d->c->end.methods_left));
    doctor_say(d, finding, doctor_lap(d), "%s: the server accepts %s. %s",
               d->c->config.user, methods, notes);
}

bool doctor_login(struct doctor *d) {
    char line[500];
    // Else the session would be asked for along with the login (early-session@bowline).
    d->c->config.session_type = SESSION_TYPE_NONE;
    enum err e = client_login(d->c);
    d->c->config.session_type = SESSION_TYPE_DEFAULT;
    if (e == OK) {
        bool heard = doctor_heard(d, "you      ", line, sizeof line) != NULL;
        doctor_say(d, FOUND_LET_IN, doctor_lap(d), "%s", heard ? line + 9 : "let in");
        return true;
    }
    if (e == ERR_AUTH && d->c->end.methods_left[0] != 0)
        say_refused(d);
    else
        doctor_say(d, FOUND_LOGIN_CUT, doctor_lap(d), "%s",
                   d->c->fault.code != OK ? fault_text(&d->c->fault) : err_text(e));
    return false;
}
