// From a connected socket to keys with a host that is the right one; and the events of
// the transport that are everybody's business.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/client.h"
#include "client/hostkeys.h"
#include "client/redial.h"
#include "client/remember.h"
#include "client/version.h"
#include "io/clock.h"

static bool starts_with(struct view v, const char *text) {
    size_t n = strlen(text);
    return v.n >= n && memcmp(v.p, text, n) == 0;
}

// OpenSSH's words: ssh-copy-id and others look for them in what -v prints.
static void tell_ident(struct client *c, struct view ident) {
    char version[16], software[256];
    struct view rest = view_after(ident, '-'), number = view_until(rest, '-');
    log_debug(&c->log, "Remote protocol version %s, remote software version %s",
              text_clean(version, sizeof version, number),
              text_clean(software, sizeof software, view_after(rest, '-')));
}

static enum err on_ident(struct client *c, struct view ident) {
    tell_ident(c, ident);
    c->bowline_peer = starts_with(ident, VERSION_IDENT_BOWLINE);
    c->openssh_peer = starts_with(ident, "SSH-2.0-OpenSSH_");
    return OK;
}

static enum err on_host_key(struct client *c, const struct transport_event *event) {
    bool trusted = false;
    if (event->first)
        client_step_secured(c);
    // The person may think as long as they like.
    uint64_t before = clock_ms();
    enum err e = hostkeys_check(c, event, &trusted);
    if (c->deadline != CLOCK_NEVER)
        c->deadline = clock_after(c->deadline, clock_ms() - before);
    enum err answered =
        transport_answer_host_key(c->link.transport, event->ticket, trusted);
    TRY(e);
    if (!trusted) {
        (void)!link_flush(&c->link);
        return ERR_HOST_KEY;
    }
    return answered;
}

static enum err on_closed(struct client *c, const struct transport_event *event) {
    char text[512];
    const struct fault *fault = transport_fault(c->link.transport);
    c->end.disconnected = event->reason != 0;
    if (!c->bowline_peer || !ends_class_in(event->description, &c->end.said, NULL))
        c->end.said = ENDS_DISCONNECT;
    int error = c->proxied ? 0 : c->link.error;
    if (event->reason == 0 && error == ECONNRESET)
        return fault_set(&c->fault, ERR_CLOSED, 0, "Connection reset by %s port %u",
                         c->address, c->config.port);
    if (event->reason == 0 && error != 0)
        return fault_set(&c->fault, ERR_CLOSED, 0, "Connection with %s port %u: %s",
                         c->address, c->config.port, strerror(error));
    if (event->reason == 0)
        return fault_set(&c->fault, ERR_CLOSED, 0, "Connection closed by %s port %u%s%s",
                         c->address, c->config.port, fault->code != OK ? ": " : "",
                         fault->code != OK ? fault_text(fault) : "");
    return fault_set(&c->fault, ERR_CLOSED, 0,
                     "Received disconnect from %s port %u: %u: %s", c->address,
                     c->config.port, event->reason,
                     text_clean(text, 160, event->description));
}

// True: nobody else has to see it.
static bool is_common(struct client *c, const struct transport_event *event,
                      enum err *e) {
    char text[512];
    *e = OK;
    switch (event->kind) {
    case TRANSPORT_TEXT:
        log_debug(&c->log, "before its identification the server says: %s",
                  text_clean(text, sizeof text, event->data));
        return true;
    case TRANSPORT_IDENT:
        *e = on_ident(c, event->data);
        return true;
    case TRANSPORT_DEBUG:
        log_debug(&c->log, "the server says: %s",
                  text_clean(text, sizeof text, event->data));
        return true;
    case TRANSPORT_UNIMPLEMENTED:
        log_debug(&c->log, "the server does not know our message %u", event->sequence);
        return true;
    case TRANSPORT_HOST_KEY:
        *e = on_host_key(c, event);
        return true;
    case TRANSPORT_CLOSED:
        *e = on_closed(c, event);
        return true;
    default:
        return false;
    }
}

// "Unable to negotiate … Their offer": what people look up, and scripts look for.
static enum err no_match(struct client *c) {
    static const struct {
        const char *ours, *name;
    } kinds[] = {
        {"key exchange", "key exchange method"},
        {"host key", "host key type"},
        {"cipher", "cipher"},
        {"MAC", "MAC"},
        {"compression", "compression method"},
    };
    static const char theirs[] = "; theirs ";
    struct view all = transport_mismatch(c->link.transport);
    const char *kind = "algorithm";
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (all.n >= strlen(kinds[i].ours) &&
            memcmp(all.p, kinds[i].ours, strlen(kinds[i].ours)) == 0)
            kind = kinds[i].name;
    const uint8_t *at =
        all.n > 0 ? memmem(all.p, all.n, theirs, sizeof theirs - 1) : NULL;
    size_t from = at != NULL ? (size_t)(at - all.p) + sizeof theirs - 1 : all.n;
    char offer[160];
    return fault_set(
        &c->fault, ERR_NEGOTIATION, transport_fault(c->link.transport)->message,
        "Unable to negotiate with %.40s port %u: no matching %s found. "
        "Their offer: %s",
        c->address, c->config.port, kind,
        text_clean(offer, sizeof offer, view_of(all.p + from, all.n - from)));
}

enum err client_next(struct client *c, struct transport_event *event) {
    for (;;) {
        enum err e = transport_next(c->link.transport, event);
        if (e != OK) {
            const struct fault *fault = transport_fault(c->link.transport);
            (void)!link_flush(&c->link);
            if (e == ERR_NEGOTIATION)
                return no_match(c);
            return fault_set(&c->fault, e, fault->message, "%s port %u: %s", c->address,
                             c->config.port, fault_text(fault));
        }
        if (!is_common(c, event, &e))
            return OK;
        TRY(e);
    }
}

// A guess is right only where both sides' first names agree, which is known from the last
// time.
static enum err start_transport(struct client *c) {
    const char *addendum = c->config.version_addendum;
    snprintf(c->ident, sizeof c->ident, "%s%s%s", VERSION_IDENT,
             addendum != NULL ? " " : "", addendum != NULL ? addendum : "");
    if (strlen(c->ident) + 2 > LIMIT_IDENT_LINE)
        return fault_set(&c->fault, ERR_CONFIG, 0,
                         "VersionAddendum: our identification would be over %d bytes",
                         LIMIT_IDENT_LINE);
    TRY(hostkeys_order(c));
    c->remembered = remember_get(c->home, c->known_name);
    const struct client_config *o = &c->config;
    struct view resume_info = redial_info(c);
    struct transport_config config = {
        .role = TRANSPORT_CLIENT,
        .ident = redial_owner(c)->ident,
        .kex = o->kex_algorithms,
        .host_key_algorithms = c->host_key_algorithms,
        .ciphers_c2s = o->ciphers,
        .ciphers_s2c = o->ciphers,
        .macs_c2s = o->macs,
        .macs_s2c = o->macs,
        .compression = o->compression ? "zlib@openssh.com,none" : "none,zlib@openssh.com",
        .guess = c->remembered == REMEMBER_GUESS,
        .ext_info = resume_info,
        .ext_info_count = resume_info.n > 0,
        .rekey_bytes = o->rekey_limit.bytes,
        .rekey_ms = o->rekey_limit.seconds * 1000ull,
    };
    TRY(transport_new(&c->link.transport, &config, clock_ms()));
    return link_flush(&c->link);
}

static bool is_first(const char *name, const char *list) {
    size_t n = strlen(name);
    return strncmp(name, list, n) == 0 && (list[n] == ',' || list[n] == 0);
}

// Keeps for the next time whether guessing pays here; written only when that has changed.
static void remember(struct client *c) {
    const struct transport_agreed *a = transport_agreed(c->link.transport);
    enum remember before = (enum remember)c->remembered, now = REMEMBER_NO_GUESS;
    bool likely = is_first(a->kex, c->config.kex_algorithms) &&
                  is_first(a->host_key, c->host_key_algorithms);
    if (before == REMEMBER_GUESS)
        now = a->guessed_right ? REMEMBER_GUESS : REMEMBER_NO_GUESS;
    else if (likely && (before == REMEMBER_NOTHING || c->bowline_peer))
        now = REMEMBER_GUESS;
    if (now != before)
        remember_put(c->home, c->known_name, now);
}

// WarnWeakCrypto: what is recorded today may be read by quantum computers to come.
static void warn_weak(struct client *c) {
    static const char *const strong[] = {"mlkem", "sntrup"};
    const char *kex = transport_agreed(c->link.transport)->kex;
    if (c->config.warn_weak_crypto != WEAK_CRYPTO_YES)
        return;
    for (size_t i = 0; i < sizeof strong / sizeof strong[0]; i++)
        if (strncmp(kex, strong[i], strlen(strong[i])) == 0)
            return;
    log_info(&c->log,
             "WARNING: the key exchange with %s (%s) is not post-quantum: what is "
             "recorded of it today may be read in some years. The server may need an "
             "upgrade; WarnWeakCrypto no-pq-kex silences this.",
             c->host, kex);
}

// In OpenSSH's words, which scripts count.
void client_tell_keyed(struct client *c) {
    const struct transport_agreed *a = transport_agreed(c->link.transport);
    if (a->group_bits != 0) {
        log_debug(&c->log, "SSH2_MSG_KEX_DH_GEX_REQUEST(%u<%u<%u) sent",
                  KEX_GROUP_BITS_MIN, a->group_preferred, KEX_GROUP_BITS_MAX);
        log_debug(&c->log, "group exchange: bits set: %u/%u", a->group_bits,
                  a->group_bits);
    }
    log_debug(&c->log, "SSH2_MSG_NEWKEYS sent");
}

enum err client_handshake(struct client *c) {
    TRY(start_transport(c));
    for (;;) {
        struct transport_event event;
        TRY(client_next(c, &event));
        if (event.kind == TRANSPORT_KEYED)
            break;
        if (event.kind != TRANSPORT_NONE)
            continue;
        enum err e = link_wait(&c->link, c->deadline);
        if (e == ERR_TIMEOUT)
            return fault_set(&c->fault, e, 0,
                             "Connection to %s port %u timed out during %s", c->address,
                             c->config.port, transport_phase(c->link.transport));
        if (e != OK)
            return fault_set(&c->fault, e, 0, "%s port %u: %s", c->address,
                             c->config.port, err_text(e));
    }
    client_tell_keyed(c);
    remember(c);
    warn_weak(c);
    return OK;
}
