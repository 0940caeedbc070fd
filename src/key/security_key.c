// FIDO signatures. A plain one covers SHA-256(application) flags counter SHA-256(data);
// WebAuthn puts its extensions between and signs the hash of a JSON text that carries the
// data as its challenge.
#include "key/security_key.h"

#include "base/limits.h"
#include "crypto/digest.h"
#include "key/base64.h"
#include "wire/writer.h"

enum {
    FLAG_PRESENT = 0x01,
    FLAG_VERIFIED = 0x04,
    FLAG_ATTESTED = 0x40,
    FLAG_EXTENSIONS = 0x80,
};

#define SHA256_SIZE 32
#define WEBAUTHN_NAME "webauthn-sk-ecdsa-sha2-nistp256@openssh.com"

enum err security_signature_read(struct security_signature *s,
                                 const struct signature_alg *alg, struct reader *r) {
    *s = (struct security_signature){
        .webauthn = strcmp(alg->signature_name, WEBAUTHN_NAME) == 0,
    };
    s->text = read_string(r);
    s->flags = read_u8(r);
    s->counter = read_u32(r);
    if (s->webauthn) {
        s->origin = read_text(r);
        s->client_data = read_string(r);
        s->extensions = read_string(r);
    }
    return reader_end(r);
}

struct key_touch security_signature_touch(const struct security_signature *s) {
    return (struct key_touch){
        .security_key = true,
        .present = (s->flags & FLAG_PRESENT) != 0,
        .verified = (s->flags & FLAG_VERIFIED) != 0,
        .flags = s->flags,
        .counter = s->counter,
    };
}

// base64url without padding (RFC 4648 s.5).
static enum err append_challenge(struct buf *out, struct view data) {
    scoped_buf plain;
    buf_init(&plain, base64_encoded_len(data.n) + 1);
    TRY(base64_encode(&plain, data));
    struct view v = buf_view(&plain);
    while (v.n > 0 && v.p[v.n - 1] == '=')
        v.n--;
    uint8_t *p = plain.p + plain.start;
    for (size_t i = 0; i < v.n; i++)
        p[i] = p[i] == '+' ? '-' : p[i] == '/' ? '_' : p[i];
    return buf_append(out, v);
}

// A text that would have to be escaped in JSON could end the string that it stands in.
static bool is_plain_json(struct view v) {
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < 0x20 || v.p[i] > 0x7e || v.p[i] == '"' || v.p[i] == '\\')
            return false;
    }
    return true;
}

// WebAuthn s.5.8.1.1 fixes the order of the members up to here; what follows is open.
static enum err check_client_data(const struct security_signature *s, struct view data) {
    scoped_buf want;
    buf_init(&want, LIMIT_PACKET * 2);
    if (!is_plain_json(s->origin) || (s->flags & FLAG_ATTESTED) != 0 ||
        ((s->flags & FLAG_EXTENSIONS) != 0) != (s->extensions.n > 0))
        return ERR_SIGNATURE;
    TRY(buf_append(&want, view_text("{\"type\":\"webauthn.get\",\"challenge\":\"")));
    TRY(append_challenge(&want, data));
    TRY(buf_append(&want, view_text("\",\"origin\":\"")));
    TRY(buf_append(&want, s->origin));
    TRY(buf_append(&want, view_text("\"")));
    struct view v = buf_view(&want);
    return s->client_data.n >= v.n && memcmp(s->client_data.p, v.p, v.n) == 0
               ? OK
               : ERR_SIGNATURE;
}

enum err security_signature_data(const struct security_signature *s,
                                 struct view application, struct view data,
                                 struct buf *out) {
    uint8_t name[SHA256_SIZE], content[SHA256_SIZE];
    if (s->webauthn)
        TRY(check_client_data(s, data));
    TRY(digest_parts(&digest_sha256, &application, 1, name));
    TRY(digest_parts(&digest_sha256, s->webauthn ? &s->client_data : &data, 1, content));
    struct writer w = writer_to_buf(out);
    write_bytes(&w, view_of(name, sizeof name));
    write_u8(&w, s->flags);
    write_u32(&w, s->counter);
    write_bytes(&w, s->extensions);
    write_bytes(&w, view_of(content, sizeof content));
    return writer_end(&w);
}
