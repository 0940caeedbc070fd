// What `bowline sessions` shows of a holder: told when a program starts, and when the
// keeper asks.
#pragma once

#include "server/holder.h"

// What was asked for last; NULL: a login shell.
void holder_status_command(const char *command);
void holder_status_tell(struct holder *h);
// What is to be removed if this process is killed.
void holder_leavings_tell(struct holder *h);
