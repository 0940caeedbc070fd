// Starting the program at the other end of our pipes: ssh as a rule. Words are its argv
// as they are; no shell sees them.
#pragma once

#include "base/fault.h"
#include "io/process.h"
#include "transfer/words.h"

// ssh beside this program, else the system's.
void program_ssh(char *out, size_t size);
// Where a program of this name is: itself when it has a '/', else by PATH as execvp(3).
// False: nowhere.
bool program_find(const char *name, char *out, size_t size);

struct program {
    struct process process;
    bool running;
    int in, out;  // pipes to its input and from its output; -1: closed; non-blocking
};

// Its standard error is ours. It ignores SIGINT: from a terminal that is sent to it as
// well, and only this program knows what to interrupt.
must_check enum err program_start(struct program *p, const char *path,
                                  const struct words *argv, struct fault *f);
// The same with all of our own descriptors (cp, remote-to-remote ssh); waits. Its exit
// status, -1 if it could not be started or was killed.
int program_run(const char *path, const struct words *argv, struct fault *f);
// Starts another whose input and output are the first one's pipes, and waits for it. Its
// exit status, -1 as above.
int program_join(struct program *p, const char *path, const struct words *argv,
                 struct fault *f);
// Asks it to end (SIGTERM).
void program_stop(struct program *p);
// Closes the pipes and waits for its end. Its exit status, -1 if it was killed.
int program_end(struct program *p);
