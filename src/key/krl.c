// Reading revocation lists, one entry after another, and asking them for a key.
//
//     "SSHKRL\n\0"  uint32 format  uint64 version  uint64 date  uint64 flags
//     string reserved  string comment  { byte type  string section }*
#include "key/krl.h"

#include "base/limits.h"
#include "base/text.h"
#include "key/base64.h"
#include "key/certificate.h"
#include "key/krl_format.h"

bool krl_is(struct view bytes) {
    return bytes.n >= sizeof KRL_MAGIC &&
           memcmp(bytes.p, KRL_MAGIC, sizeof KRL_MAGIC) == 0;
}

static enum err damaged(struct fault *fault, enum err e, const char *where) {
    return fault_set(fault, e, 0, "the revocation list is damaged: %s: %s", where,
                     err_text(e));
}

enum err krl_open(struct krl *k, struct view bytes, struct fault *fault) {
    *k = (struct krl){0};
    if (!krl_is(bytes))
        return fault_set(fault, ERR_FORMAT, 0, "no revocation list");
    if (bytes.n > LIMIT_KRL)
        return fault_set(fault, ERR_LIMIT, 0, "the revocation list is too large");
    struct reader r = reader_of(bytes);
    (void)read_bytes(&r, sizeof KRL_MAGIC);
    uint32_t format = read_u32(&r);
    if (r.err == OK && format != KRL_FORMAT)
        return fault_set(fault, ERR_UNSUPPORTED, 0,
                         "the revocation list is of format %u, not %d", format,
                         KRL_FORMAT);
    k->version = read_u64(&r);
    k->generated = read_u64(&r);
    (void)read_u64(&r);     // flags: none defined
    (void)read_string(&r);  // reserved
    k->comment = read_string(&r);
    k->rest = r;
    return r.err == OK ? OK : damaged(fault, r.err, "head");
}

// An extension says itself whether it may be passed over.
static enum err pass_extension(struct reader *r, struct fault *fault) {
    char clean[64];
    struct view name = read_string(r);
    bool critical = read_bool(r);
    (void)read_string(r);
    enum err e = reader_end(r);
    if (e != OK)
        return damaged(fault, e, "extension");
    if (critical)
        return fault_set(fault, ERR_UNSUPPORTED, 0,
                         "the revocation list has an unknown critical extension \"%s\"",
                         text_clean(clean, sizeof clean, name));
    return OK;
}

static enum err open_section(struct krl *k, struct fault *fault) {
    uint8_t type = read_u8(&k->rest);
    struct view data = read_string(&k->rest);
    if (k->rest.err != OK)
        return damaged(fault, k->rest.err, "section");
    struct reader r = reader_of(data);
    switch (type) {
    case KRL_SECTION_CERTIFICATES:
        k->ca = read_string(&r);
        (void)read_string(&r);  // reserved
        if (r.err != OK)
            return damaged(fault, r.err, "certificates");
        break;
    case KRL_SECTION_KEYS:
    case KRL_SECTION_SHA1:
    case KRL_SECTION_SHA256:
        break;
    case KRL_SECTION_EXTENSION:
        return pass_extension(&r, fault);
    case KRL_SECTION_SIGNATURE:
        return fault_set(fault, ERR_UNSUPPORTED, 0,
                         "signed revocation lists are not supported");
    default:
        return fault_set(fault, ERR_UNSUPPORTED, 0,
                         "the revocation list has a section of unknown type %u", type);
    }
    k->section = r;
    k->section_type = type;
    return OK;
}

static enum err open_part(struct krl *k, struct fault *fault) {
    uint8_t type = read_u8(&k->section);
    struct view data = read_string(&k->section);
    if (k->section.err != OK)
        return damaged(fault, k->section.err, "certificates");
    struct reader r = reader_of(data);
    switch (type) {
    case KRL_PART_EXTENSION:
        return pass_extension(&r, fault);
    case KRL_PART_BITMAP:
        k->first = read_u64(&r);
        k->bits = read_mpint(&r);
        k->bit = 0;
        if (reader_end(&r) != OK || k->bits.n > LIMIT_KRL_BITMAP ||
            k->first > UINT64_MAX - k->bits.n * 8)
            return damaged(fault, ERR_FORMAT, "bitmap of serials");
        break;
    case KRL_PART_SERIALS:
    case KRL_PART_RANGE:
    case KRL_PART_KEY_IDS:
        break;
    default:
        return fault_set(fault, ERR_UNSUPPORTED, 0,
                         "the revocation list has certificates of unknown type %u", type);
    }
    k->part = r;
    k->part_type = type;
    return OK;
}

// Numbered from the end: bit 0 is the last one.
static bool bit_at(struct view bits, uint64_t bit) {
    return (bits.p[bits.n - 1 - bit / 8] >> bit % 8 & 1) != 0;
}

// The next run of set bits.
static bool next_run(struct krl *k, struct krl_entry *e) {
    uint64_t end = k->bits.n * 8;
    while (k->bit < end && !bit_at(k->bits, k->bit))
        k->bit++;
    if (k->bit == end)
        return false;
    e->lo = k->first + k->bit;
    while (k->bit < end && bit_at(k->bits, k->bit))
        k->bit++;
    e->hi = k->first + k->bit - 1;
    return true;
}

// False when the part has no more.
static bool next_in_part(struct krl *k, struct krl_entry *e) {
    *e = (struct krl_entry){.kind = KRL_SERIALS, .ca = k->ca};
    if (k->part_type == KRL_PART_BITMAP)
        return next_run(k, e);
    if (reader_left(&k->part) == 0)
        return false;
    if (k->part_type == KRL_PART_KEY_IDS) {
        e->kind = KRL_KEY_ID;
        e->data = read_string(&k->part);
    } else {
        e->lo = read_u64(&k->part);
        e->hi = k->part_type == KRL_PART_RANGE ? read_u64(&k->part) : e->lo;
        // 0 is what certificates without a serial have.
        if (k->part.err == OK && (e->lo == 0 || e->hi < e->lo))
            k->part.err = ERR_FORMAT;
        if (k->part_type == KRL_PART_RANGE && reader_left(&k->part) != 0)
            k->part.err = ERR_TRAILING;
    }
    return true;
}

static bool next_in_section(struct krl *k, struct krl_entry *e) {
    static const struct {
        enum krl_kind kind;
        size_t size;
    } lists[] = {
        [KRL_SECTION_KEYS] = {KRL_KEY, 0},
        [KRL_SECTION_SHA1] = {KRL_SHA1, KRL_SHA1_SIZE},
        [KRL_SECTION_SHA256] = {KRL_SHA256, KRL_SHA256_SIZE},
    };
    if (reader_left(&k->section) == 0)
        return false;
    *e = (struct krl_entry){
        .kind = lists[k->section_type].kind,
        .data = read_string(&k->section),
    };
    size_t size = lists[k->section_type].size;
    if (k->section.err == OK && size != 0 && e->data.n != size)
        k->section.err = ERR_FORMAT;
    return true;
}

enum err krl_next(struct krl *k, struct krl_entry *e, struct fault *fault) {
    for (;;) {
        if (k->part_type != 0) {
            if (next_in_part(k, e)) {
                if (e->kind == KRL_SERIALS && e->lo == 0)
                    k->part.err = ERR_FORMAT;
                return k->part.err == OK ? OK : damaged(fault, k->part.err, "serials");
            }
            k->part_type = 0;
        } else if (k->section_type == KRL_SECTION_CERTIFICATES) {
            if (reader_left(&k->section) > 0)
                TRY(open_part(k, fault));
            else
                k->section_type = 0;
        } else if (k->section_type != 0) {
            if (next_in_section(k, e))
                return k->section.err == OK ? OK : damaged(fault, k->section.err, "keys");
            k->section_type = 0;
        } else if (reader_left(&k->rest) > 0) {
            TRY(open_section(k, fault));
        } else {
            return ERR_NOT_FOUND;
        }
    }
}

// --- asking
// ------------------------------------------------------------------------------------

// A key in the forms that lists have it in.
struct wanted {
    struct view blob;
    uint8_t sha1[KRL_SHA1_SIZE], sha256[KRL_SHA256_SIZE];
};

static enum err wanted_of(struct wanted *w, struct view blob) {
    w->blob = blob;
    TRY(digest_parts(&digest_sha1, &blob, 1, w->sha1));
    return digest_parts(&digest_sha256, &blob, 1, w->sha256);
}

static bool names_key(const struct krl_entry *e, const struct wanted *w) {
    switch (e->kind) {
    case KRL_KEY:
        return view_equal(e->data, w->blob);
    case KRL_SHA1:
        return view_equal(e->data, view_of(w->sha1, sizeof w->sha1));
    case KRL_SHA256:
        return view_equal(e->data, view_of(w->sha256, sizeof w->sha256));
    case KRL_SERIALS:
    case KRL_KEY_ID:
        break;
    }
    return false;
}

static bool names_certificate(const struct krl_entry *e, const struct certificate *c) {
    if (e->ca.n > 0 && !view_equal(e->ca, key_blob(c->ca)))
        return false;
    if (e->kind == KRL_SERIALS)
        return e->lo <= c->serial && c->serial <= e->hi;
    return e->kind == KRL_KEY_ID && view_equal(e->data, c->key_id);
}

enum err krl_check(struct view bytes, const struct key *key, bool *revoked,
                   struct fault *fault) {
    const struct certificate *c = key->certificate;
    struct wanted self, ca;
    struct krl k;
    struct krl_entry e;
    *revoked = true;
    TRY(wanted_of(&self, key_plain_blob(key)));
    if (c != NULL)
        TRY(wanted_of(&ca, key_blob(c->ca)));
    TRY(krl_open(&k, bytes, fault));
    enum err err;
    while ((err = krl_next(&k, &e, fault)) == OK) {
        if (names_key(&e, &self) ||
            (c != NULL && (names_key(&e, &ca) || names_certificate(&e, c))))
            return OK;
    }
    if (err != ERR_NOT_FOUND)
        return err;
    *revoked = false;
    return OK;
}

// --- lists as text
// -----------------------------------------------------------------------------

// The blob of a line; ERR_NOT_FOUND: none stands there. Types that we do not have are no
// errors: such keys are not in use here.
static enum err line_blob(struct view line, struct buf *blob) {
    struct view type = text_next_word(&line), base64 = text_next_word(&line);
    if (type.n == 0 || type.p[0] == '#')
        return ERR_NOT_FOUND;
    buf_clear(blob);
    if (base64.n == 0 || base64_decode(blob, base64) != OK)
        return ERR_FORMAT;
    struct reader r = reader_of(buf_view(blob));
    return view_equal(read_string(&r), type) && r.err == OK ? OK : ERR_FORMAT;
}

static bool is_one_of(struct view blob, const struct key *key) {
    return view_equal(blob, key_plain_blob(key)) || view_equal(blob, key_blob(key)) ||
           (key->certificate != NULL && view_equal(blob, key_blob(key->certificate->ca)));
}

static enum err text_check(struct view text, const char *file, const struct key *key,
                           bool *revoked, struct fault *fault) {
    scoped_buf blob;
    buf_init(&blob, LIMIT_TEXT_LINE);
    for (unsigned long number = 1; text.n > 0; number++) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        enum err e = line_blob(view_of(text.p, n), &blob);
        if (e == OK && is_one_of(buf_view(&blob), key))
            return OK;
        if (e != OK && e != ERR_NOT_FOUND)
            return fault_set(fault, e, 0, "%s:%lu: no public key", file, number);
        n += end != NULL;
        text = view_of(text.p + n, text.n - n);
    }
    *revoked = false;
    return OK;
}

enum err revoked_keys_check(struct view file_text, const char *file,
                            const struct key *key, bool *revoked, struct fault *fault) {
    *revoked = true;
    if (file_text.n > LIMIT_KRL)
        return fault_set(fault, ERR_LIMIT, 0, "%s is too large", file);
    return krl_is(file_text) ? krl_check(file_text, key, revoked, fault)
                             : text_check(file_text, file, key, revoked, fault);
}
