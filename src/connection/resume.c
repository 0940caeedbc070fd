#include "connection/resume.h"

#include <stdlib.h>

#include "base/limits.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "wire/messages.h"

// An ACK is due after so much (doc/resume.md).
#define ACK_BYTES (512u * 1024u)
#define ACK_MESSAGES 64u
#define ACK_MS 200u
// The first one, in which a client says that it got OPENED: with whatever it sends next,
// or alone after so much.
#define ACK_FIRST_MS 20u
#define COUNT_SIZE 12u  // lane and count
#define COUNTS_MAX (REPLAY_LANES * COUNT_SIZE)

const char *resume_refusal_text(enum resume_refusal why) {
    static const char *const texts[RESUME_REFUSALS] = {
        [RESUME_REFUSED_NONE] = "not refused",
        [RESUME_REFUSED_DISABLED] = "not allowed for this login",
        [RESUME_REFUSED_UNKNOWN] = "unknown connection",
        [RESUME_REFUSED_ENDED] = "the connection has ended",
        [RESUME_REFUSED_IDENTITY] = "the login was by another key",
        [RESUME_REFUSED_PROOF] = "wrong proof",
        [RESUME_REFUSED_EPOCH] = "resumed by another link meanwhile",
        [RESUME_REFUSED_GAP] = "messages are missing",
        [RESUME_REFUSED_BUSY] = "too many attempts at once",
    };
    return why < RESUME_REFUSALS ? texts[why] : "refused";
}

void resume_init(struct resume *r, bool server) {
    *r = (struct resume){.server = server};
    replay_init(&r->store);
}

static void keep_nothing(struct resume *r) {
    replay_free(&r->store);
    free(r->lanes);
    r->lanes = NULL;
    r->lane_count = 0;
    r->dirty = r->messages = 0;
    r->bytes = 0;
}

void resume_free(struct resume *r) {
    keep_nothing(r);
    secret_wipe(r, sizeof *r);
}

bool resume_is(struct view message) {
    return message.n > 0 && message.p[0] >= SSH_MSG_RESUME_OPEN &&
           message.p[0] <= SSH_MSG_RESUME_ACK;
}

static enum err write_message(struct buf *out, uint8_t number, const void *m) {
    struct writer w = writer_to_buf(out);
    message_encode(&w, number, m);
    return writer_end(&w);
}

static enum err bad_length(struct fault *fault, uint8_t number, const char *field) {
    return fault_set(fault, ERR_FORMAT, number, "%s: field %s: wrong length",
                     message_name(number), field);
}

static enum err not_now(struct fault *fault, uint8_t number) {
    return fault_set(fault, ERR_UNEXPECTED, number, "%s: not allowed now",
                     message_name(number));
}

// ---- secrets ----

// HMAC over a name and what is bound to it.
static enum err keyed(const uint8_t *key, const struct buf *text, uint8_t *out) {
    return digest_hmac(&digest_sha256, view_of(key, RESUME_SECRET), buf_view(text), out);
}

// Once, from what OPEN and OPENED said. A server does it when a client first comes back:
// few ever do, and the pages that it touches are a process's own from then on.
static enum err first_secret(struct resume *r) {
    scoped_buf text = {.max = 512};
    const uint8_t *client = r->server ? r->theirs : r->random;
    const uint8_t *server = r->server ? r->random : r->theirs;
    if (r->has_secret)
        return OK;
    struct writer w = writer_to_buf(&text);
    write_bytes(&w, view_text(RESUME_NAME " open"));
    write_string(&w, view_of(r->handle, RESUME_HANDLE));
    write_string(&w, view_of(client, RESUME_SECRET));
    write_string(&w, view_of(server, RESUME_SECRET));
    TRY(writer_end(&w));
    uint8_t made[DIGEST_MAX];
    TRY(keyed(r->exporter, &text, made));
    memcpy(r->secret, made, RESUME_SECRET);
    secret_wipe(made, sizeof made);
    secret_wipe(r->exporter, sizeof r->exporter);
    r->has_secret = true;
    return OK;
}

static enum err proof_of(const struct resume *r, const uint8_t *secret, const char *who,
                         uint64_t epoch, struct view session_id, struct view counts,
                         uint8_t *out) {
    scoped_buf text = {.max = COUNTS_MAX + 1024};
    struct writer w = writer_to_buf(&text);
    write_bytes(&w, view_text(RESUME_NAME " "));
    write_bytes(&w, view_text(who));
    write_string(&w, view_of(r->handle, RESUME_HANDLE));
    write_u64(&w, epoch);
    write_string(&w, session_id);
    write_string(&w, counts);
    TRY(writer_end(&w));
    return keyed(secret, &text, out);
}

static bool proof_is(const struct resume *r, const uint8_t *secret, const char *who,
                     uint64_t epoch, struct view session_id, struct view counts,
                     struct view proof) {
    uint8_t want[DIGEST_MAX];
    bool good = proof.n == RESUME_SECRET &&
                proof_of(r, secret, who, epoch, session_id, counts, want) == OK &&
                secret_equal(want, proof.p, RESUME_SECRET);
    secret_wipe(want, sizeof want);
    return good;
}

// S_e+1 from S_e, which is `from`.
static enum err next_secret(struct resume *r, const uint8_t *from, uint64_t epoch,
                            struct view session_id) {
    scoped_buf text = {.max = 512};
    uint8_t next[DIGEST_MAX];
    struct writer w = writer_to_buf(&text);
    write_bytes(&w, view_text(RESUME_NAME " next"));
    write_u64(&w, epoch);
    write_string(&w, session_id);
    TRY(writer_end(&w));
    TRY(keyed(from, &text, next));
    if (from != r->before)
        memcpy(r->before, from, RESUME_SECRET);
    memcpy(r->secret, next, RESUME_SECRET);
    secret_wipe(next, sizeof next);
    r->epoch = epoch + 1;
    return OK;
}

// ---- counts ----

static struct resume_lane *lane_at(struct resume *r, uint32_t lane) {
    void *p = replay_lanes_for(r->lanes, &r->lane_count, sizeof *r->lanes, lane);
    if (p == NULL)
        return NULL;
    r->lanes = p;
    return &r->lanes[lane];
}

// What was taken in: of all lanes, or of those that changed since the last ACK.
static enum err write_counts(struct resume *r, bool all, struct buf *out) {
    struct writer w = writer_to_buf(out);
    for (uint32_t i = 0; i < r->lane_count; i++) {
        struct resume_lane *l = &r->lanes[i];
        if (all ? l->taken == 0 : !l->dirty)
            continue;
        write_u32(&w, i);
        write_u64(&w, l->taken);
        l->dirty = false;
    }
    r->dirty = r->messages = 0;
    r->bytes = 0;
    r->confirm_now = r->untold = false;
    return writer_end(&w);
}

struct count {
    uint32_t lane;
    uint64_t count;
};

// The next one; false at the end, or with r->err.
static bool next_count(struct reader *r, uint32_t *least, struct count *out) {
    if (reader_left(r) == 0)
        return false;
    out->lane = read_u32(r);
    out->count = read_u64(r);
    if (r->err == OK && (out->lane < *least || out->lane >= REPLAY_LANES))
        r->err = ERR_FORMAT;
    *least = out->lane + 1;
    return r->err == OK;
}

// Are they possible? Between what was confirmed and what was sent, in every lane.
static bool counts_fit(const struct resume *r, struct view counts, bool all) {
    struct reader in = reader_of(counts);
    struct count c;
    uint32_t least = 0, from = 0;
    const struct replay *s = &r->store;
    while (next_count(&in, &least, &c)) {
        for (; all && from < c.lane && from < s->lane_count; from++)
            if (s->lanes[from].confirmed > 0)
                return false;
        from = c.lane + 1;
        if (c.count > replay_sent(s, c.lane) ||
            (c.lane < s->lane_count && c.count < s->lanes[c.lane].confirmed))
            return false;
    }
    for (; all && from < s->lane_count; from++)
        if (s->lanes[from].confirmed > 0)
            return false;
    return in.err == OK;
}

static enum err confirm(struct resume *r, struct view counts) {
    struct reader in = reader_of(counts);
    struct count c;
    uint32_t least = 0;
    while (next_count(&in, &least, &c))
        TRY(replay_confirm(&r->store, c.lane, c.count));
    return in.err;
}

// ---- opening ----

enum err resume_open(struct resume *r, const uint8_t *exporter, uint32_t grace,
                     struct buf *out) {
    if (r->server || r->state != RESUME_OFF)
        return ERR_UNEXPECTED;
    random_bytes(r->random, sizeof r->random);
    struct msg_resume_open m = {view_of(r->random, sizeof r->random), grace};
    TRY(write_message(out, SSH_MSG_RESUME_OPEN, &m));
    memcpy(r->exporter, exporter, sizeof r->exporter);
    r->state = RESUME_ASKED;
    return OK;
}

static void off(struct resume *r) {
    keep_nothing(r);
    secret_wipe(r->exporter, sizeof r->exporter);
    r->state = RESUME_OFF;
}

enum err resume_opened_in(struct resume *r, struct view message, uint64_t now,
                          struct fault *fault) {
    struct msg_resume_opened m;
    if (r->server || r->state != RESUME_ASKED || message.n == 0)
        return not_now(fault, message.n > 0 ? message.p[0] : 0);
    if (message.p[0] == SSH_MSG_RESUME_REFUSED) {
        struct msg_resume_refused refused;
        TRY(message_decode(SSH_MSG_RESUME_REFUSED, message, &refused, fault));
        off(r);
        return OK;
    }
    TRY(message_decode(SSH_MSG_RESUME_OPENED, message, &m, fault));
    if (m.handle.n != RESUME_HANDLE)
        return bad_length(fault, SSH_MSG_RESUME_OPENED, "handle");
    if (m.random.n != RESUME_SECRET)
        return bad_length(fault, SSH_MSG_RESUME_OPENED, "random");
    memcpy(r->handle, m.handle.p, RESUME_HANDLE);
    r->grace = m.grace;
    memcpy(r->theirs, m.random.p, RESUME_SECRET);
    TRY(first_secret(r));
    r->untold = true;
    r->opened = now;
    r->state = RESUME_ON;
    return OK;
}

// The rest is random: a name that is not met twice.
static void make_handle(struct resume *r) {
    random_bytes(r->handle, sizeof r->handle);
    for (size_t i = 0; i < RESUME_MADE; i++)
        r->handle[i] = (uint8_t)(r->made >> 8 * (RESUME_MADE - 1 - i));
}

uint64_t resume_handle_made(const uint8_t *handle) {
    uint64_t made = 0;
    for (size_t i = 0; i < RESUME_MADE; i++)
        made = made << 8 | handle[i];
    return made;
}

enum err resume_open_in(struct resume *r, struct view message, const uint8_t *exporter,
                        uint32_t granted, struct buf *out, struct fault *fault) {
    struct msg_resume_open m;
    if (!r->server || r->state != RESUME_OFF)
        return not_now(fault, SSH_MSG_RESUME_OPEN);
    TRY(message_decode(SSH_MSG_RESUME_OPEN, message, &m, fault));
    if (m.random.n != RESUME_SECRET)
        return bad_length(fault, SSH_MSG_RESUME_OPEN, "random");
    if (granted == 0)
        return resume_refuse(RESUME_REFUSED_DISABLED, NULL, out);
    make_handle(r);
    random_bytes(r->random, sizeof r->random);
    memcpy(r->exporter, exporter, sizeof r->exporter);
    r->grace = granted;
    memcpy(r->theirs, m.random.p, RESUME_SECRET);
    struct msg_resume_opened answer = {view_of(r->handle, sizeof r->handle),
                                       view_of(r->random, sizeof r->random), granted};
    TRY(write_message(out, SSH_MSG_RESUME_OPENED, &answer));
    r->state = RESUME_ON;
    return OK;
}

enum err resume_refuse(enum resume_refusal why, const char *text, struct buf *out) {
    struct msg_resume_refused m = {
        why, view_text(text != NULL ? text : resume_refusal_text(why))};
    return write_message(out, SSH_MSG_RESUME_REFUSED, &m);
}

// ---- going on ----

enum err resume_out(struct resume *r, struct view head, struct view body) {
    if (r->state == RESUME_OFF)
        return OK;
    uint32_t lane = replay_lane_of(head);
    return lane < REPLAY_LANES ? replay_put(&r->store, lane, head, body) : OK;
}

enum err resume_lend(struct resume *r, struct view head, struct view body,
                     uint64_t mark) {
    if (r->state == RESUME_OFF)
        return OK;
    uint32_t lane = replay_lane_of(head);
    return lane < REPLAY_LANES ? replay_lend(&r->store, lane, head, body, mark) : OK;
}

bool resume_may_send(const struct resume *r) {
    return r->state != RESUME_ATTACHING && !r->replaying;
}

size_t resume_room(const struct resume *r) {
    if (r->state == RESUME_OFF)
        return SIZE_MAX;
    return r->store.bytes < RESUME_STORE ? RESUME_STORE - r->store.bytes : 0;
}

enum err resume_in(struct resume *r, struct view message, uint64_t now) {
    // A client that has only asked does not know yet where counting begins: at OPENED.
    if (r->state != RESUME_ON)
        return OK;
    uint32_t lane = replay_lane_of(message);
    if (lane >= REPLAY_LANES)
        return OK;
    struct resume_lane *l = lane_at(r, lane);
    if (l == NULL)
        return ERR_MEMORY;
    if (r->messages == 0)
        r->since = now;
    l->taken++;
    r->dirty += !l->dirty;
    l->dirty = true;
    r->messages++;
    r->bytes += message.n;
    return OK;
}

// By time alone.
static uint64_t ack_at(const struct resume *r) {
    uint64_t first = r->untold ? r->opened + ACK_FIRST_MS : UINT64_MAX;
    uint64_t at = r->messages > 0 ? r->since + ACK_MS : UINT64_MAX;
    return first < at ? first : at;
}

bool resume_ack_due(const struct resume *r, uint64_t now, bool along,
                    uint64_t *deadline) {
    *deadline = UINT64_MAX;
    if (r->state != RESUME_ON)
        return false;
    if (r->confirm_now || (r->untold && along) || r->bytes >= ACK_BYTES ||
        r->messages >= ACK_MESSAGES || now >= ack_at(r))
        return true;
    *deadline = ack_at(r);
    return false;
}

enum err resume_ack(struct resume *r, struct buf *out) {
    scoped_buf counts = {.max = COUNTS_MAX};
    TRY(write_counts(r, false, &counts));
    struct msg_resume_ack m = {r->epoch, buf_view(&counts)};
    return write_message(out, SSH_MSG_RESUME_ACK, &m);
}

enum err resume_ack_in(struct resume *r, struct view message, struct fault *fault) {
    struct msg_resume_ack m;
    if (r->state != RESUME_ON)
        return not_now(fault, SSH_MSG_RESUME_ACK);
    TRY(message_decode(SSH_MSG_RESUME_ACK, message, &m, fault));
    if (m.epoch != r->epoch)
        return fault_set(fault, ERR_PROTOCOL, SSH_MSG_RESUME_ACK,
                         "RESUME_ACK: field epoch: %llu, it is %llu",
                         (unsigned long long)m.epoch, (unsigned long long)r->epoch);
    if (!counts_fit(r, m.counts, false))
        return fault_set(fault, ERR_PROTOCOL, SSH_MSG_RESUME_ACK,
                         "RESUME_ACK: field counts: confirms what cannot be");
    r->unproved = false;
    r->known = true;
    secret_wipe(r->before, sizeof r->before);
    return confirm(r, m.counts);
}

// ---- a new link ----

enum err resume_attach(struct resume *r, struct view session_id, struct buf *out) {
    uint8_t proof[DIGEST_MAX];
    scoped_buf counts = {.max = COUNTS_MAX};
    if (r->server || (r->state != RESUME_ON && r->state != RESUME_ATTACHING))
        return ERR_UNEXPECTED;
    TRY(write_counts(r, true, &counts));
    TRY(proof_of(r, r->secret, "client", r->epoch, session_id, buf_view(&counts), proof));
    struct msg_resume_attach m = {view_of(r->handle, RESUME_HANDLE), r->epoch,
                                  buf_view(&counts), view_of(proof, RESUME_SECRET)};
    TRY(write_message(out, SSH_MSG_RESUME_ATTACH, &m));
    r->state = RESUME_ATTACHING;
    return OK;
}

static void replay_from_start(struct resume *r) {
    r->state = RESUME_ON;
    r->replaying = true;
    replay_rewind(&r->store);
}

static enum err refused_in(struct view message, enum resume_refusal *why,
                           struct fault *fault) {
    struct msg_resume_refused m;
    TRY(message_decode(SSH_MSG_RESUME_REFUSED, message, &m, fault));
    if (m.reason == RESUME_REFUSED_NONE)
        return fault_set(fault, ERR_FORMAT, SSH_MSG_RESUME_REFUSED,
                         "RESUME_REFUSED: field reason: 0");
    *why = m.reason < RESUME_REFUSALS ? (enum resume_refusal)m.reason
                                      : RESUME_REFUSED_DISABLED;
    return OK;
}

struct view resume_refused_text(struct view message) {
    struct msg_resume_refused m;
    struct fault fault = {0};
    if (message.n == 0 || message.p[0] != SSH_MSG_RESUME_REFUSED ||
        message_decode(SSH_MSG_RESUME_REFUSED, message, &m, &fault) != OK)
        return view_of(NULL, 0);
    return m.text;
}

enum err resume_attached_in(struct resume *r, struct view message, struct view session_id,
                            enum resume_refusal *why, struct fault *fault) {
    struct msg_resume_attached m;
    *why = RESUME_REFUSED_NONE;
    if (r->server || r->state != RESUME_ATTACHING || message.n == 0)
        return not_now(fault, message.n > 0 ? message.p[0] : 0);
    if (message.p[0] == SSH_MSG_RESUME_REFUSED)
        return refused_in(message, why, fault);
    TRY(message_decode(SSH_MSG_RESUME_ATTACHED, message, &m, fault));
    if (m.epoch != r->epoch + 1 ||
        !proof_is(r, r->secret, "server", m.epoch, session_id, m.counts, m.proof))
        return fault_set(fault, ERR_AUTH, SSH_MSG_RESUME_ATTACHED,
                         "RESUME_ATTACHED: field proof: the host does not know the "
                         "connection's secret");
    if (!counts_fit(r, m.counts, true))
        return fault_set(fault, ERR_PROTOCOL, SSH_MSG_RESUME_ATTACHED,
                         "RESUME_ATTACHED: field counts: confirms what cannot be");
    TRY(next_secret(r, r->secret, r->epoch, session_id));
    secret_wipe(r->before, sizeof r->before);
    TRY(confirm(r, m.counts));
    replay_from_start(r);
    r->confirm_now = true;
    return OK;
}

static bool attach_of(struct view message, struct msg_resume_attach *m) {
    struct fault fault = {0};
    return message.n > 0 && message.p[0] == SSH_MSG_RESUME_ATTACH &&
           message_decode(SSH_MSG_RESUME_ATTACH, message, m, &fault) == OK &&
           m->handle.n == RESUME_HANDLE;
}

// The secret of the epoch that an ATTACH names; NULL: it has passed.
static const uint8_t *secret_of(const struct resume *r, uint64_t epoch) {
    if (!r->has_secret)
        return NULL;
    if (epoch == r->epoch)
        return r->secret;
    return r->unproved && epoch + 1 == r->epoch ? r->before : NULL;
}

enum resume_refusal resume_attach_check(struct resume *r, struct view message,
                                        struct view session_id) {
    struct msg_resume_attach m;
    if (!r->server || r->state != RESUME_ON || !attach_of(message, &m) ||
        memcmp(m.handle.p, r->handle, RESUME_HANDLE) != 0)
        return RESUME_REFUSED_UNKNOWN;
    if (first_secret(r) != OK)
        return RESUME_REFUSED_BUSY;
    const uint8_t *secret = secret_of(r, m.epoch);
    if (secret == NULL)
        return RESUME_REFUSED_EPOCH;
    if (!proof_is(r, secret, "client", m.epoch, session_id, m.counts, m.proof))
        return RESUME_REFUSED_PROOF;
    return counts_fit(r, m.counts, true) ? RESUME_REFUSED_NONE : RESUME_REFUSED_GAP;
}

// Bound to what an ATTACH's is bound to, with the user in place of the counts.
enum err resume_login_proof(const struct resume *r, struct view session_id,
                            struct view user, uint8_t *proof) {
    uint8_t whole[DIGEST_MAX];
    if (r->server || (r->state != RESUME_ON && r->state != RESUME_ATTACHING))
        return ERR_UNEXPECTED;
    TRY(proof_of(r, r->secret, "login", r->epoch, session_id, user, whole));
    memcpy(proof, whole, RESUME_SECRET);
    secret_wipe(whole, sizeof whole);
    return OK;
}

enum resume_refusal resume_login_check(struct resume *r, uint64_t epoch,
                                       struct view session_id, struct view user,
                                       struct view proof) {
    if (!r->server || r->state != RESUME_ON)
        return RESUME_REFUSED_UNKNOWN;
    if (first_secret(r) != OK)
        return RESUME_REFUSED_BUSY;
    const uint8_t *secret = secret_of(r, epoch);
    if (secret == NULL)
        return RESUME_REFUSED_EPOCH;
    return proof_is(r, secret, "login", epoch, session_id, user, proof)
               ? RESUME_REFUSED_NONE
               : RESUME_REFUSED_PROOF;
}

static enum err answer_attach(struct resume *r, const struct msg_resume_attach *m,
                              struct view session_id, const uint8_t *secret,
                              struct buf *out) {
    uint8_t proof[DIGEST_MAX];
    scoped_buf counts = {.max = COUNTS_MAX};
    TRY(write_counts(r, true, &counts));
    TRY(proof_of(r, secret, "server", m->epoch + 1, session_id, buf_view(&counts),
                 proof));
    struct msg_resume_attached answer = {m->epoch + 1, buf_view(&counts),
                                         view_of(proof, RESUME_SECRET)};
    TRY(write_message(out, SSH_MSG_RESUME_ATTACHED, &answer));
    return next_secret(r, secret, m->epoch, session_id);
}

enum err resume_attach_in(struct resume *r, struct view message, struct view session_id,
                          struct buf *out, struct fault *fault) {
    enum resume_refusal why = resume_attach_check(r, message, session_id);
    struct msg_resume_attach m;
    if (why != RESUME_REFUSED_NONE || !attach_of(message, &m))
        return fault_set(fault, ERR_REFUSED, SSH_MSG_RESUME_ATTACH, "RESUME_ATTACH: %s",
                         resume_refusal_text(why));
    uint8_t secret[RESUME_SECRET];
    memcpy(secret, secret_of(r, m.epoch), sizeof secret);
    enum err e = answer_attach(r, &m, session_id, secret, out);
    secret_wipe(secret, sizeof secret);
    TRY(e);
    r->unproved = r->known = true;
    TRY(confirm(r, m.counts));
    replay_from_start(r);
    return OK;
}

bool resume_replay(struct resume *r, struct view *message) {
    if (!r->replaying)
        return false;
    if (replay_next(&r->store, message))
        return true;
    r->replaying = false;
    return false;
}

void resume_idle(struct resume *r) {
    replay_idle(&r->store);
}
