// Certificates shown (-L).
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "key/certificate.h"
#include "tools/keygen.h"
#include "tools/keygen_validity.h"

static void print_hex(struct view v) {
    printf(" UNKNOWN OPTION: ");
    for (size_t i = 0; i < v.n; i++)
        printf("%02x", v.p[i]);
    printf(" (len %zu)\n", v.n);
}

static bool is_flag(struct view name) {
    static const char *const flags[] = {
        "permit-X11-forwarding",  "permit-agent-forwarding",
        "permit-port-forwarding", "permit-pty",
        "permit-user-rc",         "no-touch-required",
        "verify-required"};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if (view_is(name, flags[i]))
            return true;
    }
    return false;
}

static void print_options(struct view list, bool critical) {
    char clean[1024];
    struct view name, data;
    if (list.n == 0)
        printf("(none)");
    printf("\n");
    while (certificate_next_option(&list, &name, &data)) {
        struct reader r = reader_of(data);
        printf("                %s", text_clean(clean, sizeof clean, name));
        if (critical &&
            (view_is(name, "force-command") || view_is(name, "source-address")))
            printf(" %s\n", text_clean(clean, sizeof clean, read_string(&r)));
        else if (is_flag(name))
            printf("\n");
        else if (data.n > 0)
            print_hex(data);
        else
            printf(" UNKNOWN FLAG OPTION\n");
    }
}

static void print_principals(const struct certificate *c) {
    char clean[1024];
    struct view list = c->principals, name;
    if (c->principal_count == 0)
        printf("(none)");
    printf("\n");
    while (certificate_next(&list, &name))
        printf("                %s\n", text_clean(clean, sizeof clean, name));
}

static void print_certificate(const struct keygen *k, const struct key *key) {
    const struct certificate *c = key->certificate;
    char text[KEY_FINGERPRINT_SIZE], clean[1024], valid[96];
    struct reader r = reader_of(c->signature);
    printf("        Type: %s %s certificate\n", key->type->name,
           c->kind == CERTIFICATE_HOST ? "host" : "user");
    printf("        Public key: %s %s\n", key->type->short_name,
           key_fingerprint(text, sizeof text, key_plain_blob(key), k->hash));
    printf("        Signing CA: %s %s", c->ca->type->short_name,
           key_fingerprint(text, sizeof text, key_blob(c->ca), k->hash));
    printf(" (using %s)\n", text_clean(clean, sizeof clean, read_string(&r)));
    printf("        Key ID: \"%s\"\n", text_clean(clean, sizeof clean, c->key_id));
    printf("        Serial: %" PRIu64 "\n", c->serial);
    printf("        Valid: %s\n",
           validity_text(valid, sizeof valid, c->valid_after, c->valid_before));
    printf("        Principals: ");
    print_principals(c);
    printf("        Critical Options: ");
    print_options(c->critical, true);
    printf("        Extensions: ");
    print_options(c->extensions, false);
}

static bool is_nothing(struct view line) {
    while (line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t' || line.p[0] == '\r'))
        line = view_of(line.p + 1, line.n - 1);
    return line.n == 0 || line.p[0] == '#';
}

static bool show_line(const struct keygen *k, struct view line, unsigned long number,
                      bool first) {
    bool input = strcmp(k->file, "-") == 0;
    struct key *key;
    struct fault f = {0};
    if (key_from_public_text(&key, line, &f) != OK)
        return keygen_fail("%s:%lu: %s", k->file, number, fault_text(&f)) == 0;
    if (key->certificate == NULL) {
        key_free(key);
        return keygen_fail("%s:%lu is not a certificate", k->file, number) == 0;
    }
    if (first && !input)
        printf("%s:\n", k->file);
    else
        printf("%s:%lu:\n", input ? "(stdin)" : k->file, number);
    print_certificate(k, key);
    key_free(key);
    return true;
}

int keygen_show_certificates(struct keygen *k) {
    scoped_buf text = {0};
    struct view rest, line;
    bool any = false, shown = false;
    if (k->file == NULL && k->arg_count == 1)
        k->file = k->args[0];
    if (!keygen_ask_file(k, "Enter file in which the key is", "id_ed25519") ||
        !keygen_read_file(k->file, LIMIT_KEY_FILE, &text))
        return KEYGEN_FAILED;
    rest = buf_view(&text);
    for (unsigned long number = 1; keygen_next_line(&rest, &line); number++) {
        if (is_nothing(line))
            continue;
        shown |= show_line(k, line, number, !any);
        any = true;
    }
    return shown ? 0 : any ? 1 : keygen_fail("%s is not a public key file", k->file);
}
