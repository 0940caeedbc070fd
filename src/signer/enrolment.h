// Keys that a security key makes, or keeps itself and tells: asked for at the helper, and
// taken apart. Nothing that a token says is trusted beyond its format.
#pragma once

#include "key/key.h"
#include "signer/helper.h"

struct enrolment {
    struct key *key;         // with its handle, and its application in the blob; owned
    struct view user;        // of a resident key: its user's id; into text
    struct buf attestation;  // of a new one, as OpenSSH's ssh-sk-attest-v01 has it
    struct buf text;
};
void enrolment_free(struct enrolment *e);

// Has a key made (m->operation TOKEN_ENROL). Errors as token_ask()'s.
must_check enum err enrolment_make(const struct token_request *m, struct enrolment *out,
                                   bool *exists, struct fault *f);

struct enrolments {
    struct enrolment *at;
    size_t n;
};
void enrolments_free(struct enrolments *list);

// All resident keys of SSH's on the device (empty: the one that is there, or is touched).
must_check enum err enrolments_read(const char *provider, const char *device,
                                    const char *pin, struct enrolments *out,
                                    struct fault *f);
