// Runs one command through libssh2: libssh2_exec PORT USER PUBLICKEYFILE KEYFILE COMMAND
#include <arpa/inet.h>
#include <libssh2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fail(LIBSSH2_SESSION *s, const char *what) {
    char *text = NULL;
    libssh2_session_last_error(s, &text, NULL, 0);
    fprintf(stderr, "libssh2_exec: %s: %s\n", what, text);
    return 255;
}

int main(int argc, char **argv) {
    if (argc != 6)
        return 2;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)atoi(argv[1]))};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0 || libssh2_init(0) != 0)
        return 255;
    LIBSSH2_SESSION *s = libssh2_session_init();
    if (libssh2_session_handshake(s, fd) != 0)
        return fail(s, "handshake");
    if (libssh2_userauth_publickey_fromfile(s, argv[2], argv[3], argv[4], NULL) != 0)
        return fail(s, "auth");
    LIBSSH2_CHANNEL *c = libssh2_channel_open_session(s);
    if (c == NULL || libssh2_channel_exec(c, argv[5]) != 0)
        return fail(s, "exec");
    char block[16384];
    for (ssize_t n; (n = read(0, block, sizeof block)) > 0;)
        for (ssize_t at = 0, w; at < n; at += w)
            if ((w = libssh2_channel_write(c, block + at, (size_t)(n - at))) < 0)
                return fail(s, "write");
    libssh2_channel_send_eof(c);
    for (ssize_t n; (n = libssh2_channel_read(c, block, sizeof block)) > 0;)
        if (write(1, block, (size_t)n) != n)
            return 255;
    libssh2_channel_close(c);
    libssh2_channel_wait_closed(c);
    int status = libssh2_channel_get_exit_status(c);
    libssh2_channel_free(c);
    libssh2_session_disconnect(s, "done");
    libssh2_session_free(s);
    return status;
}
