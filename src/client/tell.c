// Words about the connection and its channels.
#include "client/tell.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "client/mux_proxy.h"
#include "client/run.h"

__attribute__((format(printf, 2, 3))) static void say(struct buf *out, const char *format,
                                                      ...) {
    char text[1024];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text - 2, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    size_t length = (size_t)n < sizeof text - 2 ? (size_t)n : sizeof text - 3;
    memcpy(text + length, "\r\n", 2);
    (void)!buf_append(out, view_of(text, length + 2));
}

void tell_connection(const struct run *r, struct buf *out) {
    const struct client *c = r->c;
    const struct transport *t = c->link.transport;
    const struct transport_agreed *a = transport_agreed(t);
    struct transport_counts n = transport_counts(t);
    char ident[256];
    say(out, "Connection to %s, user %s, pid %ld", c->host, c->config.user,
        (long)getpid());
    say(out, "  peer %s port %u, %s", c->address, c->config.port,
        text_clean(ident, sizeof ident, transport_peer_ident(t)));
    say(out, "  kex %s, host key %s", a->kex, a->host_key);
    say(out, "  out %s%s%s, in %s%s%s", a->cipher_c2s, a->mac_c2s[0] != 0 ? " " : "",
        a->mac_c2s, a->cipher_s2c, a->mac_s2c[0] != 0 ? " " : "", a->mac_s2c);
    say(out, "  %llu bytes in, %llu bytes out, %llu key exchanges",
        (unsigned long long)n.bytes_in, (unsigned long long)n.bytes_out,
        (unsigned long long)n.exchanges);
    if (r->carrier.resume.state != RESUME_OFF)
        say(out,
            "  outlives a lost link for up to %u s; resumed %u times, %zu bytes to be "
            "confirmed%s",
            r->carrier.resume.grace, c->end.resumed, r->carrier.resume.store.bytes,
            r->carrier.lost ? "; the link is lost now" : "");
    if (r->mux.listener >= 0)
        say(out, "  master of %s, %zu clients", r->mux.path, r->mux.clients_n);
}

static void tell_rules(const struct forwards *f, struct buf *out) {
    static const char *const kinds[] = {[FORWARD_LOCAL] = "local",
                                        [FORWARD_REMOTE] = "remote",
                                        [FORWARD_DYNAMIC] = "dynamic"};
    for (size_t i = 0; i < f->rules_n; i++) {
        const struct forward_rule *rule = &f->rules[i];
        char on[FORWARD_TEXT + 16], to[FORWARD_TEXT + 16] = "what is asked for";
        struct forward_end listen = rule->spec.listen;
        if (!rule->in_use)
            continue;
        if (rule->kind == FORWARD_REMOTE)
            listen.port = rule->listen_port;
        if (!rule->spec.dynamic)
            forward_end_text(&rule->spec.connect, to, sizeof to);
        say(out, "  %s forwarding of %.200s to %.200s%s", kinds[rule->kind],
            forward_end_text(&listen, on, sizeof on), to,
            rule->waits ? ", not answered yet" : "");
    }
}

static void tell_proxies(const struct mux_master *m, struct buf *out) {
    for (const struct mux_client *k = m->clients; k != NULL; k = k->next)
        for (const struct bridge_link *l = k->proxy != NULL ? k->proxy->bridge.links
                                                            : NULL;
             l != NULL; l = l->next)
            say(out, "  #%u mux-proxy (%s), %s%s%s%zu bytes wait", l->far, l->type,
                l->open ? "" : "opening, ", l->near_eof ? "EOF sent, " : "",
                l->far_eof ? "EOF received, " : "",
                buf_len(&l->to_near[0]) + buf_len(&l->to_near[1]) + buf_len(&l->to_far));
}

void tell_channels(const struct run *r, struct buf *out) {
    say(out, "The following connections are open:");
    for (const struct session *s = r->sessions; s != NULL; s = s->next)
        say(out, "  #%u client-session (%s%s), %s%s%zu bytes wait to be shown",
            s->channel, s->what, s->own ? "" : ", of a passenger",
            !s->opened ? "opening, " : "", s->input_ended ? "input ended, " : "",
            buf_len(&s->out.left));
    tell_proxies(&r->mux, out);
    forwards_tell(&r->forwards, out);
    tell_rules(&r->forwards, out);
}
