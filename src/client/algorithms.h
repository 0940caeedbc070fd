// Algorithm lists between the configuration, the registry and -Q.
#pragma once

#include "conf/parser.h"

// A conf_algorithms_fn for a client.
enum err algorithms_list(void *ctx, enum conf_algorithms kind, const char *spec,
                         char *out, size_t size, struct fault *fault);

// -Q: one name a line on standard output; false if there is no such query.
bool algorithms_query(const char *query);
