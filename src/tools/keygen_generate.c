// New keys: for people (-t) and for a host (-A).
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "io/file.h"
#include "io/hostname.h"
#include "io/prompt.h"
#include "tools/keygen.h"

#define TYPE_DEFAULT "ed25519"

static bool curve_of_bits(unsigned bits, enum pk_curve *curve) {
    static const struct {
        unsigned bits;
        enum pk_curve curve;
    } rows[] = {{256, PK_P256}, {384, PK_P384}, {521, PK_P521}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].bits == bits) {
            *curve = rows[i].curve;
            return true;
        }
    }
    return false;
}

// "ecdsa-sha2-nistp384" says the curve, too.
static unsigned bits_of(const struct keygen *k, const struct keygen_type *type,
                        const char *name) {
    const struct key_type *by_blob = key_type_find(view_text(name));
    unsigned bits = k->bits != 0 && type->kind != PK_ED25519 ? k->bits : type->bits;
    for (unsigned c = 0; by_blob != NULL && type->kind == PK_ECDSA && c < 3; c++) {
        static const unsigned sizes[] = {
            [PK_P256] = 256, [PK_P384] = 384, [PK_P521] = 521};
        bits = sizes[by_blob->curve];
    }
    return bits;
}

static bool check_bits(const struct keygen_type *type, unsigned bits,
                       enum pk_curve *curve) {
    *curve = PK_P256;
    if (type->kind == PK_RSA && bits < LIMIT_RSA_MIN)
        return keygen_fail("Invalid RSA key length: minimum is %d bits", LIMIT_RSA_MIN) ==
               0;
    if (type->kind == PK_RSA && bits > LIMIT_RSA_MAX)
        return keygen_fail("Invalid RSA key length: maximum is %d bits", LIMIT_RSA_MAX) ==
               0;
    if (type->kind == PK_ECDSA && !curve_of_bits(bits, curve))
        return keygen_fail(
                   "Invalid ECDSA key length: valid lengths are 256, 384 or 521 bits") ==
               0;
    return true;
}

// On a security key, or here.
static bool make_pair(struct keygen *k, const struct keygen_type *type, const char *name,
                      struct key **key) {
    enum pk_curve curve;
    unsigned bits = bits_of(k, type, name);
    struct pk *pk;
    if (type->security_type != NULL)
        return keygen_enrol(k, key_type_find(view_text(type->security_type)), key);
    if (!check_bits(type, bits, &curve))
        return false;
    if (pk_generate(&pk, type->kind, curve, bits) != OK || key_from_pk(key, pk) != OK)
        return keygen_fail("the key could not be made") == 0;
    return true;
}

static struct key *make(struct keygen *k, const struct keygen_type *type,
                        const char *name, const char *comment) {
    struct key *key;
    if (!make_pair(k, type, name, &key))
        return NULL;
    if (key_set_comment(key, view_text(comment)) != OK) {
        key_free(key);
        return NULL;
    }
    return key;
}

static void default_comment(const struct keygen *k, const char *user, char *out,
                            size_t size) {
    char host[256];
    hostname_get(host, sizeof host);
    snprintf(out, size, "%s@%s", user != NULL ? user : k->user, host);
}

// ~/.ssh is made when the key is to go there.
static void make_ssh_directory(const struct keygen *k) {
    char directory[KEYGEN_PATH + 8];
    struct fault f = {0};
    snprintf(directory, sizeof directory, "%s/.ssh", k->home);
    size_t n = strlen(directory);
    if (strncmp(k->file, directory, n) != 0 || k->file[n] != '/' ||
        file_exists(directory))
        return;
    if (file_make_directory(directory, &f) != OK)
        keygen_fail("Could not create directory '%s': %s", directory, fault_text(&f));
    else if (!k->quiet)
        printf("Created directory '%s'.\n", directory);
}

static void tell(const struct keygen *k, const struct key *key) {
    char text[KEY_FINGERPRINT_SIZE], art[KEY_ART_SIZE], clean[1024];
    if (k->quiet)
        return;
    printf("Your identification has been saved in %s\n", k->file);
    printf("Your public key has been saved in %s.pub\n", k->file);
    printf("The key fingerprint is:\n%s %s\n",
           key_fingerprint(text, sizeof text, key_blob(key), k->hash),
           text_clean(clean, sizeof clean, view_text(key->comment)));
    printf("The key's randomart image is:\n%s\n", key_art(art, key, k->hash));
}

static int save(struct keygen *k, const struct key *key) {
    char pass[PROMPT_MAX];
    if (!keygen_ask_new_passphrase(k, pass, sizeof pass))
        return KEYGEN_FAILED;
    bool saved = keygen_save_private(k, key, pass);
    secret_wipe(pass, sizeof pass);
    if (!saved || !keygen_save_public(k, key))
        return 1;
    tell(k, key);
    return 0;
}

int keygen_generate(struct keygen *k) {
    const char *name = k->type != NULL ? k->type : TYPE_DEFAULT;
    const struct keygen_type *type = keygen_type_find(name);
    char comment[512];
    enum pk_curve curve;
    if (type == NULL && strcmp(name, "mldsa44-ed25519") == 0)
        return keygen_fail("there are no %s keys: this system's libcrypto has no ML-DSA; "
                           "ed25519 is the default",
                           name);
    if (type == NULL)
        return keygen_fail("unknown key type %s: ed25519, ecdsa, rsa, ed25519-sk or "
                           "ecdsa-sk",
                           name);
    if (!check_bits(type, bits_of(k, type, name), &curve))
        return KEYGEN_FAILED;
    if (!k->quiet)
        printf("Generating public/private %s key pair.\n", type->name);
    if (!keygen_ask_file(k, "Enter file in which to save the key", type->file))
        return 1;
    make_ssh_directory(k);
    if (!keygen_may_write(k->file))
        return 1;
    default_comment(k, NULL, comment, sizeof comment);
    struct key *key = make(k, type, name, k->comment != NULL ? k->comment : comment);
    if (key == NULL)
        return KEYGEN_FAILED;
    int status = save(k, key);
    key_free(key);
    return status;
}

// --- -A
// ----------------------------------------------------------------------------------------

static bool make_host_key(struct keygen *k, const struct keygen_type *type, bool *first) {
    char path[KEYGEN_PATH], comment[512];
    struct keygen one = *k;
    snprintf(path, sizeof path, "%s/etc/ssh/ssh_host_%s_key",
             k->file != NULL ? k->file : "", type->name);
    if (file_exists(path))
        return true;
    if (!k->quiet)
        printf("%s%s ", *first ? "ssh-keygen: generating new host keys: " : "",
               type->kind == PK_RSA     ? "RSA"
               : type->kind == PK_ECDSA ? "ECDSA"
                                        : "ED25519");
    fflush(stdout);
    *first = false;
    one.file = path;
    one.bits = 0;
    default_comment(k, "root", comment, sizeof comment);
    struct key *key =
        make(&one, type, type->name, k->comment != NULL ? k->comment : comment);
    bool ok = key != NULL && keygen_save_private(&one, key, "") &&
              keygen_save_public(&one, key);
    key_free(key);
    return ok;
}

int keygen_generate_host_keys(struct keygen *k) {
    const struct keygen_type *type;
    bool first = true, ok = true;
    for (size_t i = 0; (type = keygen_type_at(i)) != NULL; i++)
        ok = (type->security_type != NULL || make_host_key(k, type, &first)) && ok;
    if (!first && !k->quiet)
        printf("\n");
    return ok ? 0 : KEYGEN_FAILED;
}
