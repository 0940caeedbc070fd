// Changes to key files: passphrase (-p), comment (-c); and the public half shown (-y).
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "io/file.h"
#include "io/prompt.h"
#include "tools/keygen.h"

static const char ask_file[] = "Enter file in which the key is";
static const char default_file[] = "id_ed25519";

static bool file_is_there(struct keygen *k) {
    if (!keygen_ask_file(k, ask_file, default_file))
        return false;
    return file_exists(k->file) ||
           keygen_fail("%s: No such file or directory", k->file) == 0;
}

static int save_with_new_passphrase(struct keygen *k, const struct key *key) {
    char pass[PROMPT_MAX], clean[1024];
    if (key->comment != NULL && key->comment[0] != '\0')
        printf("Key has comment '%s'\n",
               text_clean(clean, sizeof clean, view_text(key->comment)));
    if (!keygen_ask_new_passphrase(k, pass, sizeof pass))
        return KEYGEN_FAILED;
    bool ok = keygen_save_private(k, key, pass);
    secret_wipe(pass, sizeof pass);
    if (!ok)
        return 1;
    printf("Your identification has been saved with the new passphrase.\n");
    return 0;
}

// A PEM file has no comment in it; the file beside it may.
static void adopt_comment(const struct keygen *k, struct key *key) {
    struct key *pub;
    if ((key->comment != NULL && key->comment[0] != '\0') ||
        keygen_load_public(k->file, &pub, NULL) != OK)
        return;
    if (view_equal(key_blob(pub), key_blob(key)) && pub->comment != NULL)
        (void)!key_set_comment(key, view_text(pub->comment));
    key_free(pub);
}

// What a security key is to demand from now on, as far as its file decides that.
static bool change_flags(const struct keygen *k, struct key *key) {
    static const struct {
        const char *name;
        uint8_t set, cleared;
    } changes[] = {
        {"touch-required", KEY_HANDLE_TOUCH, 0},
        {"no-touch-required", 0, KEY_HANDLE_TOUCH},
        {"verify-required", KEY_HANDLE_VERIFY, 0},
        {"no-verify-required", 0, KEY_HANDLE_VERIFY},
    };
    for (size_t i = 0; i < k->option_count; i++) {
        size_t c = 0, n = sizeof changes / sizeof changes[0];
        while (c < n && strcasecmp(changes[c].name, k->options[i]) != 0)
            c++;
        if (c == n || !key->type->security_key)
            return keygen_fail("Option \"%s\" %s", k->options[i],
                               c == n ? "is unsupported when a key is changed"
                                      : "is for keys of security keys alone") == 0;
        key->handle_flags =
            (uint8_t)((key->handle_flags & ~changes[c].cleared) | changes[c].set);
    }
    return true;
}

int keygen_passphrase(struct keygen *k) {
    char pass[PROMPT_MAX];
    struct key *key;
    if (!file_is_there(k) || !keygen_load(k, "Enter old passphrase: ", &key, pass))
        return KEYGEN_FAILED;
    secret_wipe(pass, sizeof pass);
    adopt_comment(k, key);
    int status = change_flags(k, key) ? save_with_new_passphrase(k, key) : KEYGEN_FAILED;
    key_free(key);
    return status;
}

static bool is_openssh(const char *path) {
    scoped_buf text = {0};
    if (file_read(path, 0, LIMIT_KEY_FILE, &text, NULL) != OK)
        return false;
    struct view v = buf_view(&text);
    bool is = memmem(v.p, v.n, "BEGIN OPENSSH PRIVATE KEY", 25) != NULL;
    secret_wipe(text.p, text.room);
    return is;
}

static int save_with_comment(struct keygen *k, struct key *key, const char *pass) {
    char answer[1024], clean[1024];
    if (key->comment != NULL && key->comment[0] != '\0')
        printf("Old comment: %s\n",
               text_clean(clean, sizeof clean, view_text(key->comment)));
    else
        printf("No existing comment\n");
    const char *comment = k->comment;
    if (comment == NULL) {
        if (!keygen_ask_line("New comment: ", answer, sizeof answer))
            return KEYGEN_FAILED;
        comment = answer;
    }
    if (strpbrk(comment, "\r\n") != NULL)
        return keygen_fail("a comment is one line");
    if (key_set_comment(key, view_text(comment)) != OK ||
        !keygen_save_private(k, key, pass) || !keygen_save_public(k, key))
        return KEYGEN_FAILED;
    if (comment[0] != '\0')
        printf("Comment '%s' applied\n",
               text_clean(clean, sizeof clean, view_text(comment)));
    else
        printf("Comment removed\n");
    return 0;
}

int keygen_comment(struct keygen *k) {
    char pass[PROMPT_MAX];
    struct key *key;
    if (!file_is_there(k))
        return KEYGEN_FAILED;
    if (!is_openssh(k->file))
        return keygen_fail("%s: comments are only supported in OpenSSH's own key format",
                           k->file);
    if (!keygen_load(k, "Enter passphrase: ", &key, pass))
        return KEYGEN_FAILED;
    int status = save_with_comment(k, key, pass);
    secret_wipe(pass, sizeof pass);
    key_free(key);
    return status;
}

int keygen_public(struct keygen *k) {
    char pass[PROMPT_MAX];
    struct key *key;
    if (!file_is_there(k) || !keygen_load(k, "Enter passphrase: ", &key, pass))
        return KEYGEN_FAILED;
    secret_wipe(pass, sizeof pass);
    adopt_comment(k, key);
    scoped_buf text;
    buf_init(&text, LIMIT_KEY_FILE);
    enum err e = key_public_text(key, &text);
    key_free(key);
    if (e != OK)
        return keygen_fail("%s", err_text(e));
    struct view v = buf_view(&text);
    printf("%.*s\n", (int)v.n, (const char *)v.p);
    return 0;
}
