// Tokens, variables and tildes of any text, into room of any size.
#include <stdlib.h>

#include "conf/tokens.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *variable(void *ctx, const char *name) {
    (void)ctx;
    return name[0] == 'A' ? "value" : NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct token values[] = {{'h', "host"}, {'p', "22"}, {'u', "%h"}, {0, NULL}};
    if (size < 2)
        return 0;
    enum token_use use = (enum token_use)(data[0] % TOKENS_USE_COUNT);
    size_t room = (size_t)data[1] + 1;
    char *text = malloc(size - 1), *out = malloc(room);
    if (text == NULL || out == NULL)
        abort();
    memcpy(text, data + 2, size - 2);
    text[size - 2] = '\0';
    struct fault fault = {0};
    if (tokens_expand(use, values, text, out, room, &fault) == OK && strlen(out) >= room)
        abort();
    (void)!tokens_expand_env(text, variable, NULL, out, room, NULL);
    (void)!tokens_expand_tilde(text, "/home/me", NULL, NULL, out, room, NULL);
    // What is safe has nothing that a shell acts on.
    if (token_value_is_safe(TOKEN_SUBJECT_HOST, text) &&
        strpbrk(text, "; |&`$<>\n'\"\\") != NULL)
        abort();
    free(text);
    free(out);
    return 0;
}
