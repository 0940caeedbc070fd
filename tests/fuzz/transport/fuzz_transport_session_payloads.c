// Fuzzes an authenticated session with the null cipher, rekeys included.
#include "fuzz_transport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct fuzz_start start = {TRANSPORT_SERVER, PHASE_OPEN, false};
    return fuzz_transport(&start, data, size);
}
