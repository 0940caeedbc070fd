// ChannelTimeout: channels that are quiet for too long are closed.
#pragma once

#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

struct run;

// The name that ChannelTimeout has for a channel type that a server opens.
const char *timeout_type(struct view channel_type);
uint64_t timeouts_deadline(const struct run *r);
must_check enum err timeouts_check(struct run *r);
