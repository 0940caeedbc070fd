// Groups for diffie-hellman-group-exchange (moduli(5)): candidates made by a sieve
// (-M generate), and safe primes found among them (-M screen).
//
// A line is "time type tests tries size generator modulus": the time in UTC, the size one
// less than the modulus' bits, the modulus in hexadecimal digits.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/random.h"
#include "crypto/safe_prime.h"
#include "io/file.h"
#include "tools/keygen.h"

enum {
    TYPE_SAFE = 2,
    TYPE_SOPHIE_GERMAIN = 4,  // q: 2 q + 1 is the modulus
    TESTS_SIEVE = 2,
    TESTS_MILLER_RABIN = 4,
};

#define BITS_MIN 512
#define BITS_MAX 16384
#define BITS_DEFAULT 2048
#define TESTS_DEFAULT 100
#define LINE_SIZE (2 * SAFE_PRIME_BYTES_MAX + 128)  // 4224: as the format below has it
#define SIEVE_NUMBERS (1u << 26)                    // odd numbers that are sifted
#define SIEVE_PRIMES (1u << 24)                     // by all primes below

struct line {
    uint32_t type, tests, tries, size, generator;
    uint8_t number[SAFE_PRIME_BYTES_MAX + 1];
    size_t n;
};

// ---- numbers as text ----

// Upper-case digits without a zero in front.
static void write_digits(char *out, const struct line *l) {
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        for (int shift = 4; shift >= 0; shift -= 4) {
            char digit = "0123456789ABCDEF"[l->number[i] >> shift & 15];
            if (n > 0 || digit != '0')
                out[n++] = digit;
        }
    out[n] = '\0';
}

static int value_of(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

// Without zero bytes in front; false: no digits, or too many.
static bool read_digits(const char *text, struct line *l) {
    text += strspn(text, "0");
    size_t digits = strlen(text);
    l->n = (digits + 1) / 2;
    if (digits == 0 || l->n > SAFE_PRIME_BYTES_MAX)
        return false;
    memset(l->number, 0, l->n);
    for (size_t i = 0; i < digits; i++) {
        int value = value_of(text[digits - 1 - i]);
        if (value < 0)
            return false;
        l->number[l->n - 1 - i / 2] |= (uint8_t)(value << (i % 2 * 4));
    }
    return true;
}

static unsigned bits_of(const struct line *l) {
    unsigned top = 0;
    for (uint8_t b = l->n > 0 ? l->number[0] : 0; b != 0; b >>= 1)
        top++;
    return l->n > 0 ? (unsigned)(8 * (l->n - 1)) + top : 0;
}

static bool write_line(FILE *out, const struct line *l) {
    char when[32], digits[2 * SAFE_PRIME_BYTES_MAX + 3];
    time_t now = time(NULL);
    struct tm tm;
    write_digits(digits, l);
    if (gmtime_r(&now, &tm) == NULL ||
        strftime(when, sizeof when, "%Y%m%d%H%M%S", &tm) == 0)
        return false;
    return fprintf(out, "%s %u %u %u %u %x %s\n", when, l->type, l->tests, l->tries,
                   l->size, l->generator, digits) > 0;
}

// What an interrupted run has found stays.
static FILE *open_output(const struct keygen *k, bool go_on) {
    const char *path = k->args[0];
    FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, go_on ? "ae" : "we");
    if (out == NULL)
        keygen_fail("%s: cannot be written: %s", path, strerror(errno));
    return out;
}

static int close_output(const struct keygen *k, FILE *out, bool ok) {
    bool closed = out == stdout ? fflush(out) == 0 : fclose(out) == 0;
    if (ok && closed)
        return 0;
    return keygen_fail("%s: %s", k->args[0],
                       closed ? "was not completed" : "cannot be written");
}

// ---- generate ----

struct sieve {
    uint8_t *small;  // odd numbers below SIEVE_PRIMES, a bit each
    uint8_t *large;  // q + 2 i, a bit each
    uint8_t q[SAFE_PRIME_BYTES_MAX];
    size_t n;
};

static void mark(uint8_t *bits, size_t i) {
    bits[i / 8] |= (uint8_t)(1u << i % 8);
}

static bool marked(const uint8_t *bits, size_t i) {
    return (bits[i / 8] >> i % 8 & 1) != 0;
}

// Numbers whose distance from q is 2 i with (q + 2 i) mod s == rest.
static void mark_multiples(struct sieve *v, uint32_t s, uint32_t rest) {
    uint32_t q = safe_prime_modulo(view_of(v->q, v->n), s);
    // 2 i = rest - q modulo s; half of it, s being odd.
    uint64_t twice = ((uint64_t)rest + s - q) % s;
    uint64_t i = twice % 2 == 0 ? twice / 2 : (twice + s) / 2;
    for (; i < SIEVE_NUMBERS; i += s)
        mark(v->large, (size_t)i);
}

// Neither q nor 2 q + 1 is a multiple of s, whose inverse of 2 is (s + 1) / 2.
static void sift(struct sieve *v, uint32_t s) {
    mark_multiples(v, s, 0);
    mark_multiples(v, s, (s - 1) / 2);
}

static void sift_all(struct sieve *v) {
    for (uint64_t s = 3; s < SIEVE_PRIMES; s += 2) {
        if (marked(v->small, s / 2))
            continue;
        for (uint64_t t = s * s; t < SIEVE_PRIMES; t += 2 * s)
            mark(v->small, t / 2);
        sift(v, (uint32_t)s);
    }
}

static void add_twice(uint8_t *number, size_t n, uint64_t i) {
    uint64_t carry = 2 * i;
    while (n-- > 0 && carry > 0) {
        carry += number[n];
        number[n] = (uint8_t)carry;
        carry >>= 8;
    }
}

static bool write_candidates(const struct sieve *v, unsigned bits, FILE *out) {
    struct line l = {.type = TYPE_SOPHIE_GERMAIN, .tests = TESTS_SIEVE, .n = v->n};
    l.size = bits - 2;
    for (size_t i = 0; i < SIEVE_NUMBERS; i++) {
        if (marked(v->large, i))
            continue;
        memcpy(l.number, v->q, v->n);
        add_twice(l.number, v->n, i);
        if (!write_line(out, &l))
            return false;
    }
    return true;
}

// q of one bit less than the modulus, odd; random unless -O start gives it.
static bool first_number(struct sieve *v, unsigned bits, const char *start) {
    struct line l = {0};
    unsigned q_bits = bits - 1;
    v->n = (q_bits + 7) / 8;
    random_bytes(v->q, v->n);
    v->q[0] &= (uint8_t)(0xff >> (8 * v->n - q_bits));
    if (start != NULL) {
        if (!read_digits(start, &l) || bits_of(&l) > q_bits)
            return keygen_fail("invalid start point \"%s\": hexadecimal digits of at "
                               "most %u bits",
                               start, q_bits) == 0;
        memset(v->q, 0, v->n);
        memcpy(v->q + v->n - l.n, l.number, l.n);
    }
    v->q[0] |= (uint8_t)(1u << (q_bits - 1) % 8);
    v->q[v->n - 1] |= 1;
    return true;
}

static bool number_option(const struct keygen *k, size_t i, const char *name,
                          uint64_t least, uint64_t most, uint64_t *out, bool *bad) {
    const char *value = keygen_option_value(k->options[i], name);
    if (value == NULL)
        return false;
    if (!text_number(value, least, most, out))
        *bad = keygen_fail("Invalid \"%s\" option: \"%s\"", name, value) != 0;
    return true;
}

static int generate(const struct keygen *k) {
    uint64_t bits = k->bits != 0 ? k->bits : BITS_DEFAULT, memory;
    const char *start = NULL, *value;
    bool bad = false;
    for (size_t i = 0; i < k->option_count && !bad; i++) {
        if ((value = keygen_option_value(k->options[i], "start")) != NULL)
            start = value;
        else if (!number_option(k, i, "bits", BITS_MIN, BITS_MAX, &bits, &bad) &&
                 !number_option(k, i, "memory", 0, UINT32_MAX, &memory, &bad))
            bad = keygen_fail("Option \"%s\" is unsupported for moduli generation",
                              k->options[i]) != 0;
    }
    if (bad)
        return KEYGEN_FAILED;
    if (bits < BITS_MIN || bits > BITS_MAX)
        return keygen_fail("%u bits: moduli have %d to %d", (unsigned)bits, BITS_MIN,
                           BITS_MAX);
    struct sieve v = {.small = calloc(1, SIEVE_PRIMES / 16 + 1),
                      .large = calloc(1, SIEVE_NUMBERS / 8)};
    FILE *out = NULL;
    bool ok = v.small != NULL && v.large != NULL &&
              first_number(&v, (unsigned)bits, start) &&
              (out = open_output(k, false)) != NULL;
    if (ok) {
        sift_all(&v);
        ok = write_candidates(&v, (unsigned)bits, out);
    }
    free(v.small);
    free(v.large);
    return out != NULL ? close_output(k, out, ok) : KEYGEN_FAILED;
}

// ---- screen ----

struct screening {
    const struct keygen *k;
    const char *checkpoint;
    uint64_t lines, start_line, generator, tests;
    uint64_t done;  // lines that an earlier run has looked at
};

static bool take_options(struct screening *s) {
    const struct keygen *k = s->k;
    bool bad = false;
    for (size_t i = 0; i < k->option_count && !bad; i++) {
        const char *value = keygen_option_value(k->options[i], "checkpoint");
        if (value != NULL)
            s->checkpoint = value;
        else if (!number_option(k, i, "lines", 1, UINT32_MAX, &s->lines, &bad) &&
                 !number_option(k, i, "start-line", 1, UINT32_MAX, &s->start_line,
                                &bad) &&
                 !number_option(k, i, "generator", 2, 5, &s->generator, &bad) &&
                 !number_option(k, i, "prime-tests", 1, 10000, &s->tests, &bad))
            bad = keygen_fail("Option \"%s\" is unsupported for moduli screening",
                              k->options[i]) != 0;
    }
    return !bad;
}

static bool read_checkpoint(struct screening *s) {
    scoped_buf text = {0};
    char number[32];
    if (s->checkpoint == NULL || !file_exists(s->checkpoint))
        return true;
    return (keygen_read_file(s->checkpoint, 1024, &text) &&
            text_copy(number, sizeof number, view_until(buf_view(&text), '\n')) &&
            text_number(number, 0, UINT64_MAX, &s->done)) ||
           keygen_fail("%s: no line number in it; remove the file to begin anew",
                       s->checkpoint) == 0;
}

static bool write_checkpoint(const struct screening *s, uint64_t line) {
    char text[32];
    if (s->checkpoint == NULL)
        return true;
    int n = snprintf(text, sizeof text, "%" PRIu64 "\n", line);
    return keygen_write_file(s->checkpoint, view_of(text, (size_t)n), 0644);
}

static bool read_line(char *text, struct line *l) {
    char digits[LINE_SIZE];
    if (text[0] == '#' || text[0] == '!' ||
        sscanf(text, "%*14[0-9] %u %u %u %u %x %4223s", &l->type, &l->tests, &l->tries,
               &l->size, &l->generator, digits) != 6)
        return false;
    return read_digits(digits, l);
}

// A candidate is q, and what is looked for 2 q + 1.
static bool make_modulus(struct line *l) {
    if (l->type != TYPE_SOPHIE_GERMAIN)
        return l->type <= 5;
    uint8_t carry = 1;
    if (l->n >= SAFE_PRIME_BYTES_MAX)
        return false;
    memmove(l->number + 1, l->number, l->n);
    l->number[0] = 0;
    for (size_t i = ++l->n; i-- > 0;) {
        uint8_t top = l->number[i] >> 7;
        l->number[i] = (uint8_t)(l->number[i] << 1 | carry);
        carry = top;
    }
    if (l->number[0] == 0)
        memmove(l->number, l->number + 1, --l->n);
    l->generator = 0;
    l->size++;
    return true;
}

// False: it is of no use, or no line at all. *e: the test itself failed.
static bool is_wanted(const struct screening *s, struct line *l, enum err *e) {
    struct view v = view_of(l->number, l->n);
    bool safe = false;
    if (!make_modulus(l) || l->size + 1 != bits_of(l) || bits_of(l) < BITS_MIN)
        return false;
    v = view_of(l->number, l->n);
    if (l->generator == 0)
        l->generator = safe_prime_generator(v);
    if (l->generator == 0 || (s->generator != 0 && s->generator != l->generator))
        return false;
    *e = safe_prime_test(v, (unsigned)s->tests, &safe);
    return *e == OK && safe;
}

static bool screen_line(const struct screening *s, char *text, FILE *out) {
    static struct line l;
    enum err e = OK;
    if (!read_line(text, &l) || !is_wanted(s, &l, &e))
        return e == OK || keygen_fail("testing a number failed: %s", err_text(e)) == 0;
    l.type = TYPE_SAFE;
    l.tries = (l.tests & TESTS_MILLER_RABIN) != 0 ? l.tries + (uint32_t)s->tests
                                                  : (uint32_t)s->tests;
    l.tests |= TESTS_MILLER_RABIN;
    return write_line(out, &l) && (s->checkpoint == NULL || fflush(out) == 0);
}

// Lines are counted from 1; start_line of them are passed over.
static bool screen_all(const struct screening *s, FILE *in, FILE *out) {
    char text[LINE_SIZE];
    uint64_t number = 0;
    while (fgets(text, sizeof text, in) != NULL) {
        number++;
        if (number <= s->done || number <= s->start_line)
            continue;
        if (s->lines != 0 && number > s->start_line + s->lines)
            break;
        if (!screen_line(s, text, out) || !write_checkpoint(s, number))
            return false;
    }
    return ferror(in) == 0;
}

static FILE *open_input(const struct keygen *k) {
    if (k->file == NULL || strcmp(k->file, "-") == 0)
        return stdin;
    FILE *in = fopen(k->file, "re");
    if (in == NULL)
        keygen_fail("%s: %s", k->file, strerror(errno));
    return in;
}

static int screen(const struct keygen *k) {
    struct screening s = {.k = k, .tests = TESTS_DEFAULT};
    FILE *in = NULL, *out = NULL;
    if (!take_options(&s) || !read_checkpoint(&s) || (in = open_input(k)) == NULL)
        return KEYGEN_FAILED;
    out = open_output(k, s.done > 0);
    bool ok = out != NULL && screen_all(&s, in, out);
    if (in != stdin)
        fclose(in);
    if (out == NULL)
        return KEYGEN_FAILED;
    int status = close_output(k, out, ok);
    if (status == 0 && s.checkpoint != NULL && unlink(s.checkpoint) != 0)
        status = keygen_fail("%s: %s", s.checkpoint, strerror(errno));
    return status;
}

int keygen_moduli(struct keygen *k) {
    static const struct {
        const char *name;
        int (*run)(const struct keygen *k);
    } actions[] = {{"generate", generate}, {"screen", screen}};
    if (k->arg_count != 1)
        return keygen_fail("-M needs one output file (\"-\": standard output)");
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (strcasecmp(k->moduli, actions[i].name) == 0)
            return actions[i].run(k);
    return keygen_fail("Unsupported moduli action \"%s\": generate or screen", k->moduli);
}
