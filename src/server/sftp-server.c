// sftp-server: the SFTP subsystem as a program of its own, on standard input and output
// (sftp-server(8)).
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/text.h"
#include "io/account.h"
#include "io/fd.h"
#include "io/process.h"
#include "server/sftp_session.h"

static int usage(void) {
    fputs("usage: sftp-server [-ehR] [-d start_directory] [-f log_facility] [-l "
          "log_level]\n"
          "\t[-P denied_requests] [-p allowed_requests] [-u umask]\n"
          "       sftp-server -Q protocol_feature\n",
          stderr);
    return 1;
}

static int refused(const char *what, const struct fault *fault) {
    fprintf(stderr, "sftp-server: %s%s\n", what, fault_text(fault));
    return 1;
}

static int list_requests(void) {
    for (size_t i = 0; i < SFTP_OP_COUNT; i++)
        puts(sftp_operation((enum sftp_operation_id)i)->name);
    return 0;
}

// The client's address is the first word that sshd says about the connection.
static const char *client_address(char *out, size_t size) {
    const char *text = getenv("SSH_CONNECTION");
    if (text == NULL || !text_copy(out, size, view_of(text, strcspn(text, " "))))
        return "UNKNOWN";
    return out;
}

static int serve(const struct sftp_options *o, const struct sftp_user *user) {
    struct log_sink sink;
    struct log log;
    struct sftp_session s = {0};
    struct fault fault = {0};
    // Its working directory is where sshd has put it: home as a rule.
    struct sftp_user here = {user->name, ".", user->client};
    if (o->to_stderr)
        log_sink_stderr(&sink, &log, "sftp-server", o->level);
    else
        log_sink_syslog(&sink, &log, "sftp-server", o->facility, o->level);
    if (sftp_session_open(&s, o, &here, &log, sftp_session_handles(), &fault) != OK) {
        log_error(&log, "%s", fault_text(&fault));
        return refused("", &fault);
    }
    enum err e = sftp_session_run(&s, STDIN_FILENO, STDOUT_FILENO, &fault);
    if (e != OK && e != ERR_CLOSED)
        log_error(&log, "%s", fault_text(&fault));
    sftp_session_close(&s);
    log_sink_close(&sink);
    return e == OK ? 0 : 11;
}

int main(int argc, char **argv) {
    static struct sftp_options options;
    char address[64];
    struct fault fault = {0};
    scoped_account account = {0};
    process_reset_signals();
    if (fd_fill_standard() != OK)
        return 1;
    if (account_by_uid(getuid(), &account, &fault) != OK)
        return refused("no user found for this uid: ", &fault);
    struct sftp_user user = {account.name, account.directory,
                             client_address(address, sizeof address)};
    if (sftp_options_parse(&options, argc, argv, &user, &fault) != OK) {
        refused("", &fault);
        return usage();
    }
    if (options.help)
        return usage();
    return options.query != NULL ? list_requests() : serve(&options, &user);
}
