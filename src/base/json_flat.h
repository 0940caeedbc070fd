// Reading what json.h writes where it is one flat object a line: strings, numbers, true,
// false and null, nothing nested.
#pragma once

#include "base/bytes.h"

// The value of the member: a string decoded, anything else as it stands. False: there is
// none, the line is no such object up to there, or the value does not fit.
bool json_flat_get(struct view line, const char *name, char *out, size_t size);
// The same for a number; `otherwise` where there is none.
uint64_t json_flat_u64(struct view line, const char *name, uint64_t otherwise);
