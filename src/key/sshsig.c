// "SSHSIG"  uint32 1  string key  string name space  string reserved  string hash's name
// string signature; signed is "SSHSIG" and the strings name space, reserved, hash's name,
// hash of the message.
#include "key/sshsig.h"

#include "base/limits.h"
#include "base/text.h"
#include "key/base64.h"
#include "key/certificate.h"
#include "wire/reader.h"
#include "wire/writer.h"

#define MAGIC "SSHSIG"
#define MAGIC_SIZE 6
#define VERSION 1
#define ARMOUR_BEGIN "-----BEGIN SSH SIGNATURE-----"
#define ARMOUR_END "-----END SSH SIGNATURE-----"
#define ARMOUR_COLUMNS 70

const struct digest_alg *sshsig_hash_find(struct view name) {
    return view_is(name, "sha512")   ? &digest_sha512
           : view_is(name, "sha256") ? &digest_sha256
                                     : NULL;
}

static enum err unarmour(struct view text, struct buf *out, struct fault *fault) {
    size_t begin = strlen(ARMOUR_BEGIN), end = strlen(ARMOUR_END);
    text = text_trimmed(text);
    if (text.n < begin + end || memcmp(text.p, ARMOUR_BEGIN, begin) != 0)
        return fault_set(fault, ERR_FORMAT, 0, "no signature file");
    if (memcmp(text.p + text.n - end, ARMOUR_END, end) != 0)
        return fault_set(fault, ERR_SHORT, 0, "the signature file ends too early");
    if (base64_decode_lines(out, view_of(text.p + begin, text.n - begin - end)) != OK)
        return fault_set(fault, ERR_FORMAT, 0, "the signature is not base64");
    return OK;
}

static enum err decode(struct sshsig *s, struct fault *fault) {
    struct reader r = reader_of(buf_view(&s->bytes));
    struct view magic = read_bytes(&r, MAGIC_SIZE);
    uint32_t version = read_u32(&r);
    struct view key = read_string(&r);
    s->name_space = read_text(&r);
    (void)read_string(&r);  // reserved
    struct view hash = read_string(&r);
    s->signature = read_string(&r);
    enum err e = reader_end(&r);
    if (e != OK)
        return fault_set(fault, e, 0, "the signature is damaged: %s", err_text(e));
    if (!view_is(magic, MAGIC))
        return fault_set(fault, ERR_FORMAT, 0, "no signature of a file");
    if (version != VERSION)
        return fault_set(fault, ERR_UNSUPPORTED, 0, "signature of version %u", version);
    s->hash = sshsig_hash_find(hash);
    if (s->hash == NULL)
        return fault_set(fault, ERR_UNSUPPORTED, 0, "signature over an unknown hash");
    if (s->name_space.n == 0)
        return fault_set(fault, ERR_FORMAT, 0, "signature without a name space");
    return key_from_blob(&s->key, key, fault);
}

enum err sshsig_parse(struct sshsig *s, struct view text, struct fault *fault) {
    *s = (struct sshsig){0};
    if (text.n > LIMIT_SSHSIG)
        return fault_set(fault, ERR_LIMIT, 0, "the signature file is too large");
    buf_init(&s->bytes, LIMIT_SSHSIG);
    enum err e = unarmour(text, &s->bytes, fault);
    if (e == OK)
        e = decode(s, fault);
    if (e != OK)
        sshsig_free(s);
    return e;
}

void sshsig_free(struct sshsig *s) {
    key_free(s->key);
    buf_free(&s->bytes);
    *s = (struct sshsig){0};
}

enum err sshsig_signed_data(const char *name_space, const struct digest_alg *hash,
                            const uint8_t *message_hash, struct buf *out) {
    struct writer w = writer_to_buf(out);
    write_bytes(&w, view_text(MAGIC));
    write_text(&w, name_space);
    write_text(&w, "");
    write_text(&w, hash->name);
    write_string(&w, view_of(message_hash, hash->size));
    return writer_end(&w);
}

// The algorithm of a signature is that of the plain key: a certificate's key is used as
// one.
static enum err verify_plain(const struct sshsig *s, struct view data,
                             struct key_touch *touch) {
    const struct signature_alg *alg = key_signature_alg(s->signature);
    struct key *plain;
    if (alg == NULL)
        return ERR_SIGNATURE;
    TRY(key_from_blob(&plain, key_plain_blob(s->key), NULL));
    enum err e = key_verify_touch(plain, alg, s->signature, data, touch);
    key_free(plain);
    return e;
}

enum err sshsig_verify(const struct sshsig *s, const char *name_space,
                       const uint8_t *message_hash, struct fault *fault) {
    char clean[128];
    struct key_touch touch;
    scoped_buf data;
    buf_init(&data, LIMIT_SSHSIG);
    if (!view_is(s->name_space, name_space))
        return fault_set(fault, ERR_SIGNATURE, 0,
                         "the signature is for the name space \"%s\"",
                         text_clean(clean, sizeof clean, s->name_space));
    TRY(sshsig_signed_data(name_space, s->hash, message_hash, &data));
    if (verify_plain(s, buf_view(&data), &touch) != OK)
        return fault_set(fault, ERR_SIGNATURE, 0, "incorrect signature");
    const struct certificate *c = s->key->certificate;
    if (touch.security_key && !touch.verified && c != NULL && c->options.verify_required)
        return fault_set(fault, ERR_REFUSED, 0, "the security key did not ask its owner");
    return OK;
}

const struct signature_alg *sshsig_algorithm(const struct key *key) {
    const struct alg *a;
    for (size_t i = 0; (a = alg_at(ALG_SIGNATURE, i)) != NULL; i++) {
        if (key_can_sign_with(key, a->signature))
            return a->signature;
    }
    return NULL;
}

static enum err armour(struct view blob, struct buf *out) {
    scoped_buf text;
    buf_init(&text, LIMIT_SSHSIG);
    TRY(base64_encode(&text, blob));
    TRY(buf_append(out, view_text(ARMOUR_BEGIN "\n")));
    for (struct view v = buf_view(&text); v.n > 0;) {
        size_t n = v.n < ARMOUR_COLUMNS ? v.n : ARMOUR_COLUMNS;
        TRY(buf_append(out, view_of(v.p, n)));
        TRY(buf_append(out, view_text("\n")));
        v = view_of(v.p + n, v.n - n);
    }
    return buf_append(out, view_text(ARMOUR_END "\n"));
}

enum err sshsig_write(const struct key *public, const char *name_space,
                      const struct digest_alg *hash, struct view signature,
                      struct buf *out) {
    scoped_buf blob;
    buf_init(&blob, LIMIT_SSHSIG);
    struct writer w = writer_to_buf(&blob);
    write_bytes(&w, view_text(MAGIC));
    write_u32(&w, VERSION);
    write_string(&w, key_blob(public));
    write_text(&w, name_space);
    write_text(&w, "");
    write_text(&w, hash->name);
    write_string(&w, signature);
    TRY(writer_end(&w));
    return armour(buf_view(&blob), out);
}

enum err sshsig_make(const struct key *key, const struct key *public,
                     const char *name_space, const struct digest_alg *hash,
                     const uint8_t *message_hash, struct buf *out, struct fault *fault) {
    const struct signature_alg *alg = sshsig_algorithm(key);
    scoped_buf data, signature;
    buf_init(&data, LIMIT_SSHSIG);
    buf_init(&signature, KEY_SIGNATURE_MAX);
    if (name_space[0] == '\0')
        return fault_set(fault, ERR_CONFIG, 0, "the name space is empty");
    TRY(sshsig_signed_data(name_space, hash, message_hash, &data));
    if (alg == NULL || key_sign(key, alg, buf_view(&data), &signature) != OK)
        return fault_set(fault, ERR_KEY, 0, "the key can not sign");
    return sshsig_write(public != NULL ? public : key, name_space, hash,
                        buf_view(&signature), out);
}
