// Signals of a running ssh: handlers only note them; they run in ppoll alone.
#pragma once

#include <signal.h>
#include <stdbool.h>

// Catches what ends us (but what whoever started us ignores, as nohup does) and, if
// `resize`, SIGWINCH. May be called again.
void signals_catch(bool resize);
// As it was before.
void signals_release(void);
// For ppoll(2): nothing of ours is blocked.
const sigset_t *signals_waiting(void);
// The one that ends us, 0: none came.
int signals_end(void);
// Whether the terminal's size has changed since the last call.
bool signals_resized(void);
