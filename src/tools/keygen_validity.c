// The texts of -V.
#include "tools/keygen_validity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "tools/keygen.h"

// From a minute ago at a full minute, so that clocks that are late take it too.
static uint64_t start_of(uint64_t now_s) {
    return now_s < 60 ? 0 : (now_s - 59) / 60 * 60;
}

static bool parse_hex(const char *text, uint64_t *s) {
    char *end;
    if (strspn(text + 2, "0123456789abcdefABCDEF") != strlen(text + 2) ||
        text[2] == '\0' || strlen(text) > 18)
        return false;
    *s = strtoull(text + 2, &end, 16);
    return true;
}

// A point in time: relative, absolute, or in hexadecimal seconds.
static bool parse_point(const char *text, uint64_t now_s, uint64_t *s) {
    uint32_t d;
    if (text[0] == '+' || text[0] == '-') {
        if (!text_duration(text + 1, &d) || (text[0] == '-' && d > now_s))
            return false;
        *s = text[0] == '+' ? now_s + d : now_s - d;
        return true;
    }
    return strncmp(text, "0x", 2) == 0 ? parse_hex(text, s) : keygen_time(text, s);
}

bool validity_parse(const char *text, uint64_t now_s, uint64_t *after, uint64_t *before) {
    char from[128];
    const char *colon = strchr(text, ':');
    if (colon == NULL) {
        *after = start_of(now_s);
        return text[0] != '-' && parse_point(text, now_s, before) && *before > *after;
    }
    if (!text_copy(from, sizeof from, view_of(text, (size_t)(colon - text))))
        return false;
    const char *to = colon + 1;
    *after = 0;
    *before = CERTIFICATE_FOR_EVER;
    if (strcmp(from, "always") != 0 && !parse_point(from, now_s, after))
        return false;
    if (strcmp(to, "forever") != 0 && !parse_point(to, now_s, before))
        return false;
    return *before > *after;
}

const char *validity_text(char *out, size_t size, uint64_t after, uint64_t before) {
    char from[32], to[32];
    keygen_time_text(from, sizeof from, after);
    keygen_time_text(to, sizeof to, before);
    if (after == 0 && before == CERTIFICATE_FOR_EVER)
        snprintf(out, size, "forever");
    else if (after == 0)
        snprintf(out, size, "before %s", to);
    else if (before == CERTIFICATE_FOR_EVER)
        snprintf(out, size, "after %s", from);
    else
        snprintf(out, size, "from %s to %s", from, to);
    return out;
}
