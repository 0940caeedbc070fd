#include "server/keeper.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "conf/files.h"
#include "crypto/crypto.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/sandbox.h"
#include "io/two_way.h"
#include "server/algorithms.h"
#include "server/keeper_control.h"

#define DESCRIPTORS_LEAST 65536u  // five for each session

// ---- configuration ----

static void tell_problems(const struct conf_problems *problems, bool quiet) {
    for (size_t i = 0; i < problems->n; i++)
        if (problems->at[i].severity == CONF_ERROR ||
            (problems->at[i].severity == CONF_WARNING && !quiet))
            fprintf(stderr, "%s\n", problems->at[i].text);
}

enum err keeper_load_config(const struct keeper_options *options,
                            struct server_config *config, bool quiet) {
    struct server_config_input input = {
        .source = &conf_files,
        .file = options->config_file,
        .lines = options->lines,
        .lines_n = options->lines_n,
        .algorithms = server_algorithms,
    };
    struct conf_problems *problems = calloc(1, sizeof *problems);
    if (problems == NULL)
        return ERR_MEMORY;
    enum err e = server_config_load(config, &input, problems);
    tell_problems(problems, quiet);
    if (e != OK && problems->errors > 0)
        fprintf(stderr, "%s: terminating, %zu bad configuration options\n",
                options->config_file != NULL ? options->config_file : "configuration",
                problems->errors);
    free(problems);
    return e;
}

// ---- logs ----

static enum log_level level_of(const struct keeper *k) {
    enum log_level level = (enum log_level)k->config->log_level;
    enum log_level debug = LOG_LEVEL_VERBOSE + k->options->debug_level;
    if (k->options->quiet)
        return LOG_LEVEL_QUIET;
    return k->options->debug_level > 0 && debug > level ? debug : level;
}

static enum err open_log(struct keeper *k, struct fault *fault) {
    enum log_level level = level_of(k);
    log_sink_close(&k->sink);
    if (k->options->log_file != NULL)
        return log_sink_file(&k->sink, &k->log, "sshd", k->options->log_file, level,
                             fault);
    if (k->options->to_stderr)
        log_sink_stderr(&k->sink, &k->log, "sshd", level);
    else
        log_sink_syslog(&k->sink, &k->log, "sshd", k->config->syslog_facility, level);
    return OK;
}

// ---- reload, stop ----

static void on_hang_up(void *arg, int number) {
    (void)number;
    keeper_reload(arg);
}

static void on_stop(void *arg, int number) {
    struct keeper *k = arg;
    log_info(&k->log, "Received signal %d; terminating.", number);
    keeper_event_stop(k, number == SIGTERM ? "TERM" : "INT");
    keeper_notify("STOPPING");
    k->stopping = true;
    keeper_stop_listeners(k);
    loop_stop(&k->loop);
}

// ---- start ----

static enum err leave_folder(struct fault *fault) {
    return chdir("/") == 0 ? OK : fault_set(fault, ERR_IO, 0, "chdir to /: %m");
}

// The first process ends when the server listens, or could not.
static enum err daemonize(struct fault *fault) {
    pid_t pid = fork();
    if (pid < 0)
        return fault_set(fault, ERR_IO, 0, "fork: %m");
    if (pid > 0)
        _exit(0);
    if (setsid() < 0)
        return fault_set(fault, ERR_IO, 0, "setsid: %m");
    TRY(leave_folder(fault));
    for (int fd = 0; fd < 3; fd++)
        TRY(fd_to_null(fd));
    return OK;
}

// NULL: none is wanted.
static const char *pid_path(const struct keeper *k) {
    const char *path = k->config->pid_file;
    bool none = path == NULL || strcmp(path, "none") == 0 || k->options->debug ||
                k->options->inetd;
    return none ? NULL : path;
}

static void remove_pid(struct keeper *k) {
    if (k->pid_file != NULL)
        unlink(k->pid_file);
    free(k->pid_file);
    k->pid_file = NULL;
}

// One of the keeper before that is elsewhere now, or nowhere, goes.
static void write_pid(struct keeper *k) {
    char text[32];
    struct fault fault = {0};
    const char *path = pid_path(k);
    if (k->pid_file != NULL && (path == NULL || strcmp(path, k->pid_file) != 0))
        remove_pid(k);
    if (path == NULL)
        return;
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (file_write(path, view_of(text, (size_t)n), 0644, &fault) != OK) {
        log_error(&k->log, "Couldn't create pid file \"%s\": %s", path,
                  fault_text(&fault));
        return;
    }
    free(k->pid_file);
    k->pid_file = strdup(path);
}

static enum err set_up_loop(struct keeper *k) {
    TRY(loop_init(&k->loop));
    TRY(loop_signal(&k->loop, &k->term, SIGTERM, on_stop, k));
    TRY(loop_signal(&k->loop, &k->interrupt, SIGINT, on_stop, k));
    // Of -i a client that is done with its ProxyCommand sends it.
    return loop_signal(&k->loop, &k->hang_up, SIGHUP,
                       k->options->inetd ? on_stop : on_hang_up, k);
}

// -i: descriptors 0 and 1 become one socket, which only the listener's gate is to hold:
// the link ends with that one. Before anything secret is read, for the process in between
// is a copy of this one.
static enum err take_standard(struct keeper *k, struct fault *fault) {
    k->single = -1;
    if (!two_way_is_socket(0, 1))
        TRY(two_way_join(0, 1, &k->single, fault));
    else if ((k->single = fd_dup_above(0, 3)) < 0)
        return fault_set(fault, ERR_IO, 0, "dup: %m");
    TRY(fd_to_null(0));
    return fd_to_null(1);
}

// Sockets, loop and, over an exec, all that the keeper before has left us.
static enum err take_place(struct keeper *k, struct fault *fault) {
    const struct keeper_options *o = k->options;
    k->anchor_before = -1;
    if (o->handover >= 0) {
        TRY(set_up_loop(k));
        enum err e = keeper_handover_read(k, o->handover, fault);
        if (e != OK)
            return fault_set(fault, e, 0, "what the server before left is not usable");
    }
    if (!o->inetd && !k->sockets_given && !keeper_take_sockets(k))
        TRY(keeper_bind(k, k->config, fault));
    if (!o->foreground && !o->debug && !o->inetd)
        TRY(o->handover < 0 ? daemonize(fault) : leave_folder(fault));
    write_pid(k);
    return o->handover < 0 ? set_up_loop(k) : OK;
}

// A server that has sessions already does not end for want of it.
static enum err open_events(struct keeper *k, struct fault *fault) {
    enum err e = keeper_event_log(k, fault);
    if (e == OK || k->options->handover < 0)
        return e;
    log_error(&k->log, "%s; events are not written", fault_text(fault));
    fault_clear(fault);
    return OK;
}

static enum err start(struct keeper *k, struct fault *fault) {
    const struct keeper_options *o = k->options;
    char folder[PATH_MAX];
    if (o->inetd)
        TRY(take_standard(k, fault));
    TRY(keeper_load_config(o, k->config, o->quiet));
    TRY(open_log(k, fault));
    TRY(open_events(k, fault));
    TRY(crypto_init());
    TRY(keeper_load_keys(o, k->config, &k->log, &k->host_keys, fault));
    sandbox_undumpable();
    k->folder = getcwd(folder, sizeof folder) != NULL ? strdup(folder) : NULL;
    k->limits = fd_limits_now();
    (void)fd_limit_raise(DESCRIPTORS_LEAST);
    TRY(keeper_penalties_load(k));
    keeper_event_server(k, o->handover < 0 ? EVENT_SERVER_STARTED : EVENT_SERVER_RELOADED,
                        "");
    TRY(take_place(k, fault));
    TRY(keeper_reap_orphans(k));
    TRY(keeper_start_nursery(k, fault));
    keeper_control_open(k);
    keeper_anchor_open(k);
    keeper_spawn_listener(k);
    if (k->listeners != NULL)
        keeper_notify("READY");
    return k->listeners != NULL ? OK : fault_set(fault, ERR_IO, 0, "no listener");
}

int keeper_main(const struct keeper_options *options) {
    static struct keeper
        k;  // with hundreds of sockets too big for the stack that children copy
    struct fault fault = {0};
    k.options = options;
    k.recorder.fd = -1;
    k.config = calloc(1, sizeof *k.config);
    if (k.config == NULL)
        return 255;
    enum err e = start(&k, &fault);
    if (e != OK) {
        if (k.log.write != NULL)
            log_fatal(&k.log, "%s",
                      fault.text[0] != '\0' ? fault_text(&fault) : err_text(e));
        if (fault.text[0] != '\0' && !options->to_stderr)
            fprintf(stderr, "sshd: %s\n", fault_text(&fault));
        return e == ERR_CONFIG && fault.text[0] == '\0' ? 255 : 1;
    }
    e = loop_run(&k.loop);
    keeper_control_close(&k);
    keeper_anchor_close(&k);
    remove_pid(&k);
    return e == OK && !k.unserved ? 0 : 255;
}
