#include "server/keeper.h"

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
#include "server/algorithms.h"
#include "server/keeper_control.h"

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

// In any case: whoever rotates logs has renamed the file.
static void reopen_events(struct keeper *k, enum event_number number, const char *text) {
    struct fault fault = {0};
    if (keeper_event_log(k, &fault) != OK)
        log_error(&k->log, "%s; events are not written", fault_text(&fault));
    keeper_event_server(k, number, text);
}

static void on_hang_up(void *arg, int number) {
    struct keeper *k = arg;
    struct fault fault = {0};
    struct server_config *next = calloc(1, sizeof *next);
    struct host_keys *keys = NULL;
    (void)number;
    log_info(&k->log, "Received SIGHUP; restarting.");
    keeper_notify("RELOADING");
    enum err e = next == NULL ? ERR_MEMORY : keeper_load_config(k->options, next, true);
    if (e == OK)
        e = keeper_load_keys(k->options, next, &k->log, &keys, &fault);
    if (e != OK) {
        const char *why = fault.text[0] != '\0' ? fault_text(&fault) : err_text(e);
        log_error(&k->log, "configuration is not used, the old one stays: %s", why);
        reopen_events(k, EVENT_SERVER_RELOAD_FAILED, why);
        if (next != NULL)
            server_config_free(next);
        free(next);
        keeper_notify("READY");
        return;
    }
    server_config_free(k->config);
    free(k->config);
    k->config = next;
    reopen_events(k, EVENT_SERVER_RELOADED, "");
    if (!k->sockets_given && keeper_bind(k, next, &fault) != OK)
        log_error(&k->log, "%s", fault_text(&fault));
    host_keys_drop(k->host_keys);
    k->host_keys = keys;
    if (open_log(k, &fault) != OK)
        log_sink_stderr(&k->sink, &k->log, "sshd", level_of(k));
    keeper_control_open(k);
    if (keeper_penalties_load(k) != OK)
        log_error(&k->log, "PerSourcePenalties: out of memory; none are in force");
    if (keeper_start_nursery(k, &fault) != OK)
        log_error(&k->log, "%s", fault_text(&fault));
    keeper_spawn_listener(k);
    keeper_notify("READY");
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

// The first process ends when the server listens, or could not.
static enum err daemonize(struct fault *fault) {
    pid_t pid = fork();
    if (pid < 0)
        return fault_set(fault, ERR_IO, 0, "fork: %m");
    if (pid > 0)
        _exit(0);
    if (setsid() < 0 || chdir("/") != 0)
        return fault_set(fault, ERR_IO, 0, "setsid: %m");
    for (int fd = 0; fd < 3; fd++)
        TRY(fd_to_null(fd));
    return OK;
}

static void write_pid(const struct keeper *k) {
    char text[32];
    struct fault fault = {0};
    if (k->config->pid_file == NULL || strcmp(k->config->pid_file, "none") == 0 ||
        k->options->debug || k->options->inetd)
        return;
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (file_write(k->config->pid_file, view_of(text, (size_t)n), 0644, &fault) != OK)
        log_error(&k->log, "Couldn't create pid file \"%s\": %s", k->config->pid_file,
                  fault_text(&fault));
}

static void remove_pid(const struct keeper *k) {
    if (k->config->pid_file != NULL && strcmp(k->config->pid_file, "none") != 0 &&
        !k->options->debug && !k->options->inetd)
        unlink(k->config->pid_file);
}

static enum err set_up_loop(struct keeper *k) {
    TRY(loop_init(&k->loop));
    TRY(loop_signal(&k->loop, &k->term, SIGTERM, on_stop, k));
    TRY(loop_signal(&k->loop, &k->interrupt, SIGINT, on_stop, k));
    return loop_signal(&k->loop, &k->hang_up, SIGHUP, on_hang_up, k);
}

static enum err start(struct keeper *k, struct fault *fault) {
    const struct keeper_options *o = k->options;
    TRY(keeper_load_config(o, k->config, o->quiet));
    TRY(open_log(k, fault));
    TRY(keeper_event_log(k, fault));
    TRY(crypto_init());
    TRY(keeper_load_keys(o, k->config, &k->log, &k->host_keys, fault));
    sandbox_undumpable();
    (void)fd_limit(true);
    TRY(keeper_penalties_load(k));
    keeper_event_server(k, EVENT_SERVER_STARTED, "");
    if (!o->inetd && !keeper_take_sockets(k))
        TRY(keeper_bind(k, k->config, fault));
    if (!o->foreground && !o->debug && !o->inetd)
        TRY(daemonize(fault));
    write_pid(k);
    TRY(set_up_loop(k));
    TRY(keeper_reap_orphans(k));
    TRY(keeper_start_nursery(k, fault));
    keeper_control_open(k);
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
    remove_pid(&k);
    return e == OK ? 0 : 255;
}
