// PEM files: PKCS#8 (RFC 5958) and the traditional forms of RSA and ECDSA, through
// libcrypto's decoder; what comes out is taken apart and built anew, so that the same
// checks apply as to every other key.
#include <openssl/asn1t.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "base/limits.h"
#include "crypto/pk_internal.h"
#include "crypto/provider.h"

// Room for the numbers of the largest RSA key.
#define PARTS_ROOM (LIMIT_RSA_MAX / 8 * 6)

struct passphrase {
    struct view text;
    bool asked;
};

static int give_passphrase(char *out, int size, int writing, void *arg) {
    (void)writing;
    struct passphrase *pass = arg;
    pass->asked = true;
    if (pass->text.p == NULL || pass->text.n > (size_t)size)
        return -1;
    memcpy(out, pass->text.p, pass->text.n);
    return (int)pass->text.n;
}

static enum err rebuild(struct pk **out, EVP_PKEY *pkey) {
    struct pk *read;
    TRY(pk_adopt(&read, pkey, true));
    scoped_secret arena = {0};
    struct pk_parts parts;
    enum err e = secret_arena_init(&arena, PARTS_ROOM, 0);
    if (e == OK)
        e = pk_to_parts(read, &arena, &parts);
    if (e == OK)
        e = pk_from_parts(out, read->kind, &parts, true);
    pk_free(read);
    return e;
}

static long pbkdf2_rounds(const X509_ALGOR *alg) {
    if (OBJ_obj2nid(alg->algorithm) != NID_id_pbkdf2)
        return 0;  // scrypt: libcrypto bounds its memory, and with it the time
    PBKDF2PARAM *kdf =
        ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), alg->parameter);
    long rounds = kdf != NULL ? ASN1_INTEGER_get(kdf->iter) : 0;
    PBKDF2PARAM_free(kdf);
    return rounds;
}

// The rounds that a PKCS#5 algorithm asks for; 0: none that we know of.
static long rounds_of(const X509_ALGOR *alg) {
    long rounds;
    if (OBJ_obj2nid(alg->algorithm) == NID_pbes2) {
        PBE2PARAM *two =
            ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), alg->parameter);
        rounds = two != NULL ? pbkdf2_rounds(two->keyfunc) : 0;
        PBE2PARAM_free(two);
    } else {
        PBEPARAM *one =
            ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), alg->parameter);
        rounds = one != NULL ? ASN1_INTEGER_get(one->iter) : 0;
        PBEPARAM_free(one);
    }
    return rounds;
}

// A file may ask for hours of work before its passphrase can be tried.
static enum err check_rounds(struct view text) {
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    if (bio == NULL)
        return ERR_MEMORY;
    X509_SIG *sealed = PEM_read_bio_PKCS8(bio, NULL, NULL, NULL);
    long rounds = 0;
    if (sealed != NULL) {
        const X509_ALGOR *alg;
        X509_SIG_get0(sealed, &alg, NULL);
        rounds = rounds_of(alg);
    }
    X509_SIG_free(sealed);
    BIO_free(bio);
    ERR_clear_error();
    return rounds < 0 || rounds > LIMIT_PBKDF2_ROUNDS ? ERR_LIMIT : OK;
}

enum err pk_from_pem(struct pk **out, struct view text, struct view passphrase) {
    if (text.n > LIMIT_KEY_FILE)
        return ERR_LIMIT;
    TRY(provider_widen());
    TRY(check_rounds(text));
    BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
    if (bio == NULL)
        return ERR_MEMORY;
    struct passphrase pass = {.text = passphrase};
    EVP_PKEY *pkey =
        PEM_read_bio_PrivateKey_ex(bio, NULL, give_passphrase, &pass, NULL, NULL);
    BIO_free(bio);
    if (pkey == NULL) {
        ERR_clear_error();
        return pass.asked ? ERR_PASSPHRASE : ERR_FORMAT;
    }
    return rebuild(out, pkey);
}

static enum err write_form(BIO *bio, const struct pk *k, enum pk_pem form,
                           struct view passphrase) {
    const EVP_CIPHER *cipher = passphrase.n > 0 ? EVP_aes_128_cbc() : NULL;
    const unsigned char *pass = passphrase.n > 0 ? passphrase.p : NULL;
    int len = (int)passphrase.n, ok = 0;
    switch (form) {
    case PK_PEM_PKCS8:
        ok = PEM_write_bio_PKCS8PrivateKey(bio, k->pkey, cipher, (const char *)pass, len,
                                           NULL, NULL);
        break;
    case PK_PEM_TRADITIONAL:
        if (k->kind == PK_ED25519)
            return ERR_UNSUPPORTED;
        ok = PEM_write_bio_PrivateKey_traditional(bio, k->pkey, cipher, pass, len, NULL,
                                                  NULL);
        break;
    case PK_PEM_PUBLIC:
        ok = PEM_write_bio_PUBKEY(bio, k->pkey);
        break;
    case PK_PEM_PUBLIC_RSA: {
        if (k->kind != PK_RSA)
            return ERR_UNSUPPORTED;
        uint8_t *der = NULL;
        int n = i2d_PublicKey(k->pkey, &der);
        ok = n > 0 && PEM_write_bio(bio, "RSA PUBLIC KEY", "", der, n) > 0;
        OPENSSL_free(der);
        break;
    }
    }
    return ok > 0 ? OK : ERR_CRYPTO;
}

enum err pk_to_pem(const struct pk *k, enum pk_pem form, struct view passphrase,
                   struct buf *out) {
    bool public = form == PK_PEM_PUBLIC || form == PK_PEM_PUBLIC_RSA;
    if (!public && !k->secret)
        return ERR_KEY;
    if (passphrase.n > INT16_MAX)
        return ERR_LIMIT;
    TRY(provider_widen());
    BIO *bio = BIO_new(BIO_s_secmem());
    if (bio == NULL)
        return ERR_MEMORY;
    enum err e = write_form(bio, k, form, passphrase);
    if (e == OK) {
        char *p = NULL;
        long n = BIO_get_mem_data(bio, &p);
        e = n > 0 ? buf_append(out, view_of(p, (size_t)n)) : ERR_CRYPTO;
        if (n > 0)
            secret_wipe(p, (size_t)n);
    }
    BIO_free(bio);
    ERR_clear_error();
    return e;
}
