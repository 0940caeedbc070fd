// A file's mode as `ls -l` shows it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// "-rwxr-xr-x" of st_mode, with a NUL.
void sftp_mode_text(char out[11], uint32_t mode);
