// Identification (RFC 4253 s.4.2): one line each way. A server may send lines of text
// before its own, which a client hands on; a client may not.
#include "transport/internal.h"

#include "base/text.h"

enum err ident_send(struct transport *t) {
    size_t n = strlen(t->config.ident);
    if (n + 2 > LIMIT_IDENT_LINE)
        return fault_set(&t->fault, ERR_CONFIG, 0, "our identification is over %d bytes",
                         LIMIT_IDENT_LINE);
    TRY(buf_append(&t->out_buf, view_text(t->config.ident)));
    return buf_append(&t->out_buf, view_text("\r\n"));
}

// In OpenSSH's words: people meet them who try the port by hand.
void ident_refuse(struct transport *t) {
    if (transport_is_server(t) && t->failed == ERR_VERSION)
        (void)!buf_append(&t->out_buf,
                          view_text("Invalid SSH identification string.\r\n"));
}

static bool begins(struct view v, const char *with) {
    size_t n = strlen(with);
    return v.n >= n && memcmp(v.p, with, n) == 0;
}

// Who knocks here by mistake: first bytes, and the words for them.
static const struct stranger {
    const char *begins, *text;
} strangers[] = {
    {"SSH-1.", "the peer speaks SSH 1 only"},
    {"SSH-", "the peer speaks an unknown version of SSH"},
    {"GET ", "the peer speaks HTTP, not SSH"},
    {"POST", "the peer speaks HTTP, not SSH"},
    {"HEAD", "the peer speaks HTTP, not SSH"},
    {"PUT ", "the peer speaks HTTP, not SSH"},
    {"OPTI", "the peer speaks HTTP, not SSH"},
    {"CONN", "the peer speaks HTTP, not SSH"},
    {"PRI ", "the peer speaks HTTP, not SSH"},
    {"HTTP", "the peer speaks HTTP, not SSH"},
    {"\x16\x03", "the peer speaks TLS, not SSH"},
};

static enum err refuse(struct transport *t, struct view line) {
    char clean[80];
    text_clean(clean, sizeof clean, line);
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
        if (begins(line, strangers[i].begins))
            return fault_set(&t->fault, ERR_VERSION, 0, "%s: \"%s\"", strangers[i].text,
                             clean);
    return fault_set(&t->fault, ERR_VERSION, 0, "no SSH identification, but \"%s\"",
                     clean);
}

// A server need not wait for the end of a line that cannot become one.
static bool hopeless(const struct transport *t, struct view have) {
    return transport_is_server(t) && have.n >= 4 && !begins(have, "SSH-");
}

static enum err no_line_yet(struct transport *t, struct view have) {
    bool text = !transport_is_server(t) && have.n >= 4 && !begins(have, "SSH-");
    size_t max = text ? LIMIT_IDENT_TEXT_LINE : LIMIT_IDENT_LINE;
    if (hopeless(t, have))
        return refuse(t, have);
    if (have.n >= max)
        return fault_set(&t->fault, ERR_VERSION, 0, "a line of over %zu bytes", max);
    return OK;
}

static enum err take_text(struct transport *t, struct view line,
                          struct transport_event *event) {
    if (transport_is_server(t) || begins(line, "HTTP/"))
        return refuse(t, line);
    if (line.n + 1 > LIMIT_IDENT_TEXT_LINE)
        return fault_set(&t->fault, ERR_VERSION, 0, "a line of over %u bytes",
                         LIMIT_IDENT_TEXT_LINE);
    if (++t->text_lines > LIMIT_IDENT_TEXT_LINES)
        return fault_set(&t->fault, ERR_VERSION, 0, "over %d lines and no identification",
                         LIMIT_IDENT_TEXT_LINES);
    event->kind = TRANSPORT_TEXT;
    event->data = line;
    return OK;
}

static enum err take_ident(struct transport *t, struct view line, size_t whole,
                           struct transport_event *event) {
    if (whole > LIMIT_IDENT_LINE)
        return fault_set(&t->fault, ERR_VERSION, 0, "an identification of over %d bytes",
                         LIMIT_IDENT_LINE);
    if (memchr(line.p, 0, line.n) != NULL)
        return fault_set(&t->fault, ERR_VERSION, 0, "a NUL byte in the identification");
    if (!begins(line, "SSH-2.0-") && !begins(line, "SSH-1.99-"))
        return refuse(t, line);
    memcpy(t->peer_ident, line.p, line.n);
    t->peer_ident_len = line.n;
    t->phase = PHASE_KEXINIT;
    event->kind = TRANSPORT_IDENT;
    event->data = view_of(t->peer_ident, t->peer_ident_len);
    return OK;
}

enum err ident_next(struct transport *t, struct transport_event *event, bool *progress) {
    struct view have = buf_view(&t->in_buf);
    const uint8_t *lf = have.n > 0 ? memchr(have.p, '\n', have.n) : NULL;
    *progress = lf != NULL;
    if (lf == NULL)
        return no_line_yet(t, have);
    size_t whole = (size_t)(lf - have.p) + 1;
    struct view line = view_of(have.p, whole - 1);
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    t->in_consumed = whole;
    return begins(line, "SSH-") ? take_ident(t, line, whole, event)
                                : take_text(t, line, event);
}
