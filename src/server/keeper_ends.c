// Why logins end, in the words of doc/ends.md: one line of the log, the last event, and
// what a client is told that comes back for a connection that is not there any more.
#include <stdio.h>
#include <time.h>

#include "base/text.h"
#include "connection/resume.h"
#include "io/clock.h"
#include "server/keeper.h"

#define SINCE 5u  // IPC_VERSION of gates that can say it

// ---- the class ----

// Where the holder has not said it: it was killed, or is of a version before.
static const struct {
    const char *reason;
    enum ends_class class;
} by_reason[] = {
    {"closed", ENDS_CLOSED},     {"disconnected", ENDS_USER},
    {"session-over", ENDS_EXIT}, {"lost", ENDS_CLOSED},
    {"not-resumed", ENDS_GRACE}, {"too-many-suspended", ENDS_LIMIT},
};

static const char *reason_of(const struct link *l) {
    if (l->reason != NULL)
        return l->reason;
    return l->suspended_at != 0 ? "not-resumed" : "server";
}

static enum ends_class guess(const char *reason) {
    for (size_t i = 0; i < sizeof by_reason / sizeof by_reason[0]; i++)
        if (strcmp(reason, by_reason[i].reason) == 0)
            return by_reason[i].class;
    return ENDS_ERROR;
}

// The holder says what became of its connection; whose wish that was, and what became of
// the link, is known here.
static enum ends_class class_of(const struct link *l) {
    const char *reason = reason_of(l);
    if (strcmp(reason, "administrator") == 0)
        return ENDS_ADMINISTRATOR;
    if (strcmp(reason, "too-many-suspended") == 0)
        return ENDS_LIMIT;
    if (strcmp(reason, "protocol") == 0)
        return ENDS_ERROR;
    enum ends_class class = l->ended ? l->ended_class : guess(reason);
    if (class == ENDS_CLOSED && strcmp(l->reason_text, GATE_RESET_TEXT) == 0)
        return ENDS_RESET;
    if (class == ENDS_EXIT && l->comes_back)
        return ENDS_REFUSED;  // what it came for it did not get
    return class == ENDS_GRACE && l->turned_away ? ENDS_REMOVED : class;
}

static const char *text_of(const struct link *l) {
    return l->ended_text[0] != '\0' ? l->ended_text
           : l->reason != NULL      ? l->reason_text
                                    : "";
}

void link_ended(struct link *l, const struct ipc_ended *m) {
    l->ended = true;
    if (!ends_class_of(m->class, &l->ended_class))
        l->ended_class = ENDS_ERROR;
    text_clean(l->ended_text, sizeof l->ended_text, m->text);
}

// Whatever its gate makes of it.
void link_killed(struct link *l, int signal) {
    if (l->ended)
        return;
    l->ended = true;
    l->ended_class = ENDS_ERROR;
    snprintf(l->ended_text, sizeof l->ended_text, "its process died of signal %d",
             signal);
}

// ---- told ----

// Those that every login ends with have lines of OpenSSH's already.
static bool is_usual(enum ends_class class) {
    return class == ENDS_EXIT || class == ENDS_USER || class == ENDS_CLOSED ||
           class == ENDS_RESET;
}

static void log_end(struct link *l, enum ends_class class) {
    struct log log = link_voice(l);
    const char *text = text_of(l);
    log_at(&log, is_usual(class) ? LOG_LEVEL_VERBOSE : LOG_LEVEL_INFO,
           "Login of user %s from %s port %u ended: %s%s%s", l->user, l->peer,
           l->peer_port, ends_class_name(class), text[0] != '\0' ? ": " : "", text);
}

static void remember(const struct link *l, enum ends_class class) {
    struct keeper_end *e = &l->keeper->ends[l->keeper->ends_n++ % KEEPER_ENDS];
    e->at = clock_wall_s();
    e->uid = l->uid;
    e->class = class;
    memcpy(e->handle, l->handle, sizeof e->handle);
    text_copy(e->text, sizeof e->text, view_text(text_of(l)));
    // Whose client has left by itself, nobody comes back for: spares each login the
    // words.
    if (class != ENDS_EXIT && class != ENDS_USER)
        keeper_anchor_ends(l->keeper);
}

void link_event_over(struct link *l) {
    const char *reason = reason_of(l);
    bool moved = strcmp(reason, "resumed") == 0;  // it goes on as another login's
    enum ends_class class = class_of(l);
    struct event e = {.seconds = clock_wall_s() - l->since,
                      .bytes_in = l->bytes_in,
                      .bytes_out = l->bytes_out,
                      .reason = view_text(reason),
                      .text = view_text(moved ? l->reason_text : text_of(l)),
                      .class = view_text(moved ? "" : ends_class_name(class))};
    if (!l->authenticated)
        return;
    link_tell(l, EVENT_LOGIN_ENDED, &e);
    if (!moved)
        log_end(l, class);
    if (l->resumable)
        remember(l, class);
}

// ---- over the life of keepers ----

// One of them, as keepers tell each other; the class by its name, which stays.
struct end_told {
    uint64_t at;
    uint32_t uid;
    struct view class, handle, text;
};
#define F(kind, member) FIELD(kind, end_told, member)
static const struct message_field told_fields[] = {
    F(U64, at),        F(U32, uid),     F(TEXT, class),
    F(STRING, handle), F(STRING, text), FIELDS_END,
};
static const struct fields_of row_of_end = {0, "end", sizeof(struct end_told),
                                            told_fields};

static enum err write_end(const struct keeper_end *e, struct writer *out) {
    uint8_t room[sizeof *e + 64];
    struct writer w = writer_to_span((struct span){room, sizeof room});
    struct end_told m = {e->at, e->uid, view_text(ends_class_name(e->class)),
                         view_of(e->handle, sizeof e->handle), view_text(e->text)};
    fields_encode(&w, told_fields, &m);
    TRY(writer_end(&w));
    write_string(out, view_of(room, w.n));
    return OK;
}

enum err keeper_ends_write(const struct keeper *k, struct buf *out) {
    struct writer w = writer_to_buf(out);
    uint64_t first = k->ends_n > KEEPER_ENDS ? k->ends_n - KEEPER_ENDS : 0;
    for (uint64_t i = first; i < k->ends_n; i++)
        TRY(write_end(&k->ends[i % KEEPER_ENDS], &w));
    return writer_end(&w);
}

static enum err read_end(struct keeper *k, struct view bytes) {
    struct reader r = reader_of(bytes);
    struct end_told m;
    struct fault fault = {0};
    TRY(fields_decode_loose(&row_of_end, SIZE_MAX, &r, &m, &fault));
    struct keeper_end *e = &k->ends[k->ends_n % KEEPER_ENDS];
    if (m.handle.n != sizeof e->handle)
        return ERR_FORMAT;
    *e = (struct keeper_end){.at = m.at, .uid = m.uid};
    if (!ends_class_of(m.class, &e->class))
        e->class = ENDS_ERROR;  // of a later version
    memcpy(e->handle, m.handle.p, sizeof e->handle);
    if (!text_copy(e->text, sizeof e->text, m.text))
        text_clean(e->text, sizeof e->text, m.text);  // shortened, as people see it
    k->ends_n++;
    return OK;
}

enum err keeper_ends_read(struct keeper *k, struct view list) {
    struct reader r = reader_of(list);
    while (reader_left(&r) > 0) {
        struct view bytes = read_string(&r);
        TRY(r.err);
        TRY(read_end(k, bytes));
    }
    return OK;
}

// ---- who comes back ----

void link_turned_away(const struct link *l) {
    static const uint8_t none[KEEPER_HANDLE];
    if (!l->comes_back || l->authenticated || l->failures == 0)
        return;
    for (struct link *o = l->keeper->links; o != NULL; o = o->next)
        if (o != l && o->resumable && strcmp(o->user, l->user) == 0 &&
            memcmp(o->handle, l->wanted, KEEPER_HANDLE) == 0 &&
            memcmp(o->handle, none, KEEPER_HANDLE) != 0)
            o->turned_away = true;
}

static const char *when(uint64_t at, char *out, size_t size) {
    time_t t = (time_t)at;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || strftime(out, size, "%F %T UTC", &tm) == 0)
        text_copy(out, size, view_text("a time that is not known"));
    return out;
}

static const struct keeper_end *find(const struct link *l) {
    const struct keeper *k = l->keeper;
    uint64_t n = k->ends_n < KEEPER_ENDS ? k->ends_n : KEEPER_ENDS;
    for (uint64_t i = 0; i < n; i++)
        if (k->ends[i].uid == l->uid &&
            memcmp(k->ends[i].handle, l->wanted, KEEPER_HANDLE) == 0)
            return &k->ends[i];
    return NULL;
}

// Nothing is known of it: it went with what was before us, if it is older than that.
static bool restarted(const struct link *l, char *text, size_t size) {
    char time[48];
    uint64_t made = resume_handle_made(l->wanted), since = l->keeper->since;
    uint64_t boot = clock_wall_us() / 1000 - clock_boot_ms();
    bool host = made < boot;
    if (!host && made >= since)
        return false;
    snprintf(text, size, "the %s was restarted at %s", host ? "host" : "server",
             when((host ? boot : since) / 1000, time, sizeof time));
    return true;
}

const char *link_tell_ended(struct link *l, enum resume_refusal *why) {
    char text[320], time[48];
    const struct keeper_end *e = find(l);
    if (e == NULL && !restarted(l, text, sizeof text))
        return "";
    if (e != NULL)
        snprintf(text, sizeof text, "it ended at %s%s%s", when(e->at, time, sizeof time),
                 e->text[0] != '\0' ? ": " : "", e->text);
    *why = e != NULL ? RESUME_REFUSED_ENDED : RESUME_REFUSED_UNKNOWN;
    const char *class = ends_class_name(e != NULL ? e->class : ENDS_RESTARTED);
    struct ipc_ended told = {view_text(class), view_text(text)};
    if (l->side.version == 0 || l->side.version >= SINCE)
        (void)!ipc_send(l->fd, IPC_ENDED, &told, -1);
    return class;
}
