// The keeper's control socket: who is on, and ending sessions. Everybody on the machine
// may connect, so it is bounded: few tools at once, fewer of one user, a deadline for
// each, nothing waited for; a bad message ends that tool's connection and nothing else.
#pragma once

#include "server/keeper.h"

// Opens the socket, or another one after a reload; a failure is logged and no more.
void keeper_control_open(struct keeper *k);
void keeper_control_close(struct keeper *k);

// A holder has told its status, or will not.
void keeper_control_status(struct link *l, const struct ipc_status *m);
void keeper_control_forget(struct link *l);
