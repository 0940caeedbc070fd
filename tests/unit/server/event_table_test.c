// Events as lines: every event of the table is one line of JSON with its fields, whatever
// bytes are in them, and the writer survives a disk that takes nothing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the above
#include <cmocka.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/event_log.h"

static const char *line_of(enum event_number number, const struct event *e) {
    static char text[EVENT_LINE_MAX + 1];
    scoped_buf out = {0};
    assert_int_equal(event_encode(number, e, 1763731503123456, &out), OK);
    size_t n = buf_len(&out);
    assert_true(n > 2 && n <= EVENT_LINE_MAX);
    memcpy(text, buf_view(&out).p, n);
    text[n] = '\0';
    assert_int_equal(text[n - 1], '\n');
    text[n - 1] = '\0';
    assert_null(strchr(text, '\n'));
    return text;
}

static void fill(struct event *e, struct view v) {
    // Texts and numbers have their places by the table; all texts are views.
#define EVENT_FILL_TEXT(name) e->name = v
#define EVENT_FILL_NUMBER(name) e->name = 7
#define EVENT_FILL_OPTION(name) e->name = EVENT_UNKNOWN
#define X(NAME, name, kind, max, meaning) EVENT_FILL_##kind(name);
    EVENT_FIELDS(X)
#undef X
}

static void every_event_has_its_fields(void **state) {
    (void)state;
    struct event e;
    fill(&e, view_text("x"));
    for (unsigned i = 0; i < EVENT_COUNT; i++) {
        const char *line = line_of((enum event_number)i, &e);
        char want[64];
        snprintf(want, sizeof want, "\"event\":\"%s\"", event_name((enum event_number)i));
        assert_non_null(strstr(line, want));
        for (unsigned f = 0; f < EVENT_FIELDS_N; f++) {
            enum event_field field = (enum event_field)f;
            snprintf(want, sizeof want, ",\"%s\":", event_field_name(field));
            bool there = strstr(line, want) != NULL;
            bool wanted = event_fields((enum event_number)i) >> f & 1;
            // The optional number was not given.
            assert_int_equal(there, wanted && field != EVENT_FIELD_STATUS);
        }
    }
}

static void names_are_one_of_a_kind(void **state) {
    (void)state;
    for (unsigned i = 0; i < EVENT_COUNT; i++)
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(event_name((enum event_number)i),
                                    event_name((enum event_number)k));
    assert_false(event_of_holder(EVENT_COUNT));
    assert_false(event_of_holder(EVENT_LOGIN_SUCCEEDED));
    assert_true(event_of_holder(EVENT_SESSION_OPENED));
}

static void exact_line(void **state) {
    (void)state;
    struct event e = {.connection = view_text("22-5"),
                      .peer = view_text("192.0.2.7"),
                      .peer_port = 4242,
                      .user = view_text("a\"b\n\xff")};
    assert_string_equal(
        line_of(EVENT_CONNECTION_CLOSED, &e),
        "{\"v\":1,\"time\":\"2025-11-21T13:25:03.123456Z\",\"event\":"
        "\"connection.closed\",\"connection\":\"22-5\",\"peer\":"
        "\"192.0.2.7\",\"peer_port\":4242,\"user\":\"a\\\"b\\n\xef\xbf\xbd\"}");
}

// The worst that a peer can give: all escapes, all texts full.
static void long_texts_are_cut(void **state) {
    (void)state;
    static uint8_t foreign[8192];
    struct event e;
    for (unsigned byte = 0; byte < 256; byte++) {
        memset(foreign, (int)byte, sizeof foreign);
        fill(&e, view_of(foreign, sizeof foreign));
        for (unsigned i = 0; i < EVENT_COUNT; i++) {
            const char *line = line_of((enum event_number)i, &e);
            assert_int_equal(line[strlen(line) - 1], '}');
        }
        assert_non_null(strstr(line_of(EVENT_SESSION_OPENED, &e), ",\"cut\":true}"));
    }
    // Not within a character.
    struct event two = {.tty = view_text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaé")};
    assert_non_null(strstr(line_of(EVENT_SESSION_OPENED, &two),
                           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"cut\""));
}

// ---- the writer ----

static unsigned told;
static char last_line[512];

static void note(void *sink, enum log_level level, const char *line) {
    (void)sink;
    (void)level;
    told++;
    snprintf(last_line, sizeof last_line, "%s", line);
}

static const struct log log_of_test = {.level = LOG_LEVEL_INFO, .write = note};

static void a_file_of_its_own(void **state) {
    (void)state;
    char path[] = "/tmp/bowline-events-XXXXXX", text[1024];
    struct event_log l = {.fd = -1};
    struct event e = {.version = view_text("1")};
    struct fault fault = {0};
    struct stat st;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(event_log_open(&l, path, 0, &fault), OK);
    event_log_put(&l, &log_of_test, EVENT_SERVER_STARTED, &e);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(event_log_open(&l, path, 0, &fault), OK);
    event_log_put(&l, &log_of_test, EVENT_SERVER_RELOADED, &e);
    close(fd);
    fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "\"server.started\""));
    assert_non_null(strstr(text, "}\n{\"v\":1,"));
    assert_non_null(strstr(text, "\"server.reloaded\""));
    close(fd);
    unlink(path);
    event_log_close(&l);
    assert_int_equal(event_log_open(&l, "none", 0, &fault), OK);
    assert_false(event_log_on(&l));
    assert_int_not_equal(event_log_open(&l, "/nonexistent/x", 0, &fault), OK);
    assert_non_null(strstr(fault.text, "EventLog /nonexistent/x"));
    assert_false(event_log_on(&l));
    event_log_put(&l, &log_of_test, EVENT_SERVER_STARTED, &e);
}

static void a_full_disk(void **state) {
    (void)state;
    struct event_log l = {.fd = -1};
    struct event e = {.version = view_text("1")};
    struct fault fault = {0};
    char path[] = "/tmp/bowline-events-XXXXXX", text[1024];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(event_log_open(&l, "/dev/full", 0, &fault), OK);
    told = 0;
    for (int i = 0; i < 5; i++)
        event_log_put(&l, &log_of_test, EVENT_SERVER_STARTED, &e);
    assert_int_equal(told, 1);
    assert_non_null(strstr(last_line, "No space left on device"));
    assert_int_equal(l.lost, 5);
    // There is room again; the last line had come in part.
    close(l.fd);
    l.fd = open(path, O_WRONLY | O_APPEND);
    l.torn = true;
    event_log_put(&l, &log_of_test, EVENT_SERVER_STARTED, &e);
    assert_int_equal(told, 2);
    assert_non_null(strstr(last_line, "5 events were lost"));
    ssize_t n = read(fd, text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = '\0';
    assert_int_equal(text[0], '\n');
    assert_non_null(
        strstr(text, "\"events.lost\",\"count\":5,\"reason\":\"write-failed\""));
    assert_non_null(strstr(text, "\"server.started\""));
    close(fd);
    unlink(path);
    event_log_close(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_event_has_its_fields),
        cmocka_unit_test(names_are_one_of_a_kind),
        cmocka_unit_test(exact_line),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(a_file_of_its_own),
        cmocka_unit_test(a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
