// Fuzzes a client, from the first byte of the stream.
#include "fuzz_transport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct fuzz_start start = {TRANSPORT_CLIENT, PHASE_IDENT, true};
    return fuzz_transport(&start, data, size);
}
