// Keys that tokens hold: made on a security key (-t ed25519-sk, ecdsa-sk), fetched from
// one (-K), and the public keys of a PKCS#11 token (-D).
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/secret.h"
#include "base/text.h"
#include "crypto/random.h"
#include "io/file.h"
#include "io/prompt.h"
#include "signer/enrolment.h"
#include "signer/security_key.h"
#include "tools/keygen.h"

#define CHALLENGE_SIZE 32
#define CHALLENGE_MAX (64u * 1024u)
#define PIN_TRIES 3
#define PIN_QUESTION "Enter PIN for authenticator: "

// ---- what -O says ----

struct wish {
    struct token_request m;
    const char *challenge, *attestation;  // paths, or NULL
    struct buf challenge_text;
};

static bool take_option(struct wish *w, const char *option) {
    const struct {
        const char *name;
        uint32_t set, cleared;
    } flags[] = {
        {"no-touch-required", 0, KEY_HANDLE_TOUCH},
        {"touch-required", KEY_HANDLE_TOUCH, 0},
        {"verify-required", KEY_HANDLE_VERIFY, 0},
        {"resident", KEY_HANDLE_RESIDENT, 0},
    };
    struct {
        const char *name;
        const char **path;
        struct view *text;
    } values[] = {
        {"device", NULL, &w->m.device},
        {"user", NULL, &w->m.user},
        {"application", NULL, &w->m.application},
        {"challenge", &w->challenge, NULL},
        {"write-attestation", &w->attestation, NULL},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++)
        if (strcasecmp(option, flags[i].name) == 0) {
            w->m.flags = (w->m.flags & ~flags[i].cleared) | flags[i].set;
            return true;
        }
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        const char *value = keygen_option_value(option, values[i].name);
        if (value == NULL || value[0] == '\0')
            continue;
        if (values[i].path != NULL)
            *values[i].path = value;
        else
            *values[i].text = view_text(value);
        return true;
    }
    return keygen_fail("Option \"%s\" is unsupported for FIDO authenticator enrollment",
                       option) == 0;
}

static bool take_challenge(struct wish *w) {
    if (w->challenge != NULL) {
        if (!keygen_read_file(w->challenge, CHALLENGE_MAX, &w->challenge_text))
            return false;
    } else {
        uint8_t room[CHALLENGE_SIZE];
        random_bytes(room, sizeof room);
        buf_init(&w->challenge_text, CHALLENGE_SIZE);
        if (buf_append(&w->challenge_text, view_of(room, sizeof room)) != OK)
            return false;
    }
    w->m.data = buf_view(&w->challenge_text);
    return true;
}

static bool take_wish(struct wish *w, const struct keygen *k,
                      const struct key_type *type) {
    *w = (struct wish){.m = {.operation = TOKEN_ENROL,
                             .provider = view_text(security_key_provider(k->provider)),
                             .type = view_text(type->name),
                             .application = view_text("ssh:"),
                             .flags = KEY_HANDLE_TOUCH}};
    for (size_t i = 0; i < k->option_count; i++)
        if (!take_option(w, k->options[i]))
            return false;
    if (w->m.application.n < 4 || memcmp(w->m.application.p, "ssh:", 4) != 0)
        return keygen_fail("FIDO application string must begin with \"ssh:\"") == 0;
    return take_challenge(w);
}

// ---- asking ----

static bool may_overwrite(const struct wish *w) {
    char answer[16], application[256], user[256];
    printf("A resident key scoped to '%s' with user id '%s' already exists.\n",
           text_clean(application, sizeof application, w->m.application),
           w->m.user.n > 0 ? text_clean(user, sizeof user, w->m.user) : "null");
    return keygen_ask_line("Overwrite key in token (y/n)? ", answer, sizeof answer) &&
           (answer[0] == 'y' || answer[0] == 'Y');
}

static bool ask_pin(char *pin) {
    struct fault f = {0};
    fflush(stdout);
    return prompt_ask(PIN_QUESTION, PROMPT_STDIN, pin, PROMPT_MAX, &f) == OK ||
           keygen_fail("no PIN: %s", fault_text(&f)) == 0;
}

// Asks the token until it has made a key, PINs included.
static bool enrol(const struct keygen *k, struct wish *w, char *pin,
                  struct enrolment *out) {
    bool again = false;
    for (unsigned tries = 0;;) {
        struct fault f = {0};
        bool exists = false;
        if (!k->quiet)
            printf("You may need to touch your authenticator%s to authorize key "
                   "generation.\n",
                   again ? " again" : "");
        fflush(stdout);
        w->m.pin = view_text(pin);
        enum err e = enrolment_make(&w->m, out, &exists, &f);
        again = true;
        if (e == OK)
            return true;
        if (exists && (w->m.flags & TOKEN_FORCE) == 0 && may_overwrite(w)) {
            w->m.flags |= TOKEN_FORCE;
            continue;
        }
        if (e != ERR_PASSPHRASE)
            return keygen_fail("Key enrollment failed: %s", fault_text(&f)) == 0;
        if (pin[0] != '\0')
            keygen_fail("PIN incorrect");
        if (++tries > PIN_TRIES)
            return keygen_fail("Too many incorrect PINs") == 0;
        if (!ask_pin(pin))
            return false;
    }
}

// ---- a new key ----

static bool save_attestation(const struct wish *w, const struct enrolment *e) {
    if (w->attestation == NULL)
        return true;
    if (!keygen_write_file(w->attestation, buf_view(&e->attestation), 0644))
        return false;
    printf("Your FIDO attestation certificate has been saved in %s\n", w->attestation);
    return true;
}

bool keygen_enrol(struct keygen *k, const struct key_type *type, struct key **out) {
    char pin[PROMPT_MAX] = "";
    struct wish w;
    struct enrolment e = {0};
    bool ok = take_wish(&w, k, type) && enrol(k, &w, pin, &e) && save_attestation(&w, &e);
    secret_wipe(pin, sizeof pin);
    buf_free(&w.challenge_text);
    if (ok) {
        *out = e.key;
        e.key = NULL;
    }
    enrolment_free(&e);
    return ok;
}

// ---- resident keys ----

// "ssh:" is in front of every application; what else a name has that could lead out of
// the folder, or nowhere, stands there as numbers.
static void name_part(char *out, size_t size, struct view v) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+@=:.";
    bool good = v.n > 0 && v.n < size && v.p[0] != '.';
    for (size_t i = 0; i < v.n; i++)
        good = good && v.p[i] != 0 && strchr(plain, v.p[i]) != NULL;
    size_t n = 0;
    for (size_t i = 0; !good && i < v.n && n + 3 <= size; i++, n += 2)
        snprintf(out + n, size - n, "%02x", v.p[i]);
    if (good)
        (void)text_copy(out, size, v);
    else
        out[n] = '\0';
}

static void resident_name(const struct enrolment *e, char *out, size_t size) {
    char application[256], user[256];
    struct view a = e->key->application, u = e->user;
    for (const char *const *p = (const char *const[]){"ssh://", "ssh:", NULL}; *p != NULL;
         p++) {
        size_t n = strlen(*p);
        if (a.n >= n && memcmp(a.p, *p, n) == 0) {
            a = view_of(a.p + n, a.n - n);
            break;
        }
    }
    while (u.n > 0 && u.p[u.n - 1] == 0)
        u.n--;
    name_part(application, sizeof application, a);
    name_part(user, sizeof user, u);
    snprintf(out, size, "%s%s%s", application, u.n > 0 ? "_" : "", user);
}

static bool save_resident(const struct keygen *k, const struct enrolment *e,
                          const char *pass) {
    char name[512], path[600], comment[512];
    struct keygen one = *k;
    resident_name(e, name, sizeof name);
    snprintf(path, sizeof path, "id_%s_rk%s%s",
             e->key->type->kind == PK_ECDSA ? "ecdsa_sk" : "ed25519_sk",
             name[0] != '\0' ? "_" : "", name);
    one.file = path;
    text_clean(comment, sizeof comment, e->key->application);
    if (!keygen_may_write(path) || key_set_comment(e->key, view_text(comment)) != OK ||
        !keygen_save_private(&one, e->key, pass) || !keygen_save_public(&one, e->key))
        return false;
    if (!k->quiet)
        printf("Saved %s key%s%s to %s\n", e->key->type->short_name,
               name[0] != '\0' ? " " : "", name, path);
    return true;
}

static const char *device_option(const struct keygen *k) {
    const char *device = NULL;
    for (size_t i = 0; i < k->option_count; i++)
        if ((device = keygen_option_value(k->options[i], "device")) != NULL)
            return device;
    return "";
}

static int save_all(const struct keygen *k, const struct enrolments *list) {
    char pass[PROMPT_MAX] = "";
    bool ok = list->n == 0 || keygen_ask_new_passphrase(k, pass, sizeof pass);
    for (size_t i = 0; ok && i < list->n; i++)
        ok = save_resident(k, &list->at[i], pass);
    secret_wipe(pass, sizeof pass);
    return ok ? 0 : 1;
}

int keygen_resident(struct keygen *k) {
    char pin[PROMPT_MAX] = "";
    struct fault f = {0};
    struct enrolments list = {0};
    for (size_t i = 0; i < k->option_count; i++)
        if (keygen_option_value(k->options[i], "device") == NULL)
            return keygen_fail("Option \"%s\" is unsupported for FIDO key download",
                               k->options[i]);
    if (!ask_pin(pin))
        return KEYGEN_FAILED;
    if (!k->quiet)
        printf("You may need to touch your authenticator to authorize key download.\n");
    fflush(stdout);
    enum err e = enrolments_read(security_key_provider(k->provider), device_option(k),
                                 pin, &list, &f);
    secret_wipe(pin, sizeof pin);
    if (e != OK)
        return keygen_fail("Unable to load resident keys: %s", fault_text(&f)) != 0;
    if (list.n == 0)
        fprintf(stderr, "No keys to download\n");
    int status = save_all(k, &list);
    enrolments_free(&list);
    return status;
}

// ---- PKCS#11 ----

static int print_token_key(const struct keygen *k, struct view blob, struct view label) {
    struct key *key = NULL;
    scoped_buf line;
    char clean[512];
    buf_init(&line, LIMIT_TEXT_LINE);
    if (key_from_blob(&key, blob, NULL) != OK)
        return KEYGEN_FAILED;
    text_clean(clean, sizeof clean, label);
    enum err e = key_set_comment(key, view_text(clean));
    if (e == OK && k->fingerprint) {
        keygen_print_fingerprint(k, key, "PKCS11 key");
    } else if (e == OK && (e = key_public_text(key, &line)) == OK) {
        struct view v = buf_view(&line);
        printf("%.*s\n", (int)v.n, (const char *)v.p);
    }
    key_free(key);
    return e == OK ? 0 : KEYGEN_FAILED;
}

int keygen_token_keys(struct keygen *k) {
    struct token_request m = {.operation = TOKEN_LIST, .provider = view_text(k->library)};
    struct fault f = {0};
    scoped_buf list;
    int status = 0;
    buf_init(&list, TOKEN_MESSAGE_MAX);
    if (token_ask(TOKEN_PKCS11, &m, &list, NULL, &f) != OK)
        return keygen_fail("%s: cannot read public keys from pkcs11: %s", k->library,
                           fault_text(&f));
    struct reader r = reader_of(buf_view(&list));
    while (status == 0 && reader_left(&r) > 0) {
        struct view blob = read_string(&r), label = read_string(&r);
        status = r.err == OK ? print_token_key(k, blob, label) : KEYGEN_FAILED;
    }
    return status;
}
