// OpenSSH certificates, version 01 (draft-miller-ssh-cert; OpenSSH's PROTOCOL.certkeys):
// a key, and what an authority says about it. Taken apart by key_from_blob(); judged
// here.
//
// Whether the authority is to be trusted is the caller's to know: it compares
// certificate's ca with its own keys, asks revocation lists (key/krl.h, about both keys),
// and then calls certificate_check(). Nothing in here has a clock or knows a peer.
#pragma once

#include "key/key.h"
#include "wire/reader.h"

enum certificate_kind {
    CERTIFICATE_USER = 1,
    CERTIFICATE_HOST = 2,
};

#define CERTIFICATE_FOR_EVER UINT64_MAX  // valid_before

// What the options say. In a certificate for a host all are false or empty.
struct certificate_options {
    struct view force_command;   // p NULL: none
    struct view source_address;  // CIDR list; p NULL: from anywhere
    bool verify_required;
    struct view unknown_critical;  // name of the first one that we do not know; refuses
    bool permit_x11_forwarding, permit_agent_forwarding, permit_port_forwarding,
        permit_pty, permit_user_rc, no_touch_required;
};

// All views point into the key's blob.
struct certificate {
    enum certificate_kind kind;
    uint64_t serial;
    uint64_t valid_after, valid_before;  // seconds since 1970: after <= t < before
    struct view key_id;
    struct view principals;  // strings; certificate_next()
    size_t principal_count;
    struct view critical, extensions;  // pairs of strings; certificate_next_option()
    struct certificate_options options;
    struct key *ca;           // never a certificate itself
    struct view signature;    // blob
    struct view signed_part;  // what the signature is over
    struct buf plain;         // blob of the key in it
};

// For key/key.c: what stands behind the key's own fields, up to the end. Bounded; kinds,
// lists and options are checked for their form, the authority's key for being one.
must_check enum err certificate_read(struct certificate **out, const struct key *k,
                                     struct reader *r, struct fault *fault);
void certificate_free(struct certificate *c);  // also of NULL

// Next string of a list; false at its end.
bool certificate_next(struct view *list, struct view *text);
// Next option; `data` is what the option's string holds, undecoded.
bool certificate_next_option(struct view *list, struct view *name, struct view *data);

// Is it one of the principals, byte for byte? Never in an empty list.
bool certificate_names(const struct certificate *c, struct view principal);
// Is one of the principals in a list of names with commas (principals= of
// authorized_keys)?
bool certificate_names_any(const struct certificate *c, const char *names);
// The same for a host's name: principals may be patterns with * and ?; names are in lower
// case.
bool certificate_names_host(const struct certificate *c, const char *host);

// What a certificate must be to count.
struct certificate_want {
    enum certificate_kind kind;
    const char *ca_algorithms;  // allowed for the authority's signature: names and commas
    uint64_t now_s;             // seconds since 1970
    const char *principal;  // user or host; NULL: the caller compares principals itself
    const char *peer;       // address, for source-address; NULL: not looked at
};

// Kind, the authority's signature, time, unknown critical options, principal, address, in
// this order; the first that fails is in the fault, in words fit for a log. ERR_KEY: k is
// no certificate; ERR_SIGNATURE; ERR_REFUSED for what it says about itself.
must_check enum err certificate_check(const struct key *k,
                                      const struct certificate_want *want,
                                      struct fault *fault);

// The algorithm of the authority's signature; NULL when it is none of ours.
const struct signature_alg *certificate_signature_alg(const struct certificate *c);

// --- making
// ----------------------------------------------------------------------------------

struct certificate_option {
    const char *name;
    struct view data;  // flags: empty
    bool critical;
    bool string;  // the data is put into a string, as force-command wants it
};

struct certificate_template {
    enum certificate_kind kind;
    uint64_t serial, valid_after, valid_before;
    const char *key_id;
    const char *const *principals;
    size_t principal_count;
    const struct certificate_option *options;  // any order; they are sorted
    size_t option_count;
};

// Signs a certificate for the key (its plain half). alg must fit the authority's key.
// *out is the certificate with the key's comment.
must_check enum err certificate_make(struct key **out, const struct key *subject,
                                     const struct certificate_template *t,
                                     const struct key *ca,
                                     const struct signature_alg *alg,
                                     struct fault *fault);

// The same in two steps, for an authority whose secret half is elsewhere. First what is
// to be signed is appended to *blob (empty, with a maximum of LIMIT_CERTIFICATE); then
// the signature's blob completes it, and is verified (ERR_SIGNATURE).
must_check enum err certificate_begin(const struct key *subject,
                                      const struct certificate_template *t,
                                      const struct key *ca, struct buf *blob,
                                      struct fault *fault);
must_check enum err certificate_end(struct key **out, const struct key *subject,
                                    const struct key *ca, struct view signature,
                                    struct buf *blob, struct fault *fault);
