// bowline attach: takes up a session with a terminal, or watches it. On the server itself
// through its keeper's control socket; with a host, by our ssh.
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "io/process.h"
#include "io/pty.h"
#include "server/view.h"
#include "tools/commands.h"
#include "tools/keepers.h"

#define WORDS_MAX 100

struct request {
    bool watch;
    bool own;  // flags of this machine's servers
    struct keepers of;
    const char *words[2];
    int words_n;
    char *const *ssh;  // options of ssh, the host, and the name
    int ssh_n;
};

struct answer {
    const struct request *request;
    int fd;  // of the view; -1: none
    unsigned servers;
    char why[256];
};

static int usage(void) {
    fprintf(stderr, "usage: bowline attach [--watch] [--port N] [--socket PATH] [-f "
                    "CONFIG] [NAME]\n"
                    "       bowline attach [ssh options] HOST NAME\n");
    return 2;
}

// At least one option, the host, and the name.
static bool parse_ssh(struct request *r, int n, char *const *words) {
    r->ssh = words;
    r->ssh_n = n;
    return n >= 3 && n < WORDS_MAX && *words[n - 1] != '-' && r->words_n == 0 &&
           !r->watch && !r->own;
}

static bool parse(struct request *r, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--watch") == 0)
            r->watch = true;
        else if (*argv[i] == '-' && i + 1 < argc &&
                 keepers_flag(&r->of, argv[i], argv[i + 1]))
            r->own = ++i > 0;
        else if (*argv[i] == '-')
            return parse_ssh(r, argc - i, argv + i);
        else if (r->words_n == 2)
            return false;
        else
            r->words[r->words_n++] = argv[i];
    }
    return r->words_n < 2 || (!r->watch && !r->own);
}

// ---- here ----

static bool ask(void *arg, int fd, const char *path) {
    struct answer *a = arg;
    const struct request *r = a->request;
    struct control_attach attach = {view_text(r->words_n > 0 ? r->words[0] : ""),
                                    r->watch ? VIEW_WATCH : 0};
    struct control_message m = {0};
    uint8_t bytes[4096];
    (void)path;
    if (!keeper_hello(fd, a->why, sizeof a->why) ||
        !keeper_say(fd, CONTROL_ATTACH, &attach))
        return true;
    a->servers++;
    while (m.number != CONTROL_DONE)
        if (!keeper_hear(fd, (struct span){bytes, sizeof bytes}, &m, &a->fd))
            return a->fd < 0;
    if (m.body.done.text.n > 0)
        text_clean(a->why, sizeof a->why, m.body.done.text);
    return a->fd < 0;
}

// ---- elsewhere ----

// Our own ssh, which stands beside this program; a build has it in another folder.
static void find_ssh(char *out, size_t size) {
    static const char *const places[] = {"ssh", "../client/ssh"};
    char self[PATH_MAX] = "";
    if (process_self_path(self, sizeof self) == OK && strrchr(self, '/') != NULL)
        strrchr(self, '/')[1] = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(out, size, "%s%s", self, places[i]);
        if (access(out, X_OK) == 0)
            return;
    }
}

static int run_ssh(const struct request *r) {
    char path[PATH_MAX + 16], option[128];
    char *argv[WORDS_MAX + 8] = {path, "-t", "-o", option};
    const char *name = r->ssh_n > 0 ? r->ssh[r->ssh_n - 1] : r->words[1];
    int n = 4;
    find_ssh(path, sizeof path);
    snprintf(option, sizeof option, "Session=%s", name);
    for (int i = 0; i + 1 < r->ssh_n; i++)
        argv[n++] = r->ssh[i];
    if (r->ssh_n == 0) {
        argv[n++] = "--";
        argv[n++] = (char *)(uintptr_t)r->words[0];
    }
    execv(path, argv);
    fprintf(stderr, "bowline: %s: %m\n", path);
    return 1;
}

int attach_run(int argc, char **argv) {
    struct request r = {0};
    struct answer a = {.request = &r, .fd = -1};
    struct fault fault = {0};
    if (!parse(&r, argc, argv))
        return usage();
    if (r.words_n == 2 || r.ssh_n > 0)
        return run_ssh(&r);
    if (!tty_is(STDIN_FILENO)) {
        fprintf(stderr, "bowline: attach needs a terminal: ssh -t HOST bowline attach\n");
        return 1;
    }
    keepers_each(&r.of, ask, &a, &fault);
    if (a.fd < 0) {
        fprintf(stderr, "bowline: %s\n",
                a.why[0] != '\0'   ? a.why
                : fault.code != OK ? fault_text(&fault)
                : a.servers > 0    ? "the server gives no session"
                                   : "no server of Bowline answers here");
        if (r.words_n == 1)
            fprintf(stderr, "bowline: a session at another host: bowline attach HOST "
                            "NAME\n");
        return 1;
    }
    return view_run(a.fd, r.watch, true);
}
