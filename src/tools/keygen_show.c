// Fingerprints (-l, -B): of key files, of authorized_keys and of known_hosts, line by
// line.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/secret.h"
#include "io/file.h"
#include "key/authorized_keys.h"
#include "key/known_hosts.h"
#include "tools/keygen.h"

static bool print_and_free(const struct keygen *k, struct key *key, const char *comment) {
    keygen_print_fingerprint(k, key, comment != NULL ? comment : key->comment);
    key_free(key);
    return true;
}

static bool try_known_hosts(const struct keygen *k, struct view text) {
    struct known_hosts_file file = {k->file, text};
    struct known_hosts_cursor c = known_hosts_cursor_of(&file);
    struct known_hosts_line line;
    struct key *key;
    char hosts[1024];
    if (known_hosts_next(&c, &line) != KNOWN_HOSTS_ENTRY)
        return false;
    // From the type on it is a public key's line.
    struct view rest = view_of(line.type.p, (size_t)(text.p + text.n - line.type.p));
    if (key_type_find(line.type) == NULL || key_from_public_text(&key, rest, NULL) != OK)
        return false;
    snprintf(hosts, sizeof hosts, "%.*s", (int)line.hosts.n, (const char *)line.hosts.p);
    return print_and_free(k, key,
                          key->comment != NULL && key->comment[0] != '\0' ? NULL : hosts);
}

static bool try_line(const struct keygen *k, struct view text) {
    struct authkey_line line;
    struct key *key;
    if (key_from_public_text(&key, text, NULL) == OK)
        return print_and_free(k, key, NULL);
    if (try_known_hosts(k, text))
        return true;
    if (authkey_parse(&line, text, k->file, 1, NULL) != OK)
        return false;
    keygen_print_fingerprint(k, line.key, line.key->comment);
    authkey_free(&line);
    return true;
}

static bool print_lines(const struct keygen *k, struct view text) {
    bool any = false;
    while (text.n > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
        any |= try_line(k, view_of(text.p, n));
        n += end != NULL;
        text = view_of(text.p + n, text.n - n);
    }
    return any;
}

// The key of a file that needs no passphrase: only so its comment is seen, and of a PEM
// file anything at all.
static struct key *open_private(const struct keygen *k) {
    scoped_buf text = {0};
    struct key *key = NULL;
    if (file_read(k->file, FILE_STREAM, LIMIT_KEY_FILE, &text, NULL) != OK ||
        private_key_parse(&key, buf_view(&text), (struct view){0}, NULL) != OK)
        key = NULL;
    secret_wipe(text.p, text.room);
    return key;
}

static bool print_private(const struct keygen *k) {
    struct key *key = NULL;
    if (keygen_load_public(k->file, &key, NULL) != OK)
        key = NULL;
    struct key *whole = key == NULL || key->comment == NULL || key->comment[0] == '\0'
                            ? open_private(k)
                            : NULL;
    if (whole != NULL) {
        key_free(key);
        key = whole;
    }
    return key != NULL && print_and_free(k, key, NULL);
}

int keygen_fingerprint(struct keygen *k) {
    scoped_buf text = {0};
    if (!keygen_ask_file(k, "Enter file in which the key is", "id_ed25519"))
        return KEYGEN_FAILED;
    bool from_input = strcmp(k->file, "-") == 0;
    if (!keygen_read_file(k->file, LIMIT_KNOWN_HOSTS, &text))
        return KEYGEN_FAILED;
    struct view v = buf_view(&text);
    bool private = v.n > 0 && memmem(v.p, v.n, "-----BEGIN ", 11) != NULL && !from_input;
    bool shown = private ? print_private(k) : print_lines(k, v);
    secret_wipe(text.p, text.room);
    return shown ? 0 : keygen_fail("%s is not a public key file.", k->file);
}
