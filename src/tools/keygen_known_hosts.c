// known_hosts files: find (-F), remove (-R), hash (-H).
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/file.h"
#include "key/known_hosts.h"
#include "tools/keygen.h"

// The file that the command is about, and the name it looks for.
struct job {
    struct keygen *k;
    char path[KEYGEN_PATH + 32];
    char name[1024];
    struct buf text;
    struct known_hosts_file file;
};

static bool job_open(struct job *j, struct keygen *k) {
    struct fault f = {0};
    *j = (struct job){.k = k};
    if (k->file != NULL)
        snprintf(j->path, sizeof j->path, "%s", k->file);
    else
        snprintf(j->path, sizeof j->path, "%s/.ssh/known_hosts", k->home);
    if (k->host != NULL && known_hosts_name(j->name, sizeof j->name, k->host, 0) != OK)
        return keygen_fail("the host name is too long") == 0;
    if (!file_exists(j->path))
        return keygen_fail("Cannot stat %s: No such file or directory", j->path) == 0;
    if (file_read(j->path, FILE_STREAM, LIMIT_KNOWN_HOSTS, &j->text, &f) != OK)
        return keygen_fail("%s", fault_text(&f)) == 0;
    j->file = (struct known_hosts_file){j->path, buf_view(&j->text)};
    return true;
}

static void note_damaged(const struct known_hosts_line *line) {
    fprintf(stderr, "%s:%lu: invalid line\n", line->file, line->number);
}

// A file with a line that nobody understands may be none of known_hosts at all.
static int refuse_damaged(const struct job *j) {
    keygen_fail("%s is not a valid known_hosts file: it is left as it is", j->path);
    return 1;
}

// --- hashing
// -----------------------------------------------------------------------------------

static bool hashable(const struct known_hosts_line *line) {
    if (known_hosts_line_hashed(line) || line->marker != KNOWN_HOSTS_PLAIN)
        return false;
    if (memchr(line->hosts.p, '*', line->hosts.n) == NULL &&
        memchr(line->hosts.p, '?', line->hosts.n) == NULL &&
        memchr(line->hosts.p, '!', line->hosts.n) == NULL)
        return true;
    fprintf(stderr, "%s:%lu: ignoring host name with wildcard: %.*s\n", line->file,
            line->number, (int)line->hosts.n, (const char *)line->hosts.p);
    return false;
}

// A line of its own for each name, so that the names do not betray each other.
static enum err hash_line(const struct known_hosts_line *line, struct buf *out) {
    struct view list = line->hosts;
    const uint8_t *behind = line->hosts.p + line->hosts.n;
    while (list.n > 0) {
        char one[1024], name[1024];
        const uint8_t *comma = memchr(list.p, ',', list.n);
        size_t n = comma != NULL ? (size_t)(comma - list.p) : list.n;
        if (n > 0) {
            if (!text_copy(one, sizeof one, view_of(list.p, n)))
                return ERR_LIMIT;
            TRY(known_hosts_name(name, sizeof name, one, 0));
            TRY(known_hosts_hash_name(name, out));
            TRY(buf_append(
                out, view_of(behind, (size_t)(line->text.p + line->text.n - behind))));
            TRY(buf_append(out, view_text("\n")));
        }
        n += comma != NULL;
        list = view_of(list.p + n, list.n - n);
    }
    return OK;
}

// --- -F
// ----------------------------------------------------------------------------------------

static const char *marker_text(enum known_hosts_marker marker) {
    static const char *const texts[] = {"", "CA", "REVOKED"};
    return texts[marker];
}

static struct key *key_of(const struct known_hosts_line *line) {
    struct key *key;
    struct view rest =
        view_of(line->type.p, (size_t)(line->text.p + line->text.n - line->type.p));
    return key_from_public_text(&key, rest, NULL) == OK ? key : NULL;
}

static void print_found_fingerprint(const struct job *j,
                                    const struct known_hosts_line *line) {
    char text[KEY_FINGERPRINT_SIZE], art[KEY_ART_SIZE], clean[1024];
    struct key *key = key_of(line);
    if (key == NULL)
        return;
    printf("%s %s %s%s%s\n", j->k->host, key->type->short_name,
           key_fingerprint(text, sizeof text, key_blob(key), j->k->hash),
           line->comment.n > 0 ? " " : "",
           text_clean(clean, sizeof clean, line->comment));
    if (j->k->verbose)
        printf("%s\n", key_art(art, key, j->k->hash));
    key_free(key);
}

// A line for each of its names.
static bool print_found_hashed(const struct known_hosts_line *line) {
    scoped_buf lines;
    buf_init(&lines, LIMIT_KNOWN_HOSTS);
    if (hash_line(line, &lines) != OK)
        return false;
    printf("%.*s", (int)buf_len(&lines), (const char *)buf_view(&lines).p);
    return true;
}

static bool print_found(const struct job *j, const struct known_hosts_line *line) {
    if (!j->k->quiet)
        printf("# Host %s found: line %lu %s\n", j->k->host, line->number,
               marker_text(line->marker));
    if (j->k->fingerprint)
        print_found_fingerprint(j, line);
    else if (j->k->hash_hosts && hashable(line))
        return print_found_hashed(line);
    else
        printf("%.*s\n", (int)line->text.n, (const char *)line->text.p);
    return true;
}

int keygen_find_host(struct keygen *k) {
    struct job j;
    struct known_hosts_line line;
    enum known_hosts_kind kind;
    size_t found = 0;
    if (!job_open(&j, k))
        return KEYGEN_FAILED;
    struct known_hosts_cursor c = known_hosts_cursor_of(&j.file);
    while ((kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END) {
        if (kind == KNOWN_HOSTS_DAMAGED)
            note_damaged(&line);
        if (kind != KNOWN_HOSTS_ENTRY || !known_hosts_line_matches(&line, j.name))
            continue;
        found += print_found(&j, &line);
    }
    buf_free(&j.text);
    return found > 0 ? 0 : 1;
}

// --- writing back
// ------------------------------------------------------------------------------

static bool copy_aside(const struct job *j, const char *old, mode_t mode) {
    struct fault f = {0};
    return file_write(old, j->file.text, mode, &f) == OK ||
           keygen_fail("%s", fault_text(&f)) == 0;
}

// The old file goes to FILE.old, then the new one into its place, in one step.
static int replace(const struct job *j, struct view text) {
    char old[sizeof j->path + 8];
    struct fault f = {0};
    struct stat st;
    mode_t mode = stat(j->path, &st) == 0 ? st.st_mode & 0777 : 0600;
    snprintf(old, sizeof old, "%s.old", j->path);
    if (!copy_aside(j, old, mode))
        return KEYGEN_FAILED;
    if (file_write(j->path, text, mode, &f) != OK)
        return keygen_fail("%s", fault_text(&f));
    if (!j->k->quiet) {
        printf("%s updated.\n", j->path);
        printf("Original contents retained as %s\n", old);
    }
    return 0;
}

// --- -R
// ----------------------------------------------------------------------------------------

// Says what will go; false when the file is damaged.
static bool tell_removed(const struct job *j) {
    struct known_hosts_cursor c = known_hosts_cursor_of(&j->file);
    struct known_hosts_line line;
    enum known_hosts_kind kind;
    bool damaged = false;
    while ((kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END) {
        if (kind == KNOWN_HOSTS_DAMAGED)
            note_damaged(&line);
        damaged |= kind == KNOWN_HOSTS_DAMAGED;
        if (kind != KNOWN_HOSTS_ENTRY || !known_hosts_line_matches(&line, j->name))
            continue;
        if (line.marker != KNOWN_HOSTS_PLAIN)
            fprintf(stderr,
                    "%s:%lu: a line with a marker (%s) stays: use a text editor\n",
                    j->path, line.number, marker_text(line.marker));
        else if (!j->k->quiet)
            printf("# Host %s found: line %lu\n", j->k->host, line.number);
    }
    return !damaged;
}

int keygen_remove_host(struct keygen *k) {
    struct job j;
    size_t removed;
    if (!job_open(&j, k))
        return KEYGEN_FAILED;
    scoped_buf out;
    buf_init(&out, LIMIT_KNOWN_HOSTS);
    int status = KEYGEN_FAILED;
    bool whole = tell_removed(&j);
    enum err e = known_hosts_remove(&j.file, j.name, &out, &removed);
    if (!whole) {
        status = refuse_damaged(&j);
    } else if (e != OK) {
        keygen_fail("%s", err_text(e));
    } else if (removed == 0) {
        fprintf(stderr, "Host %s not found in %s\n", k->host, j.path);
        status = 0;
    } else {
        status = replace(&j, buf_view(&out));
    }
    buf_free(&j.text);
    return status;
}

// --- -H
// ----------------------------------------------------------------------------------------

// ERR_FORMAT: the file is damaged.
static enum err hash_all(const struct job *j, struct buf *out, size_t *hashed) {
    struct known_hosts_cursor c = known_hosts_cursor_of(&j->file);
    struct known_hosts_line line;
    enum known_hosts_kind kind;
    *hashed = 0;
    for (size_t from = 0; (kind = known_hosts_next(&c, &line)) != KNOWN_HOSTS_END;
         from = c.at) {
        if (kind == KNOWN_HOSTS_DAMAGED) {
            note_damaged(&line);
            return ERR_FORMAT;
        }
        if (kind == KNOWN_HOSTS_ENTRY && hashable(&line)) {
            TRY(hash_line(&line, out));
            (*hashed)++;
        } else {
            TRY(buf_append(out, view_of(j->file.text.p + from, c.at - from)));
        }
    }
    return OK;
}

int keygen_hash_hosts(struct keygen *k) {
    struct job j;
    size_t hashed;
    if (!job_open(&j, k))
        return KEYGEN_FAILED;
    scoped_buf out;
    buf_init(&out, LIMIT_KNOWN_HOSTS);
    int status = 0;
    enum err e = hash_all(&j, &out, &hashed);
    if (e == ERR_FORMAT)
        status = refuse_damaged(&j);
    else if (e != OK)
        status = keygen_fail("%s", err_text(e));
    else if (hashed > 0)
        status = replace(&j, buf_view(&out));
    if (status == 0 && hashed > 0)
        fprintf(stderr,
                "WARNING: %s.old contains unhashed entries\n"
                "Delete this file to ensure privacy of hostnames\n",
                j.path);
    buf_free(&j.text);
    return status;
}
