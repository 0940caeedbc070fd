// Text from strangers: cleaning, numbers, durations, sizes, patterns, words.
#include "base/text.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_cleaning(struct view v, size_t room) {
    char *out = malloc(room + 1), *again = malloc(room + 1);
    if (out == NULL || again == NULL)
        abort();
    text_clean(out, room, v);
    if (room > 0) {
        assert(strlen(out) < room);
        for (const char *p = out; *p != '\0'; p++)
            assert((uint8_t)*p >= 0x20 && *p != 0x7f);
        // Clean text stays as it is.
        text_one_line(again, room + 1, view_text(out));
        if (strlen(out) + 4 < room)
            assert(strcmp(again, out) == 0);
        size_t n = text_clean_lines(out, room, v);
        assert(n < room && n == strlen(out));
    }
    free(out);
    free(again);
}

static void check_words(char *text) {
    char *cursor = text, *word;
    bool bad, equals = true;
    while ((word = text_word(&cursor, equals, &bad)) != NULL) {
        assert(word >= text && word + strlen(word) <= cursor);
        equals = false;
    }
    assert(*cursor == '\0');
}

static const char *name_at(size_t i, const void *arg) {
    static const char *const names[] = {"Port", "PermitRootLogin",
                                        "PasswordAuthentication", NULL};
    (void)arg;
    return names[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    check_cleaning(view_of(data + 1, size - 1), data[0]);
    char *text = malloc(size + 1);
    if (text == NULL)
        abort();
    text_copy(text, size + 1, view_of(data, size));
    uint64_t number;
    uint32_t seconds;
    if (text_number(text, 1, 65535, &number))
        assert(number >= 1 && number <= 65535);
    if (text_duration(text, &seconds))
        assert(seconds <= INT32_MAX);
    text_size(text, &number);
    char *middle = strchr(text, ' ');
    if (middle != NULL) {
        *middle = '\0';
        text_match(text, middle + 1);
        text_match_list(text, middle + 1, true);
        *middle = ' ';
    }
    assert(text_match("*", text));
    text_suggest(text, name_at, NULL);
    check_words(text);
    free(text);
    return 0;
}
