// The SFTP client's engine: against the server's engine over files in memory, in pieces
// of every size, and against answers that no server should give.
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
#include "sftp/transfer.h"

static const struct log quiet = {.level = LOG_LEVEL_QUIET};

#define FILE_SIZE 200001u

struct lab {
    struct memory_files files;
    struct sftp_server *server;
    struct sftp_client *client;
    struct buf answers;
    size_t cut;  // bytes moved at a time
    uint64_t now;
    bool whole;
};

static void open_lab(struct lab *l, struct sftp_client_config config, uint64_t allowed) {
    memory_files_init(&l->files);
    struct sftp_server_config server = {
        .vfs = &l->files.vfs, .log = &quiet, .allowed = allowed, .max_handles = 10};
    assert_int_equal(sftp_server_new(&l->server, &server), OK);
    assert_int_equal(sftp_client_new(&l->client, &config), OK);
    buf_init(&l->answers, 8u << 20);
    l->cut = SIZE_MAX;
    l->now = 1;
    l->whole = false;
}

static void close_lab(struct lab *l) {
    sftp_server_free(l->server);
    sftp_client_free(l->client);
    assert_int_equal(l->files.open, 0);
    memory_files_free(&l->files);
    buf_free(&l->answers);
}

// Requests to the server, as much as it takes.
static void serve(struct lab *l) {
    static uint8_t room[300000];
    struct sftp_step step;
    do {
        struct view v = sftp_client_out(l->client);
        struct span rooms[] = {{room, l->cut < sizeof room ? l->cut : sizeof room}};
        step = (struct sftp_step){.in = view_of(v.p, v.n < l->cut ? v.n : l->cut),
                                  .rooms = rooms,
                                  .n = 1,
                                  .split = true};
        assert_int_equal(sftp_server_step(l->server, &step, NULL), OK);
        sftp_client_out_done(l->client, step.taken);
        assert_int_equal(buf_append(&l->answers, view_of(room, step.filled)), OK);
    } while (step.taken > 0 || step.filled > 0);
}

// The next reply; the views in it stay good until the next call.
static struct sftp_reply next(struct lab *l) {
    struct sftp_reply r = {.kind = SFTP_REPLY_NONE};
    size_t taken = 0, n = 0;
    while (r.kind == SFTP_REPLY_NONE) {
        serve(l);
        struct view v = buf_view(&l->answers);
        n = l->whole || n + l->cut > v.n || l->cut > v.n ? v.n : n + l->cut;
        assert_true(v.n > 0);
        l->now++;
        assert_int_equal(sftp_client_step(l->client, view_of(v.p, n), l->whole, l->now,
                                          &taken, &r, NULL),
                         OK);
        buf_taken(&l->answers, taken);
        if (taken > 0)
            n = 0;
    }
    return r;
}

static struct sftp_handle_name open_file(struct lab *l, const char *path,
                                         uint32_t flags) {
    struct sftp_handle_name h;
    uint32_t ticket;
    union sftp_request r = {
        .open = {view_text(path), flags, view_of((const uint8_t[4]){0}, 4)}};
    assert_int_equal(sftp_client_ask(l->client, SFTP_OP_OPEN, &r, l->now, &ticket), OK);
    struct sftp_reply reply = next(l);
    assert_int_equal(reply.kind, SFTP_REPLY_HANDLE);
    assert_int_equal(reply.ticket, ticket);
    h.n = reply.bytes.n;
    memcpy(h.p, reply.bytes.p, h.n);
    return h;
}

static void close_file(struct lab *l, const struct sftp_handle_name *h) {
    uint32_t ticket;
    union sftp_request r = {.handle = {sftp_handle_view(h)}};
    assert_int_equal(sftp_client_ask(l->client, SFTP_OP_CLOSE, &r, l->now, &ticket), OK);
    assert_int_equal(next(l).status, SFTP_OK);
}

static void put(struct lab *l, const uint8_t *data, size_t n) {
    struct sftp_handle_name h =
        open_file(l, "/file", SFTP_OPEN_WRITE | SFTP_OPEN_CREATE | SFTP_OPEN_TRUNCATE);
    struct sftp_upload u;
    size_t at = 0;
    sftp_upload_begin(&u, &h, 0);
    while (!sftp_upload_done(&u)) {
        while (sftp_upload_wants(&u, l->client)) {
            struct span room;
            assert_int_equal(
                sftp_client_write_room(l->client, sftp_handle_view(&h), &room), OK);
            size_t one = n - at < room.n ? n - at : room.n;
            memcpy(room.p, data + at, one);
            at += one;
            assert_int_equal(sftp_upload_send(&u, l->client, (uint32_t)one, l->now), OK);
        }
        if (sftp_upload_done(&u))
            break;
        struct sftp_reply reply = next(l);
        assert_int_equal(reply.operation, SFTP_OP_WRITE);
        sftp_upload_take(&u, &reply);
    }
    assert_int_equal(u.status, SFTP_OK);
    assert_int_equal(u.acknowledged, n);
    close_file(l, &h);
}

static void get(struct lab *l, uint8_t *out, size_t n, uint64_t told) {
    struct sftp_handle_name h = open_file(l, "/file", SFTP_OPEN_READ);
    struct sftp_download d;
    sftp_download_begin(&d, &h, 0, told);
    while (!sftp_download_done(&d)) {
        assert_int_equal(sftp_download_ask(&d, l->client, l->now), OK);
        struct sftp_reply reply = next(l);
        if (reply.kind == SFTP_REPLY_DATA) {
            assert_true(reply.offset + reply.bytes.n <= n);
            memcpy(out + reply.offset, reply.bytes.p, reply.bytes.n);
        }
        assert_int_equal(sftp_download_take(&d, l->client, &reply, l->now), OK);
    }
    assert_int_equal(d.status, SFTP_OK);
    assert_int_equal(sftp_download_whole(&d), n);
    close_file(l, &h);
}

static void round_trip(struct sftp_client_config config, size_t cut, bool whole,
                       uint64_t allowed) {
    static uint8_t data[FILE_SIZE], out[FILE_SIZE];
    struct lab l;
    open_lab(&l, config, allowed);
    l.cut = cut;
    l.whole = whole;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    assert_int_equal(next(&l).kind, SFTP_REPLY_READY);
    put(&l, data, sizeof data);
    const uint64_t told[] = {FILE_SIZE, 0, FILE_SIZE - 1, 2 * FILE_SIZE, 7};
    for (size_t i = 0; i < 5; i++) {
        memset(out, 0, sizeof out);
        get(&l, out, sizeof out, told[i]);
        assert_memory_equal(out, data, sizeof data);
    }
    assert_int_equal(sftp_client_outstanding(l.client), 0);
    close_lab(&l);
}

static void both_engines(void **state) {
    (void)state;
    const uint64_t plain = SFTP_OPERATIONS_ALL & ~(UINT64_C(1) << SFTP_OP_LIMITS);
    round_trip((struct sftp_client_config){0}, SIZE_MAX, false, SFTP_OPERATIONS_ALL);
    round_trip((struct sftp_client_config){0}, SIZE_MAX, true, SFTP_OPERATIONS_ALL);
    round_trip((struct sftp_client_config){0}, SIZE_MAX, false, plain);
    for (size_t cut = 1; cut < 40; cut += cut < 16 ? 1 : 7)
        round_trip((struct sftp_client_config){0}, cut, false, SFTP_OPERATIONS_ALL);
    round_trip((struct sftp_client_config){.block = 1000, .requests = 1}, SIZE_MAX, false,
               SFTP_OPERATIONS_ALL);
    round_trip((struct sftp_client_config){.block = 999, .requests = 7}, 1000, false,
               SFTP_OPERATIONS_ALL);
}

static void limits_and_extensions(void **state) {
    struct lab l;
    uint32_t ticket;
    (void)state;
    open_lab(&l, (struct sftp_client_config){0},
             SFTP_OPERATIONS_ALL & ~(UINT64_C(1) << SFTP_OP_FSYNC));
    assert_int_equal(next(&l).kind, SFTP_REPLY_READY);
    assert_int_equal(sftp_client_version(l.client), SFTP_VERSION);
    assert_true(sftp_client_has(l.client, SFTP_OP_POSIX_RENAME));
    assert_false(sftp_client_has(l.client, SFTP_OP_FSYNC));
    union sftp_request r = {.handle = {view_text("x")}};
    assert_int_equal(sftp_client_ask(l.client, SFTP_OP_FSYNC, &r, 1, &ticket),
                     ERR_UNSUPPORTED);
    assert_int_equal(sftp_client_block(l.client, false), SFTP_CLIENT_BLOCK);
    r = (union sftp_request){.path = {view_text("/nothing")}};
    assert_int_equal(sftp_client_ask(l.client, SFTP_OP_STAT, &r, 1, &ticket), OK);
    assert_int_equal(next(&l).status, SFTP_NO_SUCH_FILE);
    // The limits came meanwhile, and nobody was told.
    assert_int_equal(sftp_client_block(l.client, false), SFTP_DATA_MAX);
    close_lab(&l);
}

// ---- answers made by hand ----

static void answer(struct buf *b, const char *kinds, ...) {
    va_list ap;
    size_t at = buf_len(b);
    struct writer w = writer_to_buf(b);
    write_u32(&w, 0);
    va_start(ap, kinds);
    for (; *kinds != '\0'; kinds++) {
        if (*kinds == 't')
            write_u8(&w, (uint8_t)va_arg(ap, int));
        else if (*kinds == 'u')
            write_u32(&w, va_arg(ap, uint32_t));
        else if (*kinds == 'q')
            write_u64(&w, va_arg(ap, uint64_t));
        else
            write_text(&w, va_arg(ap, const char *));
    }
    va_end(ap);
    store_u32(b->p + b->start + at, (uint32_t)(buf_len(b) - at - 4));
}

static struct sftp_client *greeted(void) {
    struct sftp_client *c;
    struct sftp_client_config config = {.block = 10};
    struct sftp_reply r;
    size_t taken;
    scoped_buf b;
    buf_init(&b, 1000);
    assert_int_equal(sftp_client_new(&c, &config), OK);
    answer(&b, "tu", SFTP_VERSION_REPLY, 3u);
    assert_int_equal(sftp_client_step(c, buf_view(&b), false, 1, &taken, &r, NULL), OK);
    assert_int_equal(r.kind, SFTP_REPLY_READY);
    return c;
}

// The id of the request that stands last in what the client wants to send.
static uint32_t last_id(struct sftp_client *c) {
    struct view v = sftp_client_out(c);
    uint32_t id = 0;
    for (size_t at = 0; at + 9 <= v.n; at += load_u32(v.p + at) + 4)
        if (v.p[at + 4] != SFTP_INIT)
            id = load_u32(v.p + at + 5);
    return id;
}

static void answers_in_any_order(void **state) {
    struct sftp_client *c = greeted();
    struct sftp_download d;
    struct sftp_handle_name h = {.p = "h", .n = 1};
    struct sftp_reply r;
    scoped_buf b;
    char file[33] = "";
    size_t taken;
    (void)state;
    buf_init(&b, 10000);
    sftp_download_begin(&d, &h, 0, 30);
    assert_int_equal(sftp_download_ask(&d, c, 1), OK);
    assert_int_equal(sftp_client_outstanding(c), 4);  // three blocks, one for the end
    uint32_t last = last_id(c);
    answer(&b, "tuuss", SFTP_STATUS, last, SFTP_EOF, "", "");
    answer(&b, "tus", SFTP_DATA, last - 1, "klmnopqrst");
    answer(&b, "tus", SFTP_DATA, last - 3, "0123");  // short: the rest is asked for again
    answer(&b, "tus", SFTP_DATA, last - 2, "abcdefghij");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(sftp_client_step(c, buf_view(&b), false, 2, &taken, &r, NULL),
                         OK);
        buf_taken(&b, taken);
        if (r.kind == SFTP_REPLY_DATA)
            memcpy(file + r.offset, r.bytes.p, r.bytes.n);
        if (r.kind != SFTP_REPLY_NONE)
            assert_int_equal(sftp_download_take(&d, c, &r, 2), OK);
        if (i == 2)
            answer(&b, "tus", SFTP_DATA, last_id(c), "456789");
    }
    assert_true(sftp_download_done(&d));
    assert_int_equal(sftp_download_whole(&d), 30);
    assert_string_equal(file, "0123456789abcdefghijklmnopqrst");
    assert_int_equal(sftp_client_block(c, false), 512);  // it shrank to the least
    sftp_client_free(c);
}

static void holes_are_seen(void **state) {
    struct sftp_client *c = greeted();
    struct sftp_download d;
    struct sftp_handle_name h = {.p = "h", .n = 1};
    struct sftp_reply r;
    scoped_buf b;
    size_t taken;
    (void)state;
    buf_init(&b, 10000);
    sftp_download_begin(&d, &h, 0, 30);
    assert_int_equal(sftp_download_ask(&d, c, 1), OK);
    uint32_t last = last_id(c);
    answer(&b, "tus", SFTP_DATA, last - 3, "0123456789");
    answer(&b, "tuuss", SFTP_STATUS, last - 2, SFTP_FAILURE, "", "");
    answer(&b, "tus", SFTP_DATA, last - 1, "klmnopqrst");
    answer(&b, "tuuss", SFTP_STATUS, last, SFTP_EOF, "", "");
    for (int i = 0; i < 4; i++) {
        assert_int_equal(sftp_client_step(c, buf_view(&b), false, 2, &taken, &r, NULL),
                         OK);
        buf_taken(&b, taken);
        assert_int_equal(sftp_download_take(&d, c, &r, 2), OK);
    }
    assert_true(sftp_download_done(&d));
    assert_int_equal(d.status, SFTP_FAILURE);
    assert_int_equal(sftp_download_whole(&d), 10);
    sftp_client_free(c);
}

static void wrong_answers_end_the_session(void **state) {
    (void)state;
    for (int i = 0; i < 11; i++) {
        struct sftp_client *c = greeted();
        union sftp_request stat_of = {.path = {view_text("/x")}};
        struct sftp_reply r;
        struct fault fault = {0};
        uint32_t ticket, read;
        size_t taken;
        scoped_buf b;
        buf_init(&b, 10000);
        assert_int_equal(sftp_client_read(c, view_text("h"), 0, 10, 1), OK);
        read = last_id(c);
        assert_int_equal(sftp_client_ask(c, SFTP_OP_STAT, &stat_of, 1, &ticket), OK);
        switch (i) {
        case 0:
            answer(&b, "tus", SFTP_DATA, read, "");
            break;
        case 1:
            answer(&b, "tus", SFTP_DATA, read, "12345678901");
            break;
        case 2:
            answer(&b, "tus", SFTP_DATA, read + 100, "1");
            break;
        case 3:
            answer(&b, "tus", SFTP_DATA, ticket, "1");
            break;
        case 4:
            answer(&b, "tus", SFTP_HANDLE, ticket, "h");
            break;
        case 5:
            answer(&b, "tuu", SFTP_NAME, ticket, 0u);
            break;
        case 6:
            answer(&b, "tuu", SFTP_ATTRS, ticket, 4u);
            break;
        case 7:
            answer(&b, "tu", SFTP_VERSION_REPLY, 3u);
            break;
        case 8:
            answer(&b, "tuss", SFTP_DATA, read, "1", "more");
            break;
        case 9:
            answer(&b, "tuuss", SFTP_STATUS, read + 100, 0u, "", "");
            break;
        default:
            assert_int_equal(buf_append(&b, view_text("Welcome!")), OK);
        }
        assert_int_not_equal(
            sftp_client_step(c, buf_view(&b), false, 2, &taken, &r, &fault), OK);
        assert_true(strlen(fault_text(&fault)) > 10);
        sftp_client_free(c);
    }
}

static void requests_are_bounded(void **state) {
    struct sftp_client *c = greeted();
    (void)state;
    for (uint32_t i = 0; i < SFTP_CLIENT_REQUESTS; i++)
        assert_int_equal(sftp_client_read(c, view_text("h"), i, 1, 1), OK);
    assert_int_equal(sftp_client_read(c, view_text("h"), 0, 1, 1), ERR_LIMIT);
    assert_false(sftp_client_allows(c, 1));
    sftp_client_free(c);
}

// ---- flow ----

// A path that delivers `rate` bytes each millisecond after `rtt`: what it settles at.
static uint64_t settle(uint64_t rate, uint64_t rtt) {
    struct sftp_flow f;
    const uint32_t block = 128u * 1024u;
    uint64_t now = 1000, free_at = 0, sent[2048], due[2048];
    size_t head = 0, tail = 0;
    sftp_flow_init(&f);
    sftp_flow_answered(&f, 0, now - rtt, now);
    for (int i = 0; i < 40000; i++) {
        while (sftp_flow_allows(&f, block) && tail - head < 2048) {
            uint64_t start = free_at > now + rtt ? free_at : now + rtt;
            free_at = start + block / rate;
            sent[tail % 2048] = now;
            due[tail++ % 2048] = free_at;
            sftp_flow_sent(&f, block, now);
        }
        now = due[head % 2048] > now ? due[head % 2048] : now;
        sftp_flow_answered(&f, block, sent[head++ % 2048], now);
    }
    return f.window;
}

static void windows_fit_the_path(void **state) {
    (void)state;
    assert_int_equal(settle(50000, 1), SFTP_FLOW_LEAST);
    // 30 MB/s over 100 ms: 3 MB are under way; no more than a few times that.
    uint64_t far = settle(30000, 100);
    assert_true(far >= 3000000 && far < 12000000);
    assert_true(settle(1000000, 100) == SFTP_FLOW_MOST);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_engines),
        cmocka_unit_test(limits_and_extensions),
        cmocka_unit_test(answers_in_any_order),
        cmocka_unit_test(holes_are_seen),
        cmocka_unit_test(wrong_answers_end_the_session),
        cmocka_unit_test(requests_are_bounded),
        cmocka_unit_test(windows_fit_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
