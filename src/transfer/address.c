#include "transfer/address.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

#define WHY(...) (snprintf(why, 128, __VA_ARGS__), false)

void address_free(struct address *a) {
    free(a->user);
    free(a->host);
    free(a->path);
    *a = (struct address){0};
}

// The colon behind the host; NULL: there is none before the first '/'.
static const char *find_colon(const char *text) {
    bool bracket = *text == '[';
    if (*text == ':')
        return NULL;  // a file's name may begin with it
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '@' && p[1] == '[')
            bracket = true;
        if (*p == ']' && p[1] == ':' && bracket)
            return p + 1;
        if (*p == ':' && !bracket)
            return p;
        if (*p == '/')
            return NULL;
    }
    return NULL;
}

static bool set(char **out, const char *text, size_t n) {
    free(*out);
    *out = strndup(text, n);
    return *out != NULL;
}

// [user@]host, the brackets around an address taken off.
static bool set_host(struct address *a, const char *text, size_t n, char why[128]) {
    const char *at = memrchr(text, '@', n);
    if (at == text)
        return WHY("missing user name in front of '@'");
    if (at != NULL && !set(&a->user, text, (size_t)(at - text)))
        return WHY("out of memory");
    const char *host = at != NULL ? at + 1 : text;
    n -= (size_t)(host - text);
    if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
        host++;
        n -= 2;
    }
    if (n == 0)
        return WHY("missing host name");
    return set(&a->host, host, n) || WHY("out of memory");
}

// RFC 3986 s.2.1, in place.
static bool decode_percent(char *s) {
    char *out = s;
    for (; *s != '\0'; s++) {
        unsigned byte = (unsigned char)*s;
        if (*s == '%') {
            if (strspn(s + 1, "0123456789abcdefABCDEF") < 2 ||
                sscanf(s + 1, "%2x", &byte) != 1 || byte == 0)
                return false;
            s += 2;
        }
        *out++ = (char)byte;
    }
    *out = '\0';
    return true;
}

static bool parse_port(struct address *a, const char *text, size_t n, char why[128]) {
    char digits[8];
    uint64_t port;
    if (!text_copy(digits, sizeof digits, view_of(text, n)) ||
        !text_number(digits, 1, 65535, &port))
        return WHY("bad port in the address");
    a->port = (uint16_t)port;
    return true;
}

static bool parse_uri(struct address *a, const char *text, char why[128]) {
    size_t n = strcspn(text, "/");
    const char *path = text[n] == '/' ? text + n + 1 : "";
    const char *at = memrchr(text, '@', n), *host = at != NULL ? at + 1 : text;
    const char *end = text + n, *bracket = memchr(host, ']', (size_t)(end - host));
    const char *colon = memchr(bracket != NULL ? bracket : host, ':',
                               (size_t)(end - (bracket != NULL ? bracket : host)));
    a->remote = true;
    if (colon != NULL && !parse_port(a, colon + 1, (size_t)(end - colon - 1), why))
        return false;
    if (!set_host(a, text, (size_t)((colon != NULL ? colon : end) - text), why))
        return false;
    if (a->user != NULL)
        a->user[strcspn(a->user, ";")] = '\0';  // connection parameters
    if (!set(&a->path, path, strlen(path)))
        return WHY("out of memory");
    if (!decode_percent(a->host) || !decode_percent(a->path) ||
        (a->user != NULL && !decode_percent(a->user)))
        return WHY("bad percent encoding in the address");
    return true;
}

bool address_parse(struct address *a, const char *text, const char *scheme, bool local,
                   char why[128]) {
    size_t n = strlen(scheme);
    *a = (struct address){0};
    if (strncmp(text, scheme, n) == 0)
        return parse_uri(a, text + n, why);
    const char *colon = find_colon(text);
    a->remote = colon != NULL || !local;
    if (!a->remote)
        return set(&a->path, text, strlen(text)) || WHY("out of memory");
    size_t host = colon != NULL ? (size_t)(colon - text) : strlen(text);
    const char *path = colon != NULL ? colon + 1 : "";
    return set_host(a, text, host, why) &&
           (set(&a->path, path, strlen(path)) || WHY("out of memory"));
}
