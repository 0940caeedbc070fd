// Addresses, networks and lists; what is parsed comes back the same from its text.
#include <stdlib.h>

#include "base/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void round_trip(const char *text) {
    struct address a, b;
    char out[ADDRESS_TEXT_SIZE];
    if (!address_parse(&a, text))
        return;
    if (!address_parse(&b, address_format(&a, out, sizeof out)) || !address_equal(&a, &b))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1), host[64];
    uint16_t port = 22;
    struct address_net net;
    if (text == NULL)
        abort();
    memcpy(text, data, size);
    text[size] = '\0';
    round_trip(text);
    if (address_net_parse(&net, text) == OK && !address_net_contains(&net, &net.base))
        abort();
    (void)address_match_list(text, "host.example", "10.1.2.3");
    (void)address_match_cidr_list(text, "2001:db8::1");
    (void)!address_split_port(text, host, sizeof host, &port);
    free(text);
    return 0;
}
