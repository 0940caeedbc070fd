#include "io/clock.h"

#include <limits.h>
#include <time.h>

static uint64_t read_ns(clockid_t id) {
    struct timespec t = {0};
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_ms(void) {
    return read_ns(CLOCK_MONOTONIC) / 1000000u;
}

uint64_t clock_us(void) {
    return read_ns(CLOCK_MONOTONIC) / 1000u;
}

uint64_t clock_boot_ms(void) {
    return read_ns(CLOCK_BOOTTIME) / 1000000u;
}

uint64_t clock_wall_s(void) {
    return read_ns(CLOCK_REALTIME) / 1000000000u;
}

uint64_t clock_wall_us(void) {
    return read_ns(CLOCK_REALTIME) / 1000u;
}

uint64_t clock_date_s(const struct date *d) {
    struct tm tm = {.tm_year = d->year - 1900,
                    .tm_mon = d->month - 1,
                    .tm_mday = d->day,
                    .tm_hour = d->hour,
                    .tm_min = d->minute,
                    .tm_sec = d->second,
                    .tm_isdst = -1};
    time_t s = d->utc ? timegm(&tm) : mktime(&tm);
    return s < 0 ? 0 : (uint64_t)s;
}

uint64_t clock_after(uint64_t now, uint64_t ms) {
    return ms > CLOCK_NEVER - now ? CLOCK_NEVER : now + ms;
}

int clock_poll_ms(uint64_t now, uint64_t deadline) {
    if (deadline == CLOCK_NEVER)
        return -1;
    if (deadline <= now)
        return 0;
    return deadline - now > INT_MAX ? INT_MAX : (int)(deadline - now);
}
