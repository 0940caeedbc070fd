// The keyboard-interactive method (RFC 4256): formats, prompts and responses.
#pragma once

#include "base/fault.h"
#include "base/limits.h"
#include "wire/messages.h"

// INFO_REQUEST (message 60). Text is the peer's: to be cleaned before it is shown.
struct kbdint_prompts {
    struct view name, instruction;
    uint32_t count;  // at most LIMIT_KBDINT_PROMPTS
    struct kbdint_prompt {
        struct view text;
        bool echo;
    } prompts[LIMIT_KBDINT_PROMPTS];
};

// INFO_RESPONSE (message 61).
struct kbdint_responses {
    uint32_t count;
    struct view responses[LIMIT_KBDINT_PROMPTS];
};

// The method's fields of a USERAUTH_REQUEST: submethods, a comma-separated hint.
must_check enum err kbdint_decode_request(const struct msg_userauth_request *m,
                                          struct view *submethods, struct fault *fault);
void kbdint_encode_request(struct writer *w, struct view user, struct view service,
                           struct view submethods);

must_check enum err kbdint_decode_prompts(struct view message, struct kbdint_prompts *out,
                                          struct fault *fault);
void kbdint_encode_prompts(struct writer *w, const struct kbdint_prompts *p);

must_check enum err kbdint_decode_responses(struct view message,
                                            struct kbdint_responses *out,
                                            struct fault *fault);
void kbdint_encode_responses(struct writer *w, const struct kbdint_responses *r);
