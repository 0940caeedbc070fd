// The command line: a table {letter, argument, what it does}. Of a letter and its
// opposite the later one holds, also over an earlier -o (an alias with -A, and then -a);
// -o, -l, -p and -i do not take back what came before them.
#include "client/flags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/text.h"
#include "client/forward_spec.h"
#include "client/mux_passenger.h"

#define WHY(...) (snprintf(why, FLAGS_WHY_SIZE, __VA_ARGS__), false)

static bool add_line(struct flags *f, char *line, char *why) {
    if (line == NULL)
        return WHY("out of memory");
    if (f->lines_n == FLAGS_LINES_MAX) {
        free(line);
        return WHY("more than %d options", FLAGS_LINES_MAX);
    }
    f->lines[f->lines_n++] = line;
    f->lines[f->lines_n] = NULL;
    return true;
}

// The keyword of a line, without what parts it from its value.
static struct view keyword_of(const char *line) {
    line += strspn(line, " \t");
    return view_of(line, strcspn(line, " \t=\""));
}

static bool same_keyword(const char *a, const char *b) {
    struct view x = keyword_of(a), y = keyword_of(b);
    return x.n == y.n && strncasecmp((const char *)x.p, (const char *)y.p, x.n) == 0;
}

// In the place of what was said of the keyword before.
static bool replace_line(struct flags *f, char *line, char *why) {
    size_t kept = 0;
    for (size_t i = 0; line != NULL && i < f->lines_n; i++)
        if (same_keyword(f->lines[i], line))
            free(f->lines[i]);
        else
            f->lines[kept++] = f->lines[i];
    if (line != NULL)
        f->lines_n = kept;
    return add_line(f, line, why);
}

// `Keyword "value"`, so that one argument stays one word.
static char *quoted_line(const char *keyword, const char *value) {
    char *line = malloc(strlen(keyword) + 2 * strlen(value) + 4);
    if (line == NULL)
        return NULL;
    char *p = stpcpy(line, keyword);
    *p++ = ' ';
    *p++ = '"';
    for (; *value != 0; value++) {
        if (*value == '"' || *value == '\\')
            *p++ = '\\';
        *p++ = *value;
    }
    *p++ = '"';
    *p = 0;
    return line;
}

static bool set_text(const char **at, const char *value, size_t n, char *why) {
    free((char *)(uintptr_t)*at);
    *at = strndup(value, n);
    return *at != NULL ? true : WHY("out of memory");
}

// A file that is not there is told and forgotten: then the usual ones are tried.
static bool add_identity(struct flags *f, const char *path, char *why) {
    if (*path != '~' && access(path, F_OK) != 0) {
        char clean[256];
        fprintf(stderr, "Warning: Identity file %s not accessible: %s.\n",
                text_clean(clean, sizeof clean, view_text(path)), strerror(errno));
        return true;
    }
    return add_line(f, quoted_line("IdentityFile", path), why);
}

// -l and user@ count in their place among the lines; the first of them is the one.
static bool add_user(struct flags *f, const char *user, size_t n, char *why) {
    return f->user != NULL || (set_text(&f->user, user, n, why) &&
                               add_line(f, quoted_line("User", f->user), why));
}

static bool set_port(struct flags *f, const char *text, char *why) {
    uint64_t port = 0;
    if (!text_number(text, 1, 65535, &port))
        return WHY("bad port '%.40s'", text);
    f->port = (uint16_t)port;
    char line[32];
    snprintf(line, sizeof line, "Port %u", f->port);
    return add_line(f, strdup(line), why);
}

// The value of an option of that name; NULL: it is another one.
static const char *own_option(const char *option, const char *name) {
    size_t n = strlen(name);
    return strncasecmp(option, name, n) == 0 && option[n] == '=' ? option + n + 1 : NULL;
}

// Two are ours alone and no matter of files: ShowSteps, and what one hop tells the next.
static bool set_option(struct flags *f, const char *option, char *why) {
    const char *steps = own_option(option, "ShowSteps"),
               *above = own_option(option, "JumpsAbove");
    if (steps != NULL)
        f->show_steps = strcasecmp(steps, "yes") == 0;
    else if (above != NULL)
        f->jumps_above = above;
    else
        return add_line(f, strdup(option), why);
    return true;
}

// -N
static bool set_no_session(struct flags *f, const char *value, char *why) {
    (void)value;
    f->tty = 0;
    return replace_line(f, strdup("SessionType none"), why) &&
           replace_line(f, strdup("RequestTTY no"), why);
}

// -W: no session of its own, and nothing else that the files ask for.
static bool set_stdio_forward(struct flags *f, const char *value, char *why) {
    struct forward_end end;
    if (!forward_end_parse(&end, value))
        return WHY("-W takes host:port or a path, not '%.100s'", value);
    f->stdio_forward = value;
    return set_no_session(f, NULL, why);
}

// What -W means besides, unless the command line says otherwise.
static bool add_stdio_defaults(struct flags *f, char *why) {
    return f->stdio_forward == NULL ||
           (add_line(f, strdup("ExitOnForwardFailure yes"), why) &&
            add_line(f, strdup("ClearAllForwardings yes"), why));
}

// -L, -R, -D as a line: where to listen, a blank, what to connect to.
static bool set_forward(struct flags *f, enum forward_kind kind, const char *value,
                        char *why) {
    static const char *const keywords[] = {[FORWARD_LOCAL] = "LocalForward",
                                           [FORWARD_REMOTE] = "RemoteForward",
                                           [FORWARD_DYNAMIC] = "DynamicForward"};
    struct forward_spec spec;
    char line[2 * FORWARD_TEXT + 32];
    if (!forward_spec_parse(&spec, kind, value))
        return WHY("bad forwarding '%.100s': %s is expected", value,
                   forward_spec_form(kind));
    int n = snprintf(line, sizeof line, "%s %s", keywords[kind], value);
    if (n >= (int)sizeof line)
        return WHY("forwarding is too long");
    size_t second = forward_spec_second(value);
    if (second > 0)
        line[strlen(keywords[kind]) + second] = ' ';
    return add_line(f, strdup(line), why);
}

// -w: an earlier Tunnel may say ethernet.
static bool set_tunnel(struct flags *f, const char *value, char *why) {
    return add_line(f, strdup("Tunnel point-to-point"), why) &&
           replace_line(f, quoted_line("TunnelDevice", value), why);
}

// -t; twice: even without a terminal here.
static bool set_terminal(struct flags *f, const char *value, char *why) {
    (void)value;
    f->tty++;
    return replace_line(f, strdup(f->tty > 1 ? "RequestTTY force" : "RequestTTY yes"),
                        why);
}

// -T
static bool set_no_terminal(struct flags *f, const char *value, char *why) {
    (void)value;
    f->tty = 0;
    return replace_line(f, strdup("RequestTTY no"), why);
}

// -M; twice: with a question for each use.
static bool set_master(struct flags *f, const char *value, char *why) {
    (void)value;
    f->master++;
    return replace_line(
        f, strdup(f->master > 1 ? "ControlMaster ask" : "ControlMaster yes"), why);
}

// -v, up to three times
static bool set_verbose(struct flags *f, const char *value, char *why) {
    (void)value;
    static const char *const levels[] = {"LogLevel DEBUG1", "LogLevel DEBUG2",
                                         "LogLevel DEBUG3"};
    f->verbose++;
    return replace_line(f, strdup(levels[f->verbose > 3 ? 2 : f->verbose - 1]), why);
}

// -q takes -v back.
static bool set_quiet(struct flags *f, const char *value, char *why) {
    (void)value;
    f->verbose = 0;
    return replace_line(f, strdup("LogLevel QUIET"), why);
}

static bool set_jump(struct flags *f, const char *value, char *why) {
    if (f->jump)
        return WHY("-J may be given once; several hops: -J first,second");
    f->jump = true;
    return add_line(f, quoted_line("ProxyJump", value), why);
}

static bool set_dynamic(struct flags *f, const char *value, char *why) {
    return set_forward(f, FORWARD_DYNAMIC, value, why);
}

static bool set_local(struct flags *f, const char *value, char *why) {
    return set_forward(f, FORWARD_LOCAL, value, why);
}

static bool set_remote(struct flags *f, const char *value, char *why) {
    return set_forward(f, FORWARD_REMOTE, value, why);
}

static bool set_login(struct flags *f, const char *value, char *why) {
    return add_user(f, value, strlen(value), why);
}

static bool set_control(struct flags *f, const char *value, char *why) {
    f->control_command = value;
    return mux_command_is_known(value) ? true
                                       : WHY("Invalid multiplex command '%.40s' (check, "
                                             "forward, cancel, proxy, exit, stop, "
                                             "conninfo, channels)",
                                             value);
}

enum kind {
    LINE,     // `text` and the argument, over what was said before
    FIXED,    // `text` alone, likewise
    IGNORED,  // accepted, without effect
    CALL,     // `set` with the argument
    SPECIAL,  // by letter
};

struct flag {
    char letter;
    const char *argument;  // NULL: none
    enum kind kind;
    const char *text;  // LINE: the keyword; FIXED: lines
    bool (*set)(struct flags *f, const char *value, char *why);  // CALL
};

static const struct flag table[] = {
    {'2', NULL, IGNORED, NULL, NULL},
    {'4', NULL, FIXED, "AddressFamily inet", NULL},
    {'6', NULL, FIXED, "AddressFamily inet6", NULL},
    {'A', NULL, FIXED, "ForwardAgent yes", NULL},
    {'a', NULL, FIXED, "ForwardAgent no", NULL},
    {'B', "interface", LINE, "BindInterface", NULL},
    {'b', "address", LINE, "BindAddress", NULL},
    {'C', NULL, FIXED, "Compression yes", NULL},
    {'c', "ciphers", LINE, "Ciphers", NULL},
    {'D', "[address:]port", CALL, NULL, set_dynamic},
    {'E', "log_file", SPECIAL, NULL, NULL},
    {'e', "escape_char", LINE, "EscapeChar", NULL},
    {'F', "config_file", SPECIAL, NULL, NULL},
    {'f', NULL, FIXED, "ForkAfterAuthentication yes\nStdinNull yes", NULL},
    {'G', NULL, SPECIAL, NULL, NULL},
    {'g', NULL, FIXED, "GatewayPorts yes", NULL},
    {'I', "pkcs11", LINE, "PKCS11Provider", NULL},
    {'i', "identity_file", CALL, NULL, add_identity},
    {'J', "destination", CALL, NULL, set_jump},
    {'K', NULL, FIXED, "GSSAPIAuthentication yes\nGSSAPIDelegateCredentials yes", NULL},
    {'k', NULL, FIXED, "GSSAPIDelegateCredentials no", NULL},
    {'L', "address", CALL, NULL, set_local},
    {'l', "login_name", CALL, NULL, set_login},
    {'M', NULL, CALL, NULL, set_master},
    {'m', "macs", LINE, "MACs", NULL},
    {'N', NULL, CALL, NULL, set_no_session},
    {'n', NULL, FIXED, "StdinNull yes", NULL},
    {'O', "ctl_cmd", CALL, NULL, set_control},
    {'o', "option", CALL, NULL, set_option},
    {'P', "tag", LINE, "Tag", NULL},
    {'p', "port", CALL, NULL, set_port},
    {'Q', "query", SPECIAL, NULL, NULL},
    {'q', NULL, CALL, NULL, set_quiet},
    {'R', "address", CALL, NULL, set_remote},
    {'S', "ctl_path", LINE, "ControlPath", NULL},
    {'s', NULL, FIXED, "SessionType subsystem", NULL},
    {'T', NULL, CALL, NULL, set_no_terminal},
    {'t', NULL, CALL, NULL, set_terminal},
    {'V', NULL, SPECIAL, NULL, NULL},
    {'v', NULL, CALL, NULL, set_verbose},
    {'W', "host:port", CALL, NULL, set_stdio_forward},
    {'w', "local_tun[:remote_tun]", CALL, NULL, set_tunnel},
    {'X', NULL, FIXED, "ForwardX11 yes", NULL},
    {'x', NULL, FIXED, "ForwardX11 no", NULL},
    {'Y', NULL, FIXED, "ForwardX11 yes\nForwardX11Trusted yes", NULL},
    {'y', NULL, SPECIAL, NULL, NULL},
    {'Z', NULL, SPECIAL, NULL, NULL},
};

static const struct flag *flag_find(char letter) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].letter == letter)
            return &table[i];
    return NULL;
}

void flags_usage(char *out, size_t size) {
    char plain[64], valued[2048];
    size_t p = 0, v = 0;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const struct flag *f = &table[i];
        if (f->argument == NULL)
            plain[p++] = f->letter;
        else
            v += (size_t)snprintf(valued + v, sizeof valued - v, " [-%c %s]", f->letter,
                                  f->argument);
    }
    plain[p] = 0;
    snprintf(out, size, "usage: ssh [-%s]%s destination [command [argument ...]]", plain,
             valued);
}

static bool set_special(struct flags *f, char letter, const char *value) {
    switch (letter) {
    case 'E':
        f->log_file = value;
        return true;
    case 'F':
        f->file = value;
        return true;
    case 'G':
        f->mode = FLAGS_DUMP;
        return true;
    case 'Q':
        f->mode = FLAGS_QUERY;
        f->query = value;
        return true;
    case 'V':
        f->mode = FLAGS_VERSION;
        return true;
    case 'Z':
        f->mode = FLAGS_KEYS;
        return true;
    default:  // 'y'
        f->syslog = true;
        return true;
    }
}

static bool replace_lines(struct flags *f, const char *text, char *why) {
    for (const char *end; (end = strchr(text, '\n')) != NULL; text = end + 1)
        if (!replace_line(f, strndup(text, (size_t)(end - text)), why))
            return false;
    return replace_line(f, strdup(text), why);
}

static bool set_flag(struct flags *f, const struct flag *flag, const char *value,
                     char *why) {
    switch (flag->kind) {
    case LINE:
        return replace_line(f, quoted_line(flag->text, value), why);
    case FIXED:
        return replace_lines(f, flag->text, why);
    case IGNORED:
        return true;
    case CALL:
        return flag->set(f, value, why);
    case SPECIAL:
        return set_special(f, flag->letter, value);
    }
    return false;
}

// One word of flags ("-vp", "22"); *i moves on when the next word is an argument.
static bool set_word(struct flags *f, int argc, char **argv, int *i, char *why) {
    for (const char *p = argv[*i] + 1; *p != 0; p++) {
        const struct flag *flag = flag_find(*p);
        if (flag == NULL)
            return WHY("unknown option -%c", *p);
        const char *value = NULL;
        if (flag->argument != NULL) {
            value = p[1] != 0 ? p + 1 : *i + 1 < argc ? argv[++*i] : NULL;
            if (value == NULL)
                return WHY("option -%c needs an argument: %s", *p, flag->argument);
        }
        if (!set_flag(f, flag, value, why))
            return false;
        if (value != NULL)
            break;
    }
    return true;
}

// Percent-encoding of ssh:// addresses (RFC 3986 s.2.1); in place. False if malformed.
static bool decode_percent(char *s) {
    char *out = s;
    for (; *s != 0; s++) {
        if (*s != '%') {
            *out++ = *s;
            continue;
        }
        char hex[3] = {s[1], s[1] != 0 ? s[2] : (char)0, 0}, *end = NULL;
        long byte = strtol(hex, &end, 16);
        if (hex[0] == 0 || hex[1] == 0 || *end != 0 || byte == 0)
            return false;
        *out++ = (char)byte;
        s += 2;
    }
    *out = 0;
    return true;
}

static bool destination_uri(struct flags *f, const char *text, char *why) {
    char copy[1024];
    if (!text_copy(copy, sizeof copy, view_text(text)))
        return WHY("address too long");
    char *slash = strchr(copy, '/'), *host = copy, *at = NULL, *port = NULL;
    if (slash != NULL && slash[1] != 0)
        return WHY("an ssh:// address has no path: %.100s", slash);
    if (slash != NULL)
        *slash = 0;
    if ((at = strrchr(copy, '@')) != NULL) {
        *at = 0;
        host = at + 1;
        char *parameters = strchr(copy, ';');
        if (parameters != NULL)
            *parameters = 0;
        if (!decode_percent(copy))
            return WHY("bad percent encoding in the user's name");
        if (!add_user(f, copy, strlen(copy), why))
            return false;
    }
    if (*host == '[') {
        char *end = strchr(++host, ']');
        if (end == NULL || (end[1] != 0 && end[1] != ':'))
            return WHY("bad address: [ without ]");
        port = end[1] == ':' ? end + 2 : NULL;
        *end = 0;
    } else if ((port = strchr(host, ':')) != NULL) {
        *port++ = 0;
    }
    if (port != NULL && f->port == 0 && !set_port(f, port, why))
        return false;
    if (*host == 0 || !decode_percent(host))
        return WHY("bad host in the address");
    return set_text(&f->host, host, strlen(host), why);
}

// Cuts [user@]host or ssh://[user[;…]@]host[:port] into f.
static bool flags_destination(struct flags *f, const char *text, char *why) {
    if (strncmp(text, "ssh://", 6) == 0)
        return destination_uri(f, text + 6, why);
    const char *at = strrchr(text, '@');
    const char *host = at != NULL ? at + 1 : text;
    if (at == text || *host == 0)
        return WHY("destination '%.100s' lacks %s", text,
                   at == text ? "a user" : "a host");
    if (at != NULL && !add_user(f, text, (size_t)(at - text), why))
        return false;
    return set_text(&f->host, host, strlen(host), why);
}

static bool join_command(struct flags *f, int argc, char **argv, int i, char *why) {
    size_t n = 1;
    for (int k = i; k < argc; k++)
        n += strlen(argv[k]) + 1;
    f->command = malloc(n);
    if (f->command == NULL)
        return WHY("out of memory");
    char *p = f->command;
    for (int k = i; k < argc; k++) {
        if (k > i)
            *p++ = ' ';
        p = stpcpy(p, argv[k]);
    }
    *p = 0;
    return true;
}

static bool finish(struct flags *f, char *why) {
    if (f->control_command != NULL && f->stdio_forward != NULL)
        return WHY("Cannot specify stdio forward with -O");
    return add_stdio_defaults(f, why);
}

bool flags_parse(struct flags *f, int argc, char **argv, char *why) {
    *f = (struct flags){0};
    int i = 1;
    for (; i < argc; i++) {
        bool end = strcmp(argv[i], "--") == 0;
        if (!end && argv[i][0] == '-' && argv[i][1] != 0) {
            if (!set_word(f, argc, argv, &i, why))
                return false;
            continue;
        }
        // The destination; flags may follow it, the command ends them.
        if (f->host != NULL && !end)
            break;
        if (end && (f->host != NULL || ++i == argc)) {
            i += f->host != NULL;
            break;
        }
        if (!flags_destination(f, argv[i], why))
            return false;
        if (end) {
            i++;
            break;
        }
    }
    if (f->mode == FLAGS_VERSION || f->mode == FLAGS_QUERY)
        return true;
    if (f->host == NULL)
        return WHY("no destination");
    return (i >= argc || join_command(f, argc, argv, i, why)) && finish(f, why);
}

void flags_free(struct flags *f) {
    for (size_t i = 0; i < f->lines_n; i++)
        free(f->lines[i]);
    free((char *)(uintptr_t)f->host);
    free((char *)(uintptr_t)f->user);
    free(f->command);
    *f = (struct flags){0};
}
