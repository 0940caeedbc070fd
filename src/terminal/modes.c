#include "terminal/modes.h"

#include <stdio.h>

#include "base/text.h"

#define ESC 0x1b

enum {
    GROUND,
    ESCAPE,      // behind ESC
    CHARSET_G0,  // behind ESC (
    CHARSET_G1,
    CONTROL,        // behind ESC [
    STRING,         // OSC, DCS and their like, to BEL or ST
    STRING_ESCAPE,  // ESC in one
};

// Private modes that are kept, and whether a fresh terminal has them set.
static const struct mode {
    uint16_t number;
    bool private, set, screen;  // screen: it is the alternate screen
} modes[] = {
    {4, false, false, false},   {20, false, false, false},  {1, true, false, false},
    {5, true, false, false},    {6, true, false, false},    {7, true, true, false},
    {9, true, false, false},    {12, true, false, false},   {25, true, true, false},
    {45, true, false, false},   {47, true, false, true},    {66, true, false, false},
    {1000, true, false, false}, {1002, true, false, false}, {1003, true, false, false},
    {1004, true, false, false}, {1005, true, false, false}, {1006, true, false, false},
    {1007, true, false, false}, {1015, true, false, false}, {1016, true, false, false},
    {1047, true, false, true},  {1049, true, false, true},  {2004, true, false, false},
};
#define MODES (sizeof modes / sizeof modes[0])

void terminal_modes_init(struct terminal_modes *m) {
    *m = (struct terminal_modes){.g0 = 'B', .g1 = 'B'};
    for (size_t i = 0; i < MODES; i++)
        m->set |= (uint64_t)modes[i].set << i;
}

bool terminal_modes_open(const struct terminal_modes *m) {
    return m->state != GROUND;
}

static bool is_set(const struct terminal_modes *m, size_t i) {
    return m->set >> i & 1;
}

bool terminal_modes_alternate(const struct terminal_modes *m) {
    for (size_t i = 0; i < MODES; i++)
        if (modes[i].screen && is_set(m, i))
            return true;
    return false;
}

bool terminal_modes_origin(const struct terminal_modes *m) {
    for (size_t i = 0; i < MODES; i++)
        if (modes[i].private && modes[i].number == 6)
            return is_set(m, i);
    return false;
}

// ---- reading ----

static void set_mode(struct terminal_modes *m, uint64_t number, bool private, bool set) {
    for (size_t i = 0; i < MODES; i++) {
        if (modes[i].number == number && modes[i].private == private)
            m->set = (m->set & ~(UINT64_C(1) << i)) | (uint64_t)set << i;
        // One alternate screen, by whichever name it is left.
        if (private && !set && modes[i].screen &&
            (number == 47 || number == 1047 || number == 1049))
            m->set &= ~(UINT64_C(1) << i);
    }
}

// The next parameter; *at behind its separator. What is missing is 0.
static uint32_t parameter(const char *text, size_t n, size_t *at) {
    uint32_t value = 0;
    while (*at < n && text[*at] >= '0' && text[*at] <= '9' && value < 100000)
        value = value * 10 + (uint32_t)(text[(*at)++] - '0');
    while (*at < n && text[*at] != ';')
        (*at)++;
    (*at)++;
    return value;
}

static void on_modes(struct terminal_modes *m, bool set) {
    bool private = m->n > 0 && m->sequence[0] == '?';
    for (size_t at = private ? 1 : 0; at < m->n;)
        set_mode(m, parameter(m->sequence, m->n, &at), private, set);
}

static void on_margins(struct terminal_modes *m) {
    size_t at = 0;
    uint32_t top = parameter(m->sequence, m->n, &at);
    uint32_t bottom = at < m->n ? parameter(m->sequence, m->n, &at) : 0;
    bool good = top <= 9999 && bottom <= 9999 && (bottom == 0 || bottom > top);
    m->top = good ? (uint16_t)top : 0;
    m->bottom = good ? (uint16_t)bottom : 0;
}

static void soft_reset(struct terminal_modes *m) {
    bool alternate[MODES];
    for (size_t i = 0; i < MODES; i++)
        alternate[i] = modes[i].screen && is_set(m, i);
    terminal_modes_init(m);
    for (size_t i = 0; i < MODES; i++)
        m->set |= (uint64_t)alternate[i] << i;
}

static void on_control(struct terminal_modes *m, char final) {
    char first = m->n > 0 ? m->sequence[0] : '\0',
         last = m->n > 0 ? m->sequence[m->n - 1] : '\0';
    size_t at = 0;
    m->state = GROUND;
    if (final == 'h' || final == 'l') {
        on_modes(m, final == 'h');
    } else if (final == 'r' &&
               (first == '\0' || first == ';' || (first >= '0' && first <= '9'))) {
        on_margins(m);
    } else if (final == 'q' && last == ' ') {
        m->cursor_style = (uint8_t)(parameter(m->sequence, m->n - 1u, &at) % 8);
    } else if (final == 'm' && first == '>') {
        at = 1;
        if (parameter(m->sequence, m->n, &at) == 4)
            m->modify_keys =
                at < m->n ? (uint8_t)(parameter(m->sequence, m->n, &at) % 4) : 0;
    } else if (final == 'p' && last == '!') {
        soft_reset(m);
    }
}

static void on_escape(struct terminal_modes *m, uint8_t c) {
    // Carried out, or ignored, while the sequence goes on.
    if ((c < 0x20 && c != ESC && c != 0x18 && c != 0x1a) || c >= 0x7f)
        return;
    m->state = GROUND;
    m->n = 0;
    if (c == '[')
        m->state = CONTROL;
    else if (c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_')
        m->state = STRING;
    else if (c == '(' || c == ')')
        m->state = c == '(' ? CHARSET_G0 : CHARSET_G1;
    else if (c == '=' || c == '>')
        m->keypad = c == '=';
    else if (c == 'c')
        terminal_modes_init(m);
    else if (c == ESC)
        m->state = ESCAPE;
}

static void on_control_byte(struct terminal_modes *m, uint8_t c) {
    if (c == ESC)
        m->state = ESCAPE;
    else if (c == 0x18 || c == 0x1a)
        m->state = GROUND;
    else if (c >= 0x40 && c <= 0x7e)
        on_control(m, (char)c);
    else if (c >= 0x20 && c < 0x40 && m->n < sizeof m->sequence)
        m->sequence[m->n++] = (char)c;
    else if (c >= 0x20 && c < 0x40)
        m->state = STRING_ESCAPE + 1;  // too long to mean anything: skipped to its end
}

static void on_charset(struct terminal_modes *m, uint8_t c) {
    bool known = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z');
    if (known)
        *(m->state == CHARSET_G0 ? &m->g0 : &m->g1) = c;
    m->state = c == ESC ? ESCAPE : GROUND;
}

static void on_byte(struct terminal_modes *m, uint8_t c) {
    switch (m->state) {
    case GROUND:
        if (c == ESC)
            m->state = ESCAPE;
        else if (c == 0x0e || c == 0x0f)
            m->shifted = c == 0x0e;
        break;
    case ESCAPE:
        on_escape(m, c);
        break;
    case CHARSET_G0:
    case CHARSET_G1:
        on_charset(m, c);
        break;
    case CONTROL:
        on_control_byte(m, c);
        break;
    case STRING:
        if (c == 0x07 || c == 0x18 || c == 0x1a)
            m->state = GROUND;
        else if (c == ESC)
            m->state = STRING_ESCAPE;
        break;
    case STRING_ESCAPE:
        if (c == '\\')
            m->state = GROUND;
        else
            on_escape(m, c);
        break;
    default:
        if ((c >= 0x40 && c <= 0x7e) || c < 0x20)
            m->state = c == ESC ? ESCAPE : GROUND;
    }
}

void terminal_modes_feed(struct terminal_modes *m, struct view bytes) {
    for (size_t i = 0; i < bytes.n; i++) {
        // Nothing but ESC, SO and SI matters in text.
        while (m->state == GROUND && i < bytes.n && bytes.p[i] >= 0x1c)
            i++;
        if (i < bytes.n)
            on_byte(m, bytes.p[i]);
    }
}

// ---- writing ----

static enum err put(struct buf *out, const char *format, unsigned a, unsigned b) {
    char text[48];
    snprintf(text, sizeof text, format, a, b);
    return buf_append(out, view_text(text));
}

static enum err put_mode(struct buf *out, const struct mode *mode, bool set) {
    return put(out,
               mode->private ? (set ? "\x1b[?%uh" : "\x1b[?%ul")
                             : (set ? "\x1b[%uh" : "\x1b[%ul"),
               mode->number, 0);
}

static enum err put_modes(const struct terminal_modes *m, struct buf *out, bool back) {
    for (size_t i = 0; i < MODES; i++)
        if (!modes[i].screen && is_set(m, i) != modes[i].set)
            TRY(put_mode(out, &modes[i], is_set(m, i) != back));
    return OK;
}

enum err terminal_modes_restore(const struct terminal_modes *m, struct buf *out) {
    if (m->top != 0 || m->bottom != 0)
        TRY(put(out, m->bottom != 0 ? "\x1b[%u;%ur" : "\x1b[%ur",
                m->top != 0 ? m->top : 1u, m->bottom));
    TRY(put_modes(m, out, false));
    if (m->keypad)
        TRY(put(out, "\x1b=", 0, 0));
    if (m->g0 != 'B')
        TRY(put(out, "\x1b(%c", m->g0, 0));
    if (m->g1 != 'B')
        TRY(put(out, "\x1b)%c", m->g1, 0));
    if (m->shifted)
        TRY(put(out, "\x0e", 0, 0));
    if (m->cursor_style != 0)
        TRY(put(out, "\x1b[%u q", m->cursor_style, 0));
    if (m->modify_keys != 0)
        TRY(put(out, "\x1b[>4;%um", m->modify_keys, 0));
    return OK;
}

enum err terminal_modes_leave(const struct terminal_modes *m, struct buf *out) {
    // Ends what may be unfinished.
    if (m->state != GROUND)
        TRY(put(out, "\x18", 0, 0));
    TRY(put_modes(m, out, true));
    if (m->keypad)
        TRY(put(out, "\x1b>", 0, 0));
    if (m->top != 0 || m->bottom != 0)
        TRY(put(out, "\x1b[r", 0, 0));
    if (m->shifted)
        TRY(put(out, "\x0f", 0, 0));
    if (m->g0 != 'B')
        TRY(put(out, "\x1b(B", 0, 0));
    if (m->g1 != 'B')
        TRY(put(out, "\x1b)B", 0, 0));
    if (m->cursor_style != 0)
        TRY(put(out, "\x1b[0 q", 0, 0));
    if (m->modify_keys != 0)
        TRY(put(out, "\x1b[>4;0m", 0, 0));
    if (terminal_modes_alternate(m))
        TRY(put(out, "\x1b[?1049l", 0, 0));
    return put(out, "\x1b[0m", 0, 0);
}

// ---- text ----

// Behind ESC at `i`: where a colour sequence ends; 0: it is something else.
static size_t colour_end(struct view v, size_t i) {
    if (i + 1 >= v.n || v.p[i + 1] != '[')
        return 0;
    for (i += 2; i < v.n; i++) {
        uint8_t c = v.p[i];
        if (c == 'm')
            return i;
        if (!(c >= '0' && c <= '9') && c != ';' && c != ':')
            return 0;
    }
    return 0;
}

bool terminal_is_plain(struct view v, size_t lines) {
    size_t fed = 0;
    for (size_t i = 0; i < v.n; i++) {
        uint8_t c = v.p[i];
        if (c >= 0x20 || c == '\r' || c == '\t' || c == '\b' || c == 0x07)
            continue;
        if (c == '\n')
            fed++;
        else if (c != ESC || (i = colour_end(v, i)) == 0)
            return false;
    }
    return fed >= lines;
}
