// Settings as a listener finds them in its memfd.
#include "server/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct settings s;
    struct fault fault = {0};
    struct transport_host_key keys[SETTINGS_HOST_KEYS_MAX];
    size_t n;
    if (settings_decode(&s, view_of(data, size), &fault) != OK)
        return 0;
    size_t length = 0;
    length += strlen(settings_text(s.ident)) + strlen(settings_text(s.kex)) +
              strlen(settings_text(s.macs)) + strlen(settings_text(s.methods));
    if (settings_host_keys(&s, keys, &n) == OK)
        for (size_t i = 0; i < n; i++)
            length += strlen(keys[i].algorithms);
    __asm__ volatile("" : : "r"(length));  // so that the texts are read
    return 0;
}
