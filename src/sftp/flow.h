// How much of a file may be under way at a time: twice what the path delivers within its
// round trip, so that a far peer is kept busy and little waits in queues when a person
// interrupts; four times as long as that still brings more, for the windows of channels
// underneath grow only when they are what is waited for. Time is an argument, in
// milliseconds.
//
// The round trip is the shortest that any request took; the rate the best of the last
// measurements. Both need no clock synchronisation and no help of the server.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SFTP_FLOW_LEAST (2u * 1024u * 1024u)  // bytes: two milliseconds of a fast machine
#define SFTP_FLOW_FAR (8u * 1024u * 1024u)    // at first, where the round trip is long
#define SFTP_FLOW_MOST (64u * 1024u * 1024u)

struct sftp_flow {
    uint64_t window;            // bytes that may be under way
    uint64_t outstanding;       // bytes that are
    uint64_t rtt;               // the shortest seen; UINT64_MAX: none yet
    uint64_t rate;              // bytes for each millisecond, the best lately
    uint64_t since, delivered;  // of the measurement that runs
};

void sftp_flow_init(struct sftp_flow *f);
void sftp_flow_sent(struct sftp_flow *f, uint32_t bytes, uint64_t now);
// An answer came: to a request of so many bytes (0: none of data) sent at `sent`.
void sftp_flow_answered(struct sftp_flow *f, uint32_t bytes, uint64_t sent, uint64_t now);
// Another so many bytes may be asked for, or sent. One request always may.
bool sftp_flow_allows(const struct sftp_flow *f, uint32_t bytes);
