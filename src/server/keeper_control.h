// The keeper's control socket: who is on, and ending sessions. Everybody on the machine
// may connect, so it is bounded: few tools at once, fewer of one user, a deadline for
// each, nothing waited for; a bad message ends that tool's connection and nothing else.
#pragma once

#include "server/control.h"
#include "server/keeper.h"

// Opens the socket, or another one after a reload; a failure is logged and no more.
void keeper_control_open(struct keeper *k);
void keeper_control_close(struct keeper *k);
// Over an exec: its socket and path, and back. -1: there is none.
int keeper_control_socket(const struct keeper *k, const char **path);
void keeper_control_take(struct keeper *k, int fd, struct view path);
// Where the socket `name` of this server belongs; the folder is made. Both of
// CONTROL_PATH_SIZE.
bool keeper_control_place(const struct keeper *k, char *folder, char *path,
                          const char *name, struct fault *fault);
// Puts the folder into this process's environment (CONTROL_FOLDER_VARIABLE), from which
// holders have it for their programs; takes it out where sessions need none (root's).
// Before the nursery is forked.
void keeper_control_announce(const struct keeper *k);

// A holder has told its status, or will not.
void keeper_control_status(struct link *l, const struct ipc_status *m);
void keeper_control_forget(struct link *l);
