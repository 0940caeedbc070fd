// scp: copies files between hosts (scp(1)).
#include "transfer/scp.h"
#include "io/fd.h"
#include "io/process.h"
#include "transfer/say.h"

int main(int argc, char **argv) {
    static struct scp scp;
    process_reset_signals();
    if (fd_fill_standard() != OK)
        return 255;
    say_as("scp: ", true);
    if (!scp_options(&scp, argc, argv))
        return 1;
    say_verbosity(scp.verbose);
    int status = scp.role == SCP_CLIENT ? scp_copy(&scp) : scp_serve(&scp);
    ssh_words_free(&scp.ssh);
    words_free(&scp.remote_flags);
    return status;
}
