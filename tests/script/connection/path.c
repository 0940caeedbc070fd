// Windows on paths: bulk data over a simulated link with delay and rate, 1 ms steps, a
// fake clock.
#include "script/connection/pair.h"

#define MESSAGE 32768u
#define IN_FLIGHT 65536u

struct path {
    uint64_t delay;         // one way, ms
    uint64_t link, reader;  // bytes each ms
    uint32_t window_max;
};

struct flight {
    uint64_t at;  // when it arrives
    struct view message;
    uint32_t n;  // of data, and then message is empty
};

struct run {
    uint64_t second[8];      // bytes consumed in each second
    uint64_t most_buffered;  // delivered and not consumed
    uint32_t window;         // at the end
    uint64_t adjusts;
};

static struct flight flights[IN_FLIGHT];

static struct run simulate(struct path path, unsigned seconds) {
    struct connection_config receiver = {.window_max = path.window_max};
    struct pair p = pair_new(receiver, (struct connection_config){0});
    uint32_t s, c = open_session(&p, &s);
    struct run run = {0};
    size_t head = 0, tail = 0;
    struct {
        uint64_t at;
        uint8_t bytes[16];
        size_t n;
    } back[64] = {0};
    size_t back_head = 0, back_tail = 0;
    uint64_t buffered = 0, link_credit = 0;
    static uint8_t data[CONNECTION_DATA_HEADER + MESSAGE] = {94};

    for (uint64_t now = 1; now <= 1000u * seconds; now++) {
        // adjusts reach the sender
        for (; back_head != back_tail && back[back_head % 64].at <= now; back_head++) {
            struct connection_event e;
            assert_int_equal(
                connection_in(p.server,
                              view_of(back[back_head % 64].bytes, back[back_head % 64].n),
                              now),
                OK);
            connection_next(p.server, &e);
        }
        // the sender has no end of data
        link_credit = link_credit > 8 * MESSAGE ? link_credit : link_credit + path.link;
        size_t n;
        while ((n = connection_data_max(p.server, s)) > 0 && link_credit >= n) {
            uint8_t header[CONNECTION_DATA_HEADER];
            connection_data_header(p.server, s, 0, n, header);
            assert_true(tail - head < IN_FLIGHT);
            flights[tail++ % IN_FLIGHT] =
                (struct flight){.at = now + path.delay, .n = (uint32_t)n};
            link_credit -= n;
        }
        // arrivals
        for (; head != tail && flights[head % IN_FLIGHT].at <= now; head++) {
            uint32_t k = flights[head % IN_FLIGHT].n;
            store_u32(data + 1, c);
            store_u32(data + 5, k);
            assert_int_equal(
                connection_in(p.client, view_of(data, CONNECTION_DATA_HEADER + k), now),
                OK);
            expect(p.client, CONNECTION_DATA);
            buffered += k;
            if (buffered > run.most_buffered)
                run.most_buffered = buffered;
            if (path.reader == UINT64_MAX) {
                assert_int_equal(connection_consumed(p.client, c, k, now), OK);
                run.second[(now - 1) / 1000] += k;
                buffered -= k;
            }
        }
        if (path.reader != UINT64_MAX && buffered > 0) {
            uint64_t k = buffered < path.reader ? buffered : path.reader;
            assert_int_equal(connection_consumed(p.client, c, k, now), OK);
            run.second[(now - 1) / 1000] += k;
            buffered -= k;
        }
        struct view m;
        while ((m = connection_out(p.client)).n > 0) {
            assert_true(m.n <= 16 && back_tail - back_head < 64);
            back[back_tail % 64].at = now + path.delay;
            back[back_tail % 64].n = m.n;
            memcpy(back[back_tail % 64].bytes, m.p, m.n);
            back_tail++;
            run.adjusts++;
            connection_out_done(p.client);
        }
    }
    run.window = channel_at(p.client, c)->in.size;
    pair_free(&p);
    return run;
}

#define MB 1000000u

static void a_long_path_reaches_its_speed(void **state) {
    (void)state;
    // 200 MB/s over 100 ms: 20 MB in flight, ten times the first window.
    struct run run = simulate((struct path){50, MB / 5, UINT64_MAX, 64u << 20}, 4);
    // A fixed window of 2 MiB would give 20 MB/s.
    assert_true(run.second[0] > 70 * MB);
    assert_true(run.second[1] > 180 * MB);
    assert_true(run.second[3] > 190 * MB);
    assert_in_range(run.window, 20u << 20, 64u << 20);
    // Rare, large adjusts.
    assert_true(run.adjusts < 120);
}

static void a_very_long_path_too(void **state) {
    (void)state;
    // 100 MB/s over 400 ms
    struct run run = simulate((struct path){200, MB / 10, UINT64_MAX, 128u << 20}, 8);
    assert_true(run.second[4] > 90 * MB);
    assert_true(run.second[7] > 95 * MB);
}

static void a_reader_that_keeps_up_in_steps_counts_as_fast(void **state) {
    (void)state;
    struct run run = simulate((struct path){50, MB / 5, MB, 64u << 20}, 4);
    assert_true(run.second[3] > 190 * MB);
}

static void a_slow_reader_keeps_its_window(void **state) {
    (void)state;
    // 5 MB/s behind 200 MB/s: more window would only be more waiting in memory.
    struct run run = simulate((struct path){50, MB / 5, 5000, 64u << 20}, 8);
    assert_int_equal(run.window, LIMIT_WINDOW_START);
    assert_true(run.most_buffered <= LIMIT_WINDOW_START);
    assert_true(run.second[7] >= 5 * MB - MESSAGE);
}

static void a_near_peer_keeps_its_window(void **state) {
    (void)state;
    struct run run = simulate((struct path){0, MB, UINT64_MAX, 64u << 20}, 2);
    assert_int_equal(run.window, LIMIT_WINDOW_START);
    assert_true(run.second[1] > 990 * MB);
}

static void the_limit_holds(void **state) {
    (void)state;
    struct run run = simulate((struct path){50, MB, UINT64_MAX, 5000000}, 3);
    assert_int_equal(run.window, 5000000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_path_reaches_its_speed),
        cmocka_unit_test(a_very_long_path_too),
        cmocka_unit_test(a_reader_that_keeps_up_in_steps_counts_as_fast),
        cmocka_unit_test(a_slow_reader_keeps_its_window),
        cmocka_unit_test(a_near_peer_keeps_its_window),
        cmocka_unit_test(the_limit_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
