// Internet addresses as text and bytes: parsing, CIDR, and OpenSSH's address lists.
//
// No sockets here: whoever connects or listens makes a sockaddr of it. Textual forms are
// those of RFC 4291 s.2.2 and RFC 4007 s.11 (zones), strictly: no octal, no missing
// parts.
#pragma once

#include "base/bytes.h"
#include "base/err.h"

#define ADDRESS_TEXT_SIZE 64  // the longest text with zone, with NUL

enum address_family {
    ADDRESS_NONE = 0,
    ADDRESS_IP4 = 4,
    ADDRESS_IP6 = 6,
};

struct address {
    enum address_family family;
    uint8_t bytes[16];  // network order; the first 4 for IPv4
    char zone[16];      // of fe80::1%eth0: "eth0"; empty if none
};

// A network: an address, and how many of its leading bits count.
struct address_net {
    struct address base;
    unsigned bits;
};

// Bits of an address of the family: 32 or 128.
unsigned address_bits(const struct address *a);

// "192.0.2.1", "2001:db8::1", "fe80::1%eth0"; no brackets, no port, no names.
must_check bool address_parse(struct address *a, const char *text);

// The shortest form (RFC 5952 s.4), zone included. Returns out.
const char *address_format(const struct address *a, char *out, size_t size);

// ::ffff:192.0.2.1 becomes 192.0.2.1: what a dual-stack socket shows of an IPv4 peer.
void address_unmap(struct address *a);

bool address_equal(const struct address *a, const struct address *b);

// Keeps the first `bits` bits, clears the others.
void address_mask(struct address *a, unsigned bits);

// "10.0.0.0/8", or an address alone (all bits count). ERR_FORMAT: neither of these
// (perhaps a pattern); ERR_CONFIG: address bits set beyond the mask, or a mask that is
// too long.
must_check enum err address_net_parse(struct address_net *net, const char *text);

bool address_net_contains(const struct address_net *net, const struct address *a);

enum address_match {
    ADDRESS_MATCH_ERROR =
        -2,  // an entry that is malformed: treat as the stricter outcome
    ADDRESS_MATCH_NEGATED = -1,  // an entry with '!' matched
    ADDRESS_MATCH_NO = 0,
    ADDRESS_MATCH_YES = 1,
};

// OpenSSH's lists (from=, Match Address, AllowUsers user@…): comma-separated CIDR
// networks and patterns, '!' negates. `address` is tried against networks and patterns,
// `host` (a name, or NULL where it is not known) against patterns in lower case. A
// negated match beats every other. `address` NULL only checks the list:
// ADDRESS_MATCH_ERROR or ADDRESS_MATCH_NO.
enum address_match address_match_list(const char *list, const char *host,
                                      const char *address);

// The same, and addresses in CIDR form are the only entries allowed (certificates'
// source-address, PerSourcePenaltyExemptList).
enum address_match address_match_cidr_list(const char *list, const char *address);

// Cuts "host", "host:port", "[v6]", "[v6]:port", "v6", "*:port" into host (without
// brackets) and port (`port` unchanged where there is none, so set the default first).
// ERR_FORMAT, ERR_LIMIT if host does not fit.
must_check enum err address_split_port(const char *text, char *host, size_t size,
                                       uint16_t *port);
