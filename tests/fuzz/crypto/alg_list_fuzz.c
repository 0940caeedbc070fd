// Algorithm lists of configuration files: whatever is written there, the result is a list
// of known names, none twice, and applying the result again gives the same.
#include <stdlib.h>

#include "crypto/registry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool good) {
    if (!good)
        abort();
}

static void check_names(enum alg_kind kind, const char *list) {
    bool seen[64] = {false};
    while (*list != '\0') {
        size_t n = strcspn(list, ",");
        size_t index = 0;
        const struct alg *a;
        while ((a = alg_at(kind, index)) != NULL && !view_is(view_of(list, n), a->name))
            index++;
        must(a != NULL && !seen[index]);
        seen[index] = true;
        list += n;
        list += *list == ',';
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > 2000)
        return 0;
    enum alg_kind kind = (enum alg_kind)(data[0] % ALG_KINDS);
    char *spec = malloc(size);
    if (spec == NULL)
        return 0;
    memcpy(spec, data + 1, size - 1);
    spec[size - 1] = '\0';
    scoped_buf out, again;
    struct fault fault = {0};
    buf_init(&out, 8192);
    buf_init(&again, 8192);
    enum err e = alg_list_apply(kind, ALG_DEFAULT_CLIENT, spec, &out, &fault);
    must(e == OK || (e == ERR_CONFIG && fault.text[0] != '\0'));
    if (e == OK) {
        const char *list = (const char *)buf_view(&out).p;
        check_names(kind, list);
        must(alg_list_apply(kind, ALG_DEFAULT_CLIENT, list, &again, &fault) == OK);
        must(view_equal(buf_view(&out), buf_view(&again)));
    }
    free(spec);
    return 0;
}
