// What ssh-keysign is asked to sign: taken apart and put together again it is the same,
// or it is refused.
#include <stdlib.h>

#include "auth/hostbased.h"
#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct hostbased_request q;
    struct fault fault = {0};
    struct view session_id;
    scoped_buf out = {0};
    if (size > LIMIT_PACKET / 2 ||
        hostbased_decode_signed(view_of(data, size), &session_id, &q, &fault) != OK)
        return 0;
    buf_init(&out, LIMIT_PACKET);
    struct writer w = writer_to_buf(&out);
    hostbased_encode_signed(&w, session_id, &q);
    if (writer_end(&w) != OK || !view_equal(buf_view(&out), view_of(data, size)))
        abort();
    (void)hostbased_algorithm(&q, NULL);
    return 0;
}
