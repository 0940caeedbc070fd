#include "sftp/mode_text.h"

#include <stddef.h>

#define KIND_MASK 0170000u

static char kind_letter(uint32_t mode) {
    static const struct {
        uint32_t kind;
        char letter;
    } kinds[] = {{0100000u, '-'}, {0040000u, 'd'}, {0120000u, 'l'}, {0010000u, 'p'},
                 {0140000u, 's'}, {0020000u, 'c'}, {0060000u, 'b'}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if ((mode & KIND_MASK) == kinds[i].kind)
            return kinds[i].letter;
    return '?';
}

// rwx of one class; `special` is its setuid, setgid or sticky bit, shown as x's case.
static void class_letters(char *out, uint32_t bits, bool special, char letter) {
    bool x = (bits & 1) != 0;
    out[0] = bits & 4 ? 'r' : '-';
    out[1] = bits & 2 ? 'w' : '-';
    out[2] = special ? (char)(x ? letter : letter - 'a' + 'A') : x ? 'x' : '-';
}

void sftp_mode_text(char out[11], uint32_t mode) {
    out[0] = kind_letter(mode);
    class_letters(out + 1, mode >> 6, (mode & 04000u) != 0, 's');
    class_letters(out + 4, mode >> 3, (mode & 02000u) != 0, 's');
    class_letters(out + 7, mode, (mode & 01000u) != 0, 't');
    out[10] = '\0';
}
