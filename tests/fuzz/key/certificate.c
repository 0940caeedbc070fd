// Certificate blobs: what is taken must be bounded, come back byte by byte, and never
// count without its authority's signature.
#include <stdlib.h>

#include "base/limits.h"
#include "crypto/crypto.h"
#include "key/certificate.h"
#include "key/krl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(const struct key *k) {
    const struct certificate *c = k->certificate;
    struct view list = c->principals, name, text;
    struct key *plain = NULL;
    size_t n = 0;
    while (certificate_next(&list, &name))
        n++;
    if (n != c->principal_count || n > LIMIT_CERTIFICATE_PRINCIPALS || list.n != 0)
        abort();
    list = c->critical;
    while (certificate_next_option(&list, &name, &text))
        ;
    if (list.n != 0 || c->ca->certificate != NULL)
        abort();
    if (key_from_blob(&plain, key_plain_blob(k), NULL) != OK ||
        plain->certificate != NULL || plain->type != key_type_plain(k->type))
        abort();
    key_free(plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct key *k = NULL;
    struct fault f = {0};
    bool revoked;
    if (crypto_init() != OK)
        abort();
    if (key_from_blob(&k, view_of(data, size), &f) != OK)
        return 0;
    if (!view_equal(key_blob(k), view_of(data, size)))
        abort();
    if (k->certificate != NULL) {
        struct certificate_want want = {.kind = k->certificate->kind,
                                        .ca_algorithms = "ssh-ed25519,rsa-sha2-512",
                                        .now_s = 1750000000,
                                        .principal = "alice",
                                        .peer = "10.0.0.1"};
        look_at(k);
        if (certificate_check(k, &want, NULL) == OK &&
            (k->certificate->principal_count == 0 ||
             k->certificate->options.unknown_critical.p != NULL))
            abort();
        (void)!krl_check(view_of("SSHKRL\n", 8), k, &revoked, &f);
    }
    key_free(k);
    return 0;
}
