// The command line of ssh-keygen: every letter that OpenSSH has.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/text.h"
#include "crypto/key_cipher.h"
#include "tools/keygen.h"

static const char usage_text[] =
    "usage: ssh-keygen [-q] [-a rounds] [-b bits] [-C comment] [-f output_keyfile]\n"
    "                  [-m format] [-N new_passphrase] [-O option]\n"
    "                  [-t ecdsa | ecdsa-sk | ed25519 | ed25519-sk | rsa]\n"
    "                  [-w provider] [-Z cipher]\n"
    "       ssh-keygen -p [-a rounds] [-f keyfile] [-m format] [-N new_passphrase]\n"
    "                   [-P old_passphrase] [-Z cipher]\n"
    "       ssh-keygen -i [-f input_keyfile] [-m key_format]\n"
    "       ssh-keygen -e [-f input_keyfile] [-m key_format]\n"
    "       ssh-keygen -y [-f input_keyfile] [-P passphrase]\n"
    "       ssh-keygen -c [-a rounds] [-C comment] [-f keyfile] [-P passphrase]\n"
    "       ssh-keygen -l [-v] [-E fingerprint_hash] [-f input_keyfile]\n"
    "       ssh-keygen -B [-f input_keyfile]\n"
    "       ssh-keygen -D pkcs11 [-l] [-E fingerprint_hash]\n"
    "       ssh-keygen -F hostname [-Hlv] [-f known_hosts_file]\n"
    "       ssh-keygen -H [-f known_hosts_file]\n"
    "       ssh-keygen -R hostname [-f known_hosts_file]\n"
    "       ssh-keygen -K [-O device=path] [-w provider]\n"
    "       ssh-keygen -A [-a rounds] [-f prefix_path]\n"
    "       ssh-keygen -I certificate_identity -s ca_key [-hU] [-D pkcs11_provider]\n"
    "                  [-n principals] [-O option] [-V validity_interval]\n"
    "                  [-z serial_number] file ...\n"
    "       ssh-keygen -L [-f input_keyfile]\n"
    "       ssh-keygen -k -f krl_file [-u] [-s ca_public] [-z version_number] file ...\n"
    "       ssh-keygen -Q [-l] -f krl_file [file ...]\n"
    "       ssh-keygen -r hostname [-g] [-f input_keyfile]\n"
    "       ssh-keygen -M generate [-O option] output_file\n"
    "       ssh-keygen -M screen [-f input_file] [-O option] output_file\n"
    "       ssh-keygen -Y find-principals -s signature_file -f allowed_signers_file\n"
    "       ssh-keygen -Y match-principals -I signer_identity -f allowed_signers_file\n"
    "       ssh-keygen -Y check-novalidate -n namespace -s signature_file\n"
    "       ssh-keygen -Y sign -f key_file -n namespace file ...\n"
    "       ssh-keygen -Y verify -f allowed_signers_file -I signer_identity\n"
    "                  -n namespace -s signature_file [-r revocation_file]\n";

int keygen_fail(const char *format, ...) {
    va_list ap;
    fflush(stdout);
    fputs("ssh-keygen: ", stderr);
    va_start(ap, format);
    vfprintf(stderr, format, ap);
    va_end(ap);
    fputc('\n', stderr);
    return KEYGEN_FAILED;
}

static int usage(void) {
    fputs(usage_text, stderr);
    return KEYGEN_USAGE;
}

enum kind {
    TEXT,     // a string into a field
    FLAG,     // a bool set
    COMMAND,  // a command without argument
    HOST,     // a command with a host
    NUMBER,   // by a function of its own
    IGNORED,
};

struct option {
    char letter;
    enum kind kind;
    bool argument;
    size_t field;
};

#define FIELD(name) offsetof(struct keygen, name)
static const struct option options[] = {
    {'a', NUMBER, true, 0},
    {'b', NUMBER, true, 0},
    {'E', NUMBER, true, 0},
    {'C', TEXT, true, FIELD(comment)},
    {'f', TEXT, true, FIELD(file)},
    {'N', TEXT, true, FIELD(new_pass)},
    {'P', TEXT, true, FIELD(old_pass)},
    {'t', TEXT, true, FIELD(type)},
    {'Z', TEXT, true, FIELD(cipher)},
    {'m', TEXT, true, FIELD(format)},
    {'q', FLAG, false, FIELD(quiet)},
    {'v', FLAG, false, FIELD(verbose)},
    {'o', IGNORED, false, 0},
    {'l', FLAG, false, FIELD(fingerprint)},
    {'H', FLAG, false, FIELD(hash_hosts)},
    {'A', COMMAND, false, 0},
    {'p', COMMAND, false, 0},
    {'c', COMMAND, false, 0},
    {'y', COMMAND, false, 0},
    {'B', COMMAND, false, 0},
    {'e', COMMAND, false, 0},
    {'i', COMMAND, false, 0},
    {'F', HOST, true, 0},
    {'R', HOST, true, 0},
    {'L', COMMAND, false, 0},
    {'k', COMMAND, false, 0},
    {'Q', COMMAND, false, 0},
    {'h', FLAG, false, FIELD(host_certificate)},
    {'u', FLAG, false, FIELD(update)},
    {'g', FLAG, false, FIELD(generic)},
    {'U', FLAG, false, FIELD(ca_in_agent)},
    {'s', TEXT, true, FIELD(ca)},
    {'I', TEXT, true, FIELD(identity)},
    {'n', TEXT, true, FIELD(names)},
    {'V', TEXT, true, FIELD(validity)},
    {'z', TEXT, true, FIELD(serial)},
    {'Y', TEXT, true, FIELD(operation)},
    {'r', TEXT, true, FIELD(dns_host)},
    {'O', NUMBER, true, 0},
    {'D', TEXT, true, FIELD(library)},
    {'K', COMMAND, false, 0},
    {'M', TEXT, true, FIELD(moduli)},
    {'w', TEXT, true, FIELD(provider)},
};
#define OPTIONS (sizeof options / sizeof options[0])

static const struct option *option_find(int letter) {
    for (size_t i = 0; i < OPTIONS; i++) {
        if (options[i].letter == letter)
            return &options[i];
    }
    return NULL;
}

static int add_option(struct keygen *k, const char *text) {
    if (k->option_count == KEYGEN_OPTIONS)
        return keygen_fail("more than %d options -O", KEYGEN_OPTIONS);
    k->options[k->option_count++] = text;
    return 0;
}

static int set_number(struct keygen *k, int letter, const char *text) {
    uint64_t n = 0;
    if (letter == 'a' && text_number(text, 1, LIMIT_KDF_ROUNDS, &n)) {
        k->rounds = (uint32_t)n;
        return 0;
    }
    if (letter == 'a')
        return keygen_fail("bad number of rounds \"%s\": 1 to %d", text,
                           LIMIT_KDF_ROUNDS);
    if (text_number(text, 1, UINT16_MAX, &n)) {
        k->bits = (unsigned)n;
        return 0;
    }
    return keygen_fail("bad number of bits \"%s\"", text);
}

static int set_hash(struct keygen *k, const char *text) {
    char name[16];
    (void)text_copy(name, sizeof name, view_text(text));
    for (char *p = name; *p != '\0'; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
    k->hash = digest_find(name);
    return k->hash != NULL ? 0 : keygen_fail("Invalid hash algorithm \"%s\"", text);
}

// Of these several may be given, as scripts do (-y -e); the first here is what is done.
static const char together[] = "eiy";

static int set_command(struct keygen *k, int letter) {
    const char *before = k->command != 0 ? strchr(together, k->command) : NULL,
               *now = strchr(together, letter);
    if (before != NULL && now != NULL) {
        k->command = before < now ? *before : *now;
        return 0;
    }
    if (k->command != 0 && k->command != letter) {
        fprintf(stderr, "ssh-keygen: -%c and -%c do not go together\n", k->command,
                letter);
        return usage();
    }
    k->command = letter;
    return 0;
}

static int set_option(struct keygen *k, const struct option *o, const char *text) {
    void *field = (char *)k + o->field;
    switch (o->kind) {
    case TEXT:
        *(const char **)field = text;
        return 0;
    case FLAG:
        *(bool *)field = true;
        return 0;
    case HOST:
        k->host = text;
        return set_command(k, o->letter);
    case COMMAND:
        return set_command(k, o->letter);
    case NUMBER:
        return o->letter == 'E'   ? set_hash(k, text)
               : o->letter == 'O' ? add_option(k, text)
                                  : set_number(k, o->letter, text);
    case IGNORED:
        return 0;
    }
    return usage();
}

static void getopt_string(char *out) {
    *out++ = ':';
    for (size_t i = 0; i < OPTIONS; i++) {
        *out++ = options[i].letter;
        if (options[i].argument)
            *out++ = ':';
    }
    *out = '\0';
}

static int unknown_letter(int letter, int at) {
    if (letter == '?' && at == '?')
        return usage();
    fprintf(stderr,
            letter == ':' ? "ssh-keygen: option -%c needs an argument\n"
                          : "ssh-keygen: unknown option -%c\n",
            at);
    return usage();
}

// Letters that are commands by themselves and serve others as flags; the first that is
// there decides.
static void settle_command(struct keygen *k) {
    const struct {
        bool is;
        int letter;
    } rows[] = {
        {k->operation != NULL, 'Y'}, {k->ca != NULL, 's'},     {k->dns_host != NULL, 'r'},
        {k->hash_hosts, 'H'},        {k->moduli != NULL, 'M'}, {k->library != NULL, 'D'},
        {k->fingerprint, 'l'},
    };
    if (k->fingerprint && k->command != 0 && strchr(together, k->command) != NULL)
        k->command = 'l';
    for (size_t i = 0; k->command == 0 && i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].is)
            k->command = rows[i].letter;
    }
}

// Files are named behind the options of these alone.
static bool takes_files(int command) {
    return command != 0 && strchr("skQYLM", command) != NULL;
}

static int check(const struct keygen *k) {
    if (k->cipher != NULL && key_cipher_find(view_text(k->cipher)) == NULL)
        return keygen_fail("Invalid private key cipher \"%s\"", k->cipher);
    if (k->host != NULL && k->host[0] == '\0')
        return keygen_fail("empty host name");
    return 0;
}

int keygen_options(struct keygen *k, int argc, char **argv) {
    char letters[2 * OPTIONS + 2];
    getopt_string(letters);
    opterr = 0;
    for (int c; (c = getopt(argc, argv, letters)) != -1;) {
        const struct option *o = option_find(c);
        int status = o != NULL ? set_option(k, o, optarg) : unknown_letter(c, optopt);
        if (status != 0)
            return status;
    }
    settle_command(k);
    k->args = argv + optind;
    k->arg_count = (size_t)(argc - optind);
    if (k->arg_count > 0 && !takes_files(k->command)) {
        fprintf(stderr, "Too many arguments.\n");
        return usage();
    }
    return check(k);
}
