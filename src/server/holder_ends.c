// Why a holder's connection ends (doc/ends.md): found out where it ends, told to the
// keeper at the last.
#include <stdio.h>

#include "base/text.h"
#include "server/holder_link.h"
#include "wire/messages.h"

void holder_over(struct holder *h, enum ends_class class, const char *text) {
    if (h->over)
        return;
    h->over = true;
    h->over_class = class;
    text_copy(h->over_text, sizeof h->over_text, view_text(text));
}

void holder_end_as(struct holder *h, enum ends_class class, const char *text) {
    char words[FAULT_TEXT_SIZE + 64];
    snprintf(words, sizeof words, "%s: %s", ends_class_name(class), text);
    holder_over(h, class, text);
    holder_end(h, DISCONNECT_BY_APPLICATION, h->bowline_peer ? words : text);
}

static bool any_runs(const struct holder *h) {
    for (const struct session *s = h->sessions; s != NULL; s = s->next)
        if (s->started && !s->exited)
            return true;
    return false;
}

void holder_client_gone(struct holder *h, uint32_t reason, struct view text) {
    char clean[FAULT_TEXT_SIZE];
    if (reason != DISCONNECT_BY_APPLICATION)
        holder_over(h, ENDS_ERROR, text_clean(clean, sizeof clean, text));
    // What ChannelTimeout has hung up may still be about to end.
    else if (h->timed_out && connection_count(h->connection) == 0)
        holder_over(h, ENDS_IDLE, "a channel was quiet for too long");
    else if (any_runs(h))
        holder_over(h, ENDS_USER, "");
    else
        holder_over(h, h->any_started ? ENDS_EXIT : ENDS_USER, "");
}

void holder_over_tell(struct holder *h) {
    struct ipc_ended told = {
        view_text(ends_class_name(h->over ? h->over_class : ENDS_ERROR)),
        view_text(h->over_text)};
    holder_tell_keeper(h, IPC_ENDED, &told);
}
