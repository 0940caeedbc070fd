// The dispatch matrix, compared with a reviewed file: who may send which message, when.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/dispatch.h"

static void print_matrix(FILE *f) {
    for (int to_server = 1; to_server >= 0; to_server--) {
        fprintf(f, "%s\n", to_server ? "client to server" : "server to client");
        enum auth_phase from =
            to_server ? AUTH_PHASE_SERVER_SERVICE : AUTH_PHASE_CLIENT_START;
        enum auth_phase to = to_server ? AUTH_PHASE_CLIENT_START : AUTH_PHASES;
        for (enum auth_phase phase = from; phase < to; phase++) {
            fprintf(f, "  %s%s\n", auth_phase_name(phase),
                    phase == AUTH_PHASE_CLIENT_DONE || phase == AUTH_PHASE_CLIENT_FAILED
                        ? " (client)"
                        : "");
            for (unsigned number = 0; number < 256; number++) {
                const struct auth_row *row =
                    auth_row_find((uint8_t)number, to_server != 0, phase);
                if (row != NULL)
                    fprintf(f, "    %3u %-22s %s%s%s\n", number,
                            message_name((uint8_t)number), row->handler_name,
                            row->flags & AUTH_QUEUES ? " queues" : "",
                            row->flags & AUTH_IGNORED ? " ignored" : "");
            }
        }
    }
}

// Beside this source, wherever the build runs.
static FILE *open_golden(void) {
    char path[4096];
    const char *slash = strrchr(__FILE__, '/');
    snprintf(path, sizeof path, "%.*s/dispatch_matrix.txt", (int)(slash - __FILE__),
             __FILE__);
    return fopen(path, "r");
}

static void test_matrix_is_the_reviewed_one(void **state) {
    (void)state;
    char *text = NULL, golden[16384] = "";
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    print_matrix(f);
    fclose(f);
    FILE *g = open_golden();
    if (g != NULL) {
        size_t got = fread(golden, 1, sizeof golden - 1, g);
        golden[got] = 0;
        fclose(g);
    }
    if (strcmp(golden, text) != 0)
        printf("%s", text);
    assert_string_equal(golden, text);
    free(text);
}

static void test_no_message_from_the_wrong_side(void **state) {
    (void)state;
    for (size_t i = 0; auth_row_at(i) != NULL; i++) {
        const struct auth_row *row = auth_row_at(i);
        unsigned client_phases = ~0u << AUTH_PHASE_CLIENT_START;
        if (row->to_server)
            assert_int_equal(row->phases & client_phases, 0);
        else
            assert_int_equal(row->phases & ~client_phases, 0);
        assert_int_equal(row->to_server, row->server != NULL);
        assert_int_equal(!row->to_server, row->client != NULL);
    }
}

static void test_one_row_for_a_message_in_a_phase(void **state) {
    (void)state;
    for (size_t i = 0; auth_row_at(i) != NULL; i++)
        for (size_t j = i + 1; auth_row_at(j) != NULL; j++) {
            const struct auth_row *a = auth_row_at(i), *b = auth_row_at(j);
            if (a->message == b->message && a->to_server == b->to_server)
                assert_int_equal(a->phases & b->phases, 0);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix_is_the_reviewed_one),
        cmocka_unit_test(test_no_message_from_the_wrong_side),
        cmocka_unit_test(test_one_row_for_a_message_in_a_phase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
