// Are all file systems local ones? Where files are on other machines, or served by
// programs, a call may hang, and an SFTP session gets a process of its own.
#pragma once

#include "base/bytes.h"

// Looks at the text of /proc/self/mountinfo. Mounts below /proc, /sys, /dev, /run and
// /boot, where nobody keeps files to be fetched, do not count.
bool sftp_mounts_local_in(const char *text);
// The same, of this process; false if it cannot be known.
bool sftp_mounts_local(void);
