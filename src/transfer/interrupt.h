// SIGINT during a transfer: it is ended in order, and the connection stays.
#pragma once

#include <stdbool.h>

// From now on SIGINT only sets the flag; SIGTERM and SIGHUP end the program after its
// child.
void interrupt_watch(void);
bool interrupted(void);
void interrupt_clear(void);
