#include "client/refusal.h"

#include <stdio.h>

#include "base/text.h"
#include "wire/messages.h"

static size_t say_notes(struct client *c, const struct identities *ids, bool offered) {
    size_t n = 0;
    for (size_t i = 0; i < ids->notes_n; i++) {
        const struct identities_note *note = &ids->notes[i];
        if (note->offered != offered)
            continue;
        if (n++ == 0)
            log_info(&c->log, "%s:", offered ? "Keys that were offered" : "Not used");
        log_info(&c->log, "  %s", note->text);
    }
    return n;
}

static bool accepts(const char *methods, const char *name) {
    return name_list_has(view_text(methods), name);
}

// The likeliest thing to do; the first that fits.
static const char *remedy(const struct client *c, const struct identities *ids,
                          const char *methods, size_t offered) {
    bool keys = c->config.pubkey_authentication != PUBKEY_AUTH_NO;
    bool password =
        accepts(methods, "password") || accepts(methods, "keyboard-interactive");
    if (c->distrusted)
        return "the host's key has changed, so nothing else is sent there: settle that "
               "first";
    if (!accepts(methods, "publickey") && password && c->config.batch_mode)
        return "the server wants a password, which BatchMode does not ask for";
    if (!keys && accepts(methods, "publickey"))
        return "the server takes keys, and PubkeyAuthentication is off";
    if (offered > 0)
        return "have one of these keys put into the account's authorized_keys there (see "
               "ssh-copy-id), check the user's name, or name another key with -i";
    if (ids->skipped > 0)
        return "mend the files above";
    if (keys && accepts(methods, "publickey"))
        return "name a key with -i, give one to the agent with ssh-add, or make one with "
               "ssh-keygen";
    return NULL;
}

void refusal_say(struct client *c, const struct identities *ids, const char *methods) {
    char clean[512];
    bool keys = c->config.pubkey_authentication != PUBKEY_AUTH_NO;
    size_t offered = say_notes(c, ids, true);
    (void)say_notes(c, ids, false);
    if (keys && offered == 0)
        log_info(&c->log, "No key was offered: %s.",
                 ids->skipped > 0 ? "the identity files above cannot be used"
                                  : "there is no usable identity file (see -i) and no "
                                    "agent with keys");
    if (keys && ids->agent_state != NULL)
        log_info(&c->log, "Agent: %s.", ids->agent_state);
    log_info(&c->log, "The server accepts: %s.",
             methods[0] != 0 ? text_clean(clean, sizeof clean, view_text(methods))
                             : "nothing that it names");
    const char *what = remedy(c, ids, methods, offered);
    if (what != NULL)
        log_info(&c->log, "Likely remedy: %s.", what);
}
