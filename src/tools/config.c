// bowline config explain: what a configuration file means for one login or one host.
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/address.h"
#include "base/text.h"
#include "client/algorithms.h"
#include "conf/client_config.h"
#include "conf/explain.h"
#include "conf/files.h"
#include "conf/server_config.h"
#include "io/account.h"
#include "io/fd.h"
#include "io/hostname.h"
#include "server/algorithms.h"
#include "tools/commands.h"

#define SERVER_FILE "/etc/ssh/sshd_config"
#define OUT_MAX (16u * 1024 * 1024)

struct request {
    bool client, json;
    const char *file;  // NULL: the usual ones
    char user[256], host[256];
};

static int usage(void) {
    fprintf(stderr, "usage: bowline config explain [sshd|ssh] [[user@]host] [-f FILE] "
                    "[--json]\n");
    return 2;
}

static bool take_subject(struct request *r, const char *word) {
    const char *at = strrchr(word, '@');
    if (at != NULL &&
        !text_copy(r->user, sizeof r->user, view_of(word, (size_t)(at - word))))
        return false;
    return text_copy(r->host, sizeof r->host, view_text(at != NULL ? at + 1 : word));
}

static bool parse(struct request *r, int argc, char **argv) {
    if (argc < 2 || strcmp(argv[1], "explain") != 0)
        return false;
    for (int i = 2; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--json") == 0)
            r->json = true;
        else if (strcmp(word, "-f") == 0 && i + 1 < argc)
            r->file = argv[++i];
        else if (i == 2 && (strcmp(word, "sshd") == 0 || strcmp(word, "ssh") == 0))
            r->client = strcmp(word, "ssh") == 0;
        else if (*word == '-' || r->host[0] != '\0' || r->user[0] != '\0' ||
                 !take_subject(r, word))
            return false;
    }
    return true;
}

static void tell_problems(const struct conf_problems *problems) {
    for (size_t i = 0; i < problems->n; i++)
        fprintf(stderr, "%s\n", problems->at[i].text);
}

// After a failed load nothing but the problems is worth telling.
static int show(const struct request *r, struct explain *x, enum err loaded) {
    scoped_buf out;
    buf_init(&out, OUT_MAX);
    if (!r->json)
        tell_problems(x->problems);
    if (loaded != OK && !r->json)
        return 1;
    if (loaded != OK && x->problems->errors == 0)
        return 1;
    enum err e = r->json ? explain_json(x, &out) : explain_text(x, &out);
    if (e == OK)
        e = fd_write_full(STDOUT_FILENO, buf_view(&out));
    if (e != OK)
        fprintf(stderr, "bowline: %s\n", err_text(e));
    return e == OK && loaded == OK ? 0 : 1;
}

// ---- sshd ----

struct names {
    const char *v[ACCOUNT_GROUPS_MAX];
    size_t n;
};

static bool add_name(void *arg, const char *name) {
    struct names *names = arg;
    char *copy = strdup(name);
    if (copy == NULL || names->n == ACCOUNT_GROUPS_MAX) {
        free(copy);
        return false;
    }
    names->v[names->n++] = copy;
    return true;
}

static void drop_names(struct names *names) {
    for (size_t i = 0; i < names->n; i++)
        free((char *)(uintptr_t)names->v[i]);
}

static enum err match(const struct request *r, const struct server_config *all,
                      struct server_config *out) {
    struct names names = {.n = 0};
    scoped_account account = {0};
    struct fault fault = {0};
    struct address address;
    struct server_subject subject = {
        .user = r->user[0] != '\0' ? r->user : NULL,
        .host = r->host[0] != '\0' ? r->host : NULL,
        .address = address_parse(&address, r->host) ? r->host : NULL,
    };
    if (subject.user != NULL && account_by_name(r->user, &account, NULL) == OK)
        account_each_group(&account, add_name, &names);
    else if (subject.user != NULL)
        subject.invalid_user = true;
    subject.groups = names.v;
    subject.groups_n = names.n;
    enum err e = server_config_match(all, &subject, out, &fault);
    drop_names(&names);
    return e;
}

static void set_ports(struct explain *x, const struct server_config *c, uint16_t *ports,
                      size_t room) {
    x->ports = ports;
    for (size_t i = 0; i < c->listens.n && x->ports_n < room; i++)
        ports[x->ports_n++] = c->listens.v[i].port;
}

static int explain_server(const struct request *r, struct conf_problems *problems) {
    scoped_server_config config, matched = {0};
    uint16_t ports[64];
    struct server_config_input in = {
        .source = &conf_files,
        .file = r->file != NULL ? r->file : SERVER_FILE,
        .algorithms = server_algorithms,
    };
    enum err e = server_config_load(&config, &in, problems);
    bool subject = r->user[0] != '\0' || r->host[0] != '\0';
    if (e == OK && subject)
        e = match(r, &config, &matched);
    struct server_config *shown = e == OK && subject ? &matched : &config;
    struct explain x = {.table = &conf_server_table,
                        .base = shown,
                        .head = &shown->head,
                        .problems = problems};
    if (shown->head.origins == NULL) {
        tell_problems(problems);
        return 1;
    }
    set_ports(&x, &config, ports, sizeof ports / sizeof ports[0]);
    return show(r, &x, e);
}

// ---- ssh ----

static const char *environment(void *ctx, const char *name) {
    (void)ctx;
    return getenv(name);
}

static int explain_client(const struct request *r, struct conf_problems *problems) {
    scoped_client_config config;
    char folder[1024], user_file[1100], host[256];
    const struct passwd *me = getpwuid(getuid());
    const char *home = me != NULL ? me->pw_dir : "/";
    snprintf(folder, sizeof folder, "%.1000s/.ssh", home);
    snprintf(user_file, sizeof user_file, "%s/config", folder);
    hostname_get(host, sizeof host);
    struct client_subject subject = {
        .host = r->host[0] != '\0' ? r->host : "localhost",
        .user = r->user[0] != '\0' ? r->user : NULL,
        .local_user = me != NULL ? me->pw_name : "",
        .local_host = host,
        .home = home,
        .session_type = "shell",
        .env = environment,
    };
    struct client_config_input in = {
        .source = &conf_files,
        .file = r->file,
        .user_file = user_file,
        .system_file = "/etc/ssh/ssh_config",
        .user_folder = folder,
        .algorithms = algorithms_list,
    };
    enum err e = client_config_load(&config, &in, &subject, problems);
    struct explain x = {.table = &conf_client_table,
                        .base = &config,
                        .head = &config.head,
                        .problems = problems};
    if (config.head.origins == NULL) {
        tell_problems(problems);
        return 1;
    }
    return show(r, &x, e);
}

int config_run(int argc, char **argv) {
    static struct conf_problems problems;
    struct request r = {0};
    if (!parse(&r, argc, argv))
        return usage();
    return r.client ? explain_client(&r, &problems) : explain_server(&r, &problems);
}
