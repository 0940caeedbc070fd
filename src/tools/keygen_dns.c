// SSHFP records (-r; RFC 4255, RFC 6594, RFC 7479).
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "io/file.h"
#include "key/sshfp.h"
#include "tools/keygen.h"

static const struct {
    const struct digest_alg *hash;
    int number;
} hashes[] = {{&digest_sha1, 1}, {&digest_sha256, 2}};

static void print_record(const struct keygen *k, int algorithm, int number,
                         const uint8_t *md, size_t n) {
    if (k->generic)
        printf("%s IN TYPE44 \\# %zu %02x %02x ", k->dns_host, n + 2, algorithm, number);
    else
        printf("%s IN SSHFP %d %d ", k->dns_host, algorithm, number);
    for (size_t i = 0; i < n; i++)
        printf("%02x", md[i]);
    printf("\n");
}

static bool wants_hash(const struct keygen *k, const struct digest_alg *hash) {
    bool any = false, wanted = false;
    for (size_t i = 0; i < k->option_count; i++) {
        const char *value = keygen_option_value(k->options[i], "hashalg");
        any |= value != NULL;
        wanted |= value != NULL && strcmp(value, hash->name) == 0;
    }
    return wanted || !any;
}

static bool print_records(const struct keygen *k, const struct key *key) {
    uint8_t md[DIGEST_MAX];
    int algorithm = sshfp_algorithm(key->type);
    struct view blob = key_plain_blob(key);
    if (algorithm == 0)
        return keygen_fail("there are no SSHFP records for %s keys",
                           key->type->short_name) == 0;
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        if (!wants_hash(k, hashes[i].hash))
            continue;
        if (digest_parts(hashes[i].hash, &blob, 1, md) != OK)
            return keygen_fail("the hash can not be made") == 0;
        print_record(k, algorithm, hashes[i].number, md, hashes[i].hash->size);
    }
    return true;
}

static bool print_file(const struct keygen *k, const char *path) {
    struct key *key;
    struct fault f = {0};
    if (keygen_load_public(path, &key, &f) != OK)
        return keygen_fail("%s: %s", path, fault_reason(&f, path)) == 0;
    bool ok = print_records(k, key);
    key_free(key);
    return ok;
}

int keygen_dns(struct keygen *k) {
    const struct keygen_type *type;
    bool ok = true, any = false;
    if (k->file != NULL)
        return print_file(k, k->file) ? 0 : KEYGEN_FAILED;
    for (size_t i = 0; (type = keygen_type_at(i)) != NULL; i++) {
        char path[128];
        snprintf(path, sizeof path, "/etc/ssh/ssh_host_%s_key.pub", type->name);
        if (!file_exists(path))
            continue;
        any = true;
        ok = print_file(k, path) && ok;
    }
    return ok && any ? 0 : any ? KEYGEN_FAILED : keygen_fail("no keys found.");
}
