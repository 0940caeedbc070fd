#include "server/algorithms.h"

#include "crypto/registry.h"

static const enum alg_kind kinds[CONF_ALGORITHMS_COUNT] = {
    [CONF_CIPHERS] = ALG_CIPHER,
    [CONF_MACS] = ALG_MAC,
    [CONF_KEX] = ALG_KEX,
    [CONF_HOST_KEY_ALGORITHMS] = ALG_SIGNATURE,
    [CONF_PUBKEY_ALGORITHMS] = ALG_SIGNATURE,
    [CONF_HOSTBASED_ALGORITHMS] = ALG_SIGNATURE,
    [CONF_CA_ALGORITHMS] = ALG_SIGNATURE,
};

enum err server_algorithms(void *ctx, enum conf_algorithms kind, const char *spec,
                           char *out, size_t size, struct fault *fault) {
    scoped_buf list;
    bool certificates =
        kind == CONF_HOST_KEY_ALGORITHMS || kind == CONF_PUBKEY_ALGORITHMS;
    unsigned side = ALG_DEFAULT_SERVER | (certificates ? ALG_CERTIFICATE : 0);
    (void)ctx;
    buf_init(&list, 65536);
    if (spec == NULL || spec[0] == '\0')
        TRY(alg_default_list(kinds[kind], side, &list));
    else
        TRY(alg_list_apply(kinds[kind], side, spec, &list, fault));
    if (buf_len(&list) > size)
        return fault_set(fault, ERR_LIMIT, 0, "the list has more than %zu bytes",
                         size - 1);
    memcpy(out, buf_view(&list).p, buf_len(&list));
    return OK;
}
