#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "key/known_hosts.h"
#include "key/sshfp.h"
#include "tools/keyscan.h"

void keyscan_print_greeting(const struct keyscan *k, const char *host,
                            struct view greeting) {
    char name[300], clean[300];
    if (k->quiet)
        return;
    keyscan_say("%c %s:%u %s", k->sshfp ? ';' : '#',
                text_clean(name, sizeof name, view_text(host)), k->port,
                text_clean(clean, sizeof clean, greeting));
}

static void print_record(const struct keyscan *k, const char *name,
                         const struct key *key) {
    static const struct {
        const struct digest_alg *hash;
        int number;
    } hashes[] = {{&digest_sha1, 1}, {&digest_sha256, 2}};
    uint8_t md[DIGEST_MAX];
    struct view blob = key_plain_blob(key);
    int algorithm = sshfp_algorithm(key->type);
    for (size_t i = 0; i < 2 && algorithm != 0; i++) {
        const struct digest_alg *hash = hashes[i].hash;
        if ((k->sshfp_hash != NULL && k->sshfp_hash != hash) ||
            digest_parts(hash, &blob, 1, md) != OK)
            continue;
        printf("%s IN SSHFP %d %d ", name, algorithm, hashes[i].number);
        for (size_t j = 0; j < hash->size; j++)
            printf("%02x", md[j]);
        putchar('\n');
    }
}

static void print_line(const struct keyscan *k, const char *name, const struct key *key) {
    scoped_buf out;
    enum err e = OK;
    buf_init(&out, LIMIT_TEXT_LINE);
    if (!k->certificates)
        e = known_hosts_make(name, k->hash_names, key, &out);
    else if ((e = key_public_text(key, &out)) == OK)
        e = buf_append(&out, view_text("\n"));
    if (e == OK)
        fwrite(buf_view(&out).p, 1, buf_len(&out), stdout);
}

static void print_one(const struct keyscan *k, struct view host, const struct key *key) {
    char text[1024], name[1100];
    if (host.n == 0 || !text_copy(text, sizeof text, host))
        return;
    if (k->sshfp)
        print_record(k, text, key);
    else if (known_hosts_name(name, sizeof name, text, k->port) == OK)
        print_line(k, name, key);
}

// A list of names stands in one line where it can: without hashes and ports in it.
static void print_list(const char *names, const struct key *key) {
    char *lower = strdup(names);
    scoped_buf out;
    buf_init(&out, LIMIT_TEXT_LINE);
    for (char *p = lower; p != NULL && *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    if (lower != NULL && known_hosts_make(lower, false, key, &out) == OK)
        fwrite(buf_view(&out).p, 1, buf_len(&out), stdout);
    free(lower);
}

void keyscan_print_key(struct keyscan *k, const char *names, struct view blob) {
    struct key *key = NULL;
    struct view rest = view_text(names);
    if (key_from_blob(&key, blob, NULL) != OK)
        return;
    k->found++;
    if (!k->sshfp && !k->certificates && !k->hash_names && k->port == 22) {
        print_list(names, key);
        rest.n = 0;
    }
    while (rest.n > 0) {
        const uint8_t *comma = memchr(rest.p, ',', rest.n);
        size_t n = comma != NULL ? (size_t)(comma - rest.p) : rest.n;
        print_one(k, view_of(rest.p, n), key);
        n += comma != NULL;
        rest = k->certificates ? (struct view){0} : view_of(rest.p + n, rest.n - n);
    }
    fflush(stdout);
    key_free(key);
}
