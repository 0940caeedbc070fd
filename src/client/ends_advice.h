// The journal of ends of sessions: its place, and what to make of a class that stands in
// it, for who writes and who reads it.
//
// Lines are flat JSON objects (base/json_flat.h); the file keeps the newest
// ENDS_FILE_MAX bytes.
#pragma once

#include "base/ends_class.h"

#define ENDS_FILE "ends.jsonl"
#define ENDS_FILE_MAX (256u * 1024u)
#define ENDS_LINE_MAX 4096u

// What to make of it; NULL: nothing, or there is no such class.
const char *ends_advice(const char *name);
