// bowline sessions: who is on, asked of the keepers on this machine through their control
// sockets; and ending sessions.
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "io/fd.h"
#include "tools/commands.h"
#include "tools/keepers.h"
#include "wire/reader.h"

#define OUT_MAX (64u * 1024 * 1024)

struct request {
    bool json, end;
    const char *what, *message;
    struct keepers of;
};

struct answer {
    const struct request *request;
    struct buf out;
    struct json json;
    uint32_t servers, sessions, ended;
    char why[256];
};

static int usage(void) {
    fprintf(stderr, "usage: bowline sessions [--json] [--port N] [--socket PATH] "
                    "[-f CONFIG]\n"
                    "       bowline sessions end ID|USER|KEY [--message TEXT] "
                    "[--port N] [--socket PATH] [-f CONFIG]\n");
    return 2;
}

static bool take_value(struct request *r, const char *name, const char *value) {
    if (strcmp(name, "--message") != 0)
        return keepers_flag(&r->of, name, value);
    r->message = value;
    return true;
}

static bool parse(struct request *r, int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (strcmp(word, "--json") == 0)
            r->json = true;
        else if (*word == '-' && i + 1 < argc && take_value(r, word, argv[i + 1]))
            i++;
        else if (*word == '-')
            return false;
        else if (!r->end && strcmp(word, "end") == 0)
            r->end = true;
        else if (r->end && r->what == NULL)
            r->what = word;
        else
            return false;
    }
    return r->end == (r->what != NULL) && (r->end || r->message == NULL);
}

// ---- one session ----

static const char *const terminal_states[TERMINAL_STATES] = {
    [TERMINAL_SHOWN] = "attached", [TERMINAL_LEFT] = "left", [TERMINAL_ENDED] = "ended"};

// "  [build: left]", of each session that can be taken up.
static void terminals_text(const struct control_session *s, char *out, size_t size) {
    struct reader r = reader_of(s->terminals);
    struct terminal_told t;
    size_t n = 0;
    out[0] = '\0';
    while (terminal_next(&r, &t) && t.state < TERMINAL_STATES && n < size) {
        char name[64], more[48] = "";
        if (t.state == TERMINAL_ENDED)
            snprintf(more, sizeof more, " with status %u", t.status);
        else if (t.watchers > 0)
            snprintf(more, sizeof more, ", watched by %u", t.watchers);
        n += (size_t)snprintf(out + n, size - n, "  [%s: %s%s]",
                              text_clean(name, sizeof name, t.name),
                              terminal_states[t.state], more);
    }
}

static void print_terminals(struct json *j, const struct control_session *s) {
    struct reader r = reader_of(s->terminals);
    struct terminal_told t;
    json_name(j, "terminals");
    json_array(j);
    while (terminal_next(&r, &t) && t.state < TERMINAL_STATES) {
        json_object(j);
        json_member_string(j, "name", t.name);
        json_member_text(j, "state", terminal_states[t.state]);
        if (t.state == TERMINAL_ENDED)
            json_member_u64(j, "status", t.status);
        json_member_u64(j, "watchers", t.watchers);
        json_object_end(j);
    }
    json_array_end(j);
}

static void print_json(struct json *j, const struct control_session *s) {
    json_object(j);
    json_member_string(j, "id", s->id);
    json_member_string(j, "user", s->user);
    json_member_u64(j, "uid", s->uid);
    json_member_string(j, "key", s->key);
    json_member_string(j, "comment", s->comment);
    json_member_string(j, "address", s->peer);
    json_member_u64(j, "port", s->peer_port);
    json_member_string(j, "server_address", s->local);
    json_member_u64(j, "server_port", s->local_port);
    json_member_u64(j, "since", s->since);
    json_member_u64(j, "idle", s->idle);
    json_member_u64(j, "bytes_in", s->bytes_in);
    json_member_u64(j, "bytes_out", s->bytes_out);
    json_member_u64(j, "sessions", s->sessions);
    json_member_u64(j, "channels", s->channels);
    json_member_u64(j, "forwards", s->forwards);
    json_member_string(j, "tty", s->tty);
    json_member_string(j, "command", s->command);
    json_member_text(j, "state", s->suspended != 0 ? "suspended" : "connected");
    if (s->suspended != 0) {
        json_member_u64(j, "suspended_since", s->suspended);
        json_member_u64(j, "grace_left", s->grace_left);
    }
    print_terminals(j, s);
    json_object_end(j);
}

static const char *span_text(uint64_t seconds, char *out, size_t size) {
    static const struct {
        uint64_t unit;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (seconds >= units[i].unit) {
            snprintf(out, size, "%llu%c", (unsigned long long)(seconds / units[i].unit),
                     units[i].letter);
            return out;
        }
    }
    snprintf(out, size, "%llus", (unsigned long long)seconds);
    return out;
}

static const char *size_text(uint64_t bytes, char *out, size_t size) {
    const char *units = "BKMGTPE";
    double v = (double)bytes;
    while (v >= 1024 && units[1] != '\0') {
        v /= 1024;
        units++;
    }
    snprintf(out, size, *units == 'B' || v >= 10 ? "%.0f%c" : "%.1f%c", v, *units);
    return out;
}

static void put(struct answer *a, const char *line) {
    if (buf_append(&a->out, view_text(line)) != OK)
        snprintf(a->why, sizeof a->why, "too many sessions");
}

static void suspended_text(const struct control_session *s, char *out, size_t size) {
    char since[32], left[32];
    time_t now = time(NULL);
    uint64_t for_s = now > (time_t)s->suspended ? (uint64_t)now - s->suspended : 0;
    out[0] = '\0';
    if (s->suspended != 0)
        snprintf(out, size, "  [suspended for %s, kept for %s]",
                 span_text(for_s, since, sizeof since),
                 span_text(s->grace_left, left, sizeof left));
}

static void print_line(struct answer *a, const struct control_session *s) {
    char id[64], user[64], peer[80], since[32], idle[32], tty[32], in[16], out[16],
        key[96], comment[64], command[96], state[96], terminals[1200], line[2000];
    time_t at = (time_t)s->since;
    struct tm tm;
    localtime_r(&at, &tm);
    strftime(since, sizeof since, "%m-%d %H:%M", &tm);
    text_clean(id, sizeof id, s->id);
    text_clean(user, sizeof user, s->user);
    text_clean(peer, sizeof peer, s->peer);
    text_clean(tty, sizeof tty, s->tty);
    text_clean(key, sizeof key, s->key);
    text_clean(comment, sizeof comment, s->comment);
    text_clean(command, sizeof command, s->command);
    suspended_text(s, state, sizeof state);
    terminals_text(s, terminals, sizeof terminals);
    snprintf(line, sizeof line,
             "%-10s %-12s %-21s %-11s %5s %-10s %4u %3u %6s %6s %s%s%s  %s%s%s\n", id,
             user, peer, since, span_text(s->idle, idle, sizeof idle),
             tty[0] != '\0' ? tty + (strncmp(tty, "/dev/", 5) == 0 ? 5 : 0) : "-",
             s->channels, s->forwards, size_text(s->bytes_in, in, sizeof in),
             size_text(s->bytes_out, out, sizeof out), key, comment[0] != '\0' ? " " : "",
             comment, command, state, terminals);
    put(a, line);
}

static void take_session(struct answer *a, const struct control_session *s) {
    if (a->sessions++ == 0 && !a->request->json)
        put(a,
            "ID         USER         FROM                  SINCE        IDLE TTY       "
            " CHAN FWD     IN    OUT KEY  COMMAND\n");
    if (a->request->json)
        print_json(&a->json, s);
    else
        print_line(a, s);
}

// ---- one server ----

static bool ask(struct answer *a, int fd) {
    const struct request *r = a->request;
    struct control_list list = {0};
    struct control_end end = {view_text(r->end ? r->what : ""),
                              view_text(r->message != NULL ? r->message : "")};
    struct control_message m = {0};
    uint8_t bytes[16384];
    if (!keeper_hello(fd, a->why, sizeof a->why) ||
        !keeper_say(fd, r->end ? CONTROL_END : CONTROL_LIST,
                    r->end ? (void *)&end : (void *)&list))
        return false;
    while (m.number != CONTROL_DONE) {
        if (!keeper_hear(fd, (struct span){bytes, sizeof bytes}, &m, NULL))
            return false;
        if (m.number == CONTROL_SESSION)
            take_session(a, &m.body.session);
    }
    if (r->end)
        a->ended += m.body.done.count;
    if (m.body.done.text.n > 0)
        text_clean(a->why, sizeof a->why, m.body.done.text);
    return true;
}

static bool ask_one(void *arg, int fd, const char *path) {
    struct answer *a = arg;
    if (ask(a, fd))
        a->servers++;
    else if (a->why[0] == '\0')
        snprintf(a->why, sizeof a->why, "%.200s: no answer", path);
    return true;
}

static int report(struct answer *a) {
    const struct request *r = a->request;
    if (a->servers == 0)
        fprintf(stderr, "bowline: %s\n",
                a->why[0] != '\0' ? a->why : "no server of Bowline answers here");
    else if (r->end && a->ended == 0)
        fprintf(stderr, "bowline: %s\n", a->why);
    else if (r->end)
        printf("%u session%s ended\n", a->ended, a->ended == 1 ? "" : "s");
    return a->servers > 0 && (!r->end || a->ended > 0) ? 0 : 1;
}

int sessions_run(int argc, char **argv) {
    struct request r = {0};
    if (!parse(&r, argc, argv))
        return usage();
    struct answer a = {.request = &r};
    buf_init(&a.out, OUT_MAX);
    a.json = json_to_buf(&a.out);
    if (r.json)
        json_array(&a.json);
    struct fault fault = {0};
    keepers_each(&r.of, ask_one, &a, &fault);
    if (fault.code != OK)
        snprintf(a.why, sizeof a.why, "%.200s", fault_text(&fault));
    if (r.json && !r.end) {
        json_array_end(&a.json);
        if (json_end(&a.json) == OK)
            put(&a, "\n");
    }
    bool shown = r.end || fd_write_full(STDOUT_FILENO, buf_view(&a.out)) == OK;
    buf_free(&a.out);
    int status = report(&a);
    return shown ? status : 1;
}
