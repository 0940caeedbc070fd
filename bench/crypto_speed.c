// How fast the cryptographic layer is by itself: MB/s of each packet cipher, and key
// exchanges.
//
//   crypto_speed [seconds for each row]
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypto/crypto.h"
#include "crypto/registry.h"

#define PAYLOAD (32 * 1024)
#define SMALL 64
#define ROOM (PAYLOAD + 256)
#define BATCH 8

static double row_seconds = 0.5;

static double cpu_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what) {
    fprintf(stderr, "crypto_speed: %s\n", what);
    exit(1);
}

static struct packet_cipher *cipher_new(const struct cipher_alg *cipher,
                                        const struct mac_alg *mac, bool seal) {
    static const uint8_t key[64] = {1};
    struct packet_cipher *c = NULL;
    if (packet_cipher_new(&c, cipher, mac, view_of(key, cipher->key_len),
                          view_of(key, cipher->iv_len),
                          view_of(key, mac != NULL ? mac->key_len : 0), seal) != OK)
        fail(cipher->name);
    return c;
}

// Seconds of CPU for one packet of n bytes, sealed and opened. Packets go in batches:
// asking the clock costs as much as a small packet.
static void packet_times(const struct cipher_alg *cipher, const struct mac_alg *mac,
                         size_t n, double *seal, double *open) {
    static uint8_t plain[ROOM], wire[BATCH][ROOM];
    struct packet_cipher *s = cipher_new(cipher, mac, true),
                         *o = cipher_new(cipher, mac, false);
    double spent[2] = {0, 0};
    uint32_t sequence = 0, length;
    store_u32(plain, (uint32_t)(n - 4));
    while (spent[0] + spent[1] < row_seconds) {
        double start = cpu_now();
        for (uint32_t i = 0; i < BATCH; i++)
            if (packet_cipher_seal(s, sequence + i, plain, n, wire[i]) != OK)
                fail("seal");
        double middle = cpu_now();
        for (uint32_t i = 0; i < BATCH; i++)
            if (packet_cipher_length(o, sequence + i, wire[i], &length) != OK ||
                packet_cipher_open(o, sequence + i, wire[i], length, wire[i]) != OK)
                fail("open");
        spent[0] += middle - start;
        spent[1] += cpu_now() - middle;
        sequence += BATCH;
    }
    *seal = spent[0] / sequence;
    *open = spent[1] / sequence;
    packet_cipher_free(s);
    packet_cipher_free(o);
}

static void cipher_row(const struct cipher_alg *cipher, const struct mac_alg *mac) {
    double seal, open, seal_small, open_small;
    packet_times(cipher, mac, PAYLOAD + 16 + 4, &seal, &open);
    packet_times(cipher, mac, SMALL + 4, &seal_small, &open_small);
    printf("%-30s %-30s %7.0f %7.0f %8.0f %8.0f\n", cipher->name,
           mac != NULL ? mac->name : "", PAYLOAD / seal / 1e6, PAYLOAD / open / 1e6,
           seal_small * 1e9, open_small * 1e9);
}

static void kex_row(const struct kex_alg *alg) {
    uint8_t q_c[KEX_BLOB_MAX], q_s[KEX_BLOB_MAX], k[KEX_SECRET_MAX];
    double client = 0, server = 0;
    size_t rounds = 0;
    static struct kex_group group;
    if (kex_group_choose(&group, view_of(NULL, 0), 2048, 3072, 8192) != OK)
        fail(alg->name);
    const struct kex_group *g = alg->group_exchange ? &group : NULL;
    for (; client + server < row_seconds; rounds++) {
        struct kex_offer *o = NULL;
        struct span s1 = {k, sizeof k}, s2 = {k, sizeof k};
        struct span c = {q_c, sizeof q_c}, r = {q_s, sizeof q_s};
        double t0 = cpu_now();
        if (kex_offer_new(&o, alg, g, &c) != OK)
            fail(alg->name);
        double t1 = cpu_now();
        if (kex_answer(alg, g, view_of(c.p, c.n), &r, &s1) != OK)
            fail(alg->name);
        double t2 = cpu_now();
        if (kex_offer_finish(o, view_of(r.p, r.n), &s2) != OK)
            fail(alg->name);
        kex_offer_free(o);
        client += t1 - t0 + cpu_now() - t2;
        server += t2 - t1;
    }
    printf("%-30s %8.1f %8.1f %8.0f\n", alg->name, client / (double)rounds * 1e6,
           server / (double)rounds * 1e6, (double)rounds / (client + server));
}

int main(int argc, char **argv) {
    const struct alg *a, *m;
    if (argc > 1)
        row_seconds = strtod(argv[1], NULL);
    double start = cpu_now();
    if (crypto_init() != OK)
        fail("crypto_init");
    printf("crypto_init %.2f ms\n\n", (cpu_now() - start) * 1e3);
    printf("%-61s %15s %17s\n%-61s %7s %7s %8s %8s\n", "", "MB/s, 32 KiB", "ns, 64 bytes",
           "cipher", "seal", "open", "seal", "open");
    for (size_t i = 0; (a = alg_at(ALG_CIPHER, i)) != NULL; i++) {
        if (a->cipher->tag_len > 0)
            cipher_row(a->cipher, NULL);
        for (size_t j = 0; a->cipher->tag_len == 0 && (m = alg_at(ALG_MAC, j)) != NULL;
             j++)
            cipher_row(a->cipher, m->mac);
    }
    printf("\n%-30s %8s %8s %8s\n", "key exchange", "client", "server", "both");
    printf("%-30s %8s %8s %8s\n", "", "us", "us", "each s");
    for (size_t i = 0; (a = alg_at(ALG_KEX, i)) != NULL; i++)
        kex_row(a->kex);
    return 0;
}
