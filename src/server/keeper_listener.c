// Listening sockets and the listeners that accept on them.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/pk.h"
#include "crypto/registry.h"
#include "io/account.h"
#include "io/fault_errno.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/tcp.h"
#include "io/unix_socket.h"
#include "server/keeper.h"
#include "server/listener.h"
#include "wire/messages.h"

#define FORKS_MAX 1000u            // of one listener
#define RESPAWN_MS 500             // between listeners that die at once
#define BANNER_MAX 204800u         // has to fit into one packet
#define MODULI_MAX (768u * 1024u)  // as much as settings have room for
#define BACKLOG 128

// ---- sockets ----

static void socket_name(const struct server_listen *want, char *out, size_t size) {
    snprintf(out, size, "%.60s:%u %.15s", want->host != NULL ? want->host : "*",
             want->port, want->rdomain != NULL ? want->rdomain : "");
}

static bool keep_socket(struct keeper *k, const char *name, struct keeper_socket *to,
                        size_t *n) {
    bool kept = false;
    for (size_t i = 0; i < k->sockets_n; i++)
        if (k->sockets[i].fd >= 0 && strcmp(k->sockets[i].name, name) == 0 &&
            *n < KEEPER_SOCKETS_MAX) {
            to[(*n)++] = k->sockets[i];
            k->sockets[i].fd = -1;
            kept = true;
        }
    return kept;
}

static void bind_one(struct keeper *k, const struct server_listen *want, int family,
                     const char *name, struct keeper_socket *to, size_t *n) {
    int fds[16];
    size_t got = 0;
    struct fault fault = {0};
    struct tcp_listen listen = {want->host, want->port, family, BACKLOG, want->rdomain};
    if (tcp_listen(&listen, fds, 16, &got, &fault) != OK) {
        log_error(&k->log, "%s", fault_text(&fault));
        return;
    }
    for (size_t i = 0; i < got; i++) {
        struct endpoint at;
        endpoint_local(&at, fds[i]);
        log_info(&k->log, "Server listening on %s port %u%s%s.", at.text, at.port,
                 want->rdomain != NULL ? " rdomain " : "",
                 want->rdomain != NULL ? want->rdomain : "");
        keeper_event_listening(k, at.text, at.port);
        if (*n == KEEPER_SOCKETS_MAX) {
            fd_close(&fds[i]);
            continue;
        }
        to[*n].fd = fds[i];
        snprintf(to[*n].name, sizeof to[*n].name, "%s", name);
        (*n)++;
    }
}

enum err keeper_bind(struct keeper *k, const struct server_config *config,
                     struct fault *fault) {
    struct keeper_socket next[KEEPER_SOCKETS_MAX];
    size_t n = 0;
    int family = k->options->address_family;
    if (family == AF_UNSPEC && config->address_family != CONF_ADDRESS_FAMILY_ANY)
        family = config->address_family == CONF_ADDRESS_FAMILY_INET ? AF_INET : AF_INET6;
    for (size_t i = 0; i < config->listens.n; i++) {
        char name[sizeof next[0].name];
        const struct server_listen *want = &config->listens.v[i];
        socket_name(want, name, sizeof name);
        if (!keep_socket(k, name, next, &n))
            bind_one(k, want, family, name, next, &n);
    }
    for (size_t i = 0; i < k->sockets_n; i++)
        fd_close(&k->sockets[i].fd);
    memcpy(k->sockets, next, n * sizeof next[0]);
    k->sockets_n = n;
    return n > 0 ? OK : fault_set(fault, ERR_IO, 0, "Cannot bind any address.");
}

// ---- settings ----

void keeper_identity(struct sandbox_identity *as, bool *has) {
    static const char *const names[] = {"bowline", "sshd", "nobody"};
    *as = (struct sandbox_identity){65534, 65534};
    *has = getuid() == 0;
    for (size_t i = 0; *has && i < sizeof names / sizeof names[0]; i++) {
        scoped_account a = {0};
        if (account_by_name(names[i], &a, NULL) != OK)
            continue;
        *as = (struct sandbox_identity){a.uid, a.gid};
        return;
    }
}

static enum err write_keys(struct keeper *k, struct buf *out) {
    struct writer w = writer_to_buf(out);
    for (size_t i = 0; i < k->host_keys->n; i++) {
        write_string(&w, key_blob(k->host_keys->keys[i]));
        write_string(&w, settings_view(k->host_keys->algorithms[i]));
    }
    return writer_end(&w);
}

static void read_banner(struct keeper *k, struct buf *banner) {
    struct fault fault = {0};
    if (k->config->banner == NULL || strcmp(k->config->banner, "none") == 0)
        return;
    if (file_read(k->config->banner, 0, BANNER_MAX, banner, &fault) != OK)
        log_info(&k->log, "Banner: %s", fault_text(&fault));
}

// Only group exchange needs them; without any it has groups of its own.
static void read_moduli(struct keeper *k, struct buf *moduli) {
    struct fault fault = {0};
    const struct server_config *c = k->config;
    if (strstr(c->kex_algorithms, "group-exchange") != NULL && c->moduli_file != NULL &&
        file_read(c->moduli_file, 0, MODULI_MAX, moduli, &fault) != OK)
        log_info(&k->log, "ModuliFile: %s", fault_text(&fault));
}

// What anybody may use: before the user is known, all that a Match block may add counts.
// The judge knows better.
static enum err accepted_algorithms(const struct server_config *c, struct buf *out) {
    struct fault fault = {0};
    if (!server_config_matches_set(c, "PubkeyAcceptedAlgorithms"))
        return buf_append(out, view_of(c->pubkey_accepted_algorithms,
                                       strlen(c->pubkey_accepted_algorithms) + 1));
    return alg_list_apply(ALG_SIGNATURE, ALG_DEFAULT_SERVER, "+*", out, &fault);
}

static bool list_has(const char *list, const char *name) {
    struct view rest = view_text(list), one;
    while (name_list_next(&rest, &one))
        if (view_is(one, name))
            return true;
    return false;
}

// What is announced for users' signatures: not the names that are for certificates, but
// what those sign with.
static void plain_algorithms(const char *list, char *out, size_t size) {
    struct view rest = view_text(list), name;
    size_t n = 0;
    out[0] = '\0';
    while (name_list_next(&rest, &name) && n < size) {
        const struct alg *a = alg_find(ALG_SIGNATURE, name);
        if (a != NULL && !list_has(out, a->signature->signature_name))
            n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? "," : "",
                                  a->signature->signature_name);
    }
}

static enum err encode_settings(struct keeper *k, struct buf *out) {
    const struct server_config *c = k->config;
    char ident[LIMIT_IDENT_LINE], sig_algs[4096];
    scoped_buf accepted;
    buf_init(&accepted, 65536);
    TRY(accepted_algorithms(c, &accepted));
    plain_algorithms((const char *)buf_view(&accepted).p, sig_algs, sizeof sig_algs);
    struct buf banner = {0}, moduli = {0};
    scoped_buf keys = {0}, penalties = {0};
    buf_init(&penalties, SETTINGS_MAX);
    struct writer wp = writer_to_buf(&penalties);
    penalty_rules_write(&k->penalties.rules, &wp);
    penalties_write(&k->penalties, clock_ms(), &wp);
    TRY(writer_end(&wp));
    buf_init(&keys, 65536);
    TRY(write_keys(k, &keys));
    read_banner(k, &banner);
    read_moduli(k, &moduli);
    snprintf(ident, sizeof ident, "%s%s%.100s", SETTINGS_IDENT,
             c->version_addendum != NULL ? " " : "",
             c->version_addendum != NULL ? c->version_addendum : "");
    struct settings s = {
        .version = IPC_VERSION,
        .ident = settings_view(ident),
        .kex = settings_view(c->kex_algorithms),
        .host_key_algorithms = settings_view(c->host_key_algorithms),
        .ciphers = settings_view(c->ciphers),
        .macs = settings_view(c->macs),
        .user_algorithms = buf_view(&accepted),
        .sig_algs = settings_view(sig_algs),
        .methods = settings_view("publickey,password,keyboard-interactive"),
        .banner = buf_view(&banner),
        .per_source_max = c->per_source_max_startups,
        .penalties = buf_view(&penalties),
        .max_tries = c->max_auth_tries,
        .grace_s =
            k->options->grace_s != UINT32_MAX ? k->options->grace_s : c->login_grace_time,
        .startups_begin = c->max_startups.begin,
        .startups_rate = c->max_startups.rate,
        .startups_full = c->max_startups.full,
        .log_level = (uint32_t)k->log.level,
        .rekey_bytes = c->rekey_limit.bytes,
        .rekey_s = c->rekey_limit.seconds,
        .dscp_interactive = (uint32_t)(c->ipqos.interactive + 1),
        .dscp_bulk = (uint32_t)(c->ipqos.bulk + 1),
        .keepalive = c->tcp_keep_alive,
        .host_keys = buf_view(&keys),
        .compression = settings_view(
            c->compression == COMPRESSION_NO ? "none" : "none,zlib@openssh.com"),
        .moduli = buf_view(&moduli),
        .resume = keeper_resumes(k),
    };
    struct sandbox_identity as;
    keeper_identity(&as, &s.has_identity);
    s.uid = as.uid;
    s.gid = as.gid;
    struct writer w = writer_to_buf(out);
    settings_encode(&s, &w);
    buf_free(&banner);
    buf_free(&moduli);
    return writer_end(&w);
}

static enum err settings_file(struct keeper *k, int *out, struct fault *fault) {
    scoped_buf bytes;
    buf_init(&bytes, SETTINGS_MAX);
    scoped_fd fd = memfd_create("settings", MFD_CLOEXEC);
    if (fd < 0)
        return fault_errno(fault, "the listener's settings");
    TRY(encode_settings(k, &bytes));
    TRY(fd_write_full(fd, buf_view(&bytes)));
    *out = fd;
    fd = -1;
    return OK;
}

// ---- listeners ----

static struct keeper_listener *keeper_listener_of(struct keeper *k, uint64_t serial) {
    struct keeper_listener *l = k->listeners;
    while (l != NULL && l->serial != serial)
        l = l->next;
    return l;
}

static void write_on(struct keeper_listener *l) {
    uint32_t events = LOOP_IN | (ipc_outbox_waits(&l->outbox) ? LOOP_OUT : 0);
    if (loop_change(&l->keeper->loop, &l->watch, events) != OK)
        log_error(&l->keeper->log, "the listener cannot be watched");
}

// What it has no room for now waits: a login that it does not hear of would count as a
// startup until it ends.
static void tell(struct keeper_listener *l, enum ipc_number number, const void *body) {
    if (l->fd < 0)
        return;
    enum err e = ipc_outbox_send(&l->outbox, l->fd, number, body);
    if (e != OK && e != ERR_CLOSED)
        log_error(&l->keeper->log,
                  "the listener does not take what it is told (%s): it acts on what it "
                  "knew before; a reload starts another",
                  err_text(e));
    write_on(l);
}

void keeper_tell_penalty(struct keeper *k, const struct ipc_penalty *m) {
    if (k->listeners != NULL)
        tell(k->listeners, IPC_PENALTY, m);
}

// Each listener is told what the others have accepted and not yet authenticated.
static void keeper_count_startups(struct keeper *k) {
    uint32_t all = 0;
    if (k->listeners == NULL || k->listeners->next == NULL)
        return;
    for (struct keeper_listener *l = k->listeners->next; l != NULL; l = l->next)
        all += l->pending;
    struct ipc_startups m = {all};
    tell(k->listeners, IPC_STARTUPS, &m);
}

void keeper_listener_link_done(struct link *link) {
    struct keeper_listener *l = keeper_listener_of(link->keeper, link->listener);
    if (link->pending && l != NULL) {
        l->pending--;
        if (l->draining)
            keeper_count_startups(l->keeper);
    }
    link->pending = false;
}

void keeper_listener_link_authed(struct link *link) {
    struct keeper_listener *l = keeper_listener_of(link->keeper, link->listener);
    struct ipc_link_authed m = {link->id};
    if (l != NULL)
        tell(l, IPC_LINK_AUTHED, &m);
    keeper_listener_link_done(link);
}

static void gate_ended(struct keeper_listener *l, const struct ipc_link_end *m) {
    struct keeper *k = l->keeper;
    struct link *link = k->links;
    while (link != NULL && (link->listener != l->serial || link->id != m->id))
        link = link->next;
    if (!m->abnormal)
        return;
    log_error(&k->log, "gate of link %llu from %s died: status %#x; new address layout",
              (unsigned long long)m->id, link != NULL ? link->peer : "a closed link",
              m->status);
    if (!l->draining && !k->stopping)
        keeper_spawn_listener(k);
}

static void listener_gone(struct keeper_listener *l) {
    loop_unwatch(&l->keeper->loop, &l->watch);
    fd_close(&l->fd);
}

static void take(struct keeper_listener *l, struct ipc_message *m) {
    struct keeper *k = l->keeper;
    switch (m->row->number) {
    case IPC_LISTENING:
        l->side.version = m->body.listening.version;
        log_verbose(&k->log, "listener is ready");
        break;
    case IPC_DOMAIN:
        l->domain_of = m->body.domain.id;
        if (!text_copy(l->domain, sizeof l->domain, m->body.domain.name))
            l->domain[0] = '\0';
        break;
    case IPC_LINK_NEW:
        l->forks++;
        link_new(l, &m->body.link_new, m->fd);
        m->fd = -1;
        if (l->forks >= FORKS_MAX && !l->draining && !k->options->inetd)
            keeper_spawn_listener(k);
        break;
    case IPC_PENALTY: {
        char peer[ENDPOINT_TEXT_SIZE];
        text_copy(peer, sizeof peer, m->body.penalty.peer);
        if (m->body.penalty.reason < PENALTY_REASON_COUNT)
            keeper_penalise(k, peer, m->body.penalty.reason);
        break;
    }
    case IPC_REFUSED:
        keeper_refused(k, &m->body.refused);
        break;
    case IPC_LINK_END:
        gate_ended(l, &m->body.link_end);
        break;
    case IPC_LOG: {
        char text[1024];
        log_at(&k->log, (enum log_level)m->body.log.level, "%s",
               text_one_line(text, sizeof text, m->body.log.text));
        break;
    }
    default:
        break;
    }
    fd_close(&m->fd);
}

static const char *cause(struct fault *fault, enum err e) {
    fault_set(fault, e, 0, "%s", err_text(e));
    return fault_text(fault);
}

static void on_listener(void *arg, uint32_t ready) {
    struct keeper_listener *l = arg;
    uint8_t bytes[LIMIT_IPC_MESSAGE];
    if (ready & LOOP_OUT) {
        enum err e = ipc_outbox_flush(&l->outbox, l->fd);
        (void)e;  // if it has gone, that is read below
        write_on(l);
    }
    for (int i = 0; i < 64 && l->fd >= 0; i++) {
        struct ipc_message m;
        struct fault fault = {0};
        bool got;
        enum err e = ipc_recv(l->fd, &l->side, (struct span){bytes, sizeof bytes}, &m,
                              &got, &fault);
        if (e == ERR_LIMIT) {  // the gate that it was about sees its socket closed
            log_error(&l->keeper->log, "no link can be taken: no descriptors are left; "
                                       "raise the limit of open files");
            continue;
        }
        if (e != OK) {
            if (e != ERR_CLOSED)
                log_error(&l->keeper->log, "listener: %s", cause(&fault, e));
            listener_gone(l);
            return;
        }
        if (!got)
            return;
        take(l, &m);
    }
}

static void respawn(void *arg) {
    keeper_spawn_listener(arg);
}

static void respawn_later(struct keeper *k, uint64_t at) {
    if (loop_timer_set(&k->loop, &k->respawn, at, respawn, k) != OK)
        log_error(&k->log, "no listener: out of memory");
}

static void on_listener_exit(void *arg, int status) {
    struct keeper_listener *l = arg;
    struct keeper *k = l->keeper;
    // What it said last is still in its socket.
    if (l->fd >= 0)
        on_listener(l, 0);
    bool accepting = !l->draining && k->listeners == l;
    listener_gone(l);
    struct keeper_listener **at = &k->listeners;
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    ipc_outbox_free(&l->outbox);
    free(l);
    if (!accepting || k->stopping || k->options->inetd)
        return;
    log_error(&k->log, "listener ended: status %#x; starting another", status);
    uint64_t now = clock_ms(), earliest = k->respawn_at;
    k->respawn_at = now + RESPAWN_MS;
    // At once, unless it has just been done.
    if (now >= earliest)
        keeper_spawn_listener(k);
    else
        respawn_later(k, earliest);
}

static void format_fds(struct keeper *k, int link, int settings, char *out, size_t size) {
    size_t n = (size_t)snprintf(out, size, "%d,%d", link, settings);
    if (k->options->inetd) {
        snprintf(out + n, size - n, ",=0");
        return;
    }
    for (size_t i = 0; i < k->sockets_n && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, ",%d", k->sockets[i].fd);
}

// These and no others pass to the new program.
static enum err pass_fds(struct keeper *k, int link, int settings, bool pass) {
    TRY(fd_set_cloexec(link, !pass));
    TRY(fd_set_cloexec(settings, !pass));
    for (size_t i = 0; i < k->sockets_n; i++)
        TRY(fd_set_cloexec(k->sockets[i].fd, !pass));
    return OK;
}

static enum err execute(struct keeper *k, int link, int settings, struct process *p,
                        struct fault *fault) {
    char fds[1024], name[] = "sshd: listener", flag[] = LISTENER_FLAG;
    char *argv[] = {name, flag, fds, NULL};
    format_fds(k, link, settings, fds, sizeof fds);
    struct process_spec spec = {
        .path = "/proc/self/exe",
        .argv = argv,
        .fd_in = k->options->inetd ? k->single : -1,
        .fd_out = -1,
        .fd_err = k->options->to_stderr ? 2 : -1,
        .tty = -1,
        .keep_nice_fds = true,
    };
    TRY(pass_fds(k, link, settings, true));
    enum err e = process_spawn(&spec, p, fault);
    if (k->options->inetd)
        fd_close(&k->single);
    TRY(pass_fds(k, link, settings, false));
    return e;
}

static enum err start(struct keeper *k, struct keeper_listener *l, struct fault *fault) {
    int pair[2] = {-1, -1};
    struct process p;
    TRY(ipc_pair(pair));
    scoped_fd ours = pair[0], theirs = pair[1], settings = -1;
    TRY(settings_file(k, &settings, fault));
    TRY(execute(k, theirs, settings, &p, fault));
    TRY(loop_child(&k->loop, &l->exit, p.pid, p.pidfd, on_listener_exit, l));
    l->fd = ours;
    ours = -1;
    l->side = (struct ipc_side){IPC_LISTENER, IPC_KEEPER, .state = LINK_NONE};
    return loop_watch(&k->loop, &l->watch, l->fd, LOOP_IN, on_listener, l);
}

static void drain(struct keeper_listener *l) {
    struct ipc_stop stop = {false};
    if (l == NULL || l->draining)
        return;
    l->draining = true;
    tell(l, IPC_STOP, &stop);
}

bool keeper_adopt_listener(struct keeper *k, struct keeper_listener *facts, pid_t pid,
                           int pidfd) {
    struct keeper_listener *l = calloc(1, sizeof *l), **at = &k->listeners;
    if (l == NULL || facts->fd < 0 || pidfd < 0) {
        ipc_outbox_free(&facts->outbox);
        free(l);
        return false;
    }
    *l = *facts;
    facts->outbox = (struct ipc_outbox){0};
    l->keeper = k;
    while (*at != NULL)
        at = &(*at)->next;
    *at = l;
    return loop_child(&k->loop, &l->exit, pid, pidfd, on_listener_exit, l) == OK &&
           loop_watch(&k->loop, &l->watch, l->fd, LOOP_IN | LOOP_OUT, on_listener, l) ==
               OK;
}

void keeper_spawn_listener(struct keeper *k) {
    struct keeper_listener *l = calloc(1, sizeof *l);
    struct fault fault = {0};
    enum err e = l != NULL ? OK : ERR_MEMORY;
    if (e == OK) {
        l->keeper = k;
        l->fd = -1;
        l->serial = ++k->listener_serial;
        e = start(k, l, &fault);
    }
    if (e != OK) {
        log_error(&k->log, "no listener: %s", cause(&fault, e));
        free(l);
        // The old one goes on; where there is none, what was missing may come back.
        if (k->listeners == NULL || k->listeners->draining)
            respawn_later(k, clock_ms() + RESPAWN_MS);
        return;
    }
    struct keeper_listener *old = k->listeners;
    l->next = old;
    k->listeners = l;
    drain(old);
    keeper_count_startups(k);
}

void keeper_stop_listeners(struct keeper *k) {
    struct ipc_stop stop = {true};
    for (struct keeper_listener *l = k->listeners; l != NULL; l = l->next)
        tell(l, IPC_STOP, &stop);
}
