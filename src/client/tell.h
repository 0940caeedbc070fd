// What a running ssh says of itself: ~I, ~#, and ssh -O conninfo and channels. Lines end
// with CR LF, as a raw terminal needs them.
#pragma once

#include "base/buf.h"

struct run;

void tell_connection(const struct run *r, struct buf *out);
void tell_channels(const struct run *r, struct buf *out);
