#include "server/flags.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/text.h"

#define CONFIG_FILE "/etc/ssh/sshd_config"

struct flag {
    char letter;
    const char *argument;  // NULL: none
    const char *help;
    bool (*act)(struct flags *f, const char *value);
};

static bool add_line(struct flags *f, const char *value) {
    if (f->keeper.lines_n == sizeof f->lines / sizeof f->lines[0])
        return false;
    f->lines[f->keeper.lines_n++] = value;
    return true;
}

static bool set_line(struct flags *f, const char *keyword, const char *value) {
    if (f->made_n == sizeof f->made / sizeof f->made[0])
        return false;
    char *line = f->made[f->made_n++];
    return (size_t)snprintf(line, sizeof f->made[0], "%s %s", keyword, value) <
               sizeof f->made[0] &&
           add_line(f, line);
}

static bool on_4(struct flags *f, const char *value) {
    (void)value;
    f->keeper.address_family = AF_INET;
    return set_line(f, "AddressFamily", "inet");
}
static bool on_6(struct flags *f, const char *value) {
    (void)value;
    f->keeper.address_family = AF_INET6;
    return set_line(f, "AddressFamily", "inet6");
}
static bool on_C(struct flags *f, const char *value) {
    if (f->subject_n == sizeof f->subject / sizeof f->subject[0])
        return false;
    f->subject[f->subject_n++] = value;
    return true;
}
static bool on_c(struct flags *f, const char *value) {
    return set_line(f, "HostCertificate", value);
}
static bool on_D(struct flags *f, const char *value) {
    (void)value;
    f->keeper.foreground = true;
    return true;
}
static bool on_d(struct flags *f, const char *value) {
    (void)value;
    f->keeper.debug = f->keeper.to_stderr = true;
    if (f->keeper.debug_level < 3)
        f->keeper.debug_level++;
    return true;
}
static bool on_E(struct flags *f, const char *value) {
    f->keeper.log_file = value;
    return true;
}
static bool on_e(struct flags *f, const char *value) {
    (void)value;
    f->keeper.to_stderr = true;
    return true;
}
static bool on_f(struct flags *f, const char *value) {
    f->keeper.config_file = value;
    return true;
}
static bool on_G(struct flags *f, const char *value) {
    (void)value;
    f->mode = MODE_SHOW;
    return true;
}
static bool on_g(struct flags *f, const char *value) {
    return text_duration(value, &f->keeper.grace_s);
}
static bool on_h(struct flags *f, const char *value) {
    if (f->keeper.host_key_files_n == sizeof f->host_keys / sizeof f->host_keys[0])
        return false;
    f->host_keys[f->keeper.host_key_files_n++] = value;
    return true;
}
static bool on_i(struct flags *f, const char *value) {
    (void)value;
    f->keeper.inetd = true;
    return true;
}
static bool on_p(struct flags *f, const char *value) {
    return set_line(f, "Port", value);
}
static bool on_q(struct flags *f, const char *value) {
    (void)value;
    f->keeper.quiet = true;
    return true;
}
static bool on_T(struct flags *f, const char *value) {
    (void)value;
    f->mode = MODE_DUMP;
    return true;
}
static bool on_t(struct flags *f, const char *value) {
    (void)value;
    f->mode = MODE_TEST;
    return true;
}
static bool on_u(struct flags *f, const char *value) {
    uint64_t length;
    if (!text_number(value, 0, RECORD_NAME_MAX + 1, &length))
        return false;
    f->keeper.record_name_max = (uint32_t)length;
    return true;
}
static bool on_V(struct flags *f, const char *value) {
    (void)value;
    f->mode = MODE_VERSION;
    return true;
}
static bool nothing(struct flags *f, const char *value) {
    (void)f;
    (void)value;
    return true;
}

static const struct flag table[] = {
    {'4', NULL, "listen on IPv4 addresses only", on_4},
    {'6', NULL, "listen on IPv6 addresses only", on_6},
    {'b', "bits", "ignored: of protocol 1", nothing},
    {'C', "spec", "the login to evaluate Match for, with -T or -G", on_C},
    {'c', "file", "HostCertificate", on_c},
    {'D', NULL, "stay in the foreground", on_D},
    {'d', NULL, "debug: one connection, log to standard error", on_d},
    {'E', "file", "log to a file", on_E},
    {'e', NULL, "log to standard error", on_e},
    {'f', "file", "configuration file (" CONFIG_FILE ")", on_f},
    {'G', NULL, "print the configuration, without a look at the host keys", on_G},
    {'g', "time", "LoginGraceTime", on_g},
    {'h', "file", "host key file instead of HostKey", on_h},
    {'i', NULL, "serve the connection on standard input (inetd)", on_i},
    {'k', "time", "ignored: of protocol 1", nothing},
    {'o', "option", "an option as in the configuration file", add_line},
    {'p', "port", "Port", on_p},
    {'Q', NULL, "ignored", nothing},
    {'q', NULL, "log nothing", on_q},
    {'R', NULL, "ignored", nothing},
    {'r', NULL, "ignored", nothing},
    {'T', NULL, "check and print the configuration", on_T},
    {'t', NULL, "check configuration and host keys", on_t},
    {'u', "length", "names longer than that are addresses in utmp (UseDNS)", on_u},
    {'V', NULL, "print the version", on_V},
};

static void usage(void) {
    fprintf(stderr, "usage: sshd");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        fprintf(stderr, " [-%c%s%s]", table[i].letter,
                table[i].argument != NULL ? " " : "",
                table[i].argument != NULL ? table[i].argument : "");
    fprintf(stderr, "\n");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        fprintf(stderr, "  -%c %-7s %s\n", table[i].letter,
                table[i].argument != NULL ? table[i].argument : "", table[i].help);
}

static const struct flag *find(char letter) {
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].letter == letter)
            return &table[i];
    return NULL;
}

static bool refuse(const char *what, char letter) {
    fprintf(stderr, "sshd: %s: -%c\n", what, letter);
    usage();
    return false;
}

// One word of letters; *i moves on when the next word is its argument.
static bool parse_word(struct flags *f, int argc, char **argv, int *i) {
    for (const char *p = argv[*i] + 1; *p != '\0'; p++) {
        const struct flag *flag = find(*p);
        const char *value = NULL;
        if (flag == NULL)
            return refuse("unknown option", *p);
        if (flag->argument != NULL) {
            value = p[1] != '\0' ? p + 1 : *i + 1 < argc ? argv[++*i] : NULL;
            if (value == NULL)
                return refuse("option needs an argument", *p);
        }
        if (!flag->act(f, value))
            return refuse("unusable argument of option", flag->letter);
        if (flag->argument != NULL)
            break;
    }
    return true;
}

bool flags_parse(struct flags *f, int argc, char **argv) {
    memset(f, 0, sizeof *f);
    f->keeper.config_file = CONFIG_FILE;
    f->keeper.lines = f->lines;
    f->keeper.host_key_files = f->host_keys;
    f->keeper.address_family = AF_UNSPEC;
    f->keeper.grace_s = UINT32_MAX;
    f->keeper.record_name_max = RECORD_NAME_MAX;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || argv[i][1] == '\0') {
            fprintf(stderr, "sshd: extra argument %s\n", argv[i]);
            return false;
        }
        if (!parse_word(f, argc, argv, &i))
            return false;
    }
    if (f->keeper.config_file != NULL && strcmp(f->keeper.config_file, "none") == 0)
        f->keeper.config_file = NULL;
    return true;
}
