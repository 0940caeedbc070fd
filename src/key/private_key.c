// openssh-key-v1 (the layout that OpenSSH's PROTOCOL.key describes), and the way to PEM.
//
//     "openssh-key-v1\0"  string cipher  string kdf  string kdf options  uint32 1
//     string public blob  string sealed  [tag]
// sealed: uint32 check  uint32 check  string type  secret fields  string comment  1 2 3
// ...
//
// What was opened lies in a secret arena for as long as it is looked at.
#include "key/private_key.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/text.h"
#include "crypto/bcrypt_pbkdf.h"
#include "crypto/key_cipher.h"
#include "crypto/random.h"
#include "key/base64.h"
#include "key/fields.h"
#include "key/secret_fields.h"

#define MAGIC "openssh-key-v1"  // its NUL counts
#define ARMOUR_BEGIN "-----BEGIN OPENSSH PRIVATE KEY-----"
#define ARMOUR_END "-----END OPENSSH PRIVATE KEY-----"
#define ARMOUR_COLUMNS 70
#define SALT_SIZE 16
#define SALT_MAX 1024
#define TAG_MAX 16
#define PLAIN_BLOCK 8
// The largest RSA key as fields, armour around base64 of it, and a comment.
#define SECRET_ROOM (32u * 1024u)

static void buf_wipe(struct buf *b) {
    secret_wipe(b->p, b->room);
    buf_free(b);
}
#define scoped_secret_buf __attribute__((cleanup(buf_wipe))) struct buf

// --- reading
// ---------------------------------------------------------------------------------

// The container taken apart; views into its decoded bytes.
struct container {
    struct view cipher_name, kdf, kdf_options, public_blob, sealed, tag;
    const struct key_cipher *cipher;  // NULL: "none"
};

static const uint8_t *find(struct view v, const char *text) {
    return memmem(v.p, v.n, text, strlen(text));
}

static bool is_openssh(struct view text) {
    return find(text, ARMOUR_BEGIN) != NULL;
}

static enum err unarmour(struct view text, struct buf *out, struct fault *fault) {
    const uint8_t *begin = find(text, ARMOUR_BEGIN);
    if (begin == NULL)
        return fault_set(fault, ERR_FORMAT, 0, "no private key file");
    begin += strlen(ARMOUR_BEGIN);
    struct view rest = view_of(begin, (size_t)(text.p + text.n - begin));
    const uint8_t *end = find(rest, ARMOUR_END);
    if (end == NULL)
        return fault_set(fault, ERR_SHORT, 0, "the key file ends too early");
    if (base64_decode_lines(out, view_of(begin, (size_t)(end - begin))) != OK)
        return fault_set(fault, ERR_FORMAT, 0, "the key file is damaged: no base64");
    return OK;
}

static enum err unsupported(struct fault *fault, const char *what, struct view name) {
    char clean[64];
    return fault_set(fault, ERR_UNSUPPORTED, 0,
                     "%s \"%s\" of the key file is not supported", what,
                     text_clean(clean, sizeof clean, name));
}

static enum err container_read(struct container *c, struct view bytes,
                               struct fault *fault) {
    struct reader r = reader_of(bytes);
    if (!view_equal(read_bytes(&r, sizeof MAGIC), view_of(MAGIC, sizeof MAGIC)))
        return fault_set(fault, ERR_FORMAT, 0, "the key file is damaged: wrong magic");
    c->cipher_name = read_string(&r);
    c->kdf = read_string(&r);
    c->kdf_options = read_string(&r);
    uint32_t count = read_u32(&r);
    c->public_blob = read_string(&r);
    c->sealed = read_string(&r);
    c->tag = read_rest(&r);
    if (r.err != OK)
        return fault_set(fault, r.err, 0, "the key file is damaged: it %s",
                         err_text(r.err));
    if (count != 1)
        return fault_set(fault, ERR_UNSUPPORTED, 0, "a key file with %u keys", count);
    bool none = view_is(c->cipher_name, "none");
    c->cipher = key_cipher_find(c->cipher_name);
    if (!none && c->cipher == NULL)
        return unsupported(fault, "cipher", c->cipher_name);
    if (!view_is(c->kdf, "bcrypt") && !view_is(c->kdf, "none"))
        return unsupported(fault, "key derivation", c->kdf);
    size_t block = none ? PLAIN_BLOCK : c->cipher->block;
    if (none != view_is(c->kdf, "none") || c->tag.n != (none ? 0 : c->cipher->tag_len) ||
        c->sealed.n == 0 || c->sealed.n % block != 0)
        return fault_set(fault, ERR_FORMAT, 0,
                         "the key file is damaged: lengths do not fit");
    return OK;
}

static enum err derive(const struct container *c, struct view passphrase,
                       uint8_t *material, struct fault *fault) {
    struct reader r = reader_of(c->kdf_options);
    struct view salt = read_string(&r);
    uint32_t rounds = read_u32(&r);
    if (reader_end(&r) != OK || salt.n == 0 || salt.n > SALT_MAX || rounds == 0)
        return fault_set(fault, ERR_FORMAT, 0, "the key file is damaged: key derivation");
    if (rounds > LIMIT_KDF_ROUNDS)
        return fault_set(fault, ERR_LIMIT, 0, "%u rounds of key derivation, over %u",
                         rounds, LIMIT_KDF_ROUNDS);
    if (passphrase.p == NULL)
        return fault_set(fault, ERR_PASSPHRASE, 0, "the key needs a passphrase");
    if (passphrase.n == 0)
        return fault_set(fault, ERR_PASSPHRASE, 0, "wrong passphrase");
    return bcrypt_pbkdf(passphrase, salt, rounds, material,
                        c->cipher->key_len + c->cipher->iv_len);
}

static enum err open_sealed(const struct container *c, struct view passphrase,
                            uint8_t *out, struct fault *fault) {
    if (c->cipher == NULL) {
        memcpy(out, c->sealed.p, c->sealed.n);
        return OK;
    }
    uint8_t material[KEY_CIPHER_MATERIAL_MAX];
    enum err e = derive(c, passphrase, material, fault);
    if (e == OK)
        e = key_cipher_open(c->cipher, material, c->sealed.p, c->sealed.n, out, c->tag.p);
    secret_wipe(material, sizeof material);
    return e == ERR_MAC ? fault_set(fault, ERR_PASSPHRASE, 0, "wrong passphrase") : e;
}

static bool padding_counts(struct view pad) {
    for (size_t i = 0; i < pad.n; i++) {
        if (pad.p[i] != (uint8_t)(i + 1))
            return false;
    }
    return true;
}

static enum err key_from_fields(struct key **out, struct reader *r, struct fault *fault) {
    struct key *k;
    TRY(secret_fields_read(r, &k, NULL, fault));
    struct view comment = read_string(r), pad = read_rest(r);
    if (r->err == OK && !padding_counts(pad))
        r->err = ERR_FORMAT;
    enum err e = r->err;
    if (e != OK)
        fault_set(fault, e, 0, "the key file is damaged: %s", err_text(e));
    else
        e = key_set_comment(k, comment);
    if (e != OK)
        key_free(k);
    else
        *out = k;
    return e;
}

static enum err key_from_sealed(struct key **out, const struct container *c,
                                struct view plain, struct fault *fault) {
    struct reader r = reader_of(plain);
    uint32_t check = read_u32(&r), again = read_u32(&r);
    if (r.err != OK || check != again)
        return c->cipher != NULL
                   ? fault_set(fault, ERR_PASSPHRASE, 0, "wrong passphrase")
                   : fault_set(fault, ERR_FORMAT, 0, "the key file is damaged");
    struct key *k;
    TRY(key_from_fields(&k, &r, fault));
    // The half that everybody can read was not sealed: it may have been exchanged.
    if (!view_equal(key_blob(k), c->public_blob)) {
        key_free(k);
        return fault_set(fault, ERR_KEY, 0, "the halves of the key file do not match");
    }
    *out = k;
    return OK;
}

static enum err openssh_parse(struct key **out, struct view text, struct view passphrase,
                              struct fault *fault) {
    scoped_secret_buf bytes;
    buf_init(&bytes, LIMIT_KEY_FILE);
    TRY(unarmour(text, &bytes, fault));
    struct container c;
    TRY(container_read(&c, buf_view(&bytes), fault));
    scoped_secret arena = {0};
    TRY(secret_arena_init(&arena, c.sealed.n, 0));
    uint8_t *plain = secret_alloc(&arena, c.sealed.n);
    if (plain == NULL)
        return ERR_MEMORY;
    TRY(open_sealed(&c, passphrase, plain, fault));
    return key_from_sealed(out, &c, view_of(plain, c.sealed.n), fault);
}

static enum err pem_parse(struct key **out, struct view text, struct view passphrase,
                          struct fault *fault) {
    if (find(text, "-----BEGIN ") == NULL)
        return fault_set(fault, ERR_FORMAT, 0, "no private key file");
    struct pk *pk;
    enum err e = pk_from_pem(&pk, text, passphrase);
    if (e == ERR_PASSPHRASE)
        return fault_set(fault, e, 0, "%s",
                         passphrase.p == NULL ? "the key needs a passphrase"
                                              : "wrong passphrase");
    if (e == ERR_FORMAT)
        return fault_set(fault, e, 0, "no private key file");
    if (e != OK)
        return fault_set(fault, e, 0, "the key in the PEM file: %s", err_text(e));
    return key_from_pk(out, pk);
}

enum err private_key_parse(struct key **out, struct view file_text,
                           struct view passphrase, struct fault *fault) {
    if (file_text.n > LIMIT_KEY_FILE)
        return fault_set(fault, ERR_LIMIT, 0, "the key file is too large");
    return is_openssh(file_text) ? openssh_parse(out, file_text, passphrase, fault)
                                 : pem_parse(out, file_text, passphrase, fault);
}

enum err private_key_public_half(struct key **out, struct view file_text,
                                 struct fault *fault) {
    if (file_text.n > LIMIT_KEY_FILE)
        return fault_set(fault, ERR_LIMIT, 0, "the key file is too large");
    if (!is_openssh(file_text)) {
        bool pem = find(file_text, "-----BEGIN ") != NULL;
        return fault_set(fault, pem ? ERR_UNSUPPORTED : ERR_FORMAT, 0, "%s",
                         pem ? "a PEM file has no readable public half"
                             : "no private key file");
    }
    scoped_secret_buf bytes;
    buf_init(&bytes, LIMIT_KEY_FILE);
    TRY(unarmour(file_text, &bytes, fault));
    struct container c;
    TRY(container_read(&c, buf_view(&bytes), fault));
    return key_from_blob(out, c.public_blob, fault);
}

// --- writing
// ---------------------------------------------------------------------------------

static enum err secret_buf_init(struct buf *b, size_t n) {
    // All at once: growing would leave copies behind.
    struct span room;
    buf_init(b, n);
    return buf_reserve(b, n, &room);
}

static enum err write_plain(const struct key *k, size_t block, struct buf *out) {
    uint8_t check[4];
    random_bytes(check, sizeof check);
    struct writer w = writer_to_buf(out);
    write_bytes(&w, view_of(check, sizeof check));
    write_bytes(&w, view_of(check, sizeof check));
    TRY(secret_fields_write(&w, k, NULL));
    write_text(&w, k->comment != NULL ? k->comment : "");
    for (uint8_t i = 1; w.err == OK && w.n % block != 0; i++)
        write_u8(&w, i);
    return writer_end(&w);
}

struct seal {
    const struct key_cipher *cipher;  // NULL: none
    uint8_t salt[SALT_SIZE];
    uint32_t rounds;
    uint8_t tag[TAG_MAX];
};

static enum err seal_plain(struct seal *s, struct view passphrase, struct buf *plain) {
    if (s->cipher == NULL)
        return OK;
    uint8_t material[KEY_CIPHER_MATERIAL_MAX];
    random_bytes(s->salt, sizeof s->salt);
    enum err e = bcrypt_pbkdf(passphrase, view_of(s->salt, SALT_SIZE), s->rounds,
                              material, s->cipher->key_len + s->cipher->iv_len);
    uint8_t *at = plain->p + plain->start;
    if (e == OK)
        e = key_cipher_seal(s->cipher, material, at, buf_len(plain), at, s->tag);
    secret_wipe(material, sizeof material);
    return e;
}

static void write_container(struct writer *w, const struct key *k, const struct seal *s,
                            struct view sealed) {
    write_bytes(w, view_of(MAGIC, sizeof MAGIC));
    write_text(w, s->cipher != NULL ? s->cipher->name : "none");
    write_text(w, s->cipher != NULL ? "bcrypt" : "none");
    write_u32(w, s->cipher != NULL ? 4 + SALT_SIZE + 4 : 0);
    if (s->cipher != NULL) {
        write_string(w, view_of(s->salt, SALT_SIZE));
        write_u32(w, s->rounds);
    }
    write_u32(w, 1);
    write_string(w, key_blob(k));
    write_string(w, sealed);
    if (s->cipher != NULL)
        write_bytes(w, view_of(s->tag, s->cipher->tag_len));
}

static enum err write_armour(struct view bytes, struct buf *out) {
    scoped_secret_buf text = {0};
    TRY(secret_buf_init(&text, base64_encoded_len(bytes.n)));
    TRY(base64_encode(&text, bytes));
    TRY(buf_append(out, view_text(ARMOUR_BEGIN "\n")));
    struct view left = buf_view(&text);
    while (left.n > 0) {
        size_t n = left.n < ARMOUR_COLUMNS ? left.n : ARMOUR_COLUMNS;
        TRY(buf_append(out, view_of(left.p, n)));
        TRY(buf_append(out, view_text("\n")));
        left = view_of(left.p + n, left.n - n);
    }
    return buf_append(out, view_text(ARMOUR_END "\n"));
}

static enum err openssh_write(const struct key *k, const struct private_key_options *o,
                              struct buf *out, struct fault *fault) {
    struct seal s = {.rounds = o->rounds != 0 ? o->rounds : PRIVATE_KEY_ROUNDS};
    if (o->passphrase.n > 0) {
        const char *name = o->cipher != NULL ? o->cipher : PRIVATE_KEY_CIPHER;
        s.cipher = key_cipher_find(view_text(name));
        if (s.cipher == NULL)
            return unsupported(fault, "cipher", view_text(name));
    }
    if (s.rounds > LIMIT_KDF_ROUNDS)
        return fault_set(fault, ERR_LIMIT, 0, "at most %u rounds of key derivation",
                         LIMIT_KDF_ROUNDS);
    size_t comment = k->comment != NULL ? strlen(k->comment) : 0;
    scoped_secret_buf plain = {0}, bytes = {0};
    TRY(secret_buf_init(&plain, SECRET_ROOM + comment));
    enum err e = secret_buf_init(&bytes, 2 * SECRET_ROOM + comment);
    if (e == OK)
        e = write_plain(k, s.cipher != NULL ? s.cipher->block : PLAIN_BLOCK, &plain);
    if (e == OK)
        e = seal_plain(&s, o->passphrase, &plain);
    if (e != OK)
        return e;
    struct writer w = writer_to_buf(&bytes);
    write_container(&w, k, &s, buf_view(&plain));
    TRY(writer_end(&w));
    return write_armour(buf_view(&bytes), out);
}

enum err private_key_write(const struct key *k, const struct private_key_options *o,
                           struct buf *out, struct fault *fault) {
    if (!pk_has_secret(k->pk) && k->handle == NULL)
        return fault_set(fault, ERR_KEY, 0, "the key has no private half");
    if (o->format == PRIVATE_KEY_OPENSSH)
        return openssh_write(k, o, out, fault);
    enum pk_pem form = o->format == PRIVATE_KEY_PEM ? PK_PEM_TRADITIONAL : PK_PEM_PKCS8;
    enum err e = pk_to_pem(k->pk, form, o->passphrase, out);
    return e == ERR_UNSUPPORTED
               ? fault_set(fault, e, 0, "%s keys have no traditional PEM form",
                           k->type->name)
               : e;
}
