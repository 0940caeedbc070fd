// The real conf_source: files of this system, read with open(2), read(2) and glob(3).
#pragma once

#include "conf/parser.h"

// read(strict): a file that others than root and the user can write is ERR_REFUSED, as
// OpenSSH does with ~/.ssh/config. Needs no context; stateless.
extern const struct conf_source conf_files;
