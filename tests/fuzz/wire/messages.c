// Every schema of the message table: what decodes encodes to as many bytes; traces stay
// one clean line; name-lists end.
#include "wire/messages.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *line) {
    for (; *line != '\0'; line++)
        assert((uint8_t)*line >= 0x20 && *line != 0x7f);
}

static void check_types(struct view v) {
    struct reader r = reader_of(v);
    struct view list = read_name_list(&r), name;
    size_t names = 0;
    while (name_list_next(&list, &name)) {
        assert(name.n > 0);
        names++;
    }
    assert(names <= 256);
    r = reader_of(v);
    struct view m = read_mpint(&r);
    if (r.err == OK && m.n > 0)
        assert(m.p[0] != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view payload = view_of(data, size);
    char line[300];
    message_trace(line, sizeof line, payload);
    check_line(line);
    check_types(payload);
    if (size == 0)
        return 0;
    const struct message_schema *schema = message_schema(data[0]);
    if (schema == NULL)
        return 0;
    uint8_t decoded[512] __attribute__((aligned(16)));
    struct fault fault = {0};
    assert(schema->size <= sizeof decoded);
    if (message_decode(data[0], payload, decoded, &fault) != OK) {
        assert(fault.code != OK && fault.message == data[0]);
        check_line(fault.text);
        return 0;
    }
    uint8_t *room = malloc(size);
    if (room == NULL)
        abort();
    struct writer w = writer_to_span((struct span){room, size});
    message_encode(&w, data[0], decoded);
    assert(writer_end(&w) == OK && w.n == size);
    free(room);
    return 0;
}
