#include "server/keeper_control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "io/fd.h"
#include "io/unix_socket.h"
#include "server/control.h"
#include "server/keeper_views.h"
#include "server/view.h"

#define CLIENTS_MAX 32u
#define CLIENTS_OF_USER 4u
#define CLIENT_MS 10000u
#define STATUS_WAIT_MS 300u    // for holders that are busy
#define STATUS_FRESH_MS 1000u  // younger ones are not asked for again
#define END_MS 3000u           // for a holder to end by itself
#define MESSAGES_A_TURN 8

enum stage {
    STAGE_HELLO,  // nothing said yet
    STAGE_IDLE,
    STAGE_COLLECT,  // holders were asked
    STAGE_LIST,     // sessions below `cursor` are to be sent
};

struct client {
    struct client *next;
    struct keeper *keeper;
    int fd;
    struct loop_watch watch;
    struct loop_timer deadline, collected;
    struct unix_peer peer;
    enum stage stage;
    uint64_t cursor;
    uint32_t count;
};

struct keeper_control {
    int fd;
    struct loop_watch watch;
    char path[CONTROL_PATH_SIZE];
    struct client *clients;
    uint32_t asked;  // statuses that have not come
};

// ---- clients ----

static void drop(struct client *c) {
    struct keeper *k = c->keeper;
    struct client **at = &k->control->clients;
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    loop_unwatch(&k->loop, &c->watch);
    loop_timer_unset(&k->loop, &c->deadline);
    loop_timer_unset(&k->loop, &c->collected);
    fd_close(&c->fd);
    free(c);
}

static void on_deadline(void *arg) {
    drop(arg);
}

// False: there is no room now.
static bool say(struct client *c, enum control_number number, const void *body,
                bool *failed) {
    uint8_t bytes[8192];
    size_t n = 0;
    bool sent = false;
    *failed = control_encode(number, body, (struct span){bytes, sizeof bytes}, &n) != OK;
    if (*failed)
        return false;
    struct view part = view_of(bytes, n);
    *failed = unix_send(c->fd, &part, 1, NULL, 0, &sent) != OK;
    return sent;
}

static bool done(struct client *c, uint32_t count, const char *why) {
    struct control_done m = {count, view_text(why)};
    bool failed;
    c->stage = STAGE_IDLE;
    return say(c, CONTROL_DONE, &m, &failed);
}

// ---- who sees what ----

static bool sees(const struct client *c, const struct link *l) {
    uid_t uid = c->peer.uid;
    return l->authenticated && l->holder.alive &&
           (uid == 0 || uid == getuid() || uid == l->uid);
}

// ---- list ----

static void describe(const struct link *l, char *id, size_t id_size,
                     struct control_session *s) {
    uint64_t told_s = (clock_ms() - l->status_at) / 1000;
    *s = (struct control_session){
        .id = view_text(link_name(l, id, id_size)),
        .user = view_text(l->user),
        .key = view_text(l->key),
        .comment = view_text(l->comment),
        .peer = view_text(l->peer),
        .peer_port = l->peer_port,
        .local = view_text(l->local),
        .local_port = l->local_port,
        .uid = l->uid,
        .since = l->since,
        .idle = l->idle + told_s,
        .bytes_in = l->bytes_in,
        .bytes_out = l->bytes_out,
        .sessions = l->sessions,
        .channels = l->channels,
        .tty = view_text(l->tty),
        .command = view_text(l->command),
        .forwards = l->forwards,
        .suspended = l->suspended_since,
        .grace_left = link_grace_left(l),
        .terminals = buf_view(&l->sessions_told),
    };
}

// The newest link that is older than the cursor; they stand in that order.
static struct link *next_link(struct client *c) {
    struct link *l = c->keeper->links;
    while (l != NULL && (l->serial >= c->cursor || !sees(c, l)))
        l = l->next;
    return l;
}

// False: the client is gone.
static bool send_list(struct client *c) {
    struct link *l;
    while ((l = next_link(c)) != NULL) {
        char id[48];
        struct control_session s;
        bool failed;
        describe(l, id, sizeof id, &s);
        if (!say(c, CONTROL_SESSION, &s, &failed)) {
            if (!failed && loop_change(&c->keeper->loop, &c->watch, LOOP_OUT) == OK)
                return true;
            drop(c);
            return false;
        }
        c->cursor = l->serial;
        c->count++;
    }
    if (!done(c, c->count, "") ||
        loop_change(&c->keeper->loop, &c->watch, LOOP_IN) != OK) {
        drop(c);
        return false;
    }
    return true;
}

static void start_list(void *arg) {
    struct client *c = arg;
    loop_timer_unset(&c->keeper->loop, &c->collected);
    c->stage = STAGE_LIST;
    c->cursor = UINT64_MAX;
    c->count = 0;
    send_list(c);
}

static void ask_status(struct link *l, uint64_t now) {
    struct ipc_tell tell = {TELL_STATUS, view_text("")};
    if (l->status_asked || l->holder.fd < 0 ||
        (l->status_at != 0 && now < l->status_at + STATUS_FRESH_MS))
        return;
    if (ipc_send(l->holder.fd, IPC_TELL, &tell, -1) != OK)
        return;
    l->status_asked = true;
    l->keeper->control->asked++;
}

static void on_list(struct client *c) {
    struct keeper *k = c->keeper;
    uint64_t now = clock_ms();
    for (struct link *l = k->links; l != NULL; l = l->next)
        if (sees(c, l))
            ask_status(l, now);
    c->stage = STAGE_COLLECT;
    if (k->control->asked == 0 ||
        loop_timer_set(&k->loop, &c->collected, now + STATUS_WAIT_MS, start_list, c) !=
            OK)
        start_list(c);
}

static void all_told(struct keeper *k) {
    for (struct client *c = k->control->clients, *next; c != NULL; c = next) {
        next = c->next;
        if (c->stage == STAGE_COLLECT)
            start_list(c);
    }
}

void keeper_control_forget(struct link *l) {
    struct keeper *k = l->keeper;
    if (!l->status_asked || k->control == NULL)
        return;
    l->status_asked = false;
    if (--k->control->asked == 0)
        all_told(k);
}

void keeper_control_status(struct link *l, const struct ipc_status *m) {
    l->sessions = m->sessions;
    l->channels = m->channels;
    l->forwards = m->forwards;
    l->bytes_in = m->bytes_in;
    l->bytes_out = m->bytes_out;
    l->idle = m->idle;
    l->status_at = clock_ms();
    text_copy(l->tty, sizeof l->tty, m->tty);
    text_copy(l->command, sizeof l->command, m->command);
    link_sessions(l, m->terminals);
    keeper_control_forget(l);
}

// ---- end ----

static bool fingerprint_is(const struct link *l, struct view what) {
    const char *blank = strchr(l->key, ' ');
    return blank != NULL && view_is(what, blank + 1);
}

static bool is_meant(const struct link *l, struct view what) {
    char id[48];
    return what.n > 0 && (view_is(what, link_name(l, id, sizeof id)) ||
                          view_is(what, l->user) || fingerprint_is(l, what) ||
                          (l->comment[0] != '\0' && view_is(what, l->comment)));
}

// It did not end when it was told to.
static void on_end_time(void *arg) {
    struct link *l = arg;
    link_child_end(&l->holder);
    link_end(l, "it was told to end and did not");
}

static void end_link(struct client *c, struct link *l, struct view text) {
    struct keeper *k = l->keeper;
    char clean[CONTROL_TEXT_MAX + 64], id[48];
    struct ipc_tell tell = {TELL_END, text};
    bool told = l->holder.fd >= 0 && ipc_send(l->holder.fd, IPC_TELL, &tell, -1) == OK;
    log_info(&k->log,
             "Session %s of user %s from %s port %u ended by uid %u (process %d): %s",
             link_name(l, id, sizeof id), l->user, l->peer, l->peer_port, c->peer.uid,
             (int)c->peer.pid, text_clean(clean, sizeof clean, text));
    struct event e = {
        .by_uid = c->peer.uid, .by_pid = (uint64_t)c->peer.pid, .text = text};
    link_tell(l, EVENT_ADMIN_ENDED, &e);
    link_reason(l, "administrator", text);
    if (!told ||
        loop_timer_set(&k->loop, &l->grace, clock_ms() + END_MS, on_end_time, l) != OK)
        on_end_time(l);
}

static bool on_end(struct client *c, const struct control_end *m) {
    uint32_t count = 0;
    struct view text = m->text.n > 0 && m->text.n <= CONTROL_TEXT_MAX
                           ? m->text
                           : view_text("Your session was ended by the administrator.");
    for (struct link *l = c->keeper->links, *next; l != NULL; l = next) {
        next = l->next;
        if (!sees(c, l) || !is_meant(l, m->what))
            continue;
        count++;
        end_link(c, l, text);
    }
    return done(c, count, count > 0 ? "" : "no such session of yours");
}

// ---- messages ----

static bool on_hello(struct client *c, const struct control_hello *m) {
    struct control_hello ours = {CONTROL_VERSION, (uint32_t)getpid()};
    bool failed;
    if (m->version != CONTROL_VERSION)
        return done(c, 0, "another version of the control protocol"), false;
    c->stage = STAGE_IDLE;
    return say(c, CONTROL_HELLO, &ours, &failed);
}

// ---- attach ----

static bool on_attach(struct client *c, const struct control_attach *m) {
    char why[128], who[96];
    bool sent = false;
    uint8_t bytes[64];
    size_t n = 0;
    struct control_view view = {VIEW_VERSION};
    if (c->peer.uid == 0)
        snprintf(who, sizeof who, "root on this machine");
    else
        snprintf(who, sizeof who, "uid %u on this machine", (unsigned)c->peer.uid);
    scoped_fd fd =
        keeper_view(c->keeper, c->peer.uid, m->name, m->flags, who, why, sizeof why);
    if (fd < 0)
        return done(c, 0, why);
    if (control_encode(CONTROL_VIEW, &view, (struct span){bytes, sizeof bytes}, &n) != OK)
        return false;
    struct view part = view_of(bytes, n);
    return unix_send(c->fd, &part, 1, &fd, 1, &sent) == OK && sent && done(c, 1, "");
}

// False: that was its last.
static bool take(struct client *c, const struct control_message *m) {
    if (c->stage == STAGE_HELLO)
        return m->number == CONTROL_HELLO && on_hello(c, &m->body.hello);
    if (c->stage != STAGE_IDLE)
        return false;
    if (m->number == CONTROL_END)
        return on_end(c, &m->body.end);
    if (m->number == CONTROL_ATTACH)
        return on_attach(c, &m->body.attach);
    return m->number == CONTROL_LIST;
}

static void on_client(void *arg, uint32_t ready) {
    struct client *c = arg;
    uint8_t bytes[2048];
    if (c->stage == STAGE_LIST && (ready & LOOP_OUT)) {
        send_list(c);
        return;
    }
    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        struct unix_message got;
        struct control_message m;
        struct fault fault = {0};
        if (unix_recv(c->fd, (struct span){bytes, sizeof bytes}, 0, &got) != OK) {
            drop(c);
            return;
        }
        if (!got.ready)
            return;
        if (control_decode(view_of(bytes, got.n), true, &m, &fault) != OK ||
            !take(c, &m)) {
            drop(c);
            return;
        }
        if (m.number == CONTROL_LIST) {
            on_list(c);  // which may end it
            return;
        }
    }
}

// ---- accepting ----

static bool may_come(const struct keeper_control *control, uid_t uid) {
    uint32_t all = 0, same = 0;
    for (const struct client *c = control->clients; c != NULL; c = c->next) {
        all++;
        same += c->peer.uid == uid;
    }
    return uid == 0 ? same < CLIENTS_MAX : all < CLIENTS_MAX && same < CLIENTS_OF_USER;
}

static void admit(struct keeper *k, int fd) {
    struct client *c = calloc(1, sizeof *c);
    if (c == NULL || unix_peer(fd, &c->peer) != OK ||
        !may_come(k->control, c->peer.uid)) {
        free(c);
        fd_close(&fd);
        return;
    }
    c->keeper = k;
    c->fd = fd;
    c->next = k->control->clients;
    k->control->clients = c;
    if (loop_watch(&k->loop, &c->watch, fd, LOOP_IN, on_client, c) != OK ||
        loop_timer_set(&k->loop, &c->deadline, clock_ms() + CLIENT_MS, on_deadline, c) !=
            OK)
        drop(c);
}

static void on_connect(void *arg, uint32_t ready) {
    struct keeper *k = arg;
    (void)ready;
    for (int i = 0; i < MESSAGES_A_TURN; i++) {
        int fd = -1;
        if (unix_accept(k->control->fd, &fd) != OK || fd < 0)
            return;
        admit(k, fd);
    }
}

// ---- opening ----

static bool make_folder(const char *folder, mode_t mode, struct fault *fault) {
    bool made = mkdir(folder, mode) == 0;
    if ((made || errno == EEXIST) && (!made || chmod(folder, mode) == 0))
        return true;
    fault_set(fault, ERR_IO, 0, "%s: %m", folder);
    return false;
}

static bool is_own_folder(const char *folder, bool root, struct fault *fault) {
    struct stat st;
    // Others' folders are not used: what is in them could be anybody's.
    if (lstat(folder, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
        (root && (st.st_mode & 022))) {
        fault_set(fault, ERR_REFUSED, 0, "%s is not a folder of this server's own",
                  folder);
        return false;
    }
    return true;
}

static bool place(const struct keeper *k, char *folder) {
    return control_folder(geteuid() == 0, getenv("XDG_RUNTIME_DIR"),
                          k->options->config_file, folder, CONTROL_PATH_SIZE);
}

void keeper_control_announce(const struct keeper *k) {
    char folder[CONTROL_PATH_SIZE];
    bool wanted = geteuid() != 0 && !k->options->inetd && place(k, folder);
    if (!wanted || setenv(CONTROL_FOLDER_VARIABLE, folder, 1) != 0)
        unsetenv(CONTROL_FOLDER_VARIABLE);
}

bool keeper_control_place(const struct keeper *k, char *folder, char *path,
                          const char *name, struct fault *fault) {
    bool root = geteuid() == 0;
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    const struct server_listens *listens = &k->config->listens;
    if (listens->n == 0 || !place(k, folder) ||
        !control_path(folder, name, listens->v[0].host, listens->v[0].port, path,
                      CONTROL_PATH_SIZE)) {
        fault_set(fault, ERR_LIMIT, 0, "no place for the control socket");
        return false;
    }
    // The folder of the configuration is there, or has gone with it: it is not made anew.
    bool beside = !root && (runtime == NULL || runtime[0] != '/');
    return (beside || make_folder(folder, root ? 0755 : 0700, fault)) &&
           is_own_folder(folder, root, fault);
}

int keeper_control_socket(const struct keeper *k, const char **path) {
    if (k->control == NULL || k->control->fd < 0)
        return -1;
    *path = k->control->path;
    return k->control->fd;
}

static bool control_make(struct keeper *k, int fd, struct view path) {
    k->control = calloc(1, sizeof *k->control);
    if (k->control == NULL || fd < 0 ||
        loop_watch(&k->loop, &k->control->watch, fd, LOOP_IN, on_connect, k) != OK)
        fd_close(&fd);
    if (k->control == NULL)
        return false;
    k->control->fd = fd;
    if (fd >= 0)
        (void)text_copy(k->control->path, CONTROL_PATH_SIZE, path);
    return fd >= 0;
}

void keeper_control_take(struct keeper *k, int fd, struct view path) {
    if (fd >= 0)
        (void)control_make(k, fd, path);
}

void keeper_control_open(struct keeper *k) {
    char path[CONTROL_PATH_SIZE] = "";
    struct fault fault = {0};
    int fd = -1;
    if (k->options->inetd)
        return;
    char folder[CONTROL_PATH_SIZE];
    bool placed = keeper_control_place(k, folder, path, "sshd", &fault);
    if (placed && k->control != NULL && strcmp(path, k->control->path) == 0)
        return;
    keeper_control_close(k);
    bool good =
        placed && unix_listen(path, SOCK_SEQPACKET, 0666, true, &fd, &fault) == OK;
    if (!control_make(k, fd, view_text(path)) || !good)
        log_verbose(&k->log, "`bowline sessions` cannot reach this server: %s",
                    fault_text(&fault));
}

void keeper_control_close(struct keeper *k) {
    struct keeper_control *control = k->control;
    if (control == NULL)
        return;
    while (control->clients != NULL)
        drop(control->clients);
    loop_unwatch(&k->loop, &control->watch);
    fd_close(&control->fd);
    if (control->path[0] != '\0')
        unlink(control->path);
    for (struct link *l = k->links; l != NULL; l = l->next)
        l->status_asked = false;
    free(control);
    k->control = NULL;
}
