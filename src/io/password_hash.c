#include "io/password_hash.h"

#include <crypt.h>
#include <fcntl.h>
#include <shadow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "io/library.h"

#define SHADOW_LINES 64  // looked at for a hash
// yescrypt of nothing anybody knows, as Debian and Fedora make them now.
#define FALLBACK "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$"

// Few processes hash a password, and that costs far more than loading the library.
static char *hash_of(const char *password, const char *setting, struct crypt_data *data) {
    __typeof__(crypt_r) *function;
    void *library;
    if (library_load("libcrypt.so.1", &library, NULL) != OK ||
        library_find(library, "crypt_r", &function, NULL) != OK)
        return NULL;
    return function(password, setting, data);
}

bool password_matches(const char *password, const char *hash) {
    struct crypt_data *data = calloc(1, sizeof *data);
    if (data == NULL)
        return false;
    const char *got = hash_of(password, hash, data);
    // A failure gives "*0" or "*1", which no hash may be.
    bool good = got != NULL && got[0] != '*' && hash[0] != '\0' &&
                strlen(got) == strlen(hash) && secret_equal(got, hash, strlen(hash));
    secret_wipe(data, sizeof *data);
    free(data);
    return good;
}

static bool setting_of(const char *hash, char *out, size_t size) {
    while (*hash == '!')
        hash++;
    const char *last = strrchr(hash, '$');
    if (hash[0] != '$' || last == NULL || last == hash)
        return false;
    size_t n = (size_t)(last - hash) + 1;
    if (n + 1 > size)
        return false;
    memcpy(out, hash, n);
    out[n] = '\0';
    return true;
}

static bool local_setting(char *out, size_t size) {
    struct spwd entry, *found;
    char text[2048];
    bool got = false;
    FILE *f = fopen("/etc/shadow", "re");
    if (f == NULL)
        return false;
    for (int i = 0; i < SHADOW_LINES && !got; i++) {
        if (fgetspent_r(f, &entry, text, sizeof text, &found) != 0)
            break;
        got = setting_of(found->sp_pwdp, out, size);
    }
    fclose(f);
    secret_wipe(text, sizeof text);
    return got;
}

const char *password_hash_stand_in(char *out, size_t size) {
    // A setting with its salt costs what the whole hash costs, and is never its own
    // result.
    if (!local_setting(out, size))
        snprintf(out, size, "%s", FALLBACK);
    return out;
}
