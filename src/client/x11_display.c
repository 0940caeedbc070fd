// Names of displays, the output of xauth, the greeting of X clients.
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "client/x11.h"

#define X11_PORT 6000u
#define GREETING 12u

// ---- display ----

static bool is_clean(const char *text) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789:/.-_[]";
    return *text != 0 && text[strspn(text, allowed)] == 0;
}

static bool parse_numbers(struct x11_display *d, const char *text) {
    char number[16];
    const char *dot = strchr(text, '.');
    size_t n = dot != NULL ? (size_t)(dot - text) : strlen(text);
    uint64_t value = 0, screen = 0;
    if (!text_copy(number, sizeof number, view_of(text, n)) ||
        !text_number(number, 0, UINT16_MAX - X11_PORT, &value) ||
        (dot != NULL && !text_number(dot + 1, 0, 399, &screen)))
        return false;
    d->number = (uint32_t)value;
    d->port = (uint16_t)(X11_PORT + value);
    d->screen = (uint32_t)screen;
    return true;
}

bool x11_display_parse(struct x11_display *d, const char *text) {
    *d = (struct x11_display){0};
    const char *colon = strrchr(text, ':');
    if (!is_clean(text) || colon == NULL || !parse_numbers(d, colon + 1) ||
        !text_copy(d->text, sizeof d->text, view_text(text)) ||
        !text_copy(d->host, sizeof d->host, view_of(text, (size_t)(colon - text))))
        return false;
    size_t n = strlen(d->host);
    if (n > 2 && d->host[0] == '[' && d->host[n - 1] == ']') {
        memmove(d->host, d->host + 1, n - 2);
        d->host[n - 2] = 0;
    }
    bool unix_socket = d->host[0] == 0 || strcmp(d->host, "unix") == 0;
    d->local = unix_socket || strcmp(d->host, "localhost") == 0;
    if (unix_socket)
        snprintf(d->path, sizeof d->path, "/tmp/.X11-unix/X%u", d->number);
    return true;
}

// ---- xauth ----

static struct view next_word(struct view *line) {
    size_t i = 0, start;
    while (i < line->n && (line->p[i] == ' ' || line->p[i] == '\t'))
        i++;
    for (start = i; i < line->n && line->p[i] > ' ';)
        i++;
    struct view word = view_of(line->p + start, i - start);
    *line = view_of(line->p + i, line->n - i);
    return word;
}

static int hex_digit(uint8_t c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool x11_xauth_parse(struct view text, char *protocol, size_t protocol_size,
                     uint8_t *cookie, size_t *cookie_n) {
    const uint8_t *end = text.n > 0 ? memchr(text.p, '\n', text.n) : NULL;
    struct view line = view_of(text.p, end != NULL ? (size_t)(end - text.p) : text.n);
    (void)next_word(&line);
    struct view name = next_word(&line), hex = next_word(&line);
    if (name.n == 0 || hex.n == 0 || hex.n % 2 != 0 || hex.n / 2 > X11_COOKIE_MAX ||
        !text_copy(protocol, protocol_size, name))
        return false;
    for (size_t i = 0; i < hex.n; i += 2) {
        int high = hex_digit(hex.p[i]), low = hex_digit(hex.p[i + 1]);
        if (high < 0 || low < 0)
            return false;
        cookie[i / 2] = (uint8_t)(high << 4 | low);
    }
    *cookie_n = hex.n / 2;
    return true;
}

// ---- greeting ----

static size_t padded(size_t n) {
    return (n + 3) & ~(size_t)3;
}

static size_t number_at(const uint8_t *p, bool big) {
    return big ? (size_t)p[0] << 8 | p[1] : (size_t)p[1] << 8 | p[0];
}

enum x11_auth x11_auth_substitute(struct span greeting, const char *protocol,
                                  const uint8_t *fake, const uint8_t *real, size_t n) {
    uint8_t *p = greeting.p;
    if (greeting.n > 0 && p[0] != 'B' && p[0] != 'l')
        return X11_AUTH_BAD;
    if (greeting.n < GREETING)
        return X11_AUTH_MORE;
    size_t name_n = number_at(p + 6, p[0] == 'B'), data_n = number_at(p + 8, p[0] == 'B');
    // Known before the rest comes: nothing else is waited for.
    if (name_n != strlen(protocol) || data_n != n)
        return X11_AUTH_BAD;
    if (greeting.n < GREETING + padded(name_n) + padded(data_n))
        return X11_AUTH_MORE;
    uint8_t *data = p + GREETING + padded(name_n);
    bool same = memcmp(p + GREETING, protocol, name_n) == 0;
    if (!secret_equal(data, fake, n) || !same)
        return X11_AUTH_BAD;
    memcpy(data, real, n);
    return X11_AUTH_GOOD;
}
