// Sessions with a terminal that are kept without a channel of their own, and those who
// look at them (doc/attach.md).
#pragma once

#include "server/holder.h"
#include "server/terminal_record.h"
#include "server/view.h"

#define VIEWERS_MAX 8u  // of one session

// Somebody who sees a session's terminal by a socket.
struct viewer {
    struct viewer *next;
    struct session *session;
    int fd;
    struct loop_watch watch;
    bool watches;  // .. and types nothing
    bool sized;    // has said how large its terminal is
    bool painted;  // has its screen
    bool over;     // gets END behind what is still to go
    uint32_t why, status;
    char text[128];
    char who[160];
    struct pty_size size;
    struct buf out;  // for it, since its screen was painted
    struct buf first;
    struct painter painter;
};

// What a session with a terminal has for that; owned by it.
struct terminal_kept {
    struct terminal_record record;
    struct viewer *viewers;
    char name[VIEW_NAME];
    uint64_t left_at;  // clock_boot_ms()
    bool typed_by;     // somebody has it, by a view
    bool collected;    // its end was told to somebody
};

// holder_view.c
// The pty's output, for the record and for viewers.
void view_output(struct session *s, struct view bytes);
// May the terminal be read, where there is no channel?
bool view_room(const struct session *s);
void view_add(struct holder *h, const struct ipc_view *m, int fd);
void view_program_ended(struct session *s);  // and its output was read
void view_update(struct session *s);         // before each wait
void view_end_all(struct session *s, enum view_why why);
bool view_has_writer(const struct session *s);
uint32_t view_count(const struct session *s, bool watching);

// holder_keep.c
void keep_start(struct session *s);  // its program begins, on a terminal
void keep_free(struct session *s);
// The session lives on without its channel, whose terminal is given back to the client's
// shell with these words. False: not permitted here.
must_check bool keep_leave(struct session *s, const char *words);
// The link is gone for good: what is kept stays. True: there is something, and this
// process goes on for it.
must_check bool keep_link_gone(struct holder *h, bool lost);
void keep_changed(struct holder *h);  // somebody came or went
void keep_check(struct holder *h);    // the end of this process's reasons
void keep_write(const struct holder *h, struct writer *w);  // for STATUS

// holder_claim.c
struct request_session_name;
bool claim_request(struct session *s, const struct request_session_name *r);
// Of a session that its client has not named: the connection's id, when that is known.
void claim_name(struct session *s);
void claim_answered(struct holder *h, const struct ipc_claimed *m);
// The keeper does not answer: it is gone, or of a version that cannot.
void claim_unanswered(struct holder *h);
void claim_viewed(struct holder *h, const struct ipc_viewed *m, int fd);
// In place of a shell: shows the session that was claimed. False: there is none.
bool claim_relays(const struct session *s);
_Noreturn void claim_relay_child(struct session *s);
