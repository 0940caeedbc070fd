// sftp: files on another host, by commands (sftp(1)).
#include "io/fd.h"
#include "io/process.h"
#include "transfer/say.h"
#include "transfer/sftp_loop.h"

int main(int argc, char **argv) {
    static struct sftp sftp;
    process_reset_signals();
    if (fd_fill_standard() != OK)
        return 255;
    if (!sftp_options(&sftp, argc, argv))
        return 1;
    say_as("", sftp.quiet);
    say_verbosity(sftp.verbose);
    int status = sftp_session(&sftp);
    ssh_words_free(&sftp.ssh);
    address_free(&sftp.target);
    return status;
}
