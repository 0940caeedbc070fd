#include "server/listener.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "crypto/random.h"
#include "io/fd.h"
#include "io/loop.h"
#include "io/process.h"
#include "io/sandbox.h"
#include "io/tcp.h"
#include "server/gate.h"
#include "server/ipc.h"
#include "server/penalties.h"
#include "server/startups.h"
#include "server/template.h"

#define SOCKETS_MAX 64
#define GATES_MAX 65536u
#define GRACE_SLACK_MS 2000       // a gate that has not ended itself by then is killed
#define PAUSE_MS 200              // after running out of descriptors or processes
#define REFUSED_A_SECOND 50u      // that the keeper is told of
#define THROTTLE_TELL_MS 300000u  // between lines about MaxStartups
#define ACCEPT_BATCH 16           // in one turn, so that exits are seen in between
#define NOTSENT_LOWAT                                                                    \
    131072u  // bytes the kernel buffers unsent: keystrokes stay near the front

struct child {
    pid_t pid;
    uint64_t id, deadline;
    bool pending;  // not authenticated
    bool killed;   // by us: no crash
    struct penalty_source source;
    char peer[46];  // without zone
};

struct accepting {
    struct loop_watch watch;
    struct listener *listener;
};

struct listener {
    struct settings settings;
    struct loop loop;
    struct log log;
    struct ipc_log_sink log_sink;
    int keeper;
    struct loop_watch keeper_watch;
    struct loop_signal child_signal, term_signal;
    struct loop_timer tick, resume;
    struct ipc_side keeper_side;
    struct accepting sockets[SOCKETS_MAX];
    size_t sockets_n;
    int single;  // inetd: the one link; -1: none
    struct child *children;
    size_t children_n, children_room;
    uint32_t pending, elsewhere;
    struct penalties penalties;
    uint64_t next_id;
    uint64_t refused_at, throttled_since, throttled_told;  // ms
    uint32_t refused_told, refused_untold, throttled;
    bool stopping;
};

static void stop_if_done(struct listener *l) {
    if (l->stopping && l->pending == 0)
        loop_stop(&l->loop);
}

// ---- gates ----

static struct child *child_add(struct listener *l) {
    if (l->children_n == l->children_room) {
        size_t room = l->children_room == 0 ? 64 : l->children_room * 2;
        struct child *p =
            room <= GATES_MAX ? realloc(l->children, room * sizeof *p) : NULL;
        if (p == NULL)
            return NULL;
        l->children = p;
        l->children_room = room;
    }
    return &l->children[l->children_n++];
}

static void child_done(struct listener *l, struct child *c) {
    if (c->pending)
        l->pending--;
    *c = l->children[--l->children_n];
}

// A gate that died of what its peer sent it.
static void crashed(struct listener *l, const struct child *c) {
    uint64_t left;
    struct ipc_penalty m = {view_text(c->peer), PENALTY_CRASH};
    penalties_add(&l->penalties, c->peer, PENALTY_CRASH, clock_ms(), &left);
    if (ipc_send(l->keeper, IPC_PENALTY, &m, -1) != OK)
        l->stopping = true;
}

static void reap(void *arg, int number) {
    struct listener *l = arg;
    int status;
    (void)number;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < l->children_n; i++) {
            struct child *c = &l->children[i];
            if (c->pid != pid)
                continue;
            struct ipc_link_end end = {
                c->id, !WIFEXITED(status) || WEXITSTATUS(status) != 0, (uint32_t)status};
            if (end.abnormal && !c->killed)
                crashed(l, c);
            child_done(l, c);
            if (ipc_send(l->keeper, IPC_LINK_END, &end, -1) != OK)
                l->stopping = true;
            break;
        }
    }
    stop_if_done(l);
}

// Not by kill(2): the sandbox has it only for processes that are surely ours.
static void end_child(pid_t pid) {
    scoped_fd pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd >= 0)
        syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
}

static void tick(void *arg);

static void arm_tick(struct listener *l) {
    enum err e = loop_timer_set(&l->loop, &l->tick, clock_ms() + 1000, tick, l);
    (void)e;
}

// LoginGraceTime, for gates that do not keep to it themselves.
static void tick(void *arg) {
    struct listener *l = arg;
    uint64_t now = clock_ms();
    for (size_t i = 0; i < l->children_n; i++)
        if (l->children[i].pending && l->children[i].deadline <= now) {
            l->children[i].killed = true;
            end_child(l->children[i].pid);
        }
    if (l->pending > 0)
        arm_tick(l);
}

static _Noreturn void become_gate(struct listener *l, int link, int keeper,
                                  const struct endpoint *peer) {
    struct gate_start start = {link, keeper, &l->settings, peer->text, peer->port};
    struct tcp_tuning tuning = {
        .keepalive = l->settings.keepalive,
        .dscp = (int)l->settings.dscp_interactive - 1,
        .notsent_lowat = NOTSENT_LOWAT,
    };
    loop_drop(&l->loop);
    fd_close(&l->keeper);
    for (size_t i = 0; i < l->sockets_n; i++)
        if (l->sockets[i].watch.fd != link)
            fd_close(&l->sockets[i].watch.fd);
    tcp_tune(link, &tuning);
    process_title("sshd: gate");
    gate_run(&start);
}

// The keeper reads at once as a rule; a new link may wait for it, an accept may not be
// lost.
static bool tell_keeper(struct listener *l, enum ipc_number number, const void *m,
                        int fd) {
    bool sent = false;
    uint64_t until = clock_ms() + 1000;
    for (;;) {
        if (ipc_try_send(l->keeper, number, m, fd, &sent) != OK)
            return false;
        if (sent || clock_ms() >= until)
            return sent;
        struct pollfd p = {l->keeper, POLLOUT, 0};
        poll(&p, 1, 100);
    }
}

static bool tell_link(struct listener *l, const struct ipc_link_new *m, int link,
                      int fd) {
    char name[TCP_INTERFACE_SIZE];
    struct ipc_domain domain = {m->id, {0}};
    if (!loop_watches(&l->keeper_watch))
        return false;
    if (tcp_interface(link, name)) {
        domain.name = view_text(name);
        if (!tell_keeper(l, IPC_DOMAIN, &domain, -1))
            return false;
    }
    return tell_keeper(l, IPC_LINK_NEW, m, fd);
}

static bool fork_gate(struct listener *l, int link, const struct endpoint *peer,
                      const struct endpoint *local) {
    int pair[2];
    if (ipc_pair(pair) != OK)
        return false;
    scoped_fd ours = pair[0], theirs = pair[1];
    struct child *c = child_add(l);
    if (c == NULL)
        return false;
    pid_t pid = process_fork_bare();
    if (pid == 0) {
        close(pair[0]);
        ours = -1;
        become_gate(l, link, theirs, peer);
    }
    if (pid < 0) {
        l->children_n--;
        return false;
    }
    uint64_t grace = l->settings.grace_s;
    *c = (struct child){pid, ++l->next_id,
                        grace == 0 ? CLOCK_NEVER
                                   : clock_ms() + grace * 1000 + GRACE_SLACK_MS,
                        .pending = true};
    (void)penalty_source_of(&l->penalties.rules, peer->text, &c->source);
    (void)text_copy(c->peer, sizeof c->peer, view_text(peer->text));
    struct ipc_link_new m = {c->id,       view_text(peer->text),
                             peer->port,  view_text(local->text),
                             local->port, (uint32_t)pid};
    l->pending++;
    if (!tell_link(l, &m, link, ours)) {
        c->killed = true;
        end_child(pid);
    }
    if (l->tick.place == 0)
        arm_tick(l);
    return true;
}

// ---- accepting ----

static void resume(void *arg);

static void accepting_on(struct listener *l, bool on) {
    for (size_t i = 0; i < l->sockets_n; i++) {
        enum err e = loop_change(&l->loop, &l->sockets[i].watch, on ? LOOP_IN : 0);
        (void)e;
    }
    enum err e =
        on ? OK : loop_timer_set(&l->loop, &l->resume, clock_ms() + PAUSE_MS, resume, l);
    (void)e;
}

static void resume(void *arg) {
    accepting_on(arg, true);
}

static void say_not_now(int fd) {
    static const char text[] = "Not allowed at this time\r\n";
    (void)!send(fd, text, sizeof text - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// At most so many a second: who connects without end does not fill the log.
static void tell_refused(struct listener *l, const struct endpoint *peer,
                         const struct endpoint *local, enum refusal reason,
                         const char *why) {
    uint64_t now = clock_ms();
    bool sent = false;
    struct ipc_refused m = {view_text(peer->text), peer->port,    view_text(local->text),
                            local->port,           reason,        l->pending,
                            l->refused_untold,     view_text(why)};
    if (now >= l->refused_at + 1000) {
        l->refused_at = now;
        l->refused_told = 0;
    }
    if (l->refused_told < REFUSED_A_SECOND &&
        ipc_try_send(l->keeper, IPC_REFUSED, &m, -1, &sent) == OK && sent) {
        l->refused_told++;
        l->refused_untold = 0;
    } else {
        l->refused_untold++;
    }
}

// Links of the source that are not authenticated yet.
static uint32_t pending_of(const struct listener *l, const char *address) {
    struct penalty_source s;
    uint32_t n = 0;
    if (!penalty_source_of(&l->penalties.rules, address, &s))
        return 0;
    for (size_t i = 0; i < l->children_n; i++)
        n += l->children[i].pending && memcmp(&l->children[i].source, &s, sizeof s) == 0;
    return n;
}

// The source itself is the reason; in OpenSSH's words.
static bool drop_source(struct listener *l, const struct endpoint *peer,
                        const struct endpoint *local) {
    const char *why = penalties_refuse(&l->penalties, peer->text, clock_ms());
    uint32_t most = l->settings.per_source_max;
    if (why != NULL)
        tell_refused(l, peer, local, REFUSAL_PENALTY, why);
    else if (most != UINT32_MAX && pending_of(l, peer->text) >= most)
        tell_refused(l, peer, local, REFUSAL_SOURCE_STARTUPS, "");
    else
        return false;
    return true;
}

// MaxStartups, in OpenSSH's lines: when it begins to turn connections away, every five
// minutes of that, and when it is over.
static void throttle(struct listener *l, bool refused) {
    uint64_t now = clock_ms(), for_s = (now - l->throttled_since) / 1000;
    if (!refused) {
        if (l->throttled > 0 && l->pending + 1 < l->settings.startups_begin) {
            log_info(&l->log,
                     "exited MaxStartups throttling after %02llu:%02llu:%02llu, %u "
                     "connections dropped",
                     for_s / 3600ull, for_s / 60 % 60ull, for_s % 60ull, l->throttled);
            l->throttled = 0;
        }
        return;
    }
    if (l->throttled++ == 0) {
        log_error(&l->log, "beginning MaxStartups throttling");
        l->throttled_since = l->throttled_told = now;
    } else if (now >= l->throttled_told + THROTTLE_TELL_MS) {
        log_error(&l->log,
                  "in MaxStartups throttling for %02llu:%02llu:%02llu, %u connections "
                  "dropped",
                  for_s / 3600ull, for_s / 60 % 60ull, for_s % 60ull, l->throttled);
        l->throttled_told = now;
    }
}

static void accepted(struct listener *l, int fd, const struct endpoint *peer) {
    struct endpoint local;
    uint32_t random = 0;
    const struct settings *s = &l->settings;
    struct startups limit = {s->startups_begin, s->startups_rate, s->startups_full};
    random_bytes(&random, sizeof random);
    endpoint_local(&local, fd);
    if (drop_source(l, peer, &local)) {
        say_not_now(fd);
        return;
    }
    if (startups_refuse(&limit, l->pending + l->elsewhere, random)) {
        throttle(l, true);
        tell_refused(l, peer, &local, REFUSAL_STARTUPS, "");
        say_not_now(fd);
        return;
    }
    throttle(l, false);
    if (!fork_gate(l, fd, peer, &local)) {
        log_error(&l->log, "no gate for [%s]:%u: %m", peer->text, peer->port);
        accepting_on(l, false);
    }
}

static void on_accept(void *arg, uint32_t ready) {
    struct accepting *a = arg;
    (void)ready;
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct endpoint peer;
        scoped_fd fd = -1;
        enum err e = tcp_accept(a->watch.fd, &fd, &peer);
        if (e != OK) {
            accepting_on(a->listener, false);
            return;
        }
        if (fd < 0)
            return;
        accepted(a->listener, fd, &peer);
    }
}

// ---- keeper ----

static void stop_accepting(struct listener *l, bool now) {
    for (size_t i = 0; i < l->sockets_n; i++) {
        loop_unwatch(&l->loop, &l->sockets[i].watch);
        fd_close(&l->sockets[i].watch.fd);
    }
    l->sockets_n = 0;
    loop_timer_unset(&l->loop, &l->resume);
    l->stopping = true;
    if (now)
        loop_stop(&l->loop);
    stop_if_done(l);
}

static void authenticated(struct listener *l, uint64_t id) {
    for (size_t i = 0; i < l->children_n; i++)
        if (l->children[i].id == id && l->children[i].pending) {
            l->children[i].pending = false;
            l->pending--;
        }
    stop_if_done(l);
}

static void penalised(struct listener *l, const struct ipc_penalty *m) {
    char peer[ENDPOINT_TEXT_SIZE];
    uint64_t left;
    if (text_copy(peer, sizeof peer, m->peer) && m->reason < PENALTY_REASON_COUNT)
        penalties_add(&l->penalties, peer, m->reason, clock_ms(), &left);
}

static void on_keeper(void *arg, uint32_t ready) {
    struct listener *l = arg;
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    (void)ready;
    for (;;) {
        struct ipc_message m;
        struct fault fault = {0};
        bool got;
        enum err e = ipc_recv(l->keeper, &l->keeper_side,
                              (struct span){bytes, sizeof bytes}, &m, &got, &fault);
        if (e != OK) {
            loop_stop(&l->loop);  // without a keeper nobody can be let in
            return;
        }
        if (!got)
            return;
        fd_close(&m.fd);
        if (m.row->number == IPC_STOP)
            stop_accepting(l, m.body.stop.now);
        else if (m.row->number == IPC_STARTUPS)
            l->elsewhere = m.body.startups.elsewhere;
        else if (m.row->number == IPC_LINK_AUTHED)
            authenticated(l, m.body.link_authed.id);
        else if (m.row->number == IPC_PENALTY)
            penalised(l, &m.body.penalty);
    }
}

// ---- start ----

static void on_term(void *arg, int number) {
    (void)number;
    stop_accepting(arg, true);
}

static bool parse_fds(struct listener *l, const char *text, int *settings) {
    int *slots[2] = {&l->keeper, settings};
    l->single = -1;
    for (size_t i = 0; *text != '\0'; i++) {
        bool single = *text == '=';
        char *end;
        long fd = strtol(text + (single ? 1 : 0), &end, 10);
        if (fd < 0 || fd > INT32_MAX || (*end != ',' && *end != '\0') || end == text)
            return false;
        if (i < 2)
            *slots[i] = (int)fd;
        else if (single)
            l->single = (int)fd;
        else if (l->sockets_n < SOCKETS_MAX)
            l->sockets[l->sockets_n++].watch.fd = (int)fd;
        text = *end == ',' ? end + 1 : end;
    }
    return l->keeper >= 0 && *settings >= 0;
}

static enum err load_settings(struct listener *l, int fd, struct fault *fault) {
    struct stat st;
    if (fstat(fd, &st) != 0 || st.st_size <= 0 || st.st_size > SETTINGS_MAX)
        return fault_set(fault, ERR_FORMAT, 0, "unusable settings");
    size_t n = (size_t)st.st_size;
    void *p = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (p == MAP_FAILED)
        return fault_set(fault, ERR_MEMORY, 0, "unusable settings");
    return settings_decode(&l->settings, view_of(p, n), fault);
}

static enum err load_penalties(struct listener *l) {
    struct reader r = reader_of(l->settings.penalties);
    struct penalty_rules rules = {0};
    uint64_t seed = 0;
    penalty_rules_read(&rules, &r);
    if (r.err != OK)
        return r.err;
    random_bytes(&seed, sizeof seed);
    penalties_init(&l->penalties, &rules, seed);
    return penalties_read(&l->penalties, read_rest(&r));
}

static enum err set_up(struct listener *l, struct fault *fault) {
    const struct settings *s = &l->settings;
    struct sandbox_identity as = {s->uid, s->gid};
    TRY(crypto_init());
    TRY(load_penalties(l));
    TRY(loop_init(&l->loop));
    TRY(loop_watch(&l->loop, &l->keeper_watch, l->keeper, LOOP_IN, on_keeper, l));
    TRY(loop_signal(&l->loop, &l->child_signal, SIGCHLD, reap, l));
    TRY(loop_signal(&l->loop, &l->term_signal, SIGTERM, on_term, l));
    for (size_t i = 0; i < l->sockets_n; i++) {
        struct accepting *a = &l->sockets[i];
        a->listener = l;
        TRY(loop_watch(&l->loop, &a->watch, a->watch.fd, LOOP_IN, on_accept, a));
    }
    // Room made beforehand: a gate inherits what is here, not what comes later.
    l->children_room = 64;
    l->children = calloc(l->children_room, sizeof *l->children);
    if (l->children == NULL)
        return ERR_MEMORY;
    random_padding(&(uint8_t[16]){0}, 16);
    template_settle();
    sandbox_undumpable();
    return sandbox_enter(&sandbox_listener, s->has_identity ? &as : NULL, NULL, fault);
}

static void serve_single(struct listener *l) {
    struct endpoint peer, local;
    endpoint_peer(&peer, l->single);
    endpoint_local(&local, l->single);
    if (!fork_gate(l, l->single, &peer, &local))
        log_error(&l->log, "no gate: %m");
    fd_close(&l->single);
    l->stopping = true;
}

int listener_main(const char *fds) {
    static struct listener l;  // too big for a stack that gates inherit
    struct fault fault = {0};
    int settings = -1;
    l.keeper = -1;
    if (!parse_fds(&l, fds, &settings))
        return 2;
    process_title("sshd: listener");
    enum err e = load_settings(&l, settings, &fault);
    enum log_level level =
        e == OK ? (enum log_level)l.settings.log_level : LOG_LEVEL_ERROR;
    ipc_log_open(&l.log_sink, &l.log, l.keeper, level);
    l.keeper_side = (struct ipc_side){IPC_KEEPER, IPC_LISTENER, .state = LINK_NONE};
    for (size_t i = 0; i < l.sockets_n; i++)
        if (e == OK)
            e = fd_set_nonblock(l.sockets[i].watch.fd, true);
    if (e == OK)
        e = set_up(&l, &fault);
    if (e != OK) {
        log_fatal(&l.log, "listener: %s",
                  fault.text[0] != '\0' ? fault_text(&fault) : err_text(e));
        return 1;
    }
    struct ipc_listening ready = {IPC_VERSION};
    if (ipc_send(l.keeper, IPC_LISTENING, &ready, -1) != OK)
        return 1;
    if (l.single >= 0)
        serve_single(&l);
    return loop_run(&l.loop) == OK ? 0 : 1;
}
