// The nursery, as its keeper sees it.
#include "io/library.h"
#include "server/keeper_control.h"
#include "server/pam_library.h"

// In the new process: the host keys go, those of links that began before a reload too.
void keeper_forget(struct keeper *k) {
    for (struct link *l = k->links; l != NULL; l = l->next)
        host_keys_forget(l->host_keys);
    host_keys_forget(k->host_keys);
}

static void forget(void *arg) {
    struct keeper *k = arg;
    keeper_forget(k);
    fd_limits_set(&k->limits);  // what users' programs get
}

// What judges will need is there, or that is said now and not at somebody's login.
enum err keeper_check_libraries(const struct server_config *config, struct fault *fault) {
    void *library;
    if (config->use_pam && pam_library_load(fault) != OK)
        return fault_set(fault, ERR_CONFIG, 0, "UsePAM yes: %s", fault_text(fault));
    if (!config->use_pam && config->password_authentication &&
        library_load("libcrypt.so.1", &library, fault) != OK)
        return fault_set(fault, ERR_CONFIG, 0, "PasswordAuthentication yes: %s",
                         fault_text(fault));
    return OK;
}

enum err keeper_start_nursery(struct keeper *k, struct fault *fault) {
    struct nursery_options options = {.loop = &k->loop,
                                      .log = &k->log,
                                      .config = k->config,
                                      .forget = forget,
                                      .arg = k};
    keeper_control_announce(k);
    nursery_stop(k->nursery);
    k->nursery = NULL;
    if (k->config->use_pam)
        TRY(keeper_check_libraries(k->config, fault));
    enum err e = nursery_start(&k->nursery, &options);
    if (e != OK)
        return fault_set(fault, e, 0, "no process for logins can be made: %m");
    return keeper_check_libraries(k->config, fault);
}

enum err keeper_make(struct keeper *k, enum ipc_role role, int theirs, pid_t *pid) {
    struct fault fault = {0};
    enum err e = nursery_make(k->nursery, role, theirs, pid);
    if (e != ERR_IO)
        return e;
    e = keeper_start_nursery(k, &fault);
    if (e != OK)
        log_error(&k->log, "%s", fault_text(&fault));
    return e != OK ? e : nursery_make(k->nursery, role, theirs, pid);
}
