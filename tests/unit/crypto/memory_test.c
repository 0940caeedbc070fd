// What libcrypto writes to at each use lies together (crypto/memory.h).
#include "vector.h"

#include <openssl/crypto.h>

#include "crypto/crypto.h"
#include "crypto/fetched.h"
#include "crypto/memory.h"

#define TOGETHER (32u * 1024u)

struct range {
    uintptr_t low, high;
};

static void add(struct range *r, const void *p) {
    uintptr_t at = (uintptr_t)p;
    assert_non_null(p);
    r->low = at < r->low ? at : r->low;
    r->high = at > r->high ? at : r->high;
}

static void objects_lie_together(void **state) {
    (void)state;
    struct range r = {UINTPTR_MAX, 0};
    assert_int_equal(crypto_init(), OK);
    for (size_t i = 0; i < FETCHED_MD_COUNT; i++)
        add(&r, fetched()->md[i]);
    for (size_t i = 0; i < FETCHED_AES_128_CBC; i++)
        add(&r, fetched()->cipher[i]);
    add(&r, fetched()->poly1305);
    assert_true(r.high - r.low < TOGETHER);
}

// To be the first of these tests: it is libcrypto's first allocation.
static void pieces_grow_and_go(void **state) {
    (void)state;
    static const char file[] = "../crypto/evp/piece.c";
    memory_gather();
    char *p = CRYPTO_malloc(32, file, 1), *other = CRYPTO_malloc(32, "../other.c", 1);
    assert_true(p != NULL && other != NULL);
    strcpy(p, "kept");
    char *q = CRYPTO_realloc(p, 100000, file, 2);  // more than all that is gathered
    assert_true(q != NULL && q != p);
    assert_string_equal(q, "kept");
    q = CRYPTO_realloc(q, 200000, file, 3);
    assert_string_equal(q, "kept");
    CRYPTO_free(q, file, 4);
    CRYPTO_free(other, "../other.c", 4);
    memory_gathered();
}

// There is always memory, also when the room is full. To be the last.
static void goes_on_elsewhere(void **state) {
    (void)state;
    static char *pieces[1000];
    memory_gather();
    for (size_t i = 0; i < 1000; i++) {
        pieces[i] = CRYPTO_malloc(64, "../crypto/evp/piece.c", 1);
        assert_non_null(pieces[i]);
        memset(pieces[i], (int)i, 64);
    }
    memory_gathered();
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal((uint8_t)pieces[i][63], (uint8_t)i);
        CRYPTO_free(pieces[i], "../crypto/evp/piece.c", 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_grow_and_go),
        cmocka_unit_test(objects_lie_together),
        cmocka_unit_test(goes_on_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
