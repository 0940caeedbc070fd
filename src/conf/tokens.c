// Tokens of values: percent letters, ${VAR}, a leading tilde; which keyword may use
// which.
#include "conf/tokens.h"

#include <ctype.h>
#include <stdio.h>

#define CLIENT_LETTERS "%CdhijkLlnpru"

static const char *const letters[TOKENS_USE_COUNT] = {
    [TOKENS_HOSTNAME] = "%h",
    [TOKENS_PATHS] = CLIENT_LETTERS,
    [TOKENS_MATCH_EXEC] = CLIENT_LETTERS,
    [TOKENS_LOCAL_COMMAND] = CLIENT_LETTERS "T",
    [TOKENS_KNOWN_HOSTS_COMMAND] = CLIENT_LETTERS "fHIKt",
    [TOKENS_PROXY_COMMAND] = "%hnpr",
    [TOKENS_AUTHORIZED_KEYS_FILE] = "%hUu",
    [TOKENS_AUTHORIZED_KEYS_COMMAND] = "%CDfhktUu",
    [TOKENS_AUTHORIZED_PRINCIPALS_COMMAND] = "%CDFfhiKksTtUu",
    [TOKENS_ROUTING_DOMAIN] = "%D",
    [TOKENS_SFTP_START] = "%du",
};

struct writer {
    char *out;
    size_t n, size;
    bool full;
};

static void put(struct writer *w, const char *s, size_t n) {
    if (w->full || n >= w->size - w->n) {
        w->full = true;
        return;
    }
    memcpy(w->out + w->n, s, n);
    w->n += n;
}

static enum err finish(struct writer *w, struct fault *fault) {
    w->out[w->n] = '\0';
    return w->full ? fault_set(fault, ERR_LIMIT, 0,
                               "the value is too long with its tokens expanded")
                   : OK;
}

static enum err put_token(struct writer *w, enum token_use use,
                          const struct token *values, char c, struct fault *fault) {
    if (c == '\0')
        return fault_set(fault, ERR_CONFIG, 0, "a value ends with a single %%");
    if (strchr(letters[use], c) == NULL) {
        if (c > ' ' && c <= '~')
            return fault_set(fault, ERR_CONFIG, 0, "unknown token %%%c; known here: %s",
                             c, letters[use]);
        return fault_set(fault, ERR_CONFIG, 0, "unknown token after a %%");
    }
    if (c == '%') {
        put(w, "%", 1);
        return OK;
    }
    for (; values != NULL && values->letter != '\0'; values++) {
        if (values->letter == c && values->value != NULL) {
            put(w, values->value, strlen(values->value));
            return OK;
        }
    }
    return fault_set(fault, ERR_CONFIG, 0, "token %%%c has no value here", c);
}

enum err tokens_expand(enum token_use use, const struct token *values, const char *text,
                       char *out, size_t size, struct fault *fault) {
    struct writer w = {.out = out, .size = size};
    out[0] = '\0';
    for (const char *s = text; *s != '\0'; s++) {
        if (*s != '%') {
            put(&w, s, 1);
            continue;
        }
        TRY(put_token(&w, use, values, s[1], fault));
        s++;
    }
    return finish(&w, fault);
}

static enum err put_variable(struct writer *w, const char *name, size_t n,
                             token_env_fn lookup, void *ctx, struct fault *fault) {
    char copy[256];
    if (n == 0 || n >= sizeof copy)
        return fault_set(fault, ERR_CONFIG, 0, "${} without a usable name");
    memcpy(copy, name, n);
    copy[n] = '\0';
    const char *value = lookup != NULL ? lookup(ctx, copy) : NULL;
    if (value == NULL)
        return fault_set(fault, ERR_CONFIG, 0, "environment variable %.100s is not set",
                         copy);
    put(w, value, strlen(value));
    return OK;
}

enum err tokens_expand_env(const char *text, token_env_fn lookup, void *ctx, char *out,
                           size_t size, struct fault *fault) {
    struct writer w = {.out = out, .size = size};
    out[0] = '\0';
    for (const char *s = text; *s != '\0'; s++) {
        if (s[0] != '$' || s[1] != '{') {
            put(&w, s, 1);
            continue;
        }
        const char *close = strchr(s, '}');
        if (close == NULL)
            return fault_set(fault, ERR_CONFIG, 0, "${ without }");
        TRY(put_variable(&w, s + 2, (size_t)(close - s - 2), lookup, ctx, fault));
        s = close;
    }
    return finish(&w, fault);
}

enum err tokens_expand_tilde(const char *text, const char *home, token_home_fn home_of,
                             void *ctx, char *out, size_t size, struct fault *fault) {
    struct writer w = {.out = out, .size = size};
    char user[256];
    out[0] = '\0';
    if (text[0] != '~') {
        put(&w, text, strlen(text));
        return finish(&w, fault);
    }
    size_t n = strcspn(text + 1, "/");
    if (n >= sizeof user)
        return fault_set(fault, ERR_CONFIG, 0, "a user name is too long");
    memcpy(user, text + 1, n);
    user[n] = '\0';
    const char *folder = n == 0 ? home : home_of != NULL ? home_of(ctx, user) : NULL;
    if (folder == NULL)
        return fault_set(fault, ERR_CONFIG, 0, "the home folder of ~%.100s is not known",
                         user);
    // One slash between the two, also where nothing follows.
    const char *rest = text[1 + n] == '/' ? text + 2 + n : text + 1 + n;
    put(&w, folder, strlen(folder));
    if (folder[0] == '\0' || folder[strlen(folder) - 1] != '/')
        put(&w, "/", 1);
    put(&w, rest, strlen(rest));
    return finish(&w, fault);
}

bool token_value_is_safe(enum token_subject subject, const char *value) {
    // What a shell acts on. '$' and '\' are known in Windows accounts, but not inside a
    // command.
    static const char *const bad = "'`\"$\\;&<>|(){}!*?#~\n\r\t";
    size_t n = strlen(value);
    if (n == 0 || *value == '-' || n > 1024)
        return false;
    for (const char *s = value; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (iscntrl(c) || strchr(bad, *s) != NULL)
            return false;
        if (subject == TOKEN_SUBJECT_HOST &&
            (isspace(c) || c == '@' || c == '/' || c == ','))
            return false;
    }
    // A user name may have blanks inside, not at its end, where a reader would not see
    // them.
    return !isspace((unsigned char)*value) && !isspace((unsigned char)value[n - 1]);
}
