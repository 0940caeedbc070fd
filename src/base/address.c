// Internet addresses as text: RFC 4291 s.2.2, RFC 4007 s.11, RFC 5952; lists as OpenSSH
// has them.
#include "base/address.h"

#include <ctype.h>
#include <stdio.h>

#include "base/text.h"

unsigned address_bits(const struct address *a) {
    return a->family == ADDRESS_IP4 ? 32 : a->family == ADDRESS_IP6 ? 128 : 0;
}

// Four decimal parts without leading zeros; all of [s, s+n).
static bool parse_ip4(const char *s, size_t n, uint8_t out[4]) {
    const char *end = s + n;
    for (int part = 0; part < 4; part++) {
        unsigned v = 0;
        const char *start = s;
        while (s < end && isdigit((unsigned char)*s) && s - start < 3)
            v = v * 10 + (unsigned)(*s++ - '0');
        if (s == start || v > 255 || (*start == '0' && s - start > 1))
            return false;
        out[part] = (uint8_t)v;
        if (part < 3 && (s == end || *s++ != '.'))
            return false;
    }
    return s == end;
}

struct ip6_parse {
    uint8_t bytes[16];
    size_t n;    // bytes filled
    size_t gap;  // where "::" stood
    bool has_gap;
};

// One group of up to four hexadecimal digits; false if there is none or it does not fit.
static bool parse_group(struct ip6_parse *p, const char **s, const char *end) {
    unsigned v = 0;
    int digits = 0;
    while (*s < end && isxdigit((unsigned char)**s) && digits < 4) {
        char c = (char)tolower((unsigned char)**s);
        v = v << 4 | (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
        (*s)++;
        digits++;
    }
    if (digits == 0 || p->n + 2 > 16)
        return false;
    p->bytes[p->n++] = (uint8_t)(v >> 8);
    p->bytes[p->n++] = (uint8_t)v;
    return true;
}

static bool mark_gap(struct ip6_parse *p) {
    if (p->has_gap)
        return false;
    p->has_gap = true;
    p->gap = p->n;
    return true;
}

static bool parse_ip6_groups(struct ip6_parse *p, const char *s, const char *end) {
    if (end - s >= 2 && s[0] == ':' && s[1] == ':') {
        s += 2;
        mark_gap(p);
    }
    while (s < end) {
        size_t left = (size_t)(end - s);
        if (memchr(s, '.', left) != NULL && memchr(s, ':', left) == NULL) {
            if (p->n + 4 > 16 || !parse_ip4(s, left, p->bytes + p->n))
                return false;
            p->n += 4;
            return true;
        }
        if (!parse_group(p, &s, end))
            return false;
        if (s == end)
            return true;
        if (*s++ != ':' || s == end)
            return false;
        if (*s == ':') {
            s++;
            if (!mark_gap(p))
                return false;
        }
    }
    return true;
}

static bool parse_ip6(const char *s, size_t n, uint8_t out[16]) {
    struct ip6_parse p = {.n = 0};
    if (!parse_ip6_groups(&p, s, s + n))
        return false;
    if (!p.has_gap && p.n != 16)
        return false;
    if (p.has_gap && p.n > 14)
        return false;
    memset(out, 0, 16);
    size_t head = p.has_gap ? p.gap : 16, tail = p.n - (p.has_gap ? p.gap : p.n);
    memcpy(out, p.bytes, head < p.n ? head : p.n);
    memcpy(out + 16 - tail, p.bytes + p.n - tail, tail);
    return true;
}

bool address_parse(struct address *a, const char *text) {
    *a = (struct address){.family = ADDRESS_NONE};
    const char *percent = strchr(text, '%');
    size_t n = percent != NULL ? (size_t)(percent - text) : strlen(text);
    if (percent == NULL && parse_ip4(text, n, a->bytes)) {
        a->family = ADDRESS_IP4;
        return true;
    }
    struct address b = {.family = ADDRESS_IP6};
    if (memchr(text, ':', n) == NULL || !parse_ip6(text, n, b.bytes))
        return false;
    if (percent != NULL && (percent[1] == '\0' || strpbrk(percent + 1, "%/ ") != NULL ||
                            !text_copy(b.zone, sizeof b.zone, view_text(percent + 1))))
        return false;
    *a = b;
    return true;
}

// The longest run of two or more zero groups (RFC 5952 s.4.2); -1 if none.
static int longest_zeros(const uint8_t *b, int *length) {
    int best = -1;
    *length = 1;
    for (int i = 0; i < 8;) {
        int j = i;
        while (j < 8 && b[2 * j] == 0 && b[2 * j + 1] == 0)
            j++;
        if (j - i > *length) {
            best = i;
            *length = j - i;
        }
        i = j > i ? j : i + 1;
    }
    return best;
}

// out: ADDRESS_TEXT_SIZE bytes.
static void format_ip6(const uint8_t *b, char *out) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    size_t o = 0;
    int length, gap = longest_zeros(b, &length);
    if (memcmp(b, mapped, sizeof mapped) == 0) {
        snprintf(out, ADDRESS_TEXT_SIZE, "::ffff:%u.%u.%u.%u", b[12], b[13], b[14],
                 b[15]);
        return;
    }
    for (int i = 0; i < 8; i++) {
        if (i == gap) {
            o += (size_t)snprintf(out + o, ADDRESS_TEXT_SIZE - o, "::");
            i += length - 1;
            continue;
        }
        bool colon = i > 0 && !(gap >= 0 && i == gap + length);
        o += (size_t)snprintf(out + o, ADDRESS_TEXT_SIZE - o, "%s%x", colon ? ":" : "",
                              (unsigned)(b[2 * i] << 8 | b[2 * i + 1]));
    }
}

const char *address_format(const struct address *a, char *out, size_t size) {
    char text[ADDRESS_TEXT_SIZE] = "";
    if (a->family == ADDRESS_IP4)
        snprintf(text, sizeof text, "%u.%u.%u.%u", a->bytes[0], a->bytes[1], a->bytes[2],
                 a->bytes[3]);
    else if (a->family == ADDRESS_IP6)
        format_ip6(a->bytes, text);
    snprintf(out, size, "%s%s%s", text, a->zone[0] != '\0' ? "%" : "", a->zone);
    return out;
}

void address_unmap(struct address *a) {
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (a->family != ADDRESS_IP6 || memcmp(a->bytes, mapped, sizeof mapped) != 0)
        return;
    struct address v4 = {.family = ADDRESS_IP4};
    memcpy(v4.bytes, a->bytes + 12, 4);
    *a = v4;
}

bool address_equal(const struct address *a, const struct address *b) {
    return a->family == b->family &&
           memcmp(a->bytes, b->bytes, address_bits(a) / 8) == 0 &&
           strcmp(a->zone, b->zone) == 0;
}

void address_mask(struct address *a, unsigned bits) {
    for (unsigned i = 0; i < address_bits(a) / 8; i++) {
        unsigned keep = bits > 8 * i ? bits - 8 * i : 0;
        if (keep < 8)
            a->bytes[i] &= (uint8_t)(0xff00u >> keep);
    }
}

enum err address_net_parse(struct address_net *net, const char *text) {
    char base[ADDRESS_TEXT_SIZE];
    size_t n = strcspn(text, "/");
    if (!text_copy(base, sizeof base, view_of(text, n)) ||
        !address_parse(&net->base, base))
        return ERR_FORMAT;
    net->bits = address_bits(&net->base);
    if (text[n] == '\0')
        return OK;
    uint64_t bits;
    if (!text_number(text + n + 1, 0, net->bits, &bits))
        return ERR_CONFIG;
    net->bits = (unsigned)bits;
    struct address masked = net->base;
    address_mask(&masked, net->bits);
    return address_equal(&masked, &net->base) ? OK : ERR_CONFIG;
}

bool address_net_contains(const struct address_net *net, const struct address *a) {
    if (net->base.family != a->family || a->family == ADDRESS_NONE)
        return false;
    if (net->base.zone[0] != '\0' && strcmp(net->base.zone, a->zone) != 0)
        return false;
    struct address masked = *a;
    address_mask(&masked, net->bits);
    return memcmp(masked.bytes, net->base.bytes, address_bits(a) / 8) == 0;
}

struct match_subject {
    const char *host;
    const char *text;
    struct address address;  // ADDRESS_NONE where text is none
    bool cidr_only;
};

static bool match_host(const char *entry, const char *host) {
    char pattern[1024], name[1024];
    if (host == NULL || !text_copy(pattern, sizeof pattern, view_text(entry)) ||
        !text_copy(name, sizeof name, view_text(host)))
        return false;
    for (char *s = pattern; *s != '\0'; s++)
        *s = (char)tolower((unsigned char)*s);
    for (char *s = name; *s != '\0'; s++)
        *s = (char)tolower((unsigned char)*s);
    return text_match(pattern, name);
}

// 1 or 0; -2 if the entry is malformed.
static int match_entry(const struct match_subject *m, const char *entry) {
    struct address_net net;
    if (*entry == '\0')
        return ADDRESS_MATCH_ERROR;
    enum err e = address_net_parse(&net, entry);
    if (e == OK)
        return m->text != NULL && address_net_contains(&net, &m->address);
    if (e == ERR_CONFIG || m->cidr_only)
        return ADDRESS_MATCH_ERROR;
    if (m->text != NULL && text_match(entry, m->text))
        return 1;
    return match_host(entry, m->host);
}

static enum address_match match_list(const struct match_subject *m, const char *list) {
    bool yes = false, negated = false;
    for (;;) {
        char entry[1024];
        size_t n = strcspn(list, ",");
        bool no = *list == '!';
        if (no && m->cidr_only)
            return ADDRESS_MATCH_ERROR;
        if (!text_copy(entry, sizeof entry, view_of(list + no, n - no)))
            return ADDRESS_MATCH_ERROR;
        // The whole list is looked at: a malformed entry counts wherever it stands.
        int r = match_entry(m, entry);
        if (r == ADDRESS_MATCH_ERROR)
            return ADDRESS_MATCH_ERROR;
        yes |= r == 1 && !no;
        negated |= r == 1 && no;
        if (list[n] == '\0')
            break;
        list += n + 1;
    }
    return negated ? ADDRESS_MATCH_NEGATED : yes ? ADDRESS_MATCH_YES : ADDRESS_MATCH_NO;
}

static enum address_match match(struct match_subject *m, const char *list) {
    if (m->text != NULL) {
        if (!address_parse(&m->address, m->text) && m->cidr_only)
            return ADDRESS_MATCH_ERROR;
        address_unmap(&m->address);
    }
    return match_list(m, list);
}

enum address_match address_match_list(const char *list, const char *host,
                                      const char *address) {
    struct match_subject m = {.host = host, .text = address};
    return match(&m, list);
}

enum address_match address_match_cidr_list(const char *list, const char *address) {
    struct match_subject m = {.text = address, .cidr_only = true};
    return match(&m, list);
}

enum err address_split_port(const char *text, char *host, size_t size, uint16_t *port) {
    const char *start = text, *after;
    size_t n;
    if (*text == '[') {
        const char *close = strchr(text, ']');
        if (close == NULL || (close[1] != '\0' && close[1] != ':'))
            return ERR_FORMAT;
        start = text + 1;
        n = (size_t)(close - start);
        after = close[1] == ':' ? close + 2 : NULL;
    } else {
        const char *colon = strchr(text, ':');
        // Several colons without brackets: an IPv6 address.
        if (colon != NULL && strchr(colon + 1, ':') != NULL)
            colon = NULL;
        n = colon != NULL ? (size_t)(colon - text) : strlen(text);
        after = colon != NULL ? colon + 1 : NULL;
    }
    uint64_t number = *port;
    if (n == 0 || (after != NULL && !text_number(after, 0, 65535, &number)))
        return ERR_FORMAT;
    if (!text_copy(host, size, view_of(start, n)))
        return ERR_LIMIT;
    *port = (uint16_t)number;
    return OK;
}
