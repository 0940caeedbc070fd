// Time, as the sans-IO core gets it: always an argument, in milliseconds.
#pragma once

#include <stdint.h>

#include "base/date.h"

// A deadline that never comes.
#define CLOCK_NEVER UINT64_MAX

// Monotonic; stands still while the machine sleeps. For deadlines and timers.
uint64_t clock_ms(void);
uint64_t clock_us(void);

// Monotonic, and goes on while the machine sleeps. For "how long was I away".
uint64_t clock_boot_ms(void);

// Since 1970; may jump.
uint64_t clock_wall_s(void);
uint64_t clock_wall_us(void);
uint64_t clock_date_s(const struct date *d);  // before 1970: 0

// now + ms without overflow; CLOCK_NEVER stays CLOCK_NEVER.
uint64_t clock_after(uint64_t now, uint64_t ms);

// What poll(2) wants for a deadline: -1 for CLOCK_NEVER, 0 when past, at most INT_MAX.
int clock_poll_ms(uint64_t now, uint64_t deadline);
