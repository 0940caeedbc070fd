// Other forms of public keys, out (-e) and in (-i): RFC 4716, PKCS#8 and PEM.
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/hostname.h"
#include "key/base64.h"
#include "key/public_pem.h"
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
        return keygen_fail("%s: %s", k->file, fault_text(&f));
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

// RFC 4716 s.3.3: headers, each possibly continued by a backslash at the end of its line.
static const uint8_t *skip_headers(const uint8_t *p, const uint8_t *end) {
    for (bool continued = false; p < end;) {
        const uint8_t *eol = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((eol != NULL ? eol : end) - p);
        if (!continued && memchr(p, ':', n) == NULL)
            return p;
        while (n > 0 && p[n - 1] == '\r')
            n--;
        continued = n > 0 && p[n - 1] == '\\';
        p = eol != NULL ? eol + 1 : end;
    }
    return p;
}

static enum err parse_rfc4716(struct view text, struct key **key, struct fault *f) {
    const uint8_t *begin = memmem(text.p, text.n, RFC4716_BEGIN, strlen(RFC4716_BEGIN));
    const uint8_t *end = memmem(text.p, text.n, RFC4716_END, strlen(RFC4716_END));
    if (begin == NULL || end == NULL || end < begin)
        return fault_set(f, ERR_FORMAT, 0, "no RFC 4716 public key file");
    begin += strlen(RFC4716_BEGIN);
    while (begin < end && (*begin == '\n' || *begin == '\r'))
        begin++;
    begin = skip_headers(begin, end);
    scoped_buf blob;
    buf_init(&blob, LIMIT_KEY_FILE);
    if (base64_decode_lines(&blob, view_of(begin, (size_t)(end - begin))) != OK)
        return fault_set(f, ERR_FORMAT, 0, "the public key is not base64");
    return key_from_blob(key, buf_view(&blob), f);
}

int keygen_import(struct keygen *k) {
    scoped_buf text = {0}, line;
    struct fault f = {0};
    struct key *key;
    buf_init(&line, LIMIT_KEY_FILE);
    bool pem = k->format != NULL &&
               (strcasecmp(k->format, "PKCS8") == 0 || strcasecmp(k->format, "PEM") == 0);
    if (k->format != NULL && !pem && strcasecmp(k->format, "RFC4716") != 0)
        return keygen_fail("Unsupported conversion format \"%s\"", k->format);
    if (!keygen_ask_file(k, "Enter file in which the key is", "id_ed25519"))
        return KEYGEN_FAILED;
    if (!keygen_read_file(k->file, LIMIT_KEY_FILE, &text))
        return KEYGEN_FAILED;
    enum err e = pem ? public_pem_parse(&key, buf_view(&text), &f)
                     : parse_rfc4716(buf_view(&text), &key, &f);
    if (e != OK)
        return keygen_fail("%s: %s", k->file, fault_text(&f));
    e = key_public_text(key, &line);
    key_free(key);
    if (e != OK)
        return keygen_fail("%s", err_text(e));
    printf("%.*s\n", (int)buf_len(&line), (const char *)buf_view(&line).p);
    return 0;
}
