// Runs one command through libssh: libssh_exec PORT USER KEYFILE COMMAND
// Standard input goes to the command first, then its output is read; exits with its
// status.
#include <libssh/libssh.h>
#include <stdio.h>
#include <unistd.h>

static int fail(ssh_session s, const char *what) {
    fprintf(stderr, "libssh_exec: %s: %s\n", what, ssh_get_error(s));
    return 255;
}

int main(int argc, char **argv) {
    if (argc != 5)
        return 2;
    ssh_session s = ssh_new();
    ssh_key key;
    ssh_options_set(s, SSH_OPTIONS_HOST, "127.0.0.1");
    ssh_options_set(s, SSH_OPTIONS_PORT_STR, argv[1]);
    ssh_options_set(s, SSH_OPTIONS_USER, argv[2]);
    ssh_options_set(s, SSH_OPTIONS_PROCESS_CONFIG, &(int){0});
    if (ssh_connect(s) != SSH_OK)
        return fail(s, "connect");
    if (ssh_pki_import_privkey_file(argv[3], NULL, NULL, NULL, &key) != SSH_OK)
        return fail(s, "key");
    if (ssh_userauth_publickey(s, NULL, key) != SSH_AUTH_SUCCESS)
        return fail(s, "auth");
    ssh_channel c = ssh_channel_new(s);
    if (ssh_channel_open_session(c) != SSH_OK ||
        ssh_channel_request_exec(c, argv[4]) != SSH_OK)
        return fail(s, "exec");
    char block[16384];
    for (ssize_t n; (n = read(0, block, sizeof block)) > 0;)
        if (ssh_channel_write(c, block, (uint32_t)n) != n)
            return fail(s, "write");
    ssh_channel_send_eof(c);
    for (int n; (n = ssh_channel_read(c, block, sizeof block, 0)) > 0;)
        if (write(1, block, (size_t)n) != n)
            return 255;
    int status = ssh_channel_get_exit_status(c);
    ssh_channel_close(c);
    ssh_channel_free(c);
    ssh_disconnect(s);
    ssh_free(s);
    return status;
}
