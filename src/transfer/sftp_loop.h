// sftp's session: connect, go to the target's folder or fetch its file, read commands.
#pragma once

#include "transfer/sftp.h"

// The exit status.
int sftp_session(struct sftp *s);
