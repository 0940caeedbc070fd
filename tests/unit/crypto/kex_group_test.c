// Groups of the group exchange: moduli files, well-formed and not; bounds; what a peer
// may send.
#include "vector.h"

#include <stdio.h>

#include <openssl/bn.h>

#include "base/buf.h"
#include "crypto/crypto.h"
#include "crypto/kex.h"

#define NONE view_of(NULL, 0)

// Lines of a moduli file; numbers that are odd and of the right size, not prime ones.
static void add_line(struct buf *b, const char *head, unsigned bits, const char *g,
                     unsigned mark) {
    char line[4096];
    int n = snprintf(line, sizeof line, "%s %u %s ", head, bits - 1, g);
    memset(line + n, '0', bits / 4);
    line[n] = 'C';
    n += (int)(bits / 4);
    n += snprintf(line + n - 2, sizeof line - (size_t)n, "%02X\n", mark) - 2;
    assert_int_equal(buf_append(b, view_of(line, (size_t)n)), OK);
}

static unsigned mark_of(const struct kex_group *g) {
    return g->p[g->p_len - 1];
}

static void picks_the_nearest_size(void **state) {
    (void)state;
    scoped_buf b;
    struct kex_group g;
    buf_init(&b, 1 << 20);
    assert_int_equal(buf_append(&b, view_text("# Time Type Tests\n\nnonsense\n")), OK);
    add_line(&b, "20220101000000 2 6 100", 4096, "2", 0x41);
    add_line(&b, "20220101000000 2 6 100", 3072, "5", 0x31);
    add_line(&b, "20220101000000 2 6 100", 8192, "2", 0x81);
    struct view text = buf_view(&b);
    static const struct {
        uint32_t min, n, max;
        unsigned mark, bits;
    } rows[] = {{2048, 3072, 8192, 0x31, 3072}, {1024, 2048, 8192, 0x31, 3072},
                {2048, 3073, 8192, 0x41, 4096}, {2048, 8192, 8192, 0x81, 8192},
                {2048, 8192, 8191, 0x41, 4096}, {3000, 5000, 5000, 0x41, 4096},
                {0, 0, UINT32_MAX, 0x31, 3072}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint32_t n = rows[i].n < rows[i].max ? rows[i].n : rows[i].max;
        assert_int_equal(kex_group_choose(&g, text, rows[i].min, n, rows[i].max), OK);
        assert_int_equal(mark_of(&g), rows[i].mark);
        assert_int_equal(kex_group_bits(&g), rows[i].bits);
        assert_int_equal(g.g[0], rows[i].mark == 0x31 ? 5 : 2);
    }
}

static void any_of_one_size_comes_up(void **state) {
    (void)state;
    scoped_buf b;
    struct kex_group g;
    unsigned seen = 0;
    buf_init(&b, 1 << 20);
    for (unsigned i = 0; i < 4; i++)
        add_line(&b, "1 2 6 100", 2048, "2", 0x11 + 2 * i);
    for (int i = 0; i < 400; i++) {
        assert_int_equal(kex_group_choose(&g, buf_view(&b), 2048, 2048, 2048), OK);
        seen |= 1u << (mark_of(&g) - 0x11) / 2;
    }
    assert_int_equal(seen, 15);
}

// Lines that must not serve leave RFC 3526's groups.
static void bad_lines_do_not_serve(void **state) {
    (void)state;
    static const char *const heads[] = {"1 4 6 100",  // not a safe prime
                                        "1 2 7 100",  // composite
                                        "1 2 0 100",  // untested
                                        "1 2 x 100", "1 2 99999999999 100", "1 2"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        scoped_buf b;
        struct kex_group g;
        buf_init(&b, 1 << 20);
        add_line(&b, heads[i], 2048, "2", 0x11);
        assert_int_equal(kex_group_choose(&g, buf_view(&b), 2048, 2048, 8192), OK);
        assert_int_equal(mark_of(&g), 0xff);
    }
    static const char *const texts[] = {"1 2 6 100 2047 2 ",   "1 2 6 100 2047 2 zz",
                                        "1 2 6 100 2047 2 FF", "1 2 6 100 99999 2 FF",
                                        "1 2 6 100 2047",      "\n\n#\n",
                                        "1 2 6 100 2047 0 FF"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct kex_group g;
        assert_int_equal(kex_group_choose(&g, view_text(texts[i]), 2048, 2048, 8192), OK);
        assert_int_equal(kex_group_bits(&g), 2048);
        assert_int_equal(mark_of(&g), 0xff);
    }
}

static void bounds_are_checked(void **state) {
    (void)state;
    struct kex_group g;
    assert_int_equal(kex_group_choose(&g, NONE, 4096, 3072, 8192), ERR_KEX);
    assert_int_equal(kex_group_choose(&g, NONE, 2048, 8192, 4096), ERR_KEX);
    assert_int_equal(kex_group_choose(&g, NONE, 512, 1024, 1024), ERR_KEX);
    assert_int_equal(kex_group_choose(&g, NONE, 9000, 9000, 9000), ERR_KEX);
    assert_int_equal(kex_group_choose(&g, NONE, 2049, 2050, 3071), ERR_KEX);
    static const struct {
        uint32_t min, n, max, bits;
    } rows[] = {{1024, 2048, 8192, 2048},
                {2048, 3072, 8192, 3072},
                {2048, 7680, 8192, 8192},
                {2048, 7680, 7999, 6144}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(kex_group_choose(&g, NONE, rows[i].min, rows[i].n, rows[i].max),
                         OK);
        assert_int_equal(kex_group_bits(&g), rows[i].bits);
    }
}

static void peers_groups_are_checked(void **state) {
    (void)state;
    struct kex_group good, g;
    uint8_t p[KEX_GROUP_MAX + 1], one = 1;
    assert_int_equal(kex_group_choose(&good, NONE, 2048, 2048, 2048), OK);
    size_t n = good.p_len;
    memcpy(p, good.p, n);
    struct view two = view_of(good.g, good.g_len), prime = view_of(p, n);
    assert_int_equal(kex_group_set(&g, prime, two), OK);
    assert_int_equal(kex_group_set(&g, prime, view_of(&one, 1)), ERR_KEX);
    assert_int_equal(kex_group_set(&g, prime, NONE), ERR_KEX);
    assert_int_equal(kex_group_set(&g, NONE, two), ERR_KEX);
    assert_int_equal(kex_group_set(&g, prime, prime), ERR_KEX);
    assert_int_equal(kex_group_set(&g, view_of(p, 128), two), ERR_KEX);  // 1024 bits
    p[n - 1]--;  // even; as a generator p - 1
    assert_int_equal(kex_group_set(&g, view_of(good.p, n), prime), ERR_KEX);
    assert_int_equal(kex_group_set(&g, prime, two), ERR_KEX);
    p[n - 1]--;
    assert_int_equal(kex_group_set(&g, view_of(good.p, n), prime), OK);  // p - 2
    memset(p, 0xff, sizeof p);
    assert_int_equal(kex_group_set(&g, view_of(p, KEX_GROUP_MAX), two), OK);
    assert_int_equal(kex_group_set(&g, view_of(p, KEX_GROUP_MAX + 1), two), ERR_KEX);
}

int main(void) {
    if (crypto_init() != OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picks_the_nearest_size),
        cmocka_unit_test(any_of_one_size_comes_up),
        cmocka_unit_test(bad_lines_do_not_serve),
        cmocka_unit_test(bounds_are_checked),
        cmocka_unit_test(peers_groups_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
