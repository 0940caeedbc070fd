// Revocation lists: a list that is read whole, written and read again revokes the same.
#include <stdlib.h>

#include "base/limits.h"
#include "crypto/crypto.h"
#include "key/krl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct key *some_key(void) {
    static struct key *k;
    struct pk *pk;
    if (k == NULL &&
        (pk_generate(&pk, PK_ED25519, PK_P256, 0) != OK || key_from_pk(&k, pk) != OK))
        abort();
    return k;
}

// How many serials it names below 64, and how many other entries it has (0 and 0 too
// where it is damaged).
struct sum {
    uint64_t low;
    bool damaged;
};

static struct sum sum_of(struct view list) {
    struct krl k;
    struct krl_entry e;
    struct sum s = {0, true};
    if (krl_open(&k, list, NULL) != OK)
        return s;
    enum err err;
    while ((err = krl_next(&k, &e, NULL)) == OK) {
        if (e.kind == KRL_SERIALS && (e.lo == 0 || e.lo > e.hi))
            abort();
        for (uint64_t i = e.lo; e.kind == KRL_SERIALS && i <= e.hi && i < 64; i++)
            s.low |= UINT64_C(1) << i;
    }
    s.damaged = err != ERR_NOT_FOUND;
    return s;
}

static void comes_back(struct view list) {
    struct krl_maker *m;
    struct sum before = sum_of(list);
    scoped_buf out;
    buf_init(&out, LIMIT_KRL);
    if (krl_maker_new(&m) != OK)
        abort();
    enum err e = krl_maker_add_list(m, list, NULL);
    if ((e == OK) == before.damaged)
        abort();
    if (e == OK) {
        if (krl_maker_write(m, 1, 1, "", &out) != OK)
            abort();
        struct sum after = sum_of(buf_view(&out));
        if (after.damaged || after.low != before.low)
            abort();
    }
    krl_maker_free(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view list = view_of(data, size);
    bool revoked = false;
    if (crypto_init() != OK)
        abort();
    if (revoked_keys_check(list, "f", some_key(), &revoked, NULL) != OK && !revoked)
        abort();
    if (krl_is(list)) {
        comes_back(list);
        return 0;
    }
    struct krl_maker *m;
    struct view any = view_of("", 0);
    if (krl_maker_new(&m) != OK)
        abort();
    (void)!krl_maker_add_line(m, list, &any, NULL);
    krl_maker_free(m);
    return 0;
}
