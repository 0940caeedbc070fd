// ssh -Z: the keys that a login would offer, in their order, without any connection.
#include <stdio.h>

#include "base/text.h"
#include "client/identities.h"

static void show(const struct identities *ids, const struct auth_identity *identity) {
    char print[KEY_FINGERPRINT_SIZE], name[1024];
    struct key *key = NULL;
    const char *type = "?";
    if (key_from_blob(&key, identity->blob, NULL) == OK)
        type = key->certificate != NULL ? key->type->name : key->type->short_name;
    key_fingerprint(print, sizeof print,
                    key != NULL ? key_plain_blob(key) : identity->blob, &digest_sha256);
    printf("%s %s %s%s\n", text_clean(name, sizeof name, view_text(ids->name)), type,
           print, ids->in_agent ? " agent" : "");
    key_free(key);
}

bool identities_show(struct client *c) {
    const struct client_config *o = &c->config;
    struct identities ids = {.agent.fd = -1};
    struct auth_client *auth = NULL;
    struct auth_identity identity;
    struct auth_client_config config = {.user = o->user,
                                        .service = "ssh-connection",
                                        .methods = "publickey",
                                        .algorithms = o->pubkey_accepted_algorithms};
    if (auth_client_new(&auth, &config) != OK)
        return false;
    if (o->pubkey_authentication != PUBKEY_AUTH_NO) {
        identities_open(&ids, c);
        while (identities_next(&ids, auth, &identity))
            show(&ids, &identity);
    }
    identities_close(&ids);
    auth_client_free(auth);
    return true;
}
