// Other forms of keys, out (-e) and in (-i): RFC 4716, PKCS#8 and PEM of public halves,
// and private files of ssh.com (-i).
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "io/hostname.h"
#include "key/base64.h"
#include "key/public_pem.h"
#include "key/ssh2_file.h"
#include "tools/keygen.h"

#define RFC4716_BEGIN "---- BEGIN SSH2 PUBLIC KEY ----"
#define RFC4716_END "---- END SSH2 PUBLIC KEY ----"
#define RFC4716_COLUMNS 70

static int print_rfc4716(const struct keygen *k, const struct key *key) {
    char host[256];
    scoped_buf text;
    buf_init(&text, LIMIT_KEY_FILE);
    if (base64_encode(&text, key_blob(key)) != OK)
        return keygen_fail("out of memory");
    hostname_get(host, sizeof host);
    printf(RFC4716_BEGIN "\nComment: \"%u-bit %s, converted by %s@%s from OpenSSH\"\n",
           pk_bits(key->pk), key->type->short_name, k->user, host);
    for (struct view v = buf_view(&text); v.n > 0;) {
        size_t n = v.n < RFC4716_COLUMNS ? v.n : RFC4716_COLUMNS;
        printf("%.*s\n", (int)n, (const char *)v.p);
        v = view_of(v.p + n, v.n - n);
    }
    printf(RFC4716_END "\n");
    return 0;
}

static int print_pem(const struct key *key, enum pk_pem form) {
    scoped_buf text;
    buf_init(&text, LIMIT_KEY_FILE);
    enum err e = pk_to_pem(key->pk, form, (struct view){0}, &text);
    if (e != OK)
        return keygen_fail("no such form of %s keys: %s", key->type->short_name,
                           err_text(e));
    printf("%.*s", (int)buf_len(&text), (const char *)buf_view(&text).p);
    return 0;
}

int keygen_export(struct keygen *k) {
    struct key *key;
    struct fault f = {0};
    const char *format = k->format != NULL ? k->format : "RFC4716";
    if (!keygen_ask_file(k, "Enter file in which the key is", "id_ed25519"))
        return KEYGEN_FAILED;
    if (keygen_load_public(k->file, &key, &f) != OK)
        return keygen_fail("%s: %s", k->file, fault_reason(&f, k->file));
    int status;
    if (strcasecmp(format, "RFC4716") == 0)
        status = print_rfc4716(k, key);
    else if (strcasecmp(format, "PKCS8") == 0)
        status = print_pem(key, PK_PEM_PUBLIC);
    else if (strcasecmp(format, "PEM") == 0)
        status = print_pem(key, PK_PEM_PUBLIC_RSA);
    else
        status = keygen_fail("Unsupported conversion format \"%s\"", format);
    key_free(key);
    return status;
}

static int print_public(const struct key *key) {
    scoped_buf line;
    buf_init(&line, LIMIT_KEY_FILE);
    enum err e = key_public_text(key, &line);
    if (e != OK)
        return keygen_fail("%s", err_text(e));
    printf("%.*s\n", (int)buf_len(&line), (const char *)buf_view(&line).p);
    return 0;
}

// A private file comes out as PEM, and nobody else is to see it.
static int print_private(const struct key *key) {
    scoped_buf text;
    struct span room;
    buf_init(&text, LIMIT_KEY_FILE);
    enum err e = buf_reserve(&text, LIMIT_KEY_FILE, &room);
    if (e == OK)
        e = pk_to_pem(key->pk, PK_PEM_TRADITIONAL, (struct view){0}, &text);
    struct view v = buf_view(&text);
    bool ok = e == OK && fwrite(v.p, 1, v.n, stdout) == v.n;
    secret_wipe(text.p, text.room);
    return ok ? 0 : keygen_fail("the key cannot be written: %s", err_text(e));
}

static enum err import(const struct keygen *k, struct view text, bool private,
                       struct key **key, struct fault *f) {
    bool pem = k->format != NULL &&
               (strcasecmp(k->format, "PKCS8") == 0 || strcasecmp(k->format, "PEM") == 0);
    return pem       ? public_pem_parse(key, text, f)
           : private ? ssh2_file_private(key, text, f)
                     : ssh2_file_public(key, text, f);
}

int keygen_import(struct keygen *k) {
    static const char *const formats[] = {"RFC4716", "PKCS8", "PEM"};
    scoped_buf text = {0};
    struct fault f = {0};
    struct key *key;
    bool known = k->format == NULL;
    for (size_t i = 0; !known && i < sizeof formats / sizeof formats[0]; i++)
        known = strcasecmp(k->format, formats[i]) == 0;
    if (!known)
        return keygen_fail("Unsupported conversion format \"%s\"", k->format);
    if (!keygen_ask_file(k, "Enter file in which the key is", "id_ed25519"))
        return KEYGEN_FAILED;
    if (!keygen_read_file(k->file, LIMIT_KEY_FILE, &text))
        return KEYGEN_FAILED;
    bool private = ssh2_file_is_private(buf_view(&text));
    enum err e = import(k, buf_view(&text), private, &key, &f);
    secret_wipe(text.p, text.room);
    if (e != OK)
        return keygen_fail("%s: %s", k->file, fault_reason(&f, k->file));
    int status = pk_has_secret(key->pk) ? print_private(key) : print_public(key);
    key_free(key);
    return status;
}
