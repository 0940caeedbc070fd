// The algorithm lists of a configuration, checked and expanded by the registry.
#pragma once

#include "conf/parser.h"

// A conf_algorithms_fn for the server's side.
enum err server_algorithms(void *ctx, enum conf_algorithms kind, const char *spec,
                           char *out, size_t size, struct fault *fault);
