// A private sshd on a free loopback port as the invoking user, with throw-away keys in a
// temporary folder, and a session in it by our ssh.
//
// Nothing outlives this process: it is the subreaper of all that it started, and what is
// still there at the end is killed by process id; the folder is removed.
#include "tools/try.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/endpoint.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/process.h"
#include "io/tcp.h"
#include "io/tcp_connect.h"
#include "key/private_key.h"
#include "server/control.h"

// A folder below TMPDIR, and a file in it.
#define FOLDER_SIZE 256
#define FILE_SIZE (FOLDER_SIZE + 32)
#define ADDRESS "127.0.0.1"
#define START_MS 10000  // until the server listens
#define STOP_MS 3000    // until what was started has ended by itself

// What of a server's sshd_config and a client's command line differs from the defaults.
struct try {
    char folder[FOLDER_SIZE];
    char programs[PATH_MAX];  // where ssh and sshd are
    char user[LIMIT_USER_NAME + 1];
    uint16_t port;
    bool keep;
    char **command;  // NULL: a shell, or at no terminal a greeting
    struct loop loop;
    struct loop_child server, session;
    struct loop_signal signals[3];
    bool server_ended, session_ended, interrupted;
    int server_status, session_status;
    struct fault fault;
};

static const char usage_text[] =
    "usage: bowline try [--port N] [--keep] [command ...]\n"
    "  --port N  listen there (default: a free port)\n"
    "  --keep    leave the server running after the session, until Ctrl-C\n";

static int usage(void) {
    fputs(usage_text, stderr);
    return 2;
}

static bool flags_parse(struct try *t, int argc, char **argv) {
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"keep", no_argument, NULL, 'k'},
        {0},
    };
    uint64_t port = 0;
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, "+", options, NULL)) != -1;) {
        if (c == 'k')
            t->keep = true;
        else if (c != 'p' || !text_number(optarg, 1, 65535, &port))
            return false;
    }
    t->port = (uint16_t)port;
    t->command = optind < argc ? argv + optind : NULL;
    return true;
}

// Programs are looked for beside this one; an installed sshd is in ../sbin.
static enum err programs_find(struct try *t) {
    char path[PATH_MAX + 16];
    TRY(process_self_path(t->programs, sizeof t->programs));
    *strrchr(t->programs, '/') = '\0';
    snprintf(path, sizeof path, "%s/ssh", t->programs);
    if (file_exists(path))
        return OK;
    // The build's folders: this program is in src/tools, the links to all are in bin.
    size_t n = strlen(t->programs);
    snprintf(path, sizeof path, "%s/../../bin/ssh", t->programs);
    if (file_exists(path) && n + sizeof "/../../bin" < sizeof t->programs) {
        memcpy(t->programs + n, "/../../bin", sizeof "/../../bin");
        return OK;
    }
    return fault_set(&t->fault, ERR_NOT_FOUND, 0, "no ssh beside this program in %s",
                     t->programs);
}

static enum err file_put(struct try *t, const char *name, struct view v) {
    char path[FILE_SIZE];
    snprintf(path, sizeof path, "%s/%s", t->folder, name);
    return file_create(path, v, 0600, &t->fault);
}

// A throw-away key: NAME with the private half; its public line is left in `text`.
static enum err key_make(struct try *t, const char *name, struct buf *text) {
    struct pk *pk = NULL;
    struct key *key = NULL;
    TRY(pk_generate(&pk, PK_ED25519, PK_P256, 0));
    TRY(key_from_pk(&key, pk));
    scoped_buf file;
    buf_init(&file, 64 * 1024);
    enum err e =
        private_key_write(key, &(struct private_key_options){0}, &file, &t->fault);
    if (e == OK)
        e = file_put(t, name, buf_view(&file));
    if (e == OK)
        e = key_public_text(key, text);
    secret_wipe(file.p, file.room);
    key_free(key);
    return e;
}

static enum err port_choose(struct try *t) {
    int fd = -1;
    size_t n = 0;
    struct tcp_listen want = {.address = ADDRESS, .port = t->port, .backlog = 1};
    TRY(tcp_listen(&want, &fd, 1, &n, &t->fault));
    struct endpoint local;
    endpoint_local(&local, fd);
    t->port = local.port;
    fd_close(&fd);
    return OK;
}

static enum err files_write(struct try *t) {
    scoped_buf host, user, known;
    buf_init(&host, 4096);
    buf_init(&user, 4096);
    buf_init(&known, 8192);
    TRY(key_make(t, "host_key", &host));
    TRY(key_make(t, "user_key", &user));
    TRY(buf_append(&user, view_text("\n")));
    char head[64];
    snprintf(head, sizeof head, "[" ADDRESS "]:%u ", t->port);
    TRY(buf_append(&known, view_text(head)));
    TRY(buf_append(&known, buf_view(&host)));
    TRY(buf_append(&known, view_text("\n")));
    TRY(file_put(t, "authorized_keys", buf_view(&user)));
    TRY(file_put(t, "known_hosts", buf_view(&known)));
    char config[2048];
    int n =
        snprintf(config, sizeof config,
                 "Port %u\nListenAddress " ADDRESS "\nHostKey %s/host_key\n"
                 "AuthorizedKeysFile %s/authorized_keys\n"
                 // The folder is 0700 and ours, but stands in one that all may write to.
                 "StrictModes no\nPidFile none\nPrintMotd no\nAllowUsers %s\n"
                 "AcceptEnv LANG LC_*\n",
                 t->port, t->folder, t->folder, t->user);
    return file_put(t, "sshd_config", view_of(config, (size_t)n));
}

static void on_server_end(void *arg, int status) {
    struct try *t = arg;
    t->server_ended = true;
    t->server_status = status;
    loop_stop(&t->loop);
}

static void on_session_end(void *arg, int status) {
    struct try *t = arg;
    t->session_ended = true;
    t->session_status = status;
    loop_stop(&t->loop);
}

static void on_signal(void *arg, int number) {
    struct try *t = arg;
    // At the terminal Ctrl-C reaches the session by itself.
    if (number != SIGINT && !t->session_ended && t->session.pid > 0)
        kill(t->session.pid, number);
    t->interrupted = true;
    loop_stop(&t->loop);
}

static enum err server_start(struct try *t) {
    char program[PATH_MAX + 16], config[FILE_SIZE], log[FILE_SIZE];
    snprintf(program, sizeof program, "%s/sshd", t->programs);
    snprintf(config, sizeof config, "%s/sshd_config", t->folder);
    snprintf(log, sizeof log, "%s/log", t->folder);
    char *argv[] = {program, "-D", "-f", config, "-E", log, NULL};
    struct process p;
    struct process_spec spec = {.path = program,
                                .argv = argv,
                                .fd_in = -1,
                                .fd_out = -1,
                                .fd_err = STDERR_FILENO,
                                .tty = -1,
                                .new_session = true};
    TRY(process_spawn(&spec, &p, &t->fault));
    return loop_child(&t->loop, &t->server, p.pid, p.pidfd, on_server_end, t);
}

static bool server_listens(struct try *t) {
    struct tcp_target want = {
        .host = ADDRESS, .port = t->port, .dscp = -1, .deadline = clock_ms() + 500};
    struct fault ignored = {0};
    int fd = -1;
    if (tcp_connect(&want, &fd, NULL, NULL, &ignored) != OK)
        return false;
    fd_close(&fd);
    return true;
}

static void log_print(struct try *t) {
    char path[FILE_SIZE];
    snprintf(path, sizeof path, "%s/log", t->folder);
    scoped_buf text = {0};
    struct fault ignored = {0};
    if (file_read(path, 0, 1 << 20, &text, &ignored) == OK)
        fwrite(text.p, 1, buf_len(&text), stderr);
}

static enum err server_wait(struct try *t) {
    uint64_t end = clock_ms() + START_MS;
    while (!server_listens(t)) {
        if (t->server_ended || t->interrupted)
            return fault_set(&t->fault, ERR_CLOSED, 0,
                             t->interrupted ? "interrupted" : "the server ended:");
        if (clock_ms() > end)
            return fault_set(&t->fault, ERR_TIMEOUT, 0, "the server does not listen:");
        TRY(loop_turn(&t->loop, 5));
    }
    return OK;
}

// The words of ssh's command line, for starting it and for showing it.
#define SSH_WORDS 24

static size_t ssh_words(struct try *t, char words[SSH_WORDS][PATH_MAX + 64], bool shown) {
    size_t n = 0;
    snprintf(words[n++], sizeof words[0], "%s/ssh", t->programs);
    snprintf(words[n++], sizeof words[0], "-F");
    snprintf(words[n++], sizeof words[0], "none");
    snprintf(words[n++], sizeof words[0], "-p");
    snprintf(words[n++], sizeof words[0], "%u", t->port);
    snprintf(words[n++], sizeof words[0], "-i");
    snprintf(words[n++], sizeof words[0], "%s/user_key", t->folder);
    snprintf(words[n++], sizeof words[0], "-oIdentitiesOnly=yes");
    snprintf(words[n++], sizeof words[0], "-oUserKnownHostsFile=%s/known_hosts",
             t->folder);
    if (!shown) {
        snprintf(words[n++], sizeof words[0], "-oGlobalKnownHostsFile=none");
        snprintf(words[n++], sizeof words[0], "-oBatchMode=yes");
        snprintf(words[n++], sizeof words[0], "-oShowSteps=yes");
    }
    snprintf(words[n++], sizeof words[0], "%s@" ADDRESS, t->user);
    return n;
}

static enum err session_start(struct try *t) {
    static char words[SSH_WORDS][PATH_MAX + 64];
    static char greeting[] = "echo \"hello from $(uname -n), $(id -un)\"";
    char *argv[SSH_WORDS + 256];
    size_t n = ssh_words(t, words, false);
    for (size_t i = 0; i < n; i++)
        argv[i] = words[i];
    if (t->command != NULL)
        for (char **word = t->command; *word != NULL && n < SSH_WORDS + 250; word++)
            argv[n++] = *word;
    else if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        argv[n++] = greeting;
    argv[n] = NULL;
    struct process p;
    struct process_spec spec = {.path = words[0],
                                .argv = argv,
                                .fd_in = STDIN_FILENO,
                                .fd_out = STDOUT_FILENO,
                                .fd_err = STDERR_FILENO,
                                .tty = -1};
    TRY(process_spawn(&spec, &p, &t->fault));
    return loop_child(&t->loop, &t->session, p.pid, p.pidfd, on_session_end, t);
}

static void how_to_connect(struct try *t) {
    static char words[SSH_WORDS][PATH_MAX + 64];
    size_t n = ssh_words(t, words, true);
    fprintf(stderr, "bowline: the server runs until Ctrl-C; to connect:\n ");
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, " %s", words[i]);
    fputc('\n', stderr);
}

// Children of this process: its own and, as it is their subreaper, those that were left
// behind.
static size_t children_signal(int number) {
    size_t found = 0;
    DIR *proc = opendir("/proc");
    for (struct dirent *e; proc != NULL && (e = readdir(proc)) != NULL;) {
        uint64_t pid = 0;
        char path[64], line[512];
        if (!text_number(e->d_name, 1, INT_MAX, &pid))
            continue;
        snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
        FILE *f = fopen(path, "re");
        const char *after =
            f != NULL && fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
        int parent = 0;
        if (after != NULL && sscanf(after, ") %*c %d", &parent) == 1 &&
            parent == getpid()) {
            kill((pid_t)pid, number);
            found++;
        }
        if (f != NULL)
            fclose(f);
    }
    if (proc != NULL)
        closedir(proc);
    return found;
}

static void folder_remove(struct try *t) {
    DIR *d = opendir(t->folder);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            unlinkat(dirfd(d), e->d_name, 0);
    if (d != NULL)
        closedir(d);
    rmdir(t->folder);
}

// Those of a server that was killed, or whose session ended after it, stay behind.
static void sockets_remove(const struct try *t) {
    char folder[CONTROL_PATH_SIZE], path[CONTROL_PATH_SIZE], config[FILE_SIZE];
    snprintf(config, sizeof config, "%s/sshd_config", t->folder);
    if (!control_folder(geteuid() == 0, getenv("XDG_RUNTIME_DIR"), config, folder,
                        sizeof folder))
        return;
    if (control_path(folder, "sshd", ADDRESS, t->port, path, sizeof path))
        unlink(path);
    if (control_path(folder, "anchor", ADDRESS, t->port, path, sizeof path))
        unlink(path);
}

static void stop_all(struct try *t) {
    loop_unchild(&t->loop, &t->server);
    loop_unchild(&t->loop, &t->session);
    uint64_t end = clock_ms() + STOP_MS;
    for (int number = SIGTERM; children_signal(number) > 0;) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            continue;
        usleep(5000);
        if (clock_ms() > end - STOP_MS / 2)
            number = SIGKILL;
        if (clock_ms() > end)
            break;
    }
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    loop_drop(&t->loop);
    sockets_remove(t);
    folder_remove(t);
}

static enum err try_sessions(struct try *t) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    TRY(loop_init(&t->loop));
    for (size_t i = 0; i < 3; i++)
        TRY(loop_signal(&t->loop, &t->signals[i], numbers[i], on_signal, t));
    TRY(port_choose(t));
    TRY(files_write(t));
    TRY(server_start(t));
    TRY(server_wait(t));
    if (t->keep)
        how_to_connect(t);
    TRY(session_start(t));
    while (!t->session_ended && !t->interrupted)
        TRY(loop_turn(&t->loop, -1));
    if (t->keep && !t->interrupted)
        fprintf(stderr, "bowline: the session has ended; the server runs until Ctrl-C\n");
    while (t->keep && !t->server_ended && !t->interrupted)
        TRY(loop_turn(&t->loop, -1));
    return OK;
}

int try_run(int argc, char **argv) {
    struct try t = {0};
    if (!flags_parse(&t, argc, argv))
        return usage();
    const struct passwd *me = getpwuid(geteuid());
    if (me == NULL || !text_copy(t.user, sizeof t.user, view_text(me->pw_name))) {
        fprintf(stderr, "bowline: this user has no account name\n");
        return 1;
    }
    const char *tmp = getenv("TMPDIR");
    int n = snprintf(t.folder, sizeof t.folder, "%s/bowline-try-XXXXXX",
                     tmp != NULL && tmp[0] == '/' ? tmp : "/tmp");
    if (programs_find(&t) != OK || n >= (int)sizeof t.folder ||
        mkdtemp(t.folder) == NULL) {
        fprintf(stderr, "bowline: %s\n",
                t.fault.code != OK
                    ? fault_text(&t.fault)
                    : "no temporary folder can be made (TMPDIR, else /tmp)");
        return 1;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    enum err e = try_sessions(&t);
    if (e != OK) {
        fprintf(stderr, "bowline: %s\n",
                t.fault.code != OK ? fault_text(&t.fault) : err_text(e));
        if (!t.interrupted)
            log_print(&t);
    }
    stop_all(&t);
    if (e != OK || t.interrupted)
        return t.interrupted ? 130 : 1;
    return WIFEXITED(t.session_status) ? WEXITSTATUS(t.session_status) : 1;
}
