// Signals during a transfer. What would end this program ends its children first: ssh
// may stand at a prompt, or wait for a host that says nothing any more.
#pragma once

#include <stdbool.h>
#include <sys/types.h>

// From now on SIGTERM and SIGHUP end the children and then the program, with status 1.
// SIGINT does so too when `ends`; else it sets the flag, and a second one ends all.
void interrupt_watch(bool ends);
bool interrupted(void);
void interrupt_clear(void);
// SIGINT is somebody else's: of a command that the person runs here.
void interrupt_hold(bool on);

// A child was started, or has been waited for.
void interrupt_child(pid_t pid, bool alive);
