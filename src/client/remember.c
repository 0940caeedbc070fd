// ${XDG_STATE_HOME:-~/.local/state}/bowline/hosts: lines "HASH +" or "HASH -", the last
// counts.
#include "client/remember.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/state.h"
#include "crypto/digest.h"
#include "io/fd.h"

#define FILE_NAME "hosts"
#define HASH_TEXT 16  // hexadecimal digits of the name's hash
#define LINE_SIZE (HASH_TEXT + 3)
#define FILE_MAX (64 * 1024)  // past it the file starts anew

static bool line_of(const char *name, enum remember what, char *line) {
    uint8_t hash[DIGEST_MAX];
    struct view part = view_text(name);
    if (digest_parts(&digest_sha256, &part, 1, hash) != OK)
        return false;
    for (size_t i = 0; i < HASH_TEXT / 2; i++)
        snprintf(line + 2 * i, 3, "%02x", hash[i]);
    snprintf(line + HASH_TEXT, 4, " %c\n", what == REMEMBER_GUESS ? '+' : '-');
    return true;
}

enum remember remember_get(const char *home, const char *name) {
    char folder[PATH_MAX], path[PATH_MAX], line[LINE_SIZE + 1];
    static char text[FILE_MAX];
    if (!state_path(home, FILE_NAME, folder, path) ||
        !line_of(name, REMEMBER_GUESS, line))
        return REMEMBER_NOTHING;
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : 0;
    enum remember found = REMEMBER_NOTHING;
    for (ssize_t at = 0; at + LINE_SIZE <= n; at += LINE_SIZE)
        if (memcmp(text + at, line, HASH_TEXT) == 0)
            found = text[at + HASH_TEXT + 1] == '+' ? REMEMBER_GUESS : REMEMBER_NO_GUESS;
    return found;
}

void remember_put(const char *home, const char *name, enum remember what) {
    char line[LINE_SIZE + 1];
    if (!line_of(name, what, line))
        return;
    scoped_fd fd = state_open(home, FILE_NAME);
    if (fd < 0)
        return;
    if (lseek(fd, 0, SEEK_END) > FILE_MAX - LINE_SIZE && ftruncate(fd, 0) != 0)
        return;
    (void)!write(fd, line, LINE_SIZE);
}
