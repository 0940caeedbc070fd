// The SFTP server's engine over files in memory: what goes in and what comes out, in
// pieces of every size.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
// cmocka wants the above
#include <cmocka.h>

#include "memory_files.h"
#include "sftp/server.h"

static const struct log quiet = {.level = LOG_LEVEL_QUIET};

struct lines {
    char text[4096];
};

static void write_line(void *sink, enum log_level level, const char *line) {
    struct lines *l = sink;
    size_t n = strlen(l->text);
    (void)level;
    snprintf(l->text + n, sizeof l->text - n, "%s\n", line);
}

struct lab {
    struct memory_files files;
    struct sftp_server *server;
    struct buf in, out;  // what is to be sent; all answers
};

static void open_lab(struct lab *l, struct sftp_server_config config) {
    memory_files_init(&l->files);
    config.vfs = &l->files.vfs;
    config.log = config.log != NULL ? config.log : &quiet;
    config.allowed = config.allowed != 0 ? config.allowed : SFTP_OPERATIONS_ALL;
    config.max_handles = config.max_handles != 0 ? config.max_handles : 10;
    assert_int_equal(sftp_server_new(&l->server, &config), OK);
    buf_init(&l->in, 8u << 20);
    buf_init(&l->out, 8u << 20);
}

static void close_lab(struct lab *l) {
    sftp_server_free(l->server);
    assert_int_equal(l->files.open, 0);
    memory_files_free(&l->files);
    buf_free(&l->in);
    buf_free(&l->out);
}

// ---- requests ----

static struct writer begin(struct lab *l, uint8_t type, size_t *at) {
    struct writer w = writer_to_buf(&l->in);
    *at = buf_len(&l->in);
    write_u32(&w, 0);
    write_u8(&w, type);
    return w;
}

static void end(struct lab *l, struct writer *w, size_t at) {
    assert_int_equal(writer_end(w), OK);
    store_u32(l->in.p + l->in.start + at, (uint32_t)(buf_len(&l->in) - at - 4));
}

// kinds: s string, u u32, q u64, each with its argument.
static void ask(struct lab *l, uint8_t type, const char *kinds, ...) {
    va_list ap;
    size_t at;
    struct writer w = begin(l, type, &at);
    va_start(ap, kinds);
    for (; *kinds != '\0'; kinds++) {
        if (*kinds == 's')
            write_text(&w, va_arg(ap, const char *));
        else if (*kinds == 'u')
            write_u32(&w, va_arg(ap, uint32_t));
        else if (*kinds == 'q')
            write_u64(&w, va_arg(ap, uint64_t));
        else  // v
            write_string(&w, va_arg(ap, struct view));
    }
    va_end(ap);
    end(l, &w, at);
}

static void ask_init(struct lab *l) {
    ask(l, SFTP_INIT, "u", 3u);
}

// ---- running ----

// Pushes all input, `cut` bytes at most at a time, into rooms of room_size.
static enum err run(struct lab *l, size_t cut, size_t room_size, bool split) {
    enum err e = OK;
    struct sftp_step step;
    do {
        uint8_t *p = malloc(2 * room_size);
        struct span rooms[2] = {{p, room_size}, {p + room_size, room_size}};
        struct view v = buf_view(&l->in);
        step = (struct sftp_step){
            .in = view_of(v.p, v.n < cut ? v.n : cut),
            .rooms = rooms,
            .n = 2,
            .split = split,
            .keeps = v.n > 0,
        };
        e = sftp_server_step(l->server, &step, NULL);
        buf_taken(&l->in, step.taken);
        if (e == OK && step.filled > 0)
            e = buf_append(&l->out, view_of(p, step.filled));
        free(p);
    } while (e == OK && (step.taken > 0 || step.filled > 0));
    return e;
}

static void run_all(struct lab *l) {
    assert_int_equal(run(l, SIZE_MAX, 600000, true), OK);
    assert_int_equal(buf_len(&l->in), 0);
    assert_int_equal(sftp_server_due(l->server), 0);
}

// The next answer's fields, behind type and id.
static struct reader answer(struct lab *l, uint8_t type, uint32_t id) {
    struct reader r = reader_of(buf_view(&l->out));
    struct view v = read_string(&r);
    assert_int_equal(r.err, OK);
    buf_taken(&l->out, v.n + 4);
    r = reader_of(v);
    assert_int_equal(read_u8(&r), type);
    assert_int_equal(read_u32(&r), id);
    return r;
}

static void expect_status(struct lab *l, uint32_t id, enum sftp_status status) {
    struct reader r = answer(l, SFTP_STATUS, id);
    assert_int_equal(read_u32(&r), status);
    assert_true(view_is(read_string(&r), sftp_status_text(status)));
    assert_true(view_is(read_string(&r), ""));
    assert_int_equal(reader_end(&r), OK);
}

static void expect_handle(struct lab *l, uint32_t id, uint8_t out[8]) {
    struct reader r = answer(l, SFTP_HANDLE, id);
    struct view v = read_string(&r);
    assert_int_equal(v.n, 8);
    memcpy(out, v.p, 8);
}

static void start(struct lab *l) {
    ask_init(l);
    run_all(l);
    buf_clear(&l->out);
}

static void open_file(struct lab *l, const char *path, uint32_t flags, uint8_t h[8]) {
    ask(l, SFTP_OPEN, "usuu", 1u, path, flags, 0u);
    run_all(l);
    expect_handle(l, 1, h);
}

#define RW (SFTP_OPEN_READ | SFTP_OPEN_WRITE | SFTP_OPEN_CREATE)

// ---- tests ----

static void version_and_extensions(void **state) {
    struct lab l;
    (void)state;
    open_lab(&l, (struct sftp_server_config){0});
    ask_init(&l);
    run_all(&l);
    struct reader r = answer(&l, SFTP_VERSION_REPLY, 3);
    static const char *const wanted[] = {"posix-rename@openssh.com",
                                         "1",
                                         "statvfs@openssh.com",
                                         "2",
                                         "fstatvfs@openssh.com",
                                         "2",
                                         "hardlink@openssh.com",
                                         "1",
                                         "fsync@openssh.com",
                                         "1",
                                         "lsetstat@openssh.com",
                                         "1",
                                         "limits@openssh.com",
                                         "1",
                                         "expand-path@openssh.com",
                                         "1",
                                         "copy-data",
                                         "1",
                                         "home-directory",
                                         "1",
                                         "users-groups-by-id@openssh.com",
                                         "1"};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        assert_true(view_is(read_string(&r), wanted[i]));
    assert_int_equal(reader_end(&r), OK);
    close_lab(&l);
}

static void what_leaves_no_way_on_ends_the_session(void **state) {
    static const struct {
        bool init;
        uint8_t bytes[16];
        size_t n;
    } rows[] = {
        {true, {0, 0, 0, 0}, 4},
        {true, {0, 4, 0, 1, 5}, 5},                             // over 256 KiB
        {true, {0xff, 0xff, 0xff, 0xff, 5}, 5},                 //
        {true, {0, 0, 0, 0, 5}, 5},                             // no room for a type
        {true, {0, 0, 0, 4, 5, 0, 0, 0}, 8},                    // nor for an id
        {true, {0, 0, 0, 5, 1, 0, 0, 0, 3}, 9},                 // INIT again
        {false, {0, 0, 0, 9, 17, 0, 0, 0, 1, 0, 0, 0, 0}, 13},  // STAT first
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct lab l;
        open_lab(&l, (struct sftp_server_config){0});
        if (rows[i].init)
            start(&l);
        assert_int_equal(buf_append(&l.in, view_of(rows[i].bytes, rows[i].n)), OK);
        assert_int_not_equal(run(&l, SIZE_MAX, 1000, true), OK);
        assert_int_equal(buf_len(&l.out), 0);
        close_lab(&l);
    }
}

static void malformed_requests_are_answered(void **state) {
    struct lab l;
    (void)state;
    open_lab(&l, (struct sftp_server_config){0});
    start(&l);
    ask(&l, SFTP_STAT, "u", 1u);                               // nothing there
    ask(&l, SFTP_STAT, "usu", 2u, "/a", 0u);                   // something left
    ask(&l, SFTP_STAT, "uv", 3u, view_of("/a\0b", 4));         // NUL
    ask(&l, SFTP_OPEN, "usuu", 4u, "/a", RW, SFTP_ATTR_SIZE);  // attributes cut short
    ask(&l, SFTP_SETSTAT, "usuuuu", 5u, "/a", 0x80000000u, 0xffffffffu, 0u, 0u);
    ask(&l, 99, "u", 6u);
    ask(&l, SFTP_EXTENDED, "us", 7u, "nothing@example.com");
    ask(&l, SFTP_WRITE, "usqu", 8u, "12345678", (uint64_t)0, 1000u);  // no data
    ask(&l, SFTP_WRITE, "usqss", 9u, "12345678", (uint64_t)0, "data", "more");
    run_all(&l);
    for (uint32_t id = 1; id <= 9; id++)
        expect_status(&l, id,
                      id == 6 || id == 7 ? SFTP_OP_UNSUPPORTED : SFTP_BAD_MESSAGE);
    close_lab(&l);
}

// A conversation with everything that comes in pieces: a long WRITE, READs, a listing.
static void converse(struct lab *l, uint8_t data[3000]) {
    uint8_t h[8];
    for (size_t i = 0; i < 3000; i++)
        data[i] = (uint8_t)(i * 7 + i / 256);
    // Handles are handed out in order: the first is slot 0, generation 0.
    memset(h, 0, sizeof h);
    ask_init(l);
    ask(l, SFTP_OPEN, "usuu", 1u, "/f", RW, 0u);
    ask(l, SFTP_WRITE, "uvqv", 2u, view_of(h, 8), (uint64_t)10, view_of(data, 3000));
    ask(l, SFTP_READ, "uvqu", 3u, view_of(h, 8), (uint64_t)10, 500u);
    ask(l, SFTP_READ, "uvqu", 4u, view_of(h, 8), (uint64_t)2900, 5000u);
    ask(l, SFTP_READ, "uvqu", 5u, view_of(h, 8), (uint64_t)3010, 10u);
    ask(l, SFTP_OPENDIR, "us", 6u, "/");
    h[3] = 1;
    ask(l, SFTP_READDIR, "uv", 7u, view_of(h, 8));
    ask(l, SFTP_CLOSE, "uv", 8u, view_of(h, 8));
    ask(l, SFTP_STAT, "us", 9u, "/f");
}

static void pieces_of_every_size(void **state) {
    struct lab whole;
    uint8_t data[3000];
    (void)state;
    open_lab(&whole, (struct sftp_server_config){0});
    converse(&whole, data);
    struct buf script;
    buf_init(&script, 1u << 20);
    assert_int_equal(buf_append(&script, buf_view(&whole.in)), OK);
    run_all(&whole);
    size_t n = buf_len(&script);
    for (size_t cut = 1; cut <= n; cut += cut < 80 ? 1 : 97) {
        struct lab l;
        open_lab(&l, (struct sftp_server_config){0});
        assert_int_equal(buf_append(&l.in, buf_view(&script)), OK);
        assert_int_equal(run(&l, cut, cut % 3 == 0 ? 9 : 700, true), OK);
        assert_true(view_equal(buf_view(&l.out), buf_view(&whole.out)));
        close_lab(&l);
    }
    // Split once, at every byte.
    for (size_t at = 1; at < n; at++) {
        struct lab l;
        open_lab(&l, (struct sftp_server_config){0});
        assert_int_equal(buf_append(&l.in, view_of(script.p, at)), OK);
        assert_int_equal(run(&l, SIZE_MAX, 4000, false), OK);
        assert_int_equal(buf_append(&l.in, view_of(script.p + at, n - at)), OK);
        assert_int_equal(run(&l, SIZE_MAX, 6000, false), OK);
        assert_true(view_equal(buf_view(&l.out), buf_view(&whole.out)));
        close_lab(&l);
    }
    buf_free(&script);
    close_lab(&whole);
}

static void expect_data(struct lab *l, uint32_t id, const uint8_t *p, size_t n) {
    struct reader r = answer(l, SFTP_DATA, id);
    struct view v = read_string(&r);
    assert_int_equal(v.n, n);
    assert_memory_equal(v.p, p, n);
    assert_int_equal(reader_end(&r), OK);
}

static void reading(void **state) {
    static uint8_t data[400000];
    struct lab l;
    uint8_t h[8];
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i % 251);
    open_lab(&l, (struct sftp_server_config){0});
    start(&l);
    open_file(&l, "/f", RW, h);
    ask(&l, SFTP_WRITE, "uvqv", 2u, view_of(h, 8), (uint64_t)0, view_of(data, 200000));
    ask(&l, SFTP_WRITE, "uvqv", 3u, view_of(h, 8), (uint64_t)200000,
        view_of(data + 200000, 200000));
    run_all(&l);
    expect_status(&l, 2, SFTP_OK);
    expect_status(&l, 3, SFTP_OK);
    ask(&l, SFTP_READ, "uvqu", 4u, view_of(h, 8), (uint64_t)5, 0xffffffffu);
    ask(&l, SFTP_READ, "uvqu", 5u, view_of(h, 8), (uint64_t)399999, 10u);
    ask(&l, SFTP_READ, "uvqu", 6u, view_of(h, 8), (uint64_t)400000, 10u);
    ask(&l, SFTP_READ, "uvqu", 7u, view_of(h, 8), UINT64_MAX, 10u);
    ask(&l, SFTP_READ, "uvqu", 8u, view_of(h, 8), (uint64_t)0, 0u);
    run_all(&l);
    expect_data(&l, 4, data + 5, SFTP_DATA_MAX);  // as limits@openssh.com says
    expect_data(&l, 5, data + 399999, 1);
    expect_status(&l, 6, SFTP_EOF);
    expect_status(&l, 7, SFTP_EOF);
    expect_status(&l, 8, SFTP_EOF);
    close_lab(&l);
}

// Without `split` a READ waits for rooms that hold its answer, and is then read once.
static void reads_wait_for_room(void **state) {
    struct lab l;
    uint8_t h[8], data[5000];
    (void)state;
    memset(data, 'x', sizeof data);
    open_lab(&l, (struct sftp_server_config){0});
    start(&l);
    open_file(&l, "/f", RW, h);
    ask(&l, SFTP_WRITE, "uvqv", 2u, view_of(h, 8), (uint64_t)0, view_of(data, 5000));
    run_all(&l);
    expect_status(&l, 2, SFTP_OK);
    ask(&l, SFTP_READ, "uvqu", 3u, view_of(h, 8), (uint64_t)0, 5000u);
    assert_int_equal(run(&l, SIZE_MAX, 2500, false), OK);
    assert_int_equal(buf_len(&l.out), 0);
    assert_int_equal(sftp_server_due(l.server), 5013);
    assert_int_equal(l.files.reads, 0);
    assert_int_equal(run(&l, SIZE_MAX, 2507, false), OK);
    expect_data(&l, 3, data, 5000);
    assert_int_equal(l.files.reads, 1);
    close_lab(&l);
}

static void failed_writes(void **state) {
    struct lab l;
    uint8_t h[8], data[5000] = {0};
    (void)state;
    open_lab(&l, (struct sftp_server_config){0});
    start(&l);
    open_file(&l, "/f", RW, h);
    l.files.broken = true;
    ask(&l, SFTP_WRITE, "uvqv", 2u, view_of(h, 8), (uint64_t)0, view_of(data, 5000));
    ask(&l, SFTP_STAT, "us", 3u, "/none");
    assert_int_equal(run(&l, 100, 1000, true), OK);
    expect_status(&l, 2, SFTP_FAILURE);  // once, behind all of it
    expect_status(&l, 3, SFTP_NO_SUCH_FILE);
    close_lab(&l);
}

static struct sftp_step keep(struct lab *l, struct span room, bool keeps) {
    struct sftp_step step = {
        .in = buf_view(&l->in), .rooms = &room, .n = 1, .keeps = keeps};
    assert_int_equal(sftp_server_step(l->server, &step, NULL), OK);
    assert_int_equal(buf_append(&l->out, view_of(room.p, step.filled)), OK);
    buf_taken(&l->in, step.taken);
    return step;
}

// Answers that are kept leave together and in order; nothing waits for what is not there.
static void answers_are_kept_while_input_comes(void **state) {
    struct lab l;
    uint8_t h[8], bytes[4096];
    struct span room = {bytes, sizeof bytes};
    (void)state;
    open_lab(&l, (struct sftp_server_config){0});
    start(&l);
    open_file(&l, "/f", RW, h);
    for (uint32_t i = 0; i < 5; i++)
        ask(&l, SFTP_WRITE, "uvqs", i, view_of(h, 8), (uint64_t)i, "x");
    struct sftp_step step = keep(&l, room, true);
    assert_int_equal(step.filled, 0);
    assert_int_equal(buf_len(&l.in), 0);
    assert_true(sftp_server_due(l.server) > 0);
    (void)keep(&l, room, false);
    assert_int_equal(sftp_server_due(l.server), 0);
    for (uint32_t i = 0; i < 5; i++)
        expect_status(&l, i, SFTP_OK);
    // Not for ever: some hundred bytes go while more input is there.
    for (uint32_t i = 0; i < 100; i++)
        ask(&l, SFTP_WRITE, "uvqs", i, view_of(h, 8), (uint64_t)i, "x");
    step = keep(&l, room, true);
    assert_int_equal(buf_len(&l.in), 0);
    assert_true(step.filled > 0 && sftp_server_due(l.server) < 600);
    (void)keep(&l, room, false);
    for (uint32_t i = 0; i < 100; i++)
        expect_status(&l, i, SFTP_OK);
    // Data is not kept back.
    ask(&l, SFTP_WRITE, "uvqs", 1u, view_of(h, 8), (uint64_t)0, "y");
    ask(&l, SFTP_READ, "uvqu", 2u, view_of(h, 8), (uint64_t)0, 10u);
    (void)keep(&l, room, true);
    (void)keep(&l, room, false);
    expect_status(&l, 1, SFTP_OK);
    expect_data(&l, 2, (const uint8_t *)"yxxxxxxxxx", 10);
    close_lab(&l);
}

static void handles_are_checked(void **state) {
    struct lab l;
    uint8_t h[8], again[8], odd[8];
    (void)state;
    open_lab(&l, (struct sftp_server_config){.max_handles = 3});
    start(&l);
    open_file(&l, "/f", RW, h);
    ask(&l, SFTP_CLOSE, "uv", 2u, view_of(h, 8));
    ask(&l, SFTP_CLOSE, "uv", 3u, view_of(h, 8));  // closed already
    run_all(&l);
    expect_status(&l, 2, SFTP_OK);
    expect_status(&l, 3, SFTP_FAILURE);
    open_file(&l, "/f", RW, again);
    assert_memory_not_equal(h, again, 8);
    ask(&l, SFTP_READ, "uvqu", 4u, view_of(h, 8), (uint64_t)0, 10u);
    ask(&l, SFTP_FSTAT, "uv", 5u, view_of(again, 7));
    ask(&l, SFTP_FSTAT, "uv", 6u, view_of(NULL, 0));
    memcpy(odd, again, 8);
    odd[0] = 0xff;
    ask(&l, SFTP_WRITE, "uvqs", 7u, view_of(odd, 8), (uint64_t)0, "data");
    ask(&l, SFTP_READDIR, "uv", 8u, view_of(again, 8));  // of a file
    run_all(&l);
    for (uint32_t id = 4; id <= 8; id++)
        expect_status(&l, id, SFTP_FAILURE);
    // As many as may be, folders included.
    open_file(&l, "/g", RW, h);
    ask(&l, SFTP_OPENDIR, "us", 9u, "/");
    ask(&l, SFTP_OPENDIR, "us", 10u, "/");
    ask(&l, SFTP_OPEN, "usuu", 11u, "/f", RW, 0u);
    run_all(&l);
    expect_handle(&l, 9, odd);
    expect_status(&l, 10, SFTP_FAILURE);
    expect_status(&l, 11, SFTP_FAILURE);
    ask(&l, SFTP_READ, "uvqu", 12u, view_of(odd, 8), (uint64_t)0, 10u);  // of a folder
    ask(&l, SFTP_WRITE, "uvqs", 13u, view_of(odd, 8), (uint64_t)0, "data");
    run_all(&l);
    expect_status(&l, 12, SFTP_FAILURE);
    expect_status(&l, 13, SFTP_FAILURE);
    close_lab(&l);
}

static void read_only(void **state) {
    struct lab l;
    uint8_t h[8];
    (void)state;
    open_lab(&l, (struct sftp_server_config){.read_only = true});
    ask_init(&l);
    run_all(&l);
    struct reader r = answer(&l, SFTP_VERSION_REPLY, 3);
    while (reader_left(&r) > 0) {
        struct view name = read_string(&r);
        read_string(&r);
        assert_false(view_is(name, "posix-rename@openssh.com") ||
                     view_is(name, "hardlink@openssh.com") || view_is(name, "copy-data"));
    }
    ask(&l, SFTP_OPEN, "usuu", 1u, "/f", SFTP_OPEN_READ | SFTP_OPEN_CREATE, 0u);
    ask(&l, SFTP_OPEN, "usuu", 2u, "/f", (uint32_t)SFTP_OPEN_WRITE, 0u);
    ask(&l, SFTP_MKDIR, "usu", 3u, "/d", 0u);
    ask(&l, SFTP_REMOVE, "us", 4u, "/f");
    ask(&l, SFTP_EXTENDED, "usss", 5u, "posix-rename@openssh.com", "/a", "/b");
    ask(&l, SFTP_SETSTAT, "usu", 6u, "/f", 0u);
    ask(&l, SFTP_WRITE, "usqs", 7u, "12345678", (uint64_t)0, "data");
    run_all(&l);
    for (uint32_t id = 1; id <= 7; id++)
        expect_status(&l, id, SFTP_PERMISSION_DENIED);
    ask(&l, SFTP_OPENDIR, "us", 8u, "/");
    run_all(&l);
    expect_handle(&l, 8, h);
    close_lab(&l);
}

static void lists_of_requests(void **state) {
    struct lab l;
    uint64_t set;
    char bad[32];
    (void)state;
    assert_true(sftp_operations_parse("remove,fsync", &set, bad, sizeof bad));
    assert_int_equal(set, 1ull << SFTP_OP_REMOVE | 1ull << SFTP_OP_FSYNC);
    assert_false(sftp_operations_parse("remove,unlink", &set, bad, sizeof bad));
    assert_string_equal(bad, "unlink");
    assert_false(sftp_operations_parse("", &set, bad, sizeof bad));
    open_lab(&l, (struct sftp_server_config){.allowed = SFTP_OPERATIONS_ALL &
                                                        ~(1ull << SFTP_OP_REMOVE)});
    start(&l);
    ask(&l, SFTP_REMOVE, "us", 1u, "/f");
    ask(&l, SFTP_RMDIR, "us", 2u, "/f");
    run_all(&l);
    expect_status(&l, 1, SFTP_PERMISSION_DENIED);
    expect_status(&l, 2, SFTP_NO_SUCH_FILE);
    close_lab(&l);
}

static void listings_are_bounded(void **state) {
    struct lab l;
    uint8_t h[8];
    (void)state;
    open_lab(&l, (struct sftp_server_config){0});
    l.files.entries = 250;
    start(&l);
    ask(&l, SFTP_OPENDIR, "us", 1u, "/");
    run_all(&l);
    expect_handle(&l, 1, h);
    for (uint32_t id = 2; id < 6; id++)
        ask(&l, SFTP_READDIR, "uv", id, view_of(h, 8));
    run_all(&l);
    struct reader r = answer(&l, SFTP_NAME, 2);
    assert_int_equal(read_u32(&r), 100);
    assert_true(view_is(read_string(&r), "entry0"));
    assert_true(view_is(read_string(&r),
                        "-rwsr-xr-x   3 user     staff           5 Nov 21 13:35 entry0"));
    struct sftp_attributes a;
    sftp_attributes_read(&r, &a);
    assert_int_equal(a.flags, 15);
    assert_int_equal(a.size, 5);
    assert_int_equal(a.mode, 0104755);
    r = answer(&l, SFTP_NAME, 3);
    assert_int_equal(read_u32(&r), 100);
    r = answer(&l, SFTP_NAME, 4);
    assert_int_equal(read_u32(&r), 50);
    expect_status(&l, 5, SFTP_EOF);
    close_lab(&l);
}

static void slow_work_is_waited_for(void **state) {
    struct lab l;
    uint8_t h[8], other[8];
    (void)state;
    open_lab(&l, (struct sftp_server_config){0});
    l.files.later = true;
    start(&l);
    open_file(&l, "/f", RW, h);
    open_file(&l, "/g", RW, other);
    ask(&l, SFTP_EXTENDED, "usv", 1u, "fsync@openssh.com", view_of(h, 8));
    ask(&l, SFTP_STAT, "us", 2u, "/f");
    assert_int_equal(run(&l, SIZE_MAX, 1000, true), OK);
    assert_true(sftp_server_waits(l.server));
    assert_int_equal(buf_len(&l.out), 0);  // nothing overtakes it
    assert_true(buf_len(&l.in) > 0);
    sftp_server_finish(l.server, SFTP_OK);
    run_all(&l);
    expect_status(&l, 1, SFTP_OK);
    answer(&l, SFTP_ATTRS, 2);
    ask(&l, SFTP_EXTENDED, "usvqqvq", 3u, "copy-data", view_of(h, 8), (uint64_t)0,
        (uint64_t)0, view_of(h, 8), (uint64_t)9);  // onto itself
    ask(&l, SFTP_EXTENDED, "usvqqvq", 4u, "copy-data", view_of(h, 8), (uint64_t)0,
        (uint64_t)0, view_of(other, 8), (uint64_t)9);
    assert_int_equal(run(&l, SIZE_MAX, 1000, true), OK);
    expect_status(&l, 3, SFTP_FAILURE);
    assert_true(sftp_server_waits(l.server));
    sftp_server_finish(l.server, SFTP_EOF);
    run_all(&l);
    expect_status(&l, 4, SFTP_EOF);
    close_lab(&l);
}

static void extensions_answer(void **state) {
    struct lab l;
    (void)state;
    open_lab(&l, (struct sftp_server_config){0});
    start(&l);
    ask(&l, SFTP_EXTENDED, "us", 1u, "limits@openssh.com");
    ask(&l, SFTP_EXTENDED, "uss", 2u, "statvfs@openssh.com", "/");
    ask(&l, SFTP_EXTENDED, "usvv", 3u, "users-groups-by-id@openssh.com",
        view_of("\0\0\0\7\0\0\0\11", 8), view_of("\0\0\0\1", 4));
    ask(&l, SFTP_EXTENDED, "usvs", 4u, "users-groups-by-id@openssh.com",
        view_of("\0\0\0", 3), "");
    ask(&l, SFTP_EXTENDED, "uss", 5u, "expand-path@openssh.com", "~kim/x");
    ask(&l, SFTP_EXTENDED, "uss", 6u, "expand-path@openssh.com", "~nobody");
    ask(&l, SFTP_EXTENDED, "uss", 7u, "home-directory", "");
    run_all(&l);
    struct reader r = answer(&l, SFTP_EXTENDED_REPLY, 1);
    assert_int_equal(read_u64(&r), 256 * 1024);
    assert_int_equal(read_u64(&r), 255 * 1024);
    assert_int_equal(read_u64(&r), 255 * 1024);
    assert_int_equal(read_u64(&r), 10);
    assert_int_equal(reader_end(&r), OK);
    r = answer(&l, SFTP_EXTENDED_REPLY, 2);
    assert_int_equal(reader_left(&r), 11 * 8);
    r = answer(&l, SFTP_EXTENDED_REPLY, 3);
    assert_true(view_equal(read_string(&r), view_of("\0\0\0\4user\0\0\0\0", 12)));
    assert_true(view_equal(read_string(&r), view_of("\0\0\0\5staff", 9)));
    assert_int_equal(reader_end(&r), OK);
    expect_status(&l, 4, SFTP_BAD_MESSAGE);
    r = answer(&l, SFTP_NAME, 5);
    assert_int_equal(read_u32(&r), 1);
    assert_true(view_is(read_string(&r), "/home/x"));
    expect_status(&l, 6, SFTP_NO_SUCH_FILE);
    r = answer(&l, SFTP_NAME, 7);
    assert_int_equal(read_u32(&r), 1);
    assert_true(view_is(read_string(&r), "/home"));
    close_lab(&l);
}

static void the_log_has_transfers(void **state) {
    struct lab l;
    struct lines lines = {""};
    struct log log = {.level = LOG_LEVEL_INFO, .write = write_line, .sink = &lines};
    uint8_t h[8];
    (void)state;
    open_lab(&l, (struct sftp_server_config){.log = &log});
    start(&l);
    open_file(&l, "/f\n\33[1m", RW, h);
    ask(&l, SFTP_WRITE, "uvqs", 2u, view_of(h, 8), (uint64_t)0, "12345");
    ask(&l, SFTP_READ, "uvqu", 3u, view_of(h, 8), (uint64_t)1, 100u);
    ask(&l, SFTP_STAT, "us", 4u, "/none");
    ask(&l, SFTP_SETSTAT, "usuuuu", 5u, "/f",
        (uint32_t)(SFTP_ATTR_MODE | SFTP_ATTR_TIMES), 0640u, 1u, 2u);
    run_all(&l);
    close_lab(&l);
    assert_string_equal(lines.text,
                        "open \"/f\\012\\033[1m\" flags READ,WRITE,CREATE mode 0666\n"
                        "sent status No such file\n"
                        "set \"/f\" mode 0640\n"
                        "set \"/f\" modtime 20261121-13:35:00\n"
                        "sent status No such file\n"
                        "forced close \"/f\\012\\033[1m\" bytes read 4 written 5\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_and_extensions),
        cmocka_unit_test(what_leaves_no_way_on_ends_the_session),
        cmocka_unit_test(malformed_requests_are_answered),
        cmocka_unit_test(pieces_of_every_size),
        cmocka_unit_test(reading),
        cmocka_unit_test(reads_wait_for_room),
        cmocka_unit_test(failed_writes),
        cmocka_unit_test(answers_are_kept_while_input_comes),
        cmocka_unit_test(handles_are_checked),
        cmocka_unit_test(read_only),
        cmocka_unit_test(lists_of_requests),
        cmocka_unit_test(listings_are_bounded),
        cmocka_unit_test(slow_work_is_waited_for),
        cmocka_unit_test(extensions_answer),
        cmocka_unit_test(the_log_has_transfers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
