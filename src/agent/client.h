// Asking an agent: requests as bytes, answers taken apart. The connection is the
// caller's.
#pragma once

#include "agent/constraint.h"
#include "agent/protocol.h"

// A whole request without fields.
must_check enum err agent_ask(uint8_t number, struct buf *out);
// ADD_IDENTITY, or ADD_ID_CONSTRAINED when there are constraints. `out` has a secret.
must_check enum err agent_ask_add(const struct key *secret, const struct key *certificate,
                                  const char *comment, const struct agent_constraints *c,
                                  struct buf *out);
// The keys of a token, added or removed.
must_check enum err agent_ask_smartcard(bool add, const char *provider, const char *pin,
                                        const struct agent_constraints *c,
                                        struct buf *out);
must_check enum err agent_ask_sign(struct view blob, const struct signature_alg *alg,
                                   struct view data, struct buf *out);
must_check enum err agent_ask_extension(const char *name, struct view contents,
                                        struct buf *out);

// ERR_REFUSED: the agent said no. ERR_UNEXPECTED: it said something else.
must_check enum err agent_take_success(struct view answer);
// One key after the other off `keys`, as agent_decode() gives it; false at the end or
// where it is damaged.
bool agent_next_identity(struct view *keys, struct view *blob, struct view *comment);
must_check enum err agent_take_identities(struct view answer,
                                          struct agent_identities *out);
// The signature blob; ERR_UNSUPPORTED when it is of another algorithm than asked for.
must_check enum err agent_take_signature(struct view answer,
                                         const struct signature_alg *alg,
                                         struct view *signature);
must_check enum err agent_take_extension(struct view answer, const char *name,
                                         struct view *contents);
