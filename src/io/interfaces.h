// Addresses of this machine.
#pragma once

#include <stdbool.h>

// Asks `is` about the address (as text) of each interface that is up, until one is said
// yes to.
bool interfaces_any(bool (*is)(void *arg, const char *address), void *arg);
