// Who we say we are.
#pragma once

// Scripts and editors look for OpenSSH_x.y here.
#define VERSION_TEXT "Bowline_0.1, compatible with OpenSSH_9.2p1"
#define VERSION_IDENT "SSH-2.0-Bowline_0.1"
// A server whose identification starts so numbers channels from 0, decides an open before
// it reads on, and takes LIMIT_CHANNEL_PACKET_BOWLINE.
#define VERSION_IDENT_BOWLINE "SSH-2.0-Bowline_"
