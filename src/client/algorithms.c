// Algorithm lists for the client; a table of what can be asked with -Q.
#include "client/algorithms.h"

#include <stdio.h>
#include <strings.h>

#include "base/text.h"
#include "crypto/registry.h"
#include "key/key.h"
#include "wire/messages.h"

static const enum alg_kind kinds[CONF_ALGORITHMS_COUNT] = {
    [CONF_CIPHERS] = ALG_CIPHER,
    [CONF_MACS] = ALG_MAC,
    [CONF_KEX] = ALG_KEX,
    [CONF_HOST_KEY_ALGORITHMS] = ALG_SIGNATURE,
    [CONF_PUBKEY_ALGORITHMS] = ALG_SIGNATURE,
    [CONF_HOSTBASED_ALGORITHMS] = ALG_SIGNATURE,
    [CONF_CA_ALGORITHMS] = ALG_SIGNATURE,
};

// Certificates of what the list has come first, unless the list is the user's own.
static enum err add_certificates(const char *list, struct buf *out) {
    const struct alg *a;
    for (size_t i = 0; (a = alg_at(ALG_SIGNATURE, i)) != NULL; i++) {
        const char *plain = a->signature->signature_name;
        if (strstr(a->name, "-cert-v0") == NULL ||
            !name_list_has(view_text(list), plain) ||
            name_list_has(view_text(list), a->name))
            continue;
        TRY(buf_append(out, view_text(a->name)));
        TRY(buf_append(out, view_text(",")));
    }
    return OK;
}

// "-pattern,...": takes names away, of keys and of their certificates.
static enum err take_away(const char *patterns, struct buf *names) {
    scoped_buf left;
    buf_init(&left, 65536);
    struct view rest = buf_view(names), name;
    while (name_list_next(&rest, &name)) {
        char one[128];
        if (!text_copy(one, sizeof one, name) ||
            text_match_list(patterns, one, false) == 1)
            continue;
        if (buf_len(&left) > 0)
            TRY(buf_append(&left, view_text(",")));
        TRY(buf_append(&left, name));
    }
    buf_clear(names);
    TRY(buf_append(names, buf_view(&left)));
    return buf_append(names, view_of("", 1));
}

static enum err choose_list(enum conf_algorithms kind, const char *spec, const char *list,
                            struct buf *out) {
    bool own = spec != NULL && *spec != 0 && strchr("+^-", *spec) == NULL;
    bool keys = kind == CONF_PUBKEY_ALGORITHMS || kind == CONF_HOST_KEY_ALGORITHMS ||
                kind == CONF_HOSTBASED_ALGORITHMS;
    if (keys && !own)
        TRY(add_certificates(list, out));
    if (keys && spec != NULL && *spec == '-') {
        TRY(buf_append(out, view_text(list)));
        return take_away(spec + 1, out);
    }
    return buf_append(out, view_of(list, strlen(list) + 1));
}

enum err algorithms_list(void *ctx, enum conf_algorithms kind, const char *spec,
                         char *out, size_t size, struct fault *fault) {
    (void)ctx;
    scoped_buf list;
    buf_init(&list, 65536);
    // What "-" takes away may be certificates, which the plain list has not.
    bool minus = spec != NULL && *spec == '-' && kinds[kind] == ALG_SIGNATURE &&
                 kind != CONF_CA_ALGORITHMS;
    if (spec == NULL || *spec == 0 || minus)
        TRY(alg_default_list(kinds[kind], ALG_DEFAULT_CLIENT, &list));
    else
        TRY(alg_list_apply(kinds[kind], ALG_DEFAULT_CLIENT, spec, &list, fault));
    scoped_buf chosen;
    buf_init(&chosen, 65536);
    TRY(choose_list(kind, spec, (const char *)buf_view(&list).p, &chosen));
    const char *text = (const char *)buf_view(&chosen).p;
    if (!text_copy(out, size, view_text(text)))
        return fault_set(fault, ERR_LIMIT, 0, "the list has more than %zu bytes",
                         size - 1);
    return OK;
}

static const struct query {
    const char *name;
    enum alg_kind kind;
} queries[] = {
    {"cipher", ALG_CIPHER},
    {"ciphers", ALG_CIPHER},
    {"mac", ALG_MAC},
    {"macs", ALG_MAC},
    {"kex", ALG_KEX},
    {"kexalgorithms", ALG_KEX},
    {"compression", ALG_COMPRESSION},
    {"key-sig", ALG_SIGNATURE},
    {"hostkeyalgorithms", ALG_SIGNATURE},
    {"pubkeyacceptedalgorithms", ALG_SIGNATURE},
    {"pubkeyacceptedkeytypes", ALG_SIGNATURE},
    {"hostbasedacceptedalgorithms", ALG_SIGNATURE},
    {"hostbasedkeytypes", ALG_SIGNATURE},
    {"hostbasedacceptedkeytypes", ALG_SIGNATURE},
};

static void list_key_types(bool plain, bool certificates) {
    const struct key_type *t;
    for (size_t i = 0; (t = key_type_at(i)) != NULL; i++) {
        if (t->plain != NULL ? certificates : plain)
            puts(t->name);
    }
}

// Names of signatures as they stand in blobs: those of plain keys, by which authorities
// sign as well.
static void list_plain_signatures(void) {
    const struct alg *a;
    for (size_t i = 0; (a = alg_at(ALG_SIGNATURE, i)) != NULL; i++) {
        if (strcmp(a->name, a->signature->signature_name) == 0)
            puts(a->name);
    }
}

static bool list_special(const char *query) {
    bool plain = strcasecmp(query, "key-plain") == 0,
         certificates = strcasecmp(query, "key-cert") == 0;
    if (plain || certificates || strcasecmp(query, "key") == 0) {
        list_key_types(!certificates, !plain);
        return true;
    }
    if (strcasecmp(query, "sig") == 0 || strcasecmp(query, "key-ca-sign") == 0 ||
        strcasecmp(query, "casignaturealgorithms") == 0) {
        list_plain_signatures();
        return true;
    }
    if (strcasecmp(query, "cipher-auth") == 0) {
        for (size_t i = 0; alg_at(ALG_CIPHER, i) != NULL; i++)
            if (alg_at(ALG_CIPHER, i)->cipher->tag_len > 0)
                puts(alg_at(ALG_CIPHER, i)->name);
        return true;
    }
    if (strcasecmp(query, "protocol-version") == 0)
        return puts("2") >= 0;
    if (strcasecmp(query, "help") != 0)
        return false;
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        puts(queries[i].name);
    puts("casignaturealgorithms\ncipher-auth\nkey\nkey-ca-sign\nkey-cert\nkey-plain\n"
         "protocol-version\nsig");
    return true;
}

bool algorithms_query(const char *query) {
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        if (strcasecmp(queries[i].name, query) != 0)
            continue;
        for (size_t k = 0; alg_at(queries[i].kind, k) != NULL; k++)
            puts(alg_at(queries[i].kind, k)->name);
        return true;
    }
    return list_special(query);
}
