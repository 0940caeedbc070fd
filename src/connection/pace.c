#include "connection/pace.h"

#define SCRAP (16u * 1024u)  // less is not worth a message
#define LIMIT_MOST (256u * 1024u * 1024u)
#define SLACK_US 500            // of queue that nobody feels
#define SLACK_SHARE 4           // of the path's own time: its jitter
#define LEAST_LIFE_US 10000000  // then the path may have become another one

void pace_init(struct pace *p) {
    *p = (struct pace){.limit = PACE_LEAST, .least = UINT64_MAX};
}

uint64_t pace_room(struct pace *p) {
    uint64_t under_way = p->sent - p->answered;
    if (p->off)
        return UINT64_MAX;
    if (under_way + SCRAP <= p->limit)
        return p->limit - under_way;
    p->held = true;
    return 0;
}

bool pace_sent(struct pace *p, size_t n) {
    p->sent += n;
    uint64_t every = p->limit / 8 > PACE_PROBE ? p->limit / 8 : PACE_PROBE;
    return !p->off && p->sent - p->probed >= every && p->n < PACE_PROBES;
}

void pace_probed(struct pace *p, uint64_t now) {
    unsigned at = (p->first + p->n) % PACE_PROBES;
    p->probes[at].sent = p->probed = p->sent;
    p->probes[at].at = now;
    p->n++;
}

// Doubles with each answer's time until the path was once too full, then goes slowly.
static void grow(struct pace *p, uint64_t bytes) {
    if (p->shrunk_at != 0)
        bytes /= 8;
    if (p->held)
        p->limit = p->limit + bytes < LIMIT_MOST ? p->limit + bytes : LIMIT_MOST;
    p->held = false;
}

// Once for each time that an answer takes: the next ones still tell of what was too much.
static void shrink(struct pace *p, uint64_t took, uint64_t now) {
    if (now - p->shrunk_at < took)
        return;
    p->shrunk_at = now;
    p->limit -= p->limit / 4;
    if (p->limit < PACE_LEAST)
        p->limit = PACE_LEAST;
}

void pace_answered(struct pace *p, uint64_t now) {
    if (p->n == 0)
        return;
    uint64_t took = now - p->probes[p->first].at;
    uint64_t bytes = p->probes[p->first].sent - p->answered;
    p->answered = p->probes[p->first].sent;
    p->first = (p->first + 1) % PACE_PROBES;
    p->n--;
    if (took <= p->least || now - p->least_at > LEAST_LIFE_US) {
        p->least = took;
        p->least_at = now;
    }
    uint64_t slack =
        p->least / SLACK_SHARE > SLACK_US ? p->least / SLACK_SHARE : SLACK_US;
    if (took <= p->least + slack)
        grow(p, bytes);
    else if (took > p->least + 2 * slack)
        shrink(p, took, now);
}

void pace_tick(struct pace *p, uint64_t now) {
    if (p->n > 0 && now - p->probes[p->first].at > PACE_PATIENCE)
        p->off = true;
}
