// What the commands of ssh-keygen share: questions, key files, fingerprints.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/registry.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/prompt.h"
#include "tools/keygen.h"

static const struct keygen_type types[] = {
    {"rsa", "id_rsa", PK_RSA, 3072, NULL},
    {"ecdsa", "id_ecdsa", PK_ECDSA, 256, NULL},
    {"ed25519", "id_ed25519", PK_ED25519, 256, NULL},
    {"ecdsa-sk", "id_ecdsa_sk", PK_ECDSA, 256, "sk-ecdsa-sha2-nistp256@openssh.com"},
    {"ed25519-sk", "id_ed25519_sk", PK_ED25519, 256, "sk-ssh-ed25519@openssh.com"},
};

const struct keygen_type *keygen_type_at(size_t index) {
    return index < sizeof types / sizeof types[0] ? &types[index] : NULL;
}

// Of "rsa-sha2-256" the key is an RSA one, too.
static const struct key_type *type_of_name(const char *name) {
    const struct alg *a = alg_find(ALG_SIGNATURE, view_text(name));
    if (a != NULL && a->signature->kind == PK_RSA)
        return key_type_find(view_text("ssh-rsa"));
    return key_type_find(view_text(name));
}

const struct keygen_type *keygen_type_find(const char *name) {
    const struct key_type *by_blob = type_of_name(name);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (strcasecmp(types[i].name, name) == 0 ||
            (by_blob != NULL && by_blob->plain == NULL &&
             by_blob->security_key == (types[i].security_type != NULL) &&
             by_blob->kind == types[i].kind))
            return &types[i];
    }
    return NULL;
}

bool keygen_ask_line(const char *question, char *out, size_t size) {
    fputs(question, stdout);
    fflush(stdout);
    if (fgets(out, (int)size, stdin) == NULL)
        return false;
    out[strcspn(out, "\n")] = '\0';
    return true;
}

bool keygen_ask_file(struct keygen *k, const char *question, const char *name) {
    static char answer[KEYGEN_PATH], text[2 * KEYGEN_PATH + 64], path[KEYGEN_PATH + 32];
    if (k->file != NULL)
        return true;
    snprintf(path, sizeof path, "%s/.ssh/%s", k->home, name);
    snprintf(text, sizeof text, "%s (%s): ", question, path);
    if (!keygen_ask_line(text, answer, sizeof answer))
        return false;
    k->file = answer[0] != '\0' ? answer : path;
    return true;
}

bool keygen_may_write(const char *path) {
    char answer[16];
    if (!file_exists(path))
        return true;
    printf("%s already exists.\n", path);
    return keygen_ask_line("Overwrite (y/n)? ", answer, sizeof answer) &&
           (answer[0] == 'y' || answer[0] == 'Y');
}

// --- passphrases
// -------------------------------------------------------------------------------

static bool ask_secret(const char *question, char *out) {
    struct fault f = {0};
    fflush(stdout);
    if (prompt_ask(question, PROMPT_STDIN, out, PROMPT_MAX, &f) == OK)
        return true;
    keygen_fail("no passphrase: %s", fault_text(&f));
    return false;
}

bool keygen_ask_new_passphrase(const struct keygen *k, char *out, size_t size) {
    char again[PROMPT_MAX];
    if (k->new_pass != NULL)
        return text_copy(out, size, view_text(k->new_pass)) ||
               keygen_fail("the passphrase is too long") == 0;
    const char *question = k->command == 'p'
                               ? "Enter new passphrase (empty for no passphrase): "
                               : "Enter passphrase (empty for no passphrase): ";
    for (;;) {
        if (!ask_secret(question, out) ||
            !ask_secret("Enter same passphrase again: ", again)) {
            secret_wipe(out, size);
            return false;
        }
        bool same = strcmp(out, again) == 0;
        secret_wipe(again, sizeof again);
        if (same)
            return true;
        printf("Passphrases do not match.  Try again.\n");
    }
}

// --- key files
// ---------------------------------------------------------------------------------

static void wipe_buf(struct buf *b) {
    secret_wipe(b->p, b->room);
    buf_free(b);
}
#define scoped_secret_buf __attribute__((cleanup(wipe_buf))) struct buf

static bool read_private(const char *path, struct buf *text) {
    struct fault f = {0};
    scoped_fd fd = -1;
    enum err e = file_open(path, FILE_STREAM, &fd, &f);
    if (e == OK)
        e = file_check_private(fd, path, &f);
    if (e == OK)
        e = file_read_fd(fd, path, LIMIT_KEY_FILE, text, &f);
    if (e != OK)
        keygen_fail("%s", fault_text(&f));
    return e == OK;
}

static struct view text_or_none(const char *pass) {
    return pass != NULL ? view_text(pass) : (struct view){0};
}

bool keygen_load(const struct keygen *k, const char *question, struct key **key,
                 char *pass) {
    scoped_secret_buf text = {0};
    struct fault f = {0};
    pass[0] = '\0';
    if (!read_private(k->file, &text))
        return false;
    enum err e = private_key_parse(key, buf_view(&text), (struct view){0}, &f);
    if (e == ERR_PASSPHRASE) {
        if (k->old_pass == NULL && !ask_secret(question, pass))
            return false;
        if (k->old_pass != NULL && !text_copy(pass, PROMPT_MAX, view_text(k->old_pass)))
            return keygen_fail("the passphrase is too long") == 0;
        fault_clear(&f);
        e = private_key_parse(key, buf_view(&text), text_or_none(pass), &f);
    }
    if (e == ERR_PASSPHRASE)
        keygen_fail(
            "Failed to load key %s: incorrect passphrase supplied to decrypt private key",
            k->file);
    else if (e != OK)
        keygen_fail("Failed to load key %s: %s", k->file, fault_text(&f));
    if (e != OK)
        secret_wipe(pass, PROMPT_MAX);
    return e == OK;
}

static bool format_of(const struct keygen *k, enum private_key_format *format) {
    static const struct {
        const char *name;
        enum private_key_format format;
    } formats[] = {{"RFC4716", PRIVATE_KEY_OPENSSH},
                   {"PKCS8", PRIVATE_KEY_PKCS8},
                   {"PEM", PRIVATE_KEY_PEM}};
    *format = PRIVATE_KEY_OPENSSH;
    for (size_t i = 0; k->format != NULL && i < sizeof formats / sizeof formats[0]; i++) {
        if (strcasecmp(formats[i].name, k->format) == 0) {
            *format = formats[i].format;
            return true;
        }
    }
    return k->format == NULL ||
           keygen_fail("Unsupported key format \"%s\"", k->format) == 0;
}

// A file that is there was asked about: it is replaced in one step; else none may come
// between.
static enum err write_file(const char *path, struct view v, mode_t mode,
                           struct fault *f) {
    return file_exists(path) ? file_write(path, v, mode, f)
                             : file_create(path, v, mode, f);
}

// Keys that have no such form (Ed25519 no PEM, security keys neither) are written in
// OpenSSH's, as by OpenSSH.
static enum err write_in_format(const struct key *key, struct private_key_options *o,
                                struct buf *out, struct fault *f) {
    struct fault ignored = {0};
    if (key->handle != NULL)
        o->format = PRIVATE_KEY_OPENSSH;
    if (o->format != PRIVATE_KEY_PEM)
        return private_key_write(key, o, out, f);
    enum err e = private_key_write(key, o, out, &ignored);
    if (e != ERR_UNSUPPORTED)
        return e;
    o->format = PRIVATE_KEY_OPENSSH;
    return private_key_write(key, o, out, f);
}

bool keygen_save_private(const struct keygen *k, const struct key *key,
                         const char *pass) {
    struct private_key_options o = {
        .passphrase = view_text(pass), .cipher = k->cipher, .rounds = k->rounds};
    if (!format_of(k, &o.format))
        return false;
    scoped_secret_buf text;
    struct span room;
    struct fault f = {0};
    buf_init(&text, LIMIT_KEY_FILE);
    // All the room at once: growing would leave copies behind.
    enum err e = buf_reserve(&text, 128u * 1024u, &room);
    if (e == OK)
        e = write_in_format(key, &o, &text, &f);
    if (e == OK)
        e = write_file(k->file, buf_view(&text), 0600, &f);
    if (e != OK)
        keygen_fail("Saving key \"%s\" failed: %s", k->file,
                    f.text[0] != '\0' ? f.text : err_text(e));
    return e == OK;
}

bool keygen_save_public(const struct keygen *k, const struct key *key) {
    char path[KEYGEN_PATH + 8];
    scoped_buf text;
    struct fault f = {0};
    snprintf(path, sizeof path, "%s.pub", k->file);
    buf_init(&text, LIMIT_KEY_FILE);
    enum err e = key_public_text(key, &text);
    if (e == OK)
        e = buf_append(&text, view_text("\n"));
    if (e == OK)
        e = write_file(path, buf_view(&text), 0644, &f);
    if (e != OK)
        keygen_fail("Unable to save public key to %s: %s", path,
                    f.text[0] != '\0' ? f.text : err_text(e));
    return e == OK;
}

static enum err public_of_text(struct view text, struct key **key, struct fault *f) {
    const uint8_t *end = memchr(text.p, '\n', text.n);
    struct view line = view_of(text.p, end != NULL ? (size_t)(end - text.p) : text.n);
    if (memmem(text.p, text.n, "-----BEGIN ", 11) != NULL)
        return private_key_public_half(key, text, f);
    return key_from_public_text(key, line, f);
}

enum err keygen_load_public(const char *path, struct key **key, struct fault *f) {
    char pub[KEYGEN_PATH + 8];
    scoped_secret_buf text = {0};
    snprintf(pub, sizeof pub, "%s.pub", path);
    // The file beside a private one knows the comment.
    if (file_read(pub, 0, LIMIT_KEY_FILE, &text, NULL) == OK &&
        public_of_text(buf_view(&text), key, NULL) == OK)
        return OK;
    wipe_buf(&text);
    TRY(file_read(path, FILE_STREAM, LIMIT_KEY_FILE, &text, f));
    return public_of_text(buf_view(&text), key, f);
}

void keygen_print_fingerprint(const struct keygen *k, const struct key *key,
                              const char *comment) {
    char text[KEY_FINGERPRINT_SIZE], art[KEY_ART_SIZE], clean[1024];
    if (k->command == 'B')
        key_bubblebabble(text, sizeof text, key_plain_blob(key));
    else
        key_fingerprint(text, sizeof text, key_plain_blob(key), k->hash);
    printf("%u %s %s (%s)\n", pk_bits(key->pk), text,
           comment != NULL && comment[0] != '\0'
               ? text_clean(clean, sizeof clean, view_text(comment))
               : "no comment",
           key->type->short_name);
    if (k->verbose)
        printf("%s\n", key_art(art, key, k->hash));
}
