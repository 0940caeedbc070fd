// From argv to a configuration: who we are, which files, which host.
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/address.h"
#include "base/text.h"
#include "client/algorithms.h"
#include "client/client.h"
#include "client/hostkeys.h"
#include "client/identities.h"
#include "client/kept.h"
#include "client/proxy.h"
#include "client/version.h"
#include "conf/files.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "io/hostname.h"
#include "io/interfaces.h"
#include "io/process.h"
#include "io/tcp_connect.h"

static const char *environment(void *ctx, const char *name) {
    (void)ctx;
    return getenv(name);
}

// Match exec: the user's own configuration, run by the user's shell as OpenSSH does.
static bool run_match(void *ctx, const char *command) {
    (void)ctx;
    const char *shell = getenv("SHELL");
    if (shell == NULL || *shell != '/')
        shell = "/bin/sh";
    char *argv[] = {(char *)(uintptr_t)shell, (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t)command, NULL};
    struct process p;
    struct fault fault = {0};
    struct process_spec spec = {.path = shell,
                                .argv = argv,
                                .fd_in = -1,
                                .fd_out = -1,
                                .fd_err = STDERR_FILENO,
                                .tty = -1};
    int status = 0;
    return process_spawn(&spec, &p, &fault) == OK && process_wait(&p, &status) == OK &&
           WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool in_list(void *list, const char *address) {
    return address_match_cidr_list(list, address) == ADDRESS_MATCH_YES;
}

static bool local_network(void *ctx, const char *cidr_list) {
    (void)ctx;
    return interfaces_any(in_list, (void *)(uintptr_t)cidr_list);
}

static bool resolve(void *ctx, const struct client_config *config, const char *name,
                    char *alias, size_t size) {
    (void)ctx;
    return tcp_canonical_name(name, client_family(config), alias, size) == OK;
}

static bool connection_hash(void *ctx, const char *text, char *out) {
    (void)ctx;
    uint8_t hash[DIGEST_MAX];
    struct view part = view_text(text);
    if (digest_parts(&digest_sha1, &part, 1, hash) != OK)
        return false;
    for (size_t i = 0; i < digest_sha1.size; i++)
        snprintf(out + 2 * i, 3, "%02x", hash[i]);
    return true;
}

static bool find_user(struct client *c) {
    const struct passwd *me = getpwuid(getuid());
    if (me == NULL || !text_copy(c->home, sizeof c->home, view_text(me->pw_dir)) ||
        !text_copy(c->local_user, sizeof c->local_user, view_text(me->pw_name))) {
        log_error(&c->log, "this user (uid %u) has no account", (unsigned)getuid());
        return false;
    }
    snprintf(c->local_uid, sizeof c->local_uid, "%u", (unsigned)getuid());
    hostname_get(c->local_host, sizeof c->local_host);
    return true;
}

static bool names_are_safe(struct client *c) {
    char clean[128];
    if (!token_value_is_safe(TOKEN_SUBJECT_HOST, c->flags.host)) {
        log_error(&c->log, "host name has characters that are not allowed: %s",
                  text_clean(clean, sizeof clean, view_text(c->flags.host)));
        return false;
    }
    if (c->flags.user != NULL &&
        !token_value_is_safe(TOKEN_SUBJECT_USER, c->flags.user)) {
        log_error(&c->log, "user name has characters that are not allowed: %s",
                  text_clean(clean, sizeof clean, view_text(c->flags.user)));
        return false;
    }
    return true;
}

static void say_problems(struct client *c, const struct conf_problems *problems) {
    for (size_t i = 0; i < problems->n; i++) {
        const struct conf_problem *p = &problems->at[i];
        enum log_level level = p->severity == CONF_ERROR     ? LOG_LEVEL_ERROR
                               : p->severity == CONF_WARNING ? LOG_LEVEL_INFO
                                                             : LOG_LEVEL_DEBUG1;
        log_at(&c->log, level, "%s", p->text);
    }
}

static const char *session_type(const struct client *c) {
    return c->flags.command != NULL ? "exec" : "shell";
}

static bool load(struct client *c) {
    char user_file[PATH_MAX + 16], user_folder[PATH_MAX + 8];
    snprintf(user_folder, sizeof user_folder, "%s/.ssh", c->home);
    snprintf(user_file, sizeof user_file, "%s/config", user_folder);
    c->subject = (struct client_subject){
        .host = c->flags.host,
        .local_user = c->local_user,
        .local_uid = c->local_uid,
        .local_host = c->local_host,
        .home = c->home,
        .command = c->flags.command,
        .session_type = session_type(c),
        .env = environment,
        .exec = run_match,
        .localnetwork = local_network,
        .resolve = resolve,
        .connection_hash = connection_hash,
    };
    struct client_config_input in = {
        .source = &conf_files,
        .file = c->flags.file,
        .user_file = user_file,
        .system_file = "/etc/ssh/ssh_config",
        .user_folder = user_folder,
        .lines = (const char *const *)c->flags.lines,
        .lines_n = c->flags.lines_n,
        .algorithms = algorithms_list,
    };
    struct conf_problems *problems = calloc(1, sizeof *problems);
    if (problems == NULL)
        return false;
    enum err e = client_config_load(&c->config, &in, &c->subject, problems);
    // Asked for by the file alone, the level is known only now.
    if (e == OK)
        c->log.level = (enum log_level)c->config.log_level;
    say_problems(c, problems);
    if (e != OK && problems->errors == 0)
        log_error(&c->log, "configuration: %s", err_text(e));
    free(problems);
    return e == OK;
}

static bool open_log(struct client *c) {
    enum log_level level = (enum log_level)c->config.log_level;
    struct fault fault = {0};
    if (c->flags.log_file != NULL &&
        log_sink_file(&c->sink, &c->log, "ssh", c->flags.log_file, level, &fault) != OK) {
        log_sink_stderr(&c->sink, &c->log, "ssh", level);
        log_error(&c->log, "-E %s: %s", c->flags.log_file, fault_text(&fault));
        return false;
    }
    // As people and scripts know it: the lines alone, as they would stand on a terminal.
    c->sink.with_time = c->sink.with_pid = false;
    c->sink.with_level = c->flags.log_file != NULL;
    if (c->flags.log_file == NULL && c->flags.syslog)
        log_sink_syslog(&c->sink, &c->log, "ssh", c->config.syslog_facility, level);
    return true;
}

// What asks for nothing but words on standard output. True: done.
static bool answer_at_once(struct client *c) {
    if (c->flags.mode == FLAGS_VERSION) {
        fprintf(stderr, "%s\n", VERSION_TEXT);
        return true;
    }
    if (c->flags.mode != FLAGS_QUERY)
        return false;
    if (!algorithms_query(c->flags.query)) {
        log_error(&c->log, "-Q %s: no such list (try -Q help)", c->flags.query);
        c->exit_code = CLIENT_EXIT_FAILURE;
    }
    return true;
}

static void expand_one(struct client *c, const char **value) {
    char path[PATH_MAX];
    if (*value == NULL || strcmp(*value, "none") == 0 ||
        (**value == '$' && (*value)[1] != '{') || strcmp(*value, "SSH_AUTH_SOCK") == 0 ||
        !client_path(c, *value, path, sizeof path))
        return;
    const char *copy = conf_pool_text(&c->config.head.pool, view_text(path));
    if (copy != NULL)
        *value = copy;
}

// -G shows some paths as they will be used.
static void expand_shown(struct client *c) {
    struct client_config *o = &c->config;
    struct conf_list *lists[] = {&o->user_known_hosts_file, &o->local_forward,
                                 &o->remote_forward};
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++)
        for (size_t i = 0; i < lists[l]->n; i++)
            expand_one(c, &lists[l]->v[i]);
    expand_one(c, &o->forward_agent_path);
    expand_one(c, &o->control_path);
    expand_one(c, &o->identity_agent);
    char command[4096];
    if (o->remote_command != NULL &&
        client_config_expand(o, &c->subject, TOKENS_MATCH_EXEC, NULL, o->remote_command,
                             command, sizeof command, NULL) == OK)
        o->remote_command = conf_pool_text(&o->head.pool, view_text(command));
}

static bool dump(struct client *c) {
    expand_shown(c);
    scoped_buf text;
    buf_init(&text, 1 << 20);
    if (client_config_dump(&c->config, &text) != OK) {
        c->exit_code = CLIENT_EXIT_FAILURE;
        return false;
    }
    fwrite(buf_view(&text).p, 1, buf_len(&text), stdout);
    return true;
}

// What we cannot do yet and what would go elsewhere without it.
static bool check_config(struct client *c) {
    if (c->config.refuse_connection != NULL) {
        log_error(&c->log, "the configuration refuses this connection: %s",
                  c->config.refuse_connection);
        return false;
    }
    const char *command = c->config.remote_command;
    if (command != NULL && c->flags.command != NULL) {
        log_error(&c->log, "RemoteCommand is set, so no command can be given");
        return false;
    }
    bool nothing = command == NULL && c->flags.command == NULL;
    if (nothing && c->config.session_type == SESSION_TYPE_SUBSYSTEM) {
        log_error(&c->log, "-s: which subsystem? (ssh -s host NAME)");
        return false;
    }
    if (nothing && c->config.fork_after_authentication &&
        c->config.session_type == SESSION_TYPE_DEFAULT &&
        c->flags.stdio_forward == NULL && c->flags.control_command == NULL) {
        log_error(&c->log, "-f: there is no command to execute in the background "
                           "(or -N for none)");
        return false;
    }
    return true;
}

bool client_setup(struct client *c, int argc, char **argv) {
    char why[FLAGS_WHY_SIZE] = "", usage[2560];
    log_sink_stderr(&c->sink, &c->log, "ssh", LOG_LEVEL_INFO);
    c->link.fd = -1;
    c->exit_code = CLIENT_EXIT_FAILURE;
    if (!flags_parse(&c->flags, argc, argv, why)) {
        flags_usage(usage, sizeof usage);
        if (argc > 1)
            log_error(&c->log, "%s", why);
        fprintf(stderr, "%s\n", usage);
        return false;
    }
    c->exit_code = 0;
    if (answer_at_once(c))
        return false;
    c->exit_code = CLIENT_EXIT_FAILURE;
    if (!names_are_safe(c) || crypto_init_short() != OK || !find_user(c) || !load(c) ||
        !open_log(c))
        return false;
    if (c->flags.mode == FLAGS_DUMP) {
        c->exit_code = 0;
        (void)dump(c);
        return false;
    }
    if (c->flags.mode == FLAGS_KEYS) {
        c->exit_code = identities_show(c) ? 0 : CLIENT_EXIT_FAILURE;
        return false;
    }
    return check_config(c);
}

bool client_path(struct client *c, const char *text, char *out, size_t size) {
    struct fault fault = {0};
    if (client_config_path(&c->config, &c->subject, text, out, size, &fault) == OK)
        return true;
    log_error(&c->log, "%s: %s", text, fault_text(&fault));
    return false;
}

void client_drop(struct client *c) {
    client_early_drop(c);
    kept_free(c->kept);
    link_close(&c->link, 200);
    proxy_end(c);
    hostkeys_forget(c);
    free(c->host_key_algorithms);
    client_config_free(&c->config);
    flags_free(&c->flags);
    log_sink_close(&c->sink);
}
