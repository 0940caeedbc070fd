// Prints the table of sftp's commands as items of its manual page; run by the build.
#include <stdio.h>

#include "transfer/sftp.h"

int main(void) {
    for (size_t i = 0; sftp_command_at(i) != NULL; i++) {
        const struct sftp_command *row = sftp_command_at(i);
        if (row->help != NULL)
            printf(".It Li \\&%s\n%s.\n", row->usage, row->help);
    }
    return 0;
}
