// `bowline try`: a private server with throw-away keys, and a session in it.
#pragma once

// Returns the exit status: the session's own, 1 when the server could not be had.
int try_run(int argc, char **argv);
