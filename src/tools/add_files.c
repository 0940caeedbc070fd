// Keys of files: added with their certificates, or removed.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "io/clock.h"
#include "io/fd.h"
#include "io/file.h"
#include "key/certificate.h"
#include "key/private_key.h"
#include "signer/enrolment.h"
#include "signer/security_key.h"
#include "tools/add.h"

#define EXPIRY_GRACE_S 300  // a certificate stays this much longer than it is valid
#define COMMENT_SIZE 1024

static const char *const standard[] = {
    "id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk",
};

static void wipe_buf(struct buf *b) {
    secret_wipe(b->p, b->room);
    buf_free(b);
}
#define scoped_secret_buf __attribute__((cleanup(wipe_buf))) struct buf

static const char *refusal(enum err e) {
    return e == ERR_REFUSED ? "agent refused operation" : err_text(e);
}

// ---- public files ----

static struct view first_line(struct view text) {
    const uint8_t *end = text.n > 0 ? memchr(text.p, '\n', text.n) : NULL;
    if (end != NULL)
        text.n = (size_t)(end - text.p);
    return text;
}

enum err add_read_public(const char *path, struct key **key, struct fault *f) {
    scoped_secret_buf text = {0};
    TRY(file_read(path, FILE_STREAM, LIMIT_KEY_FILE, &text, f));
    enum err e = key_from_public_text(key, first_line(buf_view(&text)), f);
    struct fault ignored = {0};
    if (e != OK && private_key_public_half(key, buf_view(&text), &ignored) == OK)
        return OK;
    return e;
}

// ---- private files ----

static bool too_open(const char *path, int fd) {
    static const char line[] =
        "@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@";
    struct stat st;
    struct fault f = {0};
    if (file_check_private(fd, path, &f) == OK || fstat(fd, &st) != 0)
        return false;
    add_say("%s\n@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\n%s", line,
            line);
    add_say("Permissions 0%3.3o for '%s' are too open.", (unsigned)st.st_mode & 0777,
            path);
    add_say("It is required that your private key files are NOT accessible by others.\n"
            "This private key will be ignored.");
    return true;
}

static bool read_file_text(const char *path, struct buf *text) {
    struct fault f = {0};
    scoped_fd fd = -1;
    if (strcmp(path, "-") == 0) {
        struct span room;
        size_t n = 0;
        buf_init(text, LIMIT_KEY_FILE);
        if (buf_reserve(text, LIMIT_KEY_FILE, &room) != OK ||
            fd_read_full(STDIN_FILENO, room, &n) != OK)
            return add_say("(stdin): it cannot be read") == 0;
        buf_added(text, n);
        return true;
    }
    errno = 0;
    enum err e = file_open(path, FILE_STREAM, &fd, &f);
    if (e == ERR_NOT_FOUND)
        return add_say("%s: %s", path, strerror(ENOENT)) == 0;
    if (e == OK && too_open(path, fd))
        return false;
    if (e == OK)
        e = file_read_fd(fd, path, LIMIT_KEY_FILE, text, &f);
    return e == OK || add_say("%s", fault_text(&f)) == 0;
}

// The key, asking for its passphrase until it is right or empty.
static bool open_key(struct add *a, const char *path, struct view text,
                     struct key **key) {
    char question[PATH_MAX + 80];
    const char *confirm = a->constraints.confirm ? " (will confirm each use)" : "";
    struct fault f = {0};
    enum err e = private_key_parse(key, text, (struct view){0}, &f);
    if (e == ERR_PASSPHRASE && a->passphrase[0] != '\0')
        e = private_key_parse(key, text, view_text(a->passphrase), NULL);
    for (bool first = true; e == ERR_PASSPHRASE; first = false) {
        secret_wipe(a->passphrase, sizeof a->passphrase);
        snprintf(question, sizeof question, "%s%s%s: ",
                 first ? "Enter passphrase for " : "Bad passphrase, try again for ", path,
                 confirm);
        fault_clear(&f);
        if (prompt_ask(question, PROMPT_STDIN, a->passphrase, PROMPT_MAX, &f) != OK ||
            a->passphrase[0] == '\0')
            return false;
        fault_clear(&f);
        e = private_key_parse(key, text, view_text(a->passphrase), &f);
    }
    return e == OK || add_say("Error loading key \"%s\": %s", path, fault_text(&f)) == 0;
}

// ---- adding ----

static enum err send(struct add *a, const struct key *key, const struct key *certificate,
                     const char *comment, const struct agent_constraints *c) {
    scoped_secret_buf request;
    buf_init(&request, AGENT_MESSAGE_MAX);
    TRY(agent_ask_add(key, certificate, comment, c, &request));
    return agent_link_do(&a->agent, &request);
}

static void say_constraints(const struct add *a, const struct agent_constraints *c) {
    if (a->quiet)
        return;
    if (c->lifetime_s != 0)
        add_say("Lifetime set to %u seconds", c->lifetime_s);
    if (c->confirm)
        add_say("The user must confirm each use of the key");
}

// No longer than the certificate is of use.
static void limit_lifetime(const struct add *a, const struct certificate *c,
                           struct agent_constraints *constraints) {
    uint64_t now = clock_wall_s(), left = 1;
    if (a->no_expiry || c->valid_before == CERTIFICATE_FOR_EVER)
        return;
    if (c->valid_before + EXPIRY_GRACE_S > now)
        left = c->valid_before + EXPIRY_GRACE_S - now;
    if (left < UINT32_MAX &&
        (constraints->lifetime_s == 0 || left < constraints->lifetime_s))
        constraints->lifetime_s = (uint32_t)left;
}

static int add_certificate(struct add *a, const char *path, const struct key *key,
                           const char *comment) {
    char beside[PATH_MAX + 16], id[512];
    struct key *certificate = NULL;
    struct fault f = {0};
    snprintf(beside, sizeof beside, "%s-cert.pub", path);
    enum err e = add_read_public(beside, &certificate, &f);
    if (e == ERR_NOT_FOUND)
        return 0;
    if (e != OK)
        return add_say("Failed to load certificate \"%s\": %s", beside, fault_text(&f));
    struct agent_constraints c = a->constraints;
    if (certificate->certificate == NULL ||
        !view_equal(key_plain_blob(certificate), key_blob(key))) {
        add_say("Certificate %s does not match private key %s", beside, path);
        key_free(certificate);
        return ADD_FAILED;
    }
    text_clean(id, sizeof id, certificate->certificate->key_id);
    limit_lifetime(a, certificate->certificate, &c);
    e = send(a, key, certificate, comment, &c);
    if (e != OK)
        add_say("Certificate %s (%s) add failed: %s", beside, id, refusal(e));
    else if (!a->quiet)
        add_say("Certificate added: %s (%s)", beside, id);
    if (e == OK)
        say_constraints(a, &c);
    key_free(certificate);
    return e == OK ? 0 : ADD_FAILED;
}

static int add_key(struct add *a, const char *path, struct key *key) {
    char comment[COMMENT_SIZE];
    bool security = key->type->security_key;
    const char *text =
        key->comment != NULL && key->comment[0] != '\0' ? key->comment : path;
    text_clean(comment, sizeof comment, view_text(text));
    if (security)
        a->constraints.provider = view_text(security_key_provider(a->provider));
    else
        a->constraints.provider = (struct view){0};
    int status = 0;
    if (!a->certificates_only) {
        enum err e = send(a, key, NULL, comment, &a->constraints);
        if (e != OK)
            status = add_say("Could not add identity \"%s\": %s", path, refusal(e));
        else if (!a->quiet)
            add_say("Identity added: %s (%s)", path, comment);
        if (e == OK)
            say_constraints(a, &a->constraints);
    }
    if (!a->plain_only && strcmp(path, "(stdin)") != 0)
        status |= add_certificate(a, path, key, comment);
    return status;
}

static int add_file(struct add *a, const char *path) {
    scoped_secret_buf text = {0};
    struct key *key = NULL;
    const char *name = strcmp(path, "-") == 0 ? "(stdin)" : path;
    if (!read_file_text(path, &text) || !open_key(a, name, buf_view(&text), &key))
        return ADD_FAILED;
    int status = add_key(a, name, key);
    key_free(key);
    return status;
}

// ---- removing ----

static int remove_key(struct add *a, const char *path, const struct key *key) {
    char comment[512];
    scoped_buf request;
    buf_init(&request, LIMIT_CERTIFICATE + 64);
    struct writer w = writer_to_buf(&request);
    agent_encode(&w, AGENTC_REMOVE_IDENTITY, &(struct agent_remove){key_blob(key)});
    enum err e = writer_end(&w);
    if (e == OK)
        e = agent_link_do(&a->agent, &request);
    if (e != OK)
        return add_say("Could not remove identity \"%s\": %s", path, refusal(e));
    text_clean(comment, sizeof comment,
               view_text(key->comment != NULL ? key->comment : ""));
    if (!a->quiet)
        add_say("Identity removed: %s %s (%s)", path, key->type->short_name, comment);
    return 0;
}

static int remove_stdin(struct add *a) {
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    int status = 0;
    for (unsigned number = 1; (n = getline(&line, &room, stdin)) > 0; number++) {
        struct key *key = NULL;
        struct view v = first_line(view_of(line, (size_t)n));
        if (v.n == 0 || v.p[0] == '#')
            continue;
        if (key_from_public_text(&key, v, NULL) != OK)
            status = add_say("(stdin):%u: invalid key: invalid format", number);
        else
            status |= remove_key(a, "(stdin)", key);
        key_free(key);
    }
    free(line);
    return status;
}

// The public half beside a private file, or the file itself.
static enum err read_beside(const char *path, struct key **key, struct fault *f) {
    char beside[PATH_MAX + 16];
    struct fault ignored = {0};
    snprintf(beside, sizeof beside, "%s.pub", path);
    if (file_exists(beside) && add_read_public(beside, key, &ignored) == OK)
        return OK;
    return add_read_public(path, key, f);
}

static int remove_file(struct add *a, const char *path) {
    char beside[PATH_MAX + 16];
    struct key *key = NULL, *certificate = NULL;
    struct fault f = {0};
    int status = 0;
    if (strcmp(path, "-") == 0)
        return remove_stdin(a);
    if (read_beside(path, &key, &f) != OK)
        return add_say("Bad key file %s: %s", path, fault_reason(&f, path));
    if (!a->certificates_only)
        status = remove_key(a, path, key);
    snprintf(beside, sizeof beside, "%s-cert.pub", path);
    if (!a->plain_only && key->certificate == NULL && file_exists(beside) &&
        add_read_public(beside, &certificate, &f) == OK)
        status |= remove_key(a, beside, certificate);
    key_free(certificate);
    key_free(key);
    return status;
}

// ---- all ----

static int do_file(struct add *a, const char *path) {
    return a->remove ? remove_file(a, path) : add_file(a, path);
}

static int do_standard(struct add *a) {
    char path[PATH_MAX + 32];
    size_t done = 0;
    int status = 0;
    for (size_t i = 0; i < sizeof standard / sizeof standard[0]; i++) {
        snprintf(path, sizeof path, "%s/.ssh/%s", a->home, standard[i]);
        if (!file_exists(path))
            continue;
        done++;
        status |= do_file(a, path);
    }
    return done > 0 ? status : ADD_FAILED;
}

int add_files(struct add *a) {
    int status = 0;
    if (a->args_n == 0)
        return do_standard(a);
    for (size_t i = 0; i < a->args_n; i++)
        status |= do_file(a, a->args[i]);
    return status;
}

// ---- keys that a security key holds ----

static int add_one_resident(struct add *a, const struct enrolment *e) {
    char comment[COMMENT_SIZE], print[KEY_FINGERPRINT_SIZE];
    text_clean(comment, sizeof comment, e->key->application);
    a->constraints.provider = view_text(security_key_provider(a->provider));
    key_fingerprint(print, sizeof print, key_blob(e->key), a->hash);
    enum err sent = send(a, e->key, NULL, "", &a->constraints);
    if (sent != OK)
        return add_say("Unable to add key %s %s: %s", e->key->type->short_name, print,
                       refusal(sent));
    if (!a->quiet)
        add_say("Resident identity added: %s %s (%s)", e->key->type->short_name, print,
                comment);
    say_constraints(a, &a->constraints);
    return 0;
}

int add_resident(struct add *a) {
    struct enrolments list = {0};
    struct fault f = {0};
    int status = 0;
    if (prompt_ask("Enter PIN for authenticator: ", PROMPT_STDIN, a->passphrase,
                   PROMPT_MAX, &f) != OK)
        return add_say("Unable to load resident keys: %s", fault_text(&f));
    enum err e =
        enrolments_read(security_key_provider(a->provider), "", a->passphrase, &list, &f);
    secret_wipe(a->passphrase, sizeof a->passphrase);
    if (e != OK)
        return add_say("Unable to load resident keys: %s", fault_text(&f));
    if (list.n == 0)
        status = add_say("No keys to download");
    for (size_t i = 0; i < list.n; i++)
        status |= add_one_resident(a, &list.at[i]);
    enrolments_free(&list);
    return status;
}
