// Lines of allowed_signers and of files of principals; the first byte tells which.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "key/allowed_signers.h"
#include "key/authorized_principals.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void signer(struct view line) {
    struct allowed_signer s;
    struct fault f = {0};
    if (allowed_signer_parse(&s, line, "f", 1, &f) != OK)
        return;
    if (s.principals[0] == '\0' || s.key == NULL || s.key->certificate != NULL)
        abort();
    struct allowed_signer_want want = {s.key, "alice", "file", 1750000000};
    if (allowed_signer_check(&s, &want, &f) == OK &&
        (s.cert_authority || !allowed_signer_names(&s, "alice")))
        abort();
    allowed_signer_free(&s);
}

static void principal(struct view line) {
    struct authorized_principal p;
    struct fault f = {0};
    if (authorized_principal_parse(&p, line, "f", 1, &f) != OK)
        return;
    if (p.name[0] == '\0' || p.name[strcspn(p.name, " \t")] != '\0')
        abort();
    authorized_principal_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (crypto_init() != OK)
        abort();
    if (size == 0)
        return 0;
    if (data[0] == 'p')
        principal(view_of(data + 1, size - 1));
    else
        signer(view_of(data + 1, size - 1));
    return 0;
}
