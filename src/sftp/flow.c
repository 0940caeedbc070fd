#include "sftp/flow.h"

#define MEASURE_MS 10u  // at least, so that a coarse clock gives a rate
#define FAR_MS 10u

void sftp_flow_init(struct sftp_flow *f) {
    *f = (struct sftp_flow){.window = SFTP_FLOW_LEAST, .rtt = UINT64_MAX};
}

void sftp_flow_sent(struct sftp_flow *f, uint32_t bytes, uint64_t now) {
    if (f->outstanding == 0) {  // what was idle says nothing about the path
        f->since = now;
        f->delivered = 0;
    }
    f->outstanding += bytes;
    if (f->rate == 0 && f->rtt != UINT64_MAX && f->rtt >= FAR_MS)
        f->window = SFTP_FLOW_FAR;
}

static void resize(struct sftp_flow *f, bool grows) {
    uint64_t want = (grows ? 4 : 2) * f->rate * (f->rtt + 1);
    f->window = want < SFTP_FLOW_LEAST  ? SFTP_FLOW_LEAST
                : want > SFTP_FLOW_MOST ? SFTP_FLOW_MOST
                                        : want;
}

void sftp_flow_answered(struct sftp_flow *f, uint32_t bytes, uint64_t sent,
                        uint64_t now) {
    uint64_t took = now > sent ? now - sent : 0;
    if (took < f->rtt)
        f->rtt = took;
    f->outstanding -= bytes < f->outstanding ? bytes : f->outstanding;
    f->delivered += bytes;
    uint64_t span = now > f->since ? now - f->since : 0;
    if (bytes == 0 || span < MEASURE_MS || span < f->rtt)
        return;
    uint64_t rate = f->delivered / span, old = f->rate - f->rate / 8;
    bool grows = rate > f->rate + f->rate / 4;
    f->rate = rate > old ? rate : old;
    f->since = now;
    f->delivered = 0;
    resize(f, grows);
}

bool sftp_flow_allows(const struct sftp_flow *f, uint32_t bytes) {
    return f->outstanding == 0 || f->outstanding + bytes <= f->window;
}
