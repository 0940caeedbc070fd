// Who we say we are, everywhere: -V, the identification on the wire (RFC 4253 s.4.2).
#pragma once

#define BOWLINE_VERSION "0.1"
// What it behaves like: scripts, editors and some clients look for OpenSSH_x.y.
#define BOWLINE_LIKE "OpenSSH_10.5"
