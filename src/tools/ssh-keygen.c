// ssh-keygen: makes, shows and changes keys, and keeps known_hosts files.
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "io/account.h"
#include "io/fd.h"
#include "tools/keygen.h"

static const struct {
    int letter;
    int (*run)(struct keygen *k);
} commands[] = {
    {0, keygen_generate},      {'A', keygen_generate_host_keys},
    {'p', keygen_passphrase},  {'c', keygen_comment},
    {'y', keygen_public},      {'l', keygen_fingerprint},
    {'B', keygen_fingerprint}, {'F', keygen_find_host},
    {'R', keygen_remove_host}, {'H', keygen_hash_hosts},
    {'e', keygen_export},      {'i', keygen_import},
    {'s', keygen_certify},     {'L', keygen_show_certificates},
    {'k', keygen_make_krl},    {'Q', keygen_query_krl},
    {'Y', keygen_signatures},  {'r', keygen_dns},
    {'K', keygen_resident},    {'D', keygen_token_keys},
    {'M', keygen_moduli},
};

static bool find_home(struct keygen *k) {
    scoped_account me = {0};
    struct fault f = {0};
    if (account_by_uid(getuid(), &me, &f) != OK) {
        keygen_fail("%s", fault_text(&f));
        return false;
    }
    return text_copy(k->home, sizeof k->home, view_text(me.directory)) &&
           text_copy(k->user, sizeof k->user, view_text(me.name));
}

int main(int argc, char **argv) {
    struct keygen k = {.hash = &digest_sha256};
    if (fd_fill_standard() != OK)
        return KEYGEN_FAILED;
    int status = keygen_options(&k, argc, argv);
    if (status != 0)
        return status;
    if (!find_home(&k))
        return KEYGEN_FAILED;
    if (crypto_init() != OK)
        return keygen_fail("libcrypto can not be used");
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (commands[i].letter == k.command) {
            status = commands[i].run(&k);
            return fflush(stdout) == 0
                       ? status
                       : keygen_fail("standard output can not be written");
        }
    }
    return KEYGEN_USAGE;
}
