// The one gate: which message may come from whom, when, and what is done with it (RFC
// 4253 s.7.1, 11; RFC 4252 s.6; RFC 8308 s.2.4). Nothing else looks at a message number
// to let it in.
#include <stdio.h>

#include "transport/internal.h"

#define P(phase) (1u << PHASE_##phase)
#define FIRST (P(KEXINIT) | P(GUESS) | P(KEX) | P(GROUP) | P(GEX) | P(NEWKEYS))
#define REKEY                                                                            \
    (P(REKEY_GUESS) | P(REKEY_KEX) | P(REKEY_GROUP) | P(REKEY_GEX) | P(REKEY_NEWKEYS))
#define CALM (P(AUTH) | P(OPEN))

#define CLIENT DISPATCH_FROM_CLIENT
#define SERVER DISPATCH_FROM_SERVER
#define BOTH (CLIENT | SERVER)

#define GENERIC (DISPATCH_WHILE_REKEYING | DISPATCH_STRICT_FORBIDDEN)
#define SESSION (DISPATCH_UPPER | DISPATCH_AUTHENTICATED)

#define DO(name) #name, handle_##name

// Bulk first: the search is linear.
static const struct dispatch_row rows[] = {
    {90, 100, BOTH, P(OPEN), SESSION, DO(deliver)},
    {80, 82, BOTH, P(OPEN), SESSION, DO(deliver)},
    // Sent along with a login that is not decided yet (early-session@bowline).
    {90, 100, CLIENT, P(AUTH), DISPATCH_EARLY, DO(early)},
    {80, 80, CLIENT, P(AUTH), DISPATCH_EARLY, DO(early)},
    // resume-v1@bowline
    {SSH_MSG_RESUME_OPEN, SSH_MSG_RESUME_OPEN, CLIENT, P(OPEN), SESSION, DO(deliver)},
    {SSH_MSG_RESUME_OPEN, SSH_MSG_RESUME_OPEN, CLIENT, P(AUTH), DISPATCH_EARLY,
     DO(early)},
    {SSH_MSG_RESUME_OPENED, SSH_MSG_RESUME_OPENED, SERVER, P(OPEN), SESSION, DO(deliver)},
    {SSH_MSG_RESUME_REFUSED, SSH_MSG_RESUME_REFUSED, SERVER, P(OPEN), SESSION,
     DO(deliver)},
    {SSH_MSG_RESUME_ATTACH, SSH_MSG_RESUME_ATTACH, CLIENT, P(OPEN), SESSION, DO(deliver)},
    {SSH_MSG_RESUME_ATTACH, SSH_MSG_RESUME_ATTACH, CLIENT, P(AUTH), DISPATCH_EARLY,
     DO(early)},
    {SSH_MSG_RESUME_ATTACHED, SSH_MSG_RESUME_ATTACHED, SERVER, P(OPEN), SESSION,
     DO(deliver)},
    {SSH_MSG_RESUME_ACK, SSH_MSG_RESUME_ACK, BOTH, P(OPEN), SESSION, DO(deliver)},
    {SSH_MSG_DISCONNECT, SSH_MSG_DISCONNECT, BOTH, FIRST | CALM | REKEY,
     DISPATCH_WHILE_REKEYING, DO(disconnect)},
    {SSH_MSG_IGNORE, SSH_MSG_IGNORE, BOTH, FIRST | CALM | REKEY, GENERIC, DO(ignore)},
    {SSH_MSG_UNIMPLEMENTED, SSH_MSG_UNIMPLEMENTED, BOTH, FIRST | CALM | REKEY, GENERIC,
     DO(unimplemented)},
    {SSH_MSG_DEBUG, SSH_MSG_DEBUG, BOTH, FIRST | CALM | REKEY, GENERIC, DO(debug)},
    {SSH_MSG_SERVICE_REQUEST, SSH_MSG_SERVICE_REQUEST, CLIENT, P(AUTH), DISPATCH_UPPER,
     DO(deliver)},
    {SSH_MSG_SERVICE_ACCEPT, SSH_MSG_SERVICE_ACCEPT, SERVER, P(AUTH), DISPATCH_UPPER,
     DO(deliver)},
    {SSH_MSG_EXT_INFO, SSH_MSG_EXT_INFO, BOTH, P(AUTH), 0, DO(ext_info)},
    {SSH_MSG_KEXINIT, SSH_MSG_KEXINIT, BOTH, P(KEXINIT) | P(OPEN), DISPATCH_ONCE,
     DO(kexinit)},
    {SSH_MSG_NEWKEYS, SSH_MSG_NEWKEYS, BOTH, P(NEWKEYS) | P(REKEY_NEWKEYS),
     DISPATCH_WHILE_REKEYING | DISPATCH_ONCE, DO(newkeys)},
    {SSH_MSG_KEX_ECDH_INIT, SSH_MSG_KEX_ECDH_INIT, CLIENT, P(KEX) | P(REKEY_KEX),
     DISPATCH_WHILE_REKEYING | DISPATCH_ONCE, DO(kex_init)},
    {SSH_MSG_KEX_ECDH_REPLY, SSH_MSG_KEX_ECDH_REPLY, SERVER, P(KEX) | P(REKEY_KEX),
     DISPATCH_WHILE_REKEYING | DISPATCH_ONCE, DO(kex_reply)},
    {SSH_MSG_KEX_ECDH_REPLY, SSH_MSG_KEX_ECDH_REPLY, SERVER, P(GROUP) | P(REKEY_GROUP),
     DISPATCH_WHILE_REKEYING | DISPATCH_ONCE, DO(gex_group)},
    {SSH_MSG_KEX_DH_GEX_INIT, SSH_MSG_KEX_DH_GEX_INIT, CLIENT, P(GEX) | P(REKEY_GEX),
     DISPATCH_WHILE_REKEYING | DISPATCH_ONCE, DO(kex_init)},
    {SSH_MSG_KEX_DH_GEX_REPLY, SSH_MSG_KEX_DH_GEX_REPLY, SERVER, P(GEX) | P(REKEY_GEX),
     DISPATCH_WHILE_REKEYING | DISPATCH_ONCE, DO(kex_reply)},
    {SSH_MSG_KEX_DH_GEX_REQUEST, SSH_MSG_KEX_DH_GEX_REQUEST, CLIENT,
     P(GROUP) | P(REKEY_GROUP), DISPATCH_WHILE_REKEYING | DISPATCH_ONCE, DO(gex_request)},
    // A guess for whatever method the peer had in mind.
    {30, 49, BOTH, P(GUESS) | P(REKEY_GUESS), DISPATCH_WHILE_REKEYING, DO(skip)},
    {SSH_MSG_USERAUTH_REQUEST, SSH_MSG_USERAUTH_REQUEST, CLIENT, P(AUTH), DISPATCH_UPPER,
     DO(deliver)},
    // Sent before the client knew of its success (RFC 4252 s.5.1).
    {SSH_MSG_USERAUTH_REQUEST, SSH_MSG_USERAUTH_REQUEST, CLIENT, P(OPEN), 0, DO(ignore)},
    {SSH_MSG_USERAUTH_FAILURE, SSH_MSG_USERAUTH_FAILURE, SERVER, P(AUTH), DISPATCH_UPPER,
     DO(deliver)},
    {SSH_MSG_USERAUTH_SUCCESS, SSH_MSG_USERAUTH_SUCCESS, SERVER, P(AUTH),
     DISPATCH_UPPER | DISPATCH_ONCE, DO(deliver)},
    {SSH_MSG_USERAUTH_BANNER, SSH_MSG_USERAUTH_BANNER, SERVER, P(AUTH), DISPATCH_UPPER,
     DO(deliver)},
    {SSH_MSG_USERAUTH_PK_OK, SSH_MSG_USERAUTH_PK_OK, SERVER, P(AUTH), DISPATCH_UPPER,
     DO(deliver)},
    {SSH_MSG_USERAUTH_INFO_RESPONSE, SSH_MSG_USERAUTH_INFO_RESPONSE, CLIENT, P(AUTH),
     DISPATCH_UPPER, DO(deliver)},
    {SSH_MSG_PING, SSH_MSG_PING, BOTH, P(OPEN), DISPATCH_AUTHENTICATED, DO(ping)},
    {SSH_MSG_PONG, SSH_MSG_PONG, BOTH, P(OPEN), DISPATCH_AUTHENTICATED, DO(pong)},
};

// Numbers that no row knows are answered (RFC 4253 s.11.4), but never during an exchange,
// and those of the session not before it.
static const struct dispatch_row unassigned[] = {
    {0, 79, BOTH, CALM, 0, DO(unassigned)},
    {80, 255, BOTH, P(OPEN), DISPATCH_AUTHENTICATED, DO(unassigned)},
};

static const char *const phase_names[PHASE_COUNT] = {
    [PHASE_IDENT] = "identification",
    [PHASE_KEXINIT] = "negotiation",
    [PHASE_GUESS] = "key exchange (after a wrong guess)",
    [PHASE_KEX] = "key exchange",
    [PHASE_GROUP] = "group exchange",
    [PHASE_GEX] = "group exchange (with a group)",
    [PHASE_NEWKEYS] = "key exchange (before NEWKEYS)",
    [PHASE_AUTH] = "authentication",
    [PHASE_OPEN] = "session",
    [PHASE_REKEY_GUESS] = "rekeying (after a wrong guess)",
    [PHASE_REKEY_KEX] = "rekeying",
    [PHASE_REKEY_GROUP] = "rekeying (group exchange)",
    [PHASE_REKEY_GEX] = "rekeying (with a group)",
    [PHASE_REKEY_NEWKEYS] = "rekeying (before NEWKEYS)",
};

const char *dispatch_phase_name(enum phase phase) {
    return phase_names[phase];
}

const struct dispatch_row *dispatch_at(size_t index) {
    return index < sizeof rows / sizeof rows[0] ? &rows[index] : NULL;
}

static bool row_allows(const struct dispatch_row *r, unsigned from, enum phase phase,
                       bool strict) {
    unsigned bit = 1u << phase;
    if ((r->from & from) == 0 || (r->phases & bit) == 0)
        return false;
    if ((bit & REKEY) != 0 && (r->flags & DISPATCH_WHILE_REKEYING) == 0)
        return false;
    if ((bit & ~(P(OPEN) | REKEY)) != 0 && (r->flags & DISPATCH_AUTHENTICATED) != 0)
        return false;
    return !(strict && (bit & FIRST) != 0 && (r->flags & DISPATCH_STRICT_FORBIDDEN) != 0);
}

const struct dispatch_row *dispatch_find(uint8_t number, unsigned from, enum phase phase,
                                         bool strict) {
    bool known = false;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (number < rows[i].first || number > rows[i].last)
            continue;
        if (row_allows(&rows[i], from, phase, strict))
            return &rows[i];
        // The wide row for guesses does not make its numbers known ones.
        known = known || rows[i].first == rows[i].last ||
                (rows[i].flags & (DISPATCH_UPPER | DISPATCH_EARLY)) != 0;
    }
    const struct dispatch_row *rest = &unassigned[number >= unassigned[1].first];
    return !known && row_allows(rest, from, phase, strict) ? rest : NULL;
}

static bool seen_before(struct transport *t, const struct dispatch_row *r,
                        uint8_t number) {
    uint32_t bit = 1u << (number % 32);
    if ((r->flags & DISPATCH_ONCE) == 0)
        return false;
    bool seen = (t->once_seen[number / 32] & bit) != 0;
    t->once_seen[number / 32] |= bit;
    return seen;
}

enum err dispatch_packet(struct transport *t, const struct packet *p,
                         struct transport_event *event) {
    unsigned from = transport_is_server(t) ? CLIENT : SERVER;
    const struct dispatch_row *r =
        dispatch_find(p->number, from, t->phase, t->agreed.strict);
    if (r == NULL)
        return fault_set(&t->fault, ERR_UNEXPECTED, p->number, "%s (%u): not allowed",
                         message_name(p->number), p->number);
    if (seen_before(t, r, p->number))
        return fault_set(&t->fault, ERR_UNEXPECTED, p->number, "%s (%u): a second time",
                         message_name(p->number), p->number);
    if (t->success_must_follow && p->number != SSH_MSG_USERAUTH_SUCCESS)
        return fault_set(&t->fault, ERR_UNEXPECTED, p->number,
                         "EXT_INFO not followed by USERAUTH_SUCCESS");
    return r->handle(t, p, event);
}

bool dispatch_may_send(const struct transport *t, uint8_t number) {
    unsigned from = transport_is_server(t) ? SERVER : CLIENT;
    const struct dispatch_row *r =
        dispatch_find(number, from, t->out_open ? PHASE_OPEN : PHASE_AUTH, false);
    return r != NULL && (r->flags & (DISPATCH_UPPER | DISPATCH_EARLY)) != 0;
}

static size_t print_cells(char *out, size_t size, uint8_t number, bool strict) {
    size_t n = 0;
    for (enum phase phase = PHASE_KEXINIT; phase < PHASE_COUNT; phase++) {
        const struct dispatch_row *c = dispatch_find(number, CLIENT, phase, strict);
        const struct dispatch_row *s = dispatch_find(number, SERVER, phase, strict);
        char cell[64];
        if (c == s)
            snprintf(cell, sizeof cell, "%s", c != NULL ? c->action : "-");
        else
            snprintf(cell, sizeof cell, "%s%s%s%s", c != NULL ? "C:" : "",
                     c != NULL ? c->action : "", s != NULL ? "S:" : "",
                     s != NULL ? s->action : "");
        int w = snprintf(out + n, size - n, " %-13s", cell);
        n += w > 0 ? (size_t)w : 0;
        if (n >= size)
            return size - 1;
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
    return n;
}

static enum err print_line(struct buf *out, unsigned first, unsigned last,
                           const char *cells) {
    char line[512], range[16];
    snprintf(range, sizeof range, first == last ? "%u" : "%u-%u", first, last);
    bool named = first == last && message_schema((uint8_t)first) != NULL;
    int n = snprintf(line, sizeof line, "%-8s%-26s%s\n", range,
                     named ? message_name((uint8_t)first) : "", cells);
    return buf_append(
        out, view_of(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1));
}

enum err dispatch_print(struct buf *out, bool strict) {
    static const char *const heads[] = {
        "kexinit", "guess",    "kex",    "group",    "gex",    "newkeys",   "auth",
        "open",    "re-guess", "re-kex", "re-group", "re-gex", "re-newkeys"};
    char head[512];
    size_t at =
        (size_t)snprintf(head, sizeof head, "%-34s", strict ? "strict" : "not strict");
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        at += (size_t)snprintf(head + at, sizeof head - at, " %-13s", heads[i]);
    while (head[at - 1] == ' ')
        at--;
    TRY(buf_append(out, view_of(head, at)));
    TRY(buf_append(out, view_text("\n")));
    char cells[512], next[512];
    for (unsigned first = 0, last; first < 256; first = last + 1) {
        print_cells(cells, sizeof cells, (uint8_t)first, strict);
        bool named = message_schema((uint8_t)first) != NULL;
        for (last = first; !named && last + 1 < 256; last++) {
            print_cells(next, sizeof next, (uint8_t)(last + 1), strict);
            if (message_schema((uint8_t)(last + 1)) != NULL || strcmp(cells, next) != 0)
                break;
        }
        TRY(print_line(out, first, last, cells));
    }
    return OK;
}
