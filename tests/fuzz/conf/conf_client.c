// ssh_config from anybody: loads or does not; expansion and dump of what loads.
#include <stdlib.h>

#include "conf/client_config.h"
#include "input.h"

static const char *variable(void *ctx, const char *name) {
    (void)ctx;
    return name[0] == 'A' ? "value" : NULL;
}

static bool exec_is_true(void *ctx, const char *command) {
    (void)ctx;
    return command[0] != 'f';
}

static void expand(const struct client_config *c, const struct client_subject *s) {
    char out[512];
    for (size_t i = 0; i < c->identity_file.n; i++)
        (void)!client_config_path(c, s, c->identity_file.v[i], out, sizeof out, NULL);
    if (c->remote_command != NULL)
        (void)!client_config_expand(c, s, TOKENS_MATCH_EXEC, NULL, c->remote_command, out,
                                    sizeof out, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input in = {data, size, 0};
    struct conf_source source = {&in, read_input, glob_input};
    struct client_config_input input = {.source = &source,
                                        .user_file = "/u",
                                        .system_file = "/s",
                                        .user_folder = "/home/me/.ssh"};
    struct client_subject subject = {.host = "Host.example",
                                     .local_user = "me",
                                     .local_host = "pc.example",
                                     .home = "/home/me",
                                     .env = variable,
                                     .exec = exec_is_true};
    struct conf_problems problems;
    scoped_client_config c;
    scoped_buf text;
    buf_init(&text, 1u << 22);
    if (client_config_load(&c, &input, &subject, &problems) == OK) {
        expand(&c, &subject);
        (void)!client_config_dump(&c, &text);
    }
    return 0;
}
