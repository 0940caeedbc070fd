#include "transfer/names.h"

#include <stdio.h>

#include "base/text.h"

bool name_is_plain(const char *name) {
    return *name != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
           strchr(name, '/') == NULL;
}

bool path_join(char out[NAME_PATH], const char *folder, const char *name) {
    size_t n = strlen(folder);
    bool alone = n == 0 || *name == '/';
    const char *slash = alone || folder[n - 1] == '/' ? "" : "/";
    int length = snprintf(out, NAME_PATH, "%s%s%s", alone ? "" : folder, slash, name);
    return length >= 0 && (size_t)length < NAME_PATH;
}

bool path_last(char out[NAME_PATH], const char *path) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    if (end == 0)
        return text_copy(out, NAME_PATH, view_text("."));
    if (start == end)  // "/"
        start--;
    return text_copy(out, NAME_PATH, view_of(path + start, end - start));
}

bool path_into(char out[NAME_PATH], const char *folder, const char *path) {
    char last[NAME_PATH];
    return path_last(last, path) &&
           path_join(out, folder, name_is_plain(last) ? last : ".");
}

bool name_copy(char out[NAME_PATH], struct view name) {
    return name.n > 0 && memchr(name.p, 0, name.n) == NULL &&
           text_copy(out, NAME_PATH, name);
}

bool pattern_is(const char *text) {
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        else if (strchr("*?[", *p) != NULL)
            return true;
    }
    return false;
}

void pattern_plain(char *text) {
    char *out = text;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\\' && p[1] != '\0')
            p++;
        *out++ = *p;
    }
    *out = '\0';
}
