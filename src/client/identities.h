// The user's keys, one after the other, in OpenSSH's order: those of the agent that are
// configured, the agent's others, then identity files. A file is read when its turn
// comes; one that needs a passphrase is only asked about until the server wants it.
#pragma once

#include "auth/client.h"
#include "client/client.h"
#include "io/prompt.h"
#include "signer/agent_link.h"

#define IDENTITIES_OFFERED_MAX 64
#define IDENTITIES_NOTES_MAX 24

struct identities {
    struct client *c;
    struct agent_link agent;
    bool *configured;     // of the agent's keys: an identity file is for it; owned
    unsigned agent_pass;  // 0: those, 1: the others
    size_t next_agent, next_file;
    size_t next_agent_certificate;  // of CertificateFile, for keys in the agent
    size_t stage;  // of the file: the certificate beside it, those of CertificateFile, it
                   // alone

    // the one on offer
    char name[PATH_MAX];      // file, or the agent's comment
    struct key *public;       // NULL: from the agent
    struct key *secret;       // NULL: with the agent, or still encrypted
    struct key *certificate;  // offered for it; NULL: the key alone
    struct view blob;
    bool in_agent, in_token;

    struct identities_token {  // PKCS11Provider
        bool listed;
        struct buf list;     // of strings: blob, label, blob, …
        struct reader left;  // of it
        struct view blob, label;
        size_t next_certificate;
        char pin[PROMPT_MAX];
    } token;

    // What was offered before: never twice in one login.
    uint8_t offered[IDENTITIES_OFFERED_MAX][32];  // SHA-256 of blobs
    size_t offered_n;
    unsigned skipped;  // files that could not be used, each said

    // For people, after a refusal: what was offered, and what was not and why.
    struct identities_note {
        bool offered;
        char text[512];
    } notes[IDENTITIES_NOTES_MAX];
    size_t notes_n;
    const char *agent_state;  // why the agent had nothing; NULL: it had
};

void identities_open(struct identities *ids, struct client *c);
void identities_close(struct identities *ids);
// Keeps a line for the list after a refusal; what does not fit is left out.
__attribute__((format(printf, 3, 4))) void
identities_note(struct identities *ids, bool offered, const char *format, ...);
// -Z: prints what would be offered, in that order, one a line: where it is from, its type
// and fingerprint. False: out of memory.
bool identities_show(struct client *c);
// AddKeysToAgent: gives the one on offer to the agent, if it was read from a file.
void identities_keep(struct identities *ids);
// The next one; false: there are no more. It is valid until the next call.
bool identities_next(struct identities *ids, const struct auth_client *auth,
                     struct auth_identity *out);
// Signs with the one on offer, asking for a passphrase if need be. Nothing is appended
// when it cannot be done (and it is said why).
void identities_sign(struct identities *ids, const struct signature_alg *alg,
                     struct view data, struct buf *out);

// ---- within identities*.c ----

// Forgets the one on offer.
void identities_drop_offer(struct identities *ids);
// The certificate of a file; NULL: there is none, which is said.
struct key *identities_read_certificate(struct identities *ids, const char *path);
// Offers the next key of PKCS11Provider's tokens; false: no more.
bool identities_next_token(struct identities *ids);
// Signs with it, asking for the PIN.
must_check enum err identities_sign_token(struct identities *ids,
                                          const struct signature_alg *alg,
                                          struct view data, struct buf *out,
                                          struct fault *fault);
void identities_close_token(struct identities *ids);
