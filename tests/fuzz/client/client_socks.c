// SOCKS requests, fed in pieces as the relay does.
#include <stdlib.h>

#include "client/socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_host(const struct socks *s) {
    size_t n = strnlen(s->host, sizeof s->host);
    if (n == 0 || n == sizeof s->host)
        abort();
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s->host[i] <= ' ' || (unsigned char)s->host[i] >= 0x7f)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct socks s = {0};
    if (size == 0)
        return 0;
    size_t step = data[0] % 8 + 1u, start = 1, end = 1;
    for (unsigned greetings = 0; start < size;) {
        end = end + step < size ? end + step : size;
        // A copy of its exact size: a reader past its end is found.
        size_t n = end - start, taken = 0;
        uint8_t *copy = malloc(n > 0 ? n : 1);
        if (copy == NULL)
            abort();
        memcpy(copy, data + start, n);
        enum socks_result result = socks_take(&s, view_of(copy, n), &taken);
        free(copy);
        if (taken > n || s.reply_n > sizeof s.reply)
            abort();
        if (result == SOCKS_CONNECT) {
            check_host(&s);
            socks_answer(&s, (enum socks_outcome)(data[0] % 4));
            break;
        }
        if (result == SOCKS_BAD || (result == SOCKS_MORE && end == size))
            break;
        if (result == SOCKS_GREETED && ++greetings > 1)
            abort();
        start += taken;
    }
    return 0;
}
