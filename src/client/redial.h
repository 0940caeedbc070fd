// A further link under a connection (resume-v1@bowline): what happens when the link is
// lost, or silent for so long that it is likely to be.
//
// Connecting, exchanging keys and logging in are the same code as for the first link, in
// a `struct client` of their own. Where they would wait, the run goes on instead: its
// loop turns, with what they wait for among its descriptors. So programs' output is
// written, sources are read as far as there is room, escapes and signals work.
//
// A link that is only silent stays until another one is ready to take over; when it
// speaks again, the attempt is dropped.
#pragma once

#include "client/notice.h"
#include "client/run.h"

struct redial {
    struct run *run;
    struct client *c;      // of the attempt under way; owned; NULL between attempts
    struct pollfd *polls;  // what it waits for; NULL: the time alone
    size_t polls_n;
    uint64_t until;
    uint64_t since, since_boot;  // nothing was heard, or it was lost
    uint64_t heard;              // of the old link then
    uint64_t next;               // attempt
    unsigned attempts;           // since anything has changed
    unsigned all;                // attempts
    unsigned refused;            // logins, one after the other
    bool no_signature;           // the last login had none: no refusal of the host's
    bool once;                   // no second attempt
    bool patient;  // the link is only silent, and nothing has changed: it has its time
    bool attach_sent;
    uint64_t began;           // the attempt under way
    bool unanswered;          // the last dial: nothing came at all
    bool anew;                // it began in another network
    bool attached;            // it is over: there is a new link
    bool hopeless;            // what ended the last attempt will not change ..
    enum resume_refusal why;  // .. by the host's word; NONE: not by that
    bool told;                // .. and how the connection ended there
    enum ends_class told_as;
    enum err error;     // of the run's own
    struct fault last;  // what ended the last attempt
    struct notice notice;
};

// Was that the end of the link alone, after which there may be another one?
bool redial_takes(const struct run *r, enum err e);
// The link is gone. What can come from it was taken in.
must_check enum err redial_lost(struct run *r, enum err e);
// It is silent since (clock_ms()); it stays for now. once: by the user's own
// ServerAliveCountMax, whose word is kept where one attempt does not bring another link.
must_check enum err redial_silent(struct run *r, uint64_t since, bool once);
// Until there is a link again, or the run is done, or nothing can be done: then the fault
// says why.
must_check enum err redial_run(struct run *r);

// ---- for the run's loop, while r->redial is not NULL ----
size_t redial_poll(const struct redial *d, struct pollfd *p);
void redial_polled(struct redial *d, const struct pollfd *p);
uint64_t redial_deadline(const struct redial *d);
void redial_tick(struct redial *d, uint64_t now);
// The network has changed, or the machine was asleep.
void redial_hurry(struct redial *d, uint64_t now);

// ---- for the attempt, in a client whose `redial` is not NULL ----
// ATTACH along with a request that will let us in.
must_check enum err redial_early(struct client *c);
void redial_early_drop(struct client *c);
// The proof of the connection's secret (RESUME_SECRET bytes, of *epoch), for the login on
// this attempt's link in place of a person.
must_check enum err redial_proof(const struct client *c, uint64_t *epoch, uint8_t *proof);
// The key on offer waits for somebody's touch: told before that blocks.
void redial_wants_touch(struct client *c);
// The key on offer did not sign.
void redial_no_signature(struct client *c);
// Is it the host key of the link before?
bool redial_host_key_is_same(const struct client *c, struct view blob);
// The address that answered before; "": look the name up this time.
const char *redial_address(const struct client *c);
// Until when the host has to answer the dial at all, clock_ms(); also of a first link.
uint64_t redial_dial_deadline(const struct client *c);
// The entry of EXT_INFO that names what is to be resumed; empty on a first link.
struct view redial_info(const struct client *c);
// The client whose strings live as long as the connection.
const struct client *redial_owner(const struct client *c);

// ---- redial_attach.c ----
// One attempt, all of it. ERR_CLOSED: given up, since the run ends or the old link is
// back.
must_check enum err redial_attempt(struct redial *d);
bool redial_is_revived(const struct redial *d);
