// An environment for a program to be started: an ordered list of NAME=value without
// doubles.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define ENV_MAX 1024          // variables
#define ENV_TEXT_MAX 131072u  // bytes of one NAME=value (the kernel's limit)

struct env {
    char **list;  // NULL-terminated, for execve(2); owned
    size_t n, room;
};

void env_init(struct env *e);
void env_free(struct env *e);  // also of a zeroed one
#define scoped_env __attribute__((cleanup(env_free))) struct env

// Sets or replaces. ERR_FORMAT: the name is empty, has '=' or a NUL, or the value has a
// NUL. ERR_LIMIT, ERR_MEMORY.
must_check enum err env_set(struct env *e, const char *name, const char *value);
must_check enum err env_set_view(struct env *e, struct view name, struct view value);
// Copies it from this process's environment if it is there.
must_check enum err env_inherit(struct env *e, const char *name);
// For execve(2) and process_spec.envp: never NULL, also for an empty one.
char *const *env_list(const struct env *e);
const char *env_get(const struct env *e, const char *name);  // NULL if not set
void env_unset(struct env *e, const char *name);

// NAME=value lines of a file's text (/etc/environment, ~/.ssh/environment): '#' comments
// and bad lines are skipped, quotes around the value are taken off.
must_check enum err env_read_lines(struct env *e, const char *text);
