// AuthorizedKeysCommand and AuthorizedPrincipalsCommand: any line of the configuration,
// any user name and addresses: refused, or as many words as the line has, however the
// tokens expand.
#include <stdlib.h>

#include "crypto/crypto.h"
#include "server/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct key *key(void) {
    static struct key *k;
    struct pk *pk = NULL;
    if (k == NULL && (crypto_init() != OK || pk_generate(&pk, PK_ED25519, 0, 0) != OK ||
                      key_from_pk(&k, pk) != OK))
        abort();
    return k;
}

// Up to the next NUL.
static char *next(const uint8_t **data, size_t *size) {
    size_t n = strnlen((const char *)*data, *size);
    char *text = strndup((const char *)*data, n);
    n += n < *size;
    *data += n;
    *size -= n;
    return text;
}

// The words of the line alone, by a user without anything in his name.
static size_t count(const struct judge_search *like, const struct judge_command *c) {
    struct judge_search s = *like;
    struct judge_words w = {0};
    struct account nobody = {.name = "u", .directory = "/h", .shell = "/s", .uid = 1};
    struct fault fault = {0};
    s.user = "u";
    s.account = &nobody;
    s.peer = s.local = "192.0.2.1";
    enum err e = judge_command_words(&s, c, &w, &fault);
    size_t n = e == OK ? w.n : 0;
    judge_words_free(&w);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct account account = {.uid = 1000};
    struct judge_search s = {.account = &account, .peer_port = 1, .local_port = 22};
    struct judge_command c = {.keyword = "AuthorizedKeysCommand"};
    struct judge_words w = {0};
    struct fault fault = {0};
    if (size < 1 || size > 8192)
        return 0;
    c.principals = data[0] & 1;
    data++;
    size--;
    s.key = key();
    char *line = next(&data, &size), *user = next(&data, &size),
         *home = next(&data, &size), *peer = next(&data, &size);
    c.line = line;
    s.user = account.name = user;
    account.directory = account.shell = home;
    s.peer = s.local = peer;
    if (judge_command_words(&s, &c, &w, &fault) == OK) {
        if (w.n == 0 || w.n > JUDGE_WORDS_MAX + 1 || w.v[w.n] != NULL ||
            w.n != count(&s, &c))
            abort();
    } else if (fault.text[0] == '\0') {
        abort();
    }
    judge_words_free(&w);
    free(line);
    free(user);
    free(home);
    free(peer);
    return 0;
}
