// Forwarding specifications and jump hosts of any text.
#include <stdlib.h>

#include "client/forward_spec.h"
#include "client/jump.h"
#include "conf/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What was parsed, said again, is the same.
static void check_end(const struct forward_end *end) {
    char text[FORWARD_TEXT + 16];
    struct forward_end again;
    forward_end_text(end, text, sizeof text);
    if (strpbrk(text, "\\ ]") != NULL || strchr(end->path, ':') != NULL ||
        strchr(end->host, '[') != NULL || end->host[0] == '/')
        return;
    if (!forward_end_parse(&again, text) || strcmp(again.host, end->host) != 0 ||
        again.port != end->port || strcmp(again.path, end->path) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1);
    if (text == NULL)
        abort();
    memcpy(text, data, size);
    text[size] = 0;
    struct forward_spec s;
    struct forward_end e;
    struct jump j;
    for (int kind = FORWARD_LOCAL; kind <= FORWARD_DYNAMIC; kind++)
        if (forward_spec_parse(&s, (enum forward_kind)kind, text) &&
            (forward_spec_second(text) == 0) != s.dynamic)
            abort();
    if (forward_end_parse(&e, text))
        check_end(&e);
    if (jump_parse(&j, text) && strncmp(j.host, "ssh://", 6) != 0 &&
        !token_value_is_safe(TOKEN_SUBJECT_HOST, j.host))
        abort();
    free(text);
    return 0;
}
