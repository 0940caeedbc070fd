// The dispatch table as a matrix, compared with the reviewed file beside this one.
#include "connection/dispatch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unit/connection/dispatch_golden.h"

static size_t end_line(char *out, size_t at) {
    while (out[at - 1] == ' ')
        at--;
    out[at++] = '\n';
    out[at] = '\0';
    return at;
}

static size_t print_matrix(char *out, size_t size) {
    size_t at = (size_t)snprintf(out, size, "%-26s", "");
    for (int s = 0; s < CHANNEL_STATE_COUNT; s++)
        at += (size_t)snprintf(out + at, size - at, " %-11s",
                               channel_state_name((enum channel_state)s));
    at = end_line(out, at);
    for (unsigned i = 0; i < dispatch_count; i++) {
        const struct dispatch_row *row = &dispatch_table[i];
        at += (size_t)snprintf(out + at, size - at, "%-26s", message_name(row->message));
        for (int s = 0; s < CHANNEL_STATE_COUNT; s++) {
            unsigned bit = 1u << s;
            const char *what = !row->to_channel         ? "any"
                               : (row->take & bit) != 0 ? "take"
                               : (row->drop & bit) != 0 ? "drop"
                                                        : "end";
            at += (size_t)snprintf(out + at, size - at, " %-11s", what);
        }
        at = end_line(out, at);
    }
    return at;
}

static void the_matrix_is_as_reviewed(void **state) {
    (void)state;
    static char now[8192], golden[8192];
    print_matrix(now, sizeof now);
    FILE *f = fopen(GOLDEN, "r");
    assert_non_null(f);
    size_t n = fread(golden, 1, sizeof golden - 1, f);
    fclose(f);
    golden[n] = '\0';
    if (strcmp(now, golden) != 0) {
        fputs(now, stderr);
        fail_msg("the dispatch table differs from %s; it is now as above", GOLDEN);
    }
}

static void no_state_is_both_taken_and_dropped(void **state) {
    (void)state;
    for (unsigned i = 0; i < dispatch_count; i++) {
        assert_int_equal(dispatch_table[i].take & dispatch_table[i].drop, 0);
        assert_non_null(message_schema(dispatch_table[i].message));
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(dispatch_table[i].message, dispatch_table[j].message);
    }
}

// Every message of RFC 4254 has its row, and no other has one.
static void all_messages_are_there(void **state) {
    (void)state;
    for (unsigned m = 0; m < 256; m++) {
        bool found = false;
        for (unsigned i = 0; i < dispatch_count; i++)
            found |= dispatch_table[i].message == m;
        assert_int_equal(found, (m >= 80 && m <= 82) || (m >= 90 && m <= 100));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_matrix_is_as_reviewed),
        cmocka_unit_test(no_state_is_both_taken_and_dropped),
        cmocka_unit_test(all_messages_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
