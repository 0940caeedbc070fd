// ML-KEM-768, FIPS 203: k = 3, eta1 = eta2 = 2, d_u = 10, d_v = 4.
//
// What depends on d, z, m or the secret key is secret until it is sent: rho and the
// encapsulation key, the ciphertext. The places where a secret's descendant becomes
// public are marked with now_public(), so that a test under valgrind can prove the rest
// constant in time.
#include "crypto/pq/mlkem768.h"

#include <string.h>

#include "base/secret.h"
#include "crypto/fetched.h"
#include "crypto/pq/mlkem_poly.h"

#ifndef now_public
#define now_public(p, n) ((void)(p), (void)(n))
#endif

#define K MLKEM_K
#define ENCODED 384  // one polynomial, 12 bits a number
#define U_LEN 320    // one polynomial of u, 10 bits a number
#define SYM 32
#define SAMPLE_FIRST 504  // three blocks of SHAKE128; enough for 99.2% of the polynomials
#define SAMPLE_MORE 168
#define SAMPLE_MAX (504 + 21 * 168)  // short of it once in 2^3000

// The hashes (s.4.1) of one operation, over one context.
struct hasher {
    EVP_MD_CTX *ctx;
    bool failed;
};

static void hash(struct hasher *h, enum fetched_md md, const uint8_t *a, size_t a_len,
                 const uint8_t *b, size_t b_len, uint8_t *out) {
    if (EVP_DigestInit_ex2(h->ctx, fetched()->md[md], NULL) != 1 ||
        EVP_DigestUpdate(h->ctx, a, a_len) != 1 ||
        EVP_DigestUpdate(h->ctx, b, b_len) != 1 ||
        EVP_DigestFinal_ex(h->ctx, out, NULL) != 1)
        h->failed = true;
}

static void shake(struct hasher *h, enum fetched_md md, struct view a, struct view b,
                  struct span out) {
    if (EVP_DigestInit_ex2(h->ctx, fetched()->md[md], NULL) != 1 ||
        EVP_DigestUpdate(h->ctx, a.p, a.n) != 1 ||
        EVP_DigestUpdate(h->ctx, b.p, b.n) != 1 ||
        EVP_DigestFinalXOF(h->ctx, out.p, out.n) != 1)
        h->failed = true;
}

// A[row][column] = SampleNTT(rho || column || row). The XOF cannot be squeezed twice in
// OpenSSL 3.0, so the rare short case starts again with more.
static void sample_element(struct hasher *h, const uint8_t rho[SYM], unsigned row,
                           unsigned column, struct poly *out) {
    uint8_t bytes[SAMPLE_MAX], index[2] = {(uint8_t)column, (uint8_t)row};
    for (size_t n = SAMPLE_FIRST; n <= SAMPLE_MAX && !h->failed; n += SAMPLE_MORE) {
        shake(h, FETCHED_SHAKE128, view_of(rho, SYM), view_of(index, 2),
              (struct span){bytes, n});
        if (poly_sample_ntt(out, bytes, n))
            return;
    }
    h->failed = true;
}

static void sample_row(struct hasher *h, const uint8_t rho[SYM], unsigned row,
                       bool transposed, struct poly out[K]) {
    for (unsigned j = 0; j < K; j++)
        sample_element(h, rho, transposed ? j : row, transposed ? row : j, &out[j]);
}

// SamplePolyCBD(PRF(s, counter))
static void sample_noise(struct hasher *h, const uint8_t seed[SYM], uint8_t counter,
                         struct poly *out) {
    uint8_t bytes[128];
    shake(h, FETCHED_SHAKE256, view_of(seed, SYM), view_of(&counter, 1),
          (struct span){bytes, sizeof bytes});
    poly_cbd2(out, bytes);
    secret_wipe(bytes, sizeof bytes);
}

// ---- K-PKE (s.5) ----

struct pke_work {  // everything secret of one operation, wiped at once
    struct poly s[K], row[K], sum, noise;
    uint8_t seeds[2 * SYM], message[SYM], key[2 * SYM], other[SYM];
    uint8_t c[MLKEM768_CIPHERTEXT];
};

// Algorithm 13. ek gets t and rho, dk the encoded s.
static void pke_keygen(struct hasher *h, struct pke_work *w, uint8_t *ek, uint8_t *dk,
                       const uint8_t d[SYM]) {
    static const uint8_t rank = K;
    hash(h, FETCHED_SHA3_512, d, SYM, &rank, 1, w->seeds);
    const uint8_t *rho = w->seeds, *sigma = w->seeds + SYM;
    now_public(rho, SYM);
    for (uint8_t i = 0; i < K; i++) {
        sample_noise(h, sigma, i, &w->s[i]);
        poly_ntt(&w->s[i]);
    }
    for (uint8_t i = 0; i < K; i++) {
        sample_row(h, rho, i, false, w->row);
        poly_dot(&w->sum, w->row, w->s);
        poly_times_r(&w->sum);
        sample_noise(h, sigma, (uint8_t)(K + i), &w->noise);
        poly_ntt(&w->noise);
        poly_add(&w->sum, &w->noise);
        poly_reduce(&w->sum);
        poly_encode12(ek + i * ENCODED, &w->sum);
    }
    memcpy(ek + K * ENCODED, rho, SYM);
    for (size_t i = 0; i < K; i++) {
        poly_reduce(&w->s[i]);
        poly_encode12(dk + i * ENCODED, &w->s[i]);
    }
}

static void decode_vector(struct poly out[K], const uint8_t *in) {
    for (size_t i = 0; i < K; i++)
        poly_decode12(&out[i], in + i * ENCODED);
}

// Algorithm 14. The ciphertext of `message` with randomness r.
static void pke_encrypt(struct hasher *h, struct pke_work *w, uint8_t *c,
                        const uint8_t *ek, const uint8_t message[SYM],
                        const uint8_t r[SYM]) {
    const uint8_t *rho = ek + K * ENCODED;
    for (uint8_t i = 0; i < K; i++) {
        sample_noise(h, r, i, &w->s[i]);
        poly_ntt(&w->s[i]);
    }
    for (uint8_t i = 0; i < K; i++) {
        sample_row(h, rho, i, true, w->row);
        poly_dot(&w->sum, w->row, w->s);
        poly_ntt_back(&w->sum);
        sample_noise(h, r, (uint8_t)(K + i), &w->noise);
        poly_add(&w->sum, &w->noise);
        poly_reduce(&w->sum);
        poly_compress10(c + i * U_LEN, &w->sum);
    }
    decode_vector(w->row, ek);
    poly_dot(&w->sum, w->row, w->s);
    poly_ntt_back(&w->sum);
    sample_noise(h, r, 2 * K, &w->noise);
    poly_add(&w->sum, &w->noise);
    poly_decompress1(&w->noise, message);
    poly_add(&w->sum, &w->noise);
    poly_reduce(&w->sum);
    poly_compress4(c + K * U_LEN, &w->sum);
}

// Algorithm 15.
static void pke_decrypt(struct pke_work *w, uint8_t message[SYM], const uint8_t *dk,
                        const uint8_t *c) {
    for (size_t i = 0; i < K; i++) {
        poly_decompress10(&w->s[i], c + i * U_LEN);
        poly_ntt(&w->s[i]);
    }
    decode_vector(w->row, dk);
    poly_dot(&w->sum, w->row, w->s);
    poly_ntt_back(&w->sum);
    poly_decompress4(&w->noise, c + K * U_LEN);
    poly_sub(&w->noise, &w->sum);
    poly_reduce(&w->noise);
    poly_compress1(message, &w->noise);
}

// ---- ML-KEM (s.6) ----

static enum err finish(struct hasher *h, struct pke_work *w) {
    EVP_MD_CTX_free(h->ctx);
    secret_wipe(w, sizeof *w);
    return h->failed ? fetched_failed(ERR_CRYPTO) : OK;
}

static struct hasher hasher_new(void) {
    struct hasher h = {.ctx = EVP_MD_CTX_new()};
    h.failed = h.ctx == NULL;
    return h;
}

enum err mlkem768_keygen(uint8_t ek[MLKEM768_PUBLIC], uint8_t dk[MLKEM768_SECRET],
                         const uint8_t d[MLKEM768_SEED], const uint8_t z[MLKEM768_SEED]) {
    struct pke_work w;
    struct hasher h = hasher_new();
    if (h.failed)
        return ERR_MEMORY;
    pke_keygen(&h, &w, ek, dk, d);
    uint8_t *at = dk + K * ENCODED;
    memcpy(at, ek, MLKEM768_PUBLIC);
    now_public(ek, MLKEM768_PUBLIC);
    at += MLKEM768_PUBLIC;
    hash(&h, FETCHED_SHA3_256, ek, MLKEM768_PUBLIC, NULL, 0, at);
    memcpy(at + SYM, z, SYM);
    return finish(&h, &w);
}

// s.7.2: every number of the encoding is below q.
static bool ek_is_reduced(const uint8_t *ek) {
    struct poly p;
    unsigned over = 0;
    for (size_t i = 0; i < K; i++) {
        poly_decode12(&p, ek + i * ENCODED);
        for (size_t j = 0; j < MLKEM_N; j++)
            over |= (unsigned)(MLKEM_Q - 1 - p.c[j]) >> 31;
    }
    return over == 0;
}

enum err mlkem768_encaps(uint8_t c[MLKEM768_CIPHERTEXT], uint8_t shared[MLKEM768_SHARED],
                         const uint8_t ek[MLKEM768_PUBLIC],
                         const uint8_t m[MLKEM768_SEED]) {
    if (!ek_is_reduced(ek))
        return ERR_KEX;
    struct pke_work w;
    struct hasher h = hasher_new();
    if (h.failed)
        return ERR_MEMORY;
    hash(&h, FETCHED_SHA3_256, ek, MLKEM768_PUBLIC, NULL, 0, w.message);
    hash(&h, FETCHED_SHA3_512, m, SYM, w.message, SYM, w.key);
    pke_encrypt(&h, &w, c, ek, m, w.key + SYM);
    now_public(c, MLKEM768_CIPHERTEXT);
    memcpy(shared, w.key, SYM);
    return finish(&h, &w);
}

// `yes` where the two differ, else `no`, without telling which.
static void select_key(uint8_t *out, const uint8_t *no, const uint8_t *yes,
                       const uint8_t *a, const uint8_t *b) {
    unsigned differ = 0;
    for (size_t i = 0; i < MLKEM768_CIPHERTEXT; i++)
        differ |= (unsigned)(a[i] ^ b[i]);
    unsigned mask = -((differ + 0xff) >> 8);  // all ones where a bit differs
    __asm__("" : "+r"(mask));
    for (size_t i = 0; i < SYM; i++)
        out[i] = (uint8_t)(no[i] ^ (mask & (no[i] ^ yes[i])));
}

// Algorithm 18.
enum err mlkem768_decaps(uint8_t shared[MLKEM768_SHARED],
                         const uint8_t dk[MLKEM768_SECRET],
                         const uint8_t c[MLKEM768_CIPHERTEXT]) {
    const uint8_t *ek = dk + K * ENCODED, *ek_hash = ek + MLKEM768_PUBLIC,
                  *z = ek_hash + SYM;
    struct pke_work w;
    struct hasher h = hasher_new();
    if (h.failed)
        return ERR_MEMORY;
    pke_decrypt(&w, w.message, dk, c);
    hash(&h, FETCHED_SHA3_512, w.message, SYM, ek_hash, SYM, w.key);
    shake(&h, FETCHED_SHAKE256, view_of(z, SYM), view_of(c, MLKEM768_CIPHERTEXT),
          (struct span){w.other, SYM});
    pke_encrypt(&h, &w, w.c, ek, w.message, w.key + SYM);
    select_key(shared, w.key, w.other, c, w.c);
    return finish(&h, &w);
}
