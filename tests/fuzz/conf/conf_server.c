// sshd_config from anybody: loads or does not, and what loads survives Match, dump and
// text.
#include <stdlib.h>

#include "conf/server_config.h"
#include "input.h"

static void require(bool condition) {
    if (!condition)
        abort();
}

static void check_text(const struct server_config *c) {
    scoped_buf text;
    scoped_server_config again;
    struct conf_problems problems;
    buf_init(&text, 1u << 22);
    if (server_config_text(c, &text) != OK)
        return;
    struct input in = {text.p + text.start, buf_len(&text), 0};
    struct conf_source source = {&in, read_input, glob_input};
    struct server_config_input input = {.source = &source, .file = "/text"};
    require(server_config_load(&again, &input, &problems) != ERR_CONFIG);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const groups[] = {"staff", "wheel"};
    struct input in = {data, size, 0};
    struct conf_source source = {&in, read_input, glob_input};
    struct server_config_input input = {.source = &source, .file = "/f"};
    struct server_subject subject = {.user = "anna",
                                     .groups = groups,
                                     .groups_n = 2,
                                     .host = "h.example.org",
                                     .address = "10.1.2.3",
                                     .local_address = "::1",
                                     .local_port = 22};
    struct conf_problems problems;
    struct fault fault = {0};
    scoped_server_config c, out;
    scoped_buf text;
    buf_init(&text, 1u << 22);
    out = (struct server_config){0};
    if (server_config_load(&c, &input, &problems) == OK) {
        require(server_config_match(&c, &subject, &out, &fault) != ERR_CONFIG);
        (void)!server_config_dump(&out, &text);
        check_text(&c);
    }
    return 0;
}
