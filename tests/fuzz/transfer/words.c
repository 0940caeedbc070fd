// scp and sftp: what a person or a server may write: addresses, words of a command, names
// held against what was asked for. The first byte says which.
#include <assert.h>
#include <stdlib.h>

#include "transfer/address.h"
#include "transfer/rcp.h"
#include "transfer/say.h"
#include "transfer/sftp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_address(const char *text, bool local) {
    struct address a;
    char why[128];
    if (address_parse(&a, text, "scp://", local, why))
        assert(a.path != NULL && (!a.remote || *a.host != '\0'));
    address_free(&a);
}

static void split(const char *text) {
    scoped_words words = {0};
    if (strpbrk(text, "\"'") != NULL && strlen(text) > 100)
        return;  // complaints would fill the log
    if (!sftp_words(text, &words))
        return;
    for (size_t i = 0; i < words.n; i++) {
        size_t n = strlen(words.list[i]);
        (void)pattern_is(words.list[i]);
        pattern_plain(words.list[i]);
        assert(strlen(words.list[i]) <= n && n < NAME_PATH);
    }
}

static void name(const char *text) {
    char out[NAME_PATH];
    const char *newline = strchr(text, '\n');
    if (newline != NULL) {
        char *asked = strndup(text, (size_t)(newline - text));
        (void)rcp_name_fits(asked, newline + 1);
        free(asked);
    }
    if (path_last(out, text) && name_is_plain(out))
        assert(strchr(out, '/') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 2000)
        return 0;
    char *text = strndup((const char *)data + 1, size - 1);
    if (text == NULL)
        return 0;
    if (data[0] % 3 == 0)
        parse_address(text, (data[0] & 4) != 0);
    else if (data[0] % 3 == 1)
        split(text);
    else
        name(text);
    free(text);
    return 0;
}
