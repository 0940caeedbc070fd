// sshd: the server. Without an inner role it checks, prints or serves a configuration.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/version.h"
#include "crypto/crypto.h"
#include "io/fd.h"
#include "io/log_sink.h"
#include "server/flags.h"
#include "server/listener.h"

#define VERSION_TEXT "Bowline_" BOWLINE_VERSION ", compatible with " BOWLINE_LIKE "p1"

static int refused(const struct fault *fault) {
    fprintf(stderr, "sshd: %s\n", fault_text(fault));
    return 1;
}

// -T, -G: what holds, for the login of -C if there is one.
static int dump(const struct flags *f, struct server_config *config) {
    scoped_server_config matched = {0};
    struct server_subject subject = {0};
    struct conf_pool pool = {0};
    struct fault fault = {0};
    scoped_buf text;
    buf_init(&text, 1024 * 1024);
    for (size_t i = 0; i < f->subject_n; i++)
        if (server_subject_parse(&subject, &pool, f->subject[i], &fault) != OK)
            return refused(&fault);
    if (f->subject_n > 0 && server_config_match(config, &subject, &matched, &fault) != OK)
        return refused(&fault);
    const struct server_config *shown = f->subject_n > 0 ? &matched : config;
    enum err e = server_config_dump(shown, &text);
    if (e == OK)
        e = fd_write_full(1, buf_view(&text));
    conf_pool_drop(&pool);
    return e == OK ? 0 : 1;
}

// -t, -T, -G
static int check(const struct flags *f) {
    scoped_server_config config = {0};
    struct log_sink sink = {0};
    struct log log;
    struct fault fault = {0};
    struct host_keys *keys = NULL;
    if (crypto_init() != OK || keeper_load_config(&f->keeper, &config, false) != OK)
        return 255;
    log_sink_stderr(&sink, &log, "sshd", LOG_LEVEL_INFO);
    if (f->mode != MODE_SHOW &&
        keeper_load_keys(&f->keeper, &config, &log, &keys, &fault) != OK)
        return refused(&fault);
    host_keys_drop(keys);
    if (f->mode == MODE_TEST && keeper_check_libraries(&config, &fault) != OK)
        return refused(&fault);
    return f->mode == MODE_TEST ? 0 : dump(f, &config);
}

int main(int argc, char **argv) {
    static struct flags f;  // the keeper uses it as long as it runs
    process_title_init(argc, argv);
    int handover = keeper_handover_given();
    // A keeper that executed itself goes on with its signals blocked: the next SIGHUP may
    // be waiting.
    if (handover < 0)
        process_reset_signals();
    if (fd_fill_standard() != OK)
        return 1;
    if (argc == 3 && strcmp(argv[1], LISTENER_FLAG) == 0)
        return listener_main(argv[2]);
    if (!flags_parse(&f, argc, argv))
        return 1;
    if (f.mode == MODE_VERSION) {
        fprintf(stderr, "%s\n", VERSION_TEXT);
        return 0;
    }
    f.keeper.argc = argc;
    f.keeper.argv = argv;
    f.keeper.handover = handover;
    return f.mode == MODE_SERVE ? keeper_main(&f.keeper) : check(&f);
}
