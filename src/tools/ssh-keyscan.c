// ssh-keyscan: asks servers for their host keys.
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "crypto/crypto.h"
#include "io/fd.h"
#include "io/process.h"
#include "key/key.h"
#include "tools/keyscan.h"
#include "wire/messages.h"

#define CERT "-cert-v01@openssh.com"
#define NISTP(end)                                                                       \
    "ecdsa-sha2-nistp256" end ",ecdsa-sha2-nistp384" end ",ecdsa-sha2-nistp521" end

static const struct keyscan_type types[] = {
    // A scan trusts nothing: of old servers it takes what they can do.
    {"rsa", "rsa-sha2-512,rsa-sha2-256,ssh-rsa", "rsa-sha2-512" CERT ",rsa-sha2-256" CERT,
     true},
    {"ecdsa", NISTP(""), NISTP(CERT), true},
    {"ed25519", "ssh-ed25519", "ssh-ed25519" CERT, true},
    {"ecdsa-sk", "sk-ecdsa-sha2-nistp256@openssh.com", "sk-ecdsa-sha2-nistp256" CERT,
     true},
    {"ed25519-sk", "sk-ssh-ed25519@openssh.com", "sk-ssh-ed25519" CERT, true},
};
#define TYPES (sizeof types / sizeof types[0])

const struct keyscan_type *keyscan_type_at(size_t index) {
    return index < TYPES ? &types[index] : NULL;
}

void keyscan_say(const char *format, ...) {
    va_list ap;
    fflush(stdout);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static int usage(void) {
    keyscan_say(
        "usage: ssh-keyscan [-46cDHqv] [-f file] [-O option] [-p port] [-T timeout]\n"
        "                   [-t type] [host | addrlist namelist]");
    return 1;
}

static int fatal(const char *format, const char *value) {
    char clean[128], line[256];
    snprintf(line, sizeof line, format,
             text_clean(clean, sizeof clean, view_text(value)));
    keyscan_say("%s", line);
    return KEYSCAN_FATAL;
}

// "rsa", or as a key's line has it: "ssh-rsa". Of a curve's name all curves are asked
// for.
static bool is_type(const struct keyscan_type *t, const char *name) {
    const struct key_type *by_blob = key_type_find(view_text(name));
    return strcasecmp(name, t->name) == 0 ||
           (by_blob != NULL && by_blob->plain == NULL &&
            (name_list_has(view_text(t->algorithms), name) ||
             (by_blob->kind == PK_RSA && strcmp(t->name, "rsa") == 0)));
}

static bool add_type(struct keyscan *k, const char *name) {
    for (size_t i = 0; i < TYPES; i++) {
        if (is_type(&types[i], name)) {
            k->types |= 1u << i;
            return true;
        }
    }
    return false;
}

static int set_types(struct keyscan *k, const char *text) {
    k->types = 0;
    for (const char *at = text; *at != '\0';) {
        size_t n = strcspn(at, ",");
        char name[64] = "";
        (void)text_copy(name, sizeof name, view_of(at, n));
        if (!add_type(k, name))
            return fatal("Unknown key type \"%s\"", name);
        at += n + (at[n] == ',');
    }
    return 0;
}

static int set_option(struct keyscan *k, const char *text) {
    const char *hash = strncmp(text, "hashalg=", 8) == 0 ? text + 8 : NULL;
    if (hash == NULL)
        return fatal("Unsupported option \"%s\"", text);
    k->sshfp_hash = digest_find(hash);
    if (k->sshfp_hash != &digest_sha1 && k->sshfp_hash != &digest_sha256)
        return fatal("Unsupported hash algorithm \"%s\"", hash);
    return 0;
}

static int set_number(struct keyscan *k, int letter, const char *text) {
    uint64_t port = 0;
    if (letter == 'p' && text_number(text, 1, 65535, &port)) {
        k->port = (uint16_t)port;
        return 0;
    }
    if (letter == 'T' && text_duration(text, &k->timeout_s) && k->timeout_s > 0)
        return 0;
    (void)fatal(letter == 'p' ? "Bad port '%s'" : "Bad timeout '%s'", text);
    return usage();
}

static int add_file(struct keyscan *k, const char *path) {
    if (k->files_n == KEYSCAN_FILES)
        return fatal("more files than can be read: %s", path);
    k->files[k->files_n++] = path;
    return 0;
}

static int set(struct keyscan *k, int letter, const char *text) {
    switch (letter) {
    case '4':
        k->family = AF_INET;
        return 0;
    case '6':
        k->family = AF_INET6;
        return 0;
    case 'c':
        k->certificates = true;
        return 0;
    case 'D':
        k->sshfp = true;
        return 0;
    case 'H':
        k->hash_names = true;
        return 0;
    case 'q':
        k->quiet = true;
        return 0;
    case 'v':
        return ++k->verbose <= 3 ? 0 : fatal("Too high debugging level.%s", "");
    case 'f':
        return add_file(k, text);
    case 'O':
        return set_option(k, text);
    case 't':
        return set_types(k, text);
    case 'p':
    case 'T':
        return set_number(k, letter, text);
    default:
        return usage();
    }
}

int main(int argc, char **argv) {
    static struct keyscan k = {.family = AF_UNSPEC, .port = 22, .timeout_s = 5};
    int letter, status;
    process_reset_signals();
    if (fd_fill_standard() != OK || crypto_init() != OK)
        return KEYSCAN_FATAL;
    for (size_t i = 0; i < TYPES; i++)
        k.types |= (unsigned)types[i].standard << i;
    if (argc <= 1)
        return usage();
    while ((letter = getopt(argc, argv, "46cDHqO:p:T:t:f:v")) != -1)
        if ((status = set(&k, letter, optarg)) != 0)
            return status;
    k.args = argv + optind;
    k.args_n = (size_t)(argc - optind);
    if (k.args_n == 0 && k.files_n == 0)
        return usage();
    return keyscan_scan(&k);
}
