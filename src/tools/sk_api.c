#include "tools/sk_api.h"

#include <stdlib.h>

static void clear(struct sk_enrolled *e) {
    free(e->public_key);
    free(e->handle);
    free(e->signature);
    free(e->certificate);
    free(e->authdata);
}

void sk_enrolled_free(struct sk_enrolled *e) {
    if (e != NULL)
        clear(e);
    free(e);
}

void sk_signature_free(struct sk_signature *s) {
    if (s != NULL) {
        free(s->r);
        free(s->s);
    }
    free(s);
}

void sk_resident_free(struct sk_resident **list, size_t n) {
    for (size_t i = 0; list != NULL && i < n; i++) {
        if (list[i] == NULL)
            continue;
        clear(&list[i]->key);
        free(list[i]->application);
        free(list[i]->user);
        free(list[i]);
    }
    free(list);
}
