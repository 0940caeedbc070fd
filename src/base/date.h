// A date and time of day as people write them, and not yet a time: that takes a time zone
// (clock_date_s()).
#pragma once

#include <stdbool.h>

struct date {
    int year, month, day, hour, minute, second;  // month from 1
    bool utc;                                    // else local time
};
