// Tunnel devices of Linux: a network interface whose packets a process reads and writes.
// With the frames of tun@openssh.com (OpenSSH's PROTOCOL, s.2.3): a packet of a
// point-to-point device stands behind the number of its address family, 4 bytes, a frame
// of an ethernet device by itself. One read or write is one packet.
#pragma once

#include "base/bytes.h"
#include "base/fault.h"

#define TUN_UNIT_ANY 0x7fffffffu
#define TUN_UNIT_MAX (TUN_UNIT_ANY - 2)
#define TUN_NAME 16  // of the interface, with its NUL
// A packet with its address family; longer ones (of devices with a larger MTU) are lost.
#define TUN_FRAME_MAX 16384u
#define TUN_NODE "/dev/net/tun"

enum tun_mode {  // the numbers of the protocol
    TUN_POINT_TO_POINT = 1,
    TUN_ETHERNET = 2,
};

// Takes device `unit` (tun3, tap3), which is made if we may make it; it does not wait.
// The interface is neither up nor has it an address: that is its owner's business.
must_check enum err tun_open(enum tun_mode mode, uint32_t unit, int *fd,
                             char name[TUN_NAME], struct fault *fault);
// One frame; *n = 0: none is there now, or it was no packet. ERR_CLOSED: the device is
// gone.
must_check enum err tun_read(int fd, enum tun_mode mode, struct span room, size_t *n);
// One frame of the peer's. What the device does not take is lost, as on any network.
void tun_write(int fd, enum tun_mode mode, struct view frame);
