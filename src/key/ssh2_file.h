// Key files as the programs of SSH Communications Security write them: public ones (RFC
// 4716), and private RSA ones without a passphrase.
#pragma once

#include "key/key.h"

// Is there such a private file in the text?
bool ssh2_file_is_private(struct view text);

// Lines may end with CR, LF or both. ERR_FORMAT: it is no such file, or damaged.
must_check enum err ssh2_file_public(struct key **out, struct view text,
                                     struct fault *fault);
// ERR_UNSUPPORTED: encrypted, or not RSA. *out has both halves; the caller's.
must_check enum err ssh2_file_private(struct key **out, struct view text,
                                      struct fault *fault);
