#include "key/known_hosts_hash.h"

#include "crypto/random.h"
#include "key/base64.h"
#include "key/known_hosts.h"

#define MAGIC "|1|"
#define SALT_SIZE 20
#define SALT_TEXT 28  // base64 of 20 bytes

enum err known_hosts_hash_is(struct view field, const char *name, bool *is) {
    size_t magic = strlen(MAGIC);
    *is = false;
    if (field.n != magic + 2 * SALT_TEXT + 1 || memcmp(field.p, MAGIC, magic) != 0 ||
        field.p[magic + SALT_TEXT] != '|')
        return OK;
    scoped_buf salt;
    buf_init(&salt, 64);
    enum err e = base64_decode(&salt, view_of(field.p + magic, SALT_TEXT));
    if (e == ERR_FORMAT || (e == OK && buf_len(&salt) != SALT_SIZE))
        return OK;
    TRY(e);
    uint8_t md[DIGEST_MAX], text[SALT_TEXT];
    TRY(digest_hmac(&digest_sha1, buf_view(&salt), view_text(name), md));
    base64_encode_to(text, view_of(md, digest_sha1.size));
    *is = memcmp(text, field.p + magic + SALT_TEXT + 1, SALT_TEXT) == 0;
    return OK;
}

enum err known_hosts_hash_name(const char *name, struct buf *out) {
    uint8_t salt[SALT_SIZE], md[DIGEST_MAX];
    random_bytes(salt, sizeof salt);
    TRY(digest_hmac(&digest_sha1, view_of(salt, sizeof salt), view_text(name), md));
    TRY(buf_append(out, view_text(MAGIC)));
    TRY(base64_encode(out, view_of(salt, sizeof salt)));
    TRY(buf_append(out, view_text("|")));
    return base64_encode(out, view_of(md, digest_sha1.size));
}
