// Who we say we are.
#pragma once

#include "base/version.h"

// Scripts and editors look for OpenSSH_x.y here.
#define VERSION_TEXT "Bowline_" BOWLINE_VERSION ", compatible with " BOWLINE_LIKE "p1"
#define VERSION_IDENT "SSH-2.0-Bowline_" BOWLINE_VERSION
// A server whose identification starts so numbers channels from 0, decides an open before
// it reads on, and takes LIMIT_CHANNEL_PACKET_BOWLINE.
#define VERSION_IDENT_BOWLINE "SSH-2.0-Bowline_"
