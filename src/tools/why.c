// bowline why: the last ends of sessions, from the client's journal (client/ends.h).
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/json_flat.h"
#include "base/text.h"
#include "client/ends_advice.h"
#include "client/state.h"
#include "io/fd.h"
#include "io/file.h"
#include "tools/commands.h"

#define SHOWN_DEFAULT 5
#define SHOWN_MOST 10000

struct request {
    bool json, all;
    uint64_t most;
    const char *host;
};

static int usage(void) {
    fprintf(stderr, "usage: bowline why [-n N] [--all] [--json] [host]\n");
    return 2;
}

static bool parse(struct request *r, int argc, char **argv) {
    *r = (struct request){.most = SHOWN_DEFAULT};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            r->json = true;
        else if (strcmp(argv[i], "--all") == 0)
            r->all = true;
        else if (strcmp(argv[i], "-n") == 0 && i + 1 < argc &&
                 text_number(argv[i + 1], 1, SHOWN_MOST, &r->most))
            i++;
        else if (argv[i][0] == '-' || r->host != NULL)
            return false;
        else
            r->host = argv[i];
    }
    return true;
}

// ---- choosing ----

static bool is_about(struct view line, const char *host) {
    static const char *const members[] = {"host", "name", "address"};
    char text[1100];
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (json_flat_get(line, members[i], text, sizeof text) && strcmp(text, host) == 0)
            return true;
    return false;
}

// Sessions that ended by themselves or were ended here raise no question.
static bool is_wanted(struct view line, const struct request *r) {
    char class[32];
    if (!json_flat_get(line, "class", class, sizeof class) ||
        (r->host != NULL && !is_about(line, r->host)))
        return false;
    return r->all || (strcmp(class, ends_class_name(ENDS_EXIT)) != 0 &&
                      strcmp(class, ends_class_name(ENDS_USER)) != 0);
}

// The line before `end`; false at the file's start.
static bool previous_line(struct view text, size_t *end, struct view *line) {
    size_t to = *end;
    if (to == 0)
        return false;
    size_t stop = text.p[to - 1] == '\n' ? to - 1 : to, from = stop;
    while (from > 0 && text.p[from - 1] != '\n')
        from--;
    *line = view_of(text.p + from, stop - from);
    *end = from;
    return true;
}

// ---- words ----

// A member's text, cleaned: the journal is only a file.
static const char *get(struct view line, const char *name, char *out, size_t size) {
    char raw[1100];
    if (!json_flat_get(line, name, raw, sizeof raw))
        raw[0] = '\0';
    return text_clean(out, size, view_text(raw));
}

static void put_duration(uint64_t ms) {
    uint64_t s = ms / 1000;
    if (s < 120)
        printf("%.1f s", (double)ms / 1000);
    else if (s < 7200)
        printf("%llu min", (unsigned long long)(s / 60));
    else
        printf("%llu h %llu min", (unsigned long long)(s / 3600),
               (unsigned long long)(s % 3600 / 60));
}

static void put_fact(const char **between, const char *name, uint64_t ms) {
    if (ms == 0)
        return;
    printf("%s%s ", *between, name);
    put_duration(ms);
    *between = ", ";
}

static void put_way(struct view line) {
    char address[80];
    const char *between = "    ";
    uint64_t rtt = json_flat_u64(line, "rtt_us", 0),
             again = json_flat_u64(line, "retransmits", 0),
             probes = json_flat_u64(line, "probes", 0);
    put_fact(&between, "silent for", json_flat_u64(line, "silent_ms", 0));
    if (probes > 0)
        printf("%s%llu signs of life asked for in vain", between,
               (unsigned long long)probes);
    if (probes > 0)
        between = ", ";
    if (rtt > 0) {
        printf("%sround trip %.1f ms", between, (double)rtt / 1000);
        between = ", ";
    }
    if (again > 0) {
        printf("%s%llu segments sent again", between, (unsigned long long)again);
        between = ", ";
    }
    put_fact(&between, "this machine slept", json_flat_u64(line, "slept_ms", 0));
    if (*get(line, "address_gone", address, sizeof address) != '\0') {
        printf("%saddress %s gone", between, address);
        between = ", ";
    }
    if (between[0] == ',')
        printf("\n");
}

static void put_line(struct view line) {
    char when[32] = "?", host[300], user[200], class[32], phase[32], text[1100];
    time_t at = (time_t)json_flat_u64(line, "time", 0);
    struct tm tm;
    if (localtime_r(&at, &tm) != NULL)
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
    get(line, "class", class, sizeof class);
    printf("%s  %s@%s, %s, after ", when, get(line, "user", user, sizeof user),
           get(line, "host", host, sizeof host), get(line, "phase", phase, sizeof phase));
    put_duration(json_flat_u64(line, "lasted_ms", 0));
    printf("\n    %s", class);
    if (*get(line, "text", text, sizeof text) != '\0')
        printf(": %s", text);
    else if (strcmp(class, ends_class_name(ENDS_EXIT)) == 0)
        printf(": status %llu", (unsigned long long)json_flat_u64(line, "status", 0));
    printf("\n");
    put_way(line);
    if (ends_advice(class) != NULL)
        printf("    %s\n", ends_advice(class));
}

// ---- all of it ----

static int show(const struct request *r, struct view text) {
    struct view *lines = calloc(r->most, sizeof *lines), line;
    size_t n = 0, end = text.n;
    if (lines == NULL)
        return 1;
    while (n < r->most && previous_line(text, &end, &line))
        if (is_wanted(line, r))
            lines[n++] = line;
    // The newest last, where it is read first.
    for (size_t i = n; i-- > 0;) {
        if (!r->json)
            put_line(lines[i]);
        else
            printf("%.*s\n", (int)lines[i].n, (const char *)lines[i].p);
    }
    free(lines);
    if (n == 0 && !r->json)
        printf("no end of a session is on record%s%s\n", r->host != NULL ? " for " : "",
               r->host != NULL ? r->host : "");
    return fflush(stdout) == 0 ? 0 : 1;
}

int why_run(int argc, char **argv) {
    struct request r;
    const struct passwd *me = getpwuid(getuid());
    char folder[PATH_MAX], path[PATH_MAX];
    struct fault fault = {0};
    scoped_buf text = {0};
    if (!parse(&r, argc, argv))
        return usage();
    if (!state_path(me != NULL ? me->pw_dir : "/", ENDS_FILE, folder, path))
        return 1;
    enum err e = file_read(path, 0, 4 * ENDS_FILE_MAX, &text, &fault);
    if (e != OK && e != ERR_NOT_FOUND) {
        fprintf(stderr, "bowline: %s\n", fault_text(&fault));
        return 1;
    }
    return show(&r, buf_view(&text));
}
