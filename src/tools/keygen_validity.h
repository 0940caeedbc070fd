// Validity intervals of certificates (ssh-keygen -V).
#pragma once

#include "key/certificate.h"

// "always:forever", "+52w", "-1d:20301231", "0x0:0x7fffffff": into after and before.
bool validity_parse(const char *text, uint64_t now_s, uint64_t *after, uint64_t *before);

// "forever", "after …", "before …", "from … to …"; returns out.
const char *validity_text(char *out, size_t size, uint64_t after, uint64_t before);
