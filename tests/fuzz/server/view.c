// A holder's session with a terminal, and those who look at it: any messages of theirs,
// any output of the program, and everybody comes and goes in any order. Nobody outlives
// the session, what a watcher types reaches nobody, and one has it at a time.
//
// The input: steps {what u8, which u8, length u8, bytes}.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "server/forward.h"
#include "server/holder_view.h"
#include "wire/messages.h"
#include "wire/writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STEPS_MAX 60
#define ENDS 12

static struct world {
    struct holder h;
    struct session *s;
    int keeper, gate, slave;
    int ends[ENDS];  // of viewers; -1: none
    bool watches[ENDS];
    bool typed;  // by somebody who may
} w;

// ---- the world ----

static void open_session(void) {
    uint8_t room[64];
    struct connection_event event;
    struct writer m = writer_to_span((struct span){room, sizeof room});
    write_u8(&m, SSH_MSG_CHANNEL_OPEN);
    write_text(&m, "session");
    write_u32(&m, 0);
    write_u32(&m, 1u << 21);
    write_u32(&m, 32768);
    if (connection_in(w.h.connection, view_of(room, m.n), 0) != OK ||
        !connection_next(w.h.connection, &event) || event.kind != CONNECTION_OPEN)
        abort();
    session_open(&w.h, event.channel);
    w.s = w.h.sessions;
}

static void give_terminal(void) {
    struct session *s = w.s;
    struct fault fault = {0};
    if (pty_open(&s->pty, &fault) != OK)
        abort();
    s->with_pty = s->started = true;
    w.slave = s->pty.slave;
    keep_start(s);
    stream_open(&s->streams[STREAM_OUT], s->pty.master);
    s->pty.master = s->pty.slave = -1;
    s->c.duplex = &s->streams[STREAM_OUT];
    s->c.input_ready = true;
    if (fd_set_nonblock(w.slave, true) != OK)
        abort();
}

static void begin(void) {
    static struct ipc_verdict verdict = {.permits = PERMIT_PTY};
    static struct holder_start start;
    int keeper[2], seam[2];
    memset(&w, 0, sizeof w);
    for (size_t i = 0; i < ENDS; i++)
        w.ends[i] = -1;
    if (ipc_pair(keeper) != OK || seam_pair(seam) != OK || loop_init(&w.h.loop) != OK ||
        seam_init(&w.h.seam, seam[0], true) != OK ||
        connection_new(&w.h.connection,
                       &(struct connection_config){
                           .server = true, .window_max = LIMIT_WINDOW_START}) != OK)
        abort();
    w.keeper = keeper[1];
    w.gate = seam[1];
    start =
        (struct holder_start){.keeper = keeper[0], .seam = seam[0], .verdict = &verdict};
    w.h.start = &start;
    w.h.config.resume_grace.terminal = 60;
    w.h.linked = w.h.may_keep = true;
    w.h.confirm_at = CLOCK_NEVER;
    buf_init(&w.h.unsent, LIMIT_PACKET);
    resume_init(&w.h.resume, true);
    (void)text_copy(w.h.id, sizeof w.h.id, view_text("22-1"));
    open_session();
    give_terminal();
}

static void drain(int fd) {
    static uint8_t bytes[LIMIT_IPC_MESSAGE];
    struct unix_message m;
    for (int i = 0; i < 64; i++) {
        if (fd < 0 ||
            unix_recv(fd, (struct span){bytes, sizeof bytes}, UNIX_FDS_MAX, &m) != OK ||
            !m.ready)
            return;
        unix_message_close(&m);
    }
}

static void finish(void) {
    while (w.h.sessions != NULL) {
        session_hang_up(w.h.sessions);
        w.h.sessions->exited = w.h.sessions->kept->collected = true;
        session_sweep(&w.h);
    }
    for (size_t i = 0; i < ENDS; i++)
        fd_close(&w.ends[i]);
    fd_close(&w.slave);
    seam_free(&w.h.seam);
    resume_free(&w.h.resume);
    buf_free(&w.h.unsent);
    connection_free(w.h.connection);
    loop_drop(&w.h.loop);
    close(w.h.start->keeper);
    close(w.keeper);
    close(w.gate);
}

// ---- steps ----

static void comes(unsigned which, bool watches) {
    int pair[2];
    struct ipc_view m = {view_text(""), watches ? VIEW_WATCH : 0, view_text("some\x1b")};
    fd_close(&w.ends[which]);
    if (unix_pair(pair, VIEW_MESSAGE) != OK)
        abort();
    w.ends[which] = pair[0];
    w.watches[which] = watches;
    view_add(&w.h, &m, pair[1]);
}

static void says(unsigned which, struct view bytes) {
    bool sent;
    if (w.ends[which] < 0 || bytes.n == 0)
        return;
    w.typed = w.typed || !w.watches[which];
    (void)!unix_send(w.ends[which], &bytes, 1, NULL, 0, &sent);
}

static void writes(struct view bytes, unsigned times) {
    for (unsigned i = 0; i < times && w.slave >= 0; i++)
        (void)!write(w.slave, bytes.p, bytes.n);
}

static void step(unsigned what, unsigned which, struct view bytes) {
    unsigned one = which % ENDS;
    bool session = w.h.sessions != NULL;
    switch (what % 9) {
    case 0:
        comes(one, which & 0x80);
        break;
    case 1:
    case 2:
        says(one, bytes);
        break;
    case 3:
        writes(bytes, 1 + which);
        break;
    case 4:
        drain(w.ends[one]);
        break;
    case 5:
        fd_close(&w.ends[one]);
        break;
    case 6:
        if (session)
            (void)!keep_leave(w.s, which & 1 ? "left\r\n" : "");
        break;
    case 7:
        if (session && !w.s->exited)
            session_program_ended(w.s, (int)which << 8);
        break;
    default:
        if (which & 1)
            fd_close(&w.slave);
        w.h.held = w.h.held || (which & 2 && session && w.s->c.alone);
    }
}

static void check(void) {
    uint8_t got[4096];
    unsigned writers = 0;
    // What is typed comes out at the program, if somebody may type.
    if (w.slave >= 0 && read(w.slave, got, sizeof got) > 0 && !w.typed)
        abort();
    if (w.h.sessions == NULL)
        return;
    for (const struct viewer *v = w.s->kept->viewers; v != NULL; v = v->next)
        writers += !v->watches && !v->over && v->sized;
    if (writers > 1 || (writers > 0 && w.s->c.open))
        abort();
    if (view_count(w.s, true) + view_count(w.s, false) > VIEWERS_MAX)
        abort();
}

static void turn(void) {
    if (w.h.sessions != NULL)
        view_update(w.s);
    if (loop_turn(&w.h.loop, 0) != OK)
        abort();
    if (w.h.sessions != NULL)
        stream_update(&w.s->streams[STREAM_OUT]);
    session_sweep(&w.h);
    drain(w.keeper);
    drain(w.gate);
    check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    begin();
    for (int i = 0; size >= 3 && i < STEPS_MAX; i++) {
        size_t n = data[2] < size - 3 ? data[2] : size - 3;
        step(data[0], data[1], view_of(data + 3, n));
        data += 3 + n;
        size -= 3 + n;
        turn();
    }
    finish();
    return 0;
}
