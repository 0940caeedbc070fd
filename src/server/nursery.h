// The nursery: a warm image without host keys from which judges and holders are forked.
//
// It is forked by the keeper at the start and at each reload, before anybody has logged
// in, and does one thing: for each request with one end of a socket it forks a child (the
// keeper's child, by CLONE_PARENT) that reads on that socket what it is to be. So neither
// does the keeper share its pages with every login, nor has a judge or holder anything to
// forget.
#pragma once

#include "conf/server_config.h"
#include "io/loop.h"
#include "server/ipc.h"

struct nursery;

struct nursery_options {
    struct loop *loop;
    const struct log *log;  // while the nursery lives
    const struct server_config
        *config;                // that judges and holders go by; copied by the fork
    void (*forget)(void *arg);  // in the new process: secrets go
    void *arg;
};

// ERR_IO, ERR_MEMORY. In the new process it does not return.
must_check enum err nursery_start(struct nursery **out, const struct nursery_options *o);
pid_t nursery_pid(const struct nursery *n);  // 0: it has ended
// Is that its process, not reaped yet? NULL: no.
bool nursery_is(const struct nursery *n, pid_t pid);
// It ends by itself, its children go on. NULL: nothing happens.
void nursery_stop(struct nursery *n);

// A child of `role` (IPC_JUDGE, IPC_HOLDER, IPC_RECORDER, IPC_SIGNER) at the end `theirs`
// of a socket, which stays open here. Waits for as long as a fork takes. *pid is an
// unreaped child of this process. ERR_IO: none; the nursery is of no more use.
must_check enum err nursery_make(struct nursery *n, enum ipc_role role, int theirs,
                                 pid_t *pid);
