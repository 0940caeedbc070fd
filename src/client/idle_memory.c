#include "client/idle_memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

#include "client/state.h"
#include "crypto/digest.h"
#include "io/clock.h"
#include "io/endpoint.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/route.h"

#define FILE_NAME "idle"

// ---- which network ----

static void describe(const struct client *c, char *out, size_t size) {
    struct route route;
    struct endpoint local;
    if (c->proxied || c->link.fd < 0) {
        snprintf(out, size, "program");
        return;
    }
    endpoint_local(&local, c->link.fd);
    if (route_of(c->link.fd, &route) && route.gateway[0] != 0)
        snprintf(out, size, "gateway %s %s", route.gateway, route.hardware);
    else
        snprintf(out, size, "direct %s", local.text);
}

static void make_key(const struct client *c, char *key) {
    char network[256];
    uint8_t hash[DIGEST_MAX];
    describe(c, network, sizeof network);
    struct view parts[] = {view_text("bowline-idle 1\n"), view_text(network),
                           view_text("\n"), view_text(c->known_name)};
    key[0] = 0;
    if (digest_parts(&digest_sha256, parts, 4, hash) != OK)
        return;
    for (size_t i = 0; i < IDLE_BOOK_KEY / 2; i++)
        snprintf(key + 2 * i, 3, "%02x", hash[i]);
}

// ---- the file ----

static void write_book(const char *path, const struct idle_book *b) {
    scoped_buf text;
    buf_init(&text, IDLE_BOOK_TEXT);
    if (idle_book_format(b, &text) == OK)
        (void)!file_write(path, buf_view(&text), 0600, NULL);
}

// False: it cannot be read. A damaged one is begun anew, and told.
static bool read_book(const struct client *c, const char *path, struct idle_book *b) {
    scoped_buf text = {0};
    unsigned line = 1;
    b->n = 0;
    enum err e = file_read(path, FILE_NOFOLLOW, IDLE_BOOK_TEXT, &text, NULL);
    if (e == ERR_NOT_FOUND)
        return true;
    if (e == OK && idle_book_parse(b, buf_view(&text), &line))
        return true;
    if (e != OK && e != ERR_LIMIT)
        return false;
    log_info(&c->log, "%s:%u is damaged: what was learned of idle limits is begun anew",
             path, line);
    write_book(path, b);
    return true;
}

void idle_memory_open(struct idle_memory *m, const struct client *c) {
    char folder[PATH_MAX], path[PATH_MAX];
    struct idle_book *b = calloc(1, sizeof *b);
    idle_limit_init(&m->limit);
    make_key(c, m->key);
    if (b != NULL && state_path(c->home, FILE_NAME, folder, path) &&
        read_book(c, path, b) && idle_book_find(b, m->key) != NULL)
        m->limit = *idle_book_find(b, m->key);
    free(b);
}

// Whoever finds the folder locked leaves it: the next answer tells the same.
static int lock(const char *folder) {
    if (file_make_directory(folder, NULL) != OK)
        return -1;
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
        fd_close(&fd);
    return fd;
}

static void learn(struct idle_memory *m, const struct client *c, uint64_t silence_s,
                  bool (*what)(struct idle_limit *, uint64_t, uint64_t)) {
    char folder[PATH_MAX], path[PATH_MAX];
    struct idle_book *b = calloc(1, sizeof *b);
    bool known =
        b != NULL && m->key[0] != 0 && state_path(c->home, FILE_NAME, folder, path);
    scoped_fd locked = known ? lock(folder) : -1;
    bool can = locked >= 0 && read_book(c, path, b);
    if (can && idle_book_find(b, m->key) != NULL)
        m->limit = *idle_book_find(b, m->key);
    if (what(&m->limit, silence_s, clock_wall_s()) && can) {
        idle_book_put(b, m->key, &m->limit);
        write_book(path, b);
    }
    free(b);
}

void idle_memory_bears(struct idle_memory *m, const struct client *c,
                       uint64_t silence_s) {
    learn(m, c, silence_s, idle_limit_bears);
}

void idle_memory_fails(struct idle_memory *m, const struct client *c,
                       uint64_t silence_s) {
    learn(m, c, silence_s, idle_limit_fails);
}
