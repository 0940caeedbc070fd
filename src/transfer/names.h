// File names: which of the server's may become ours, and how paths are put together.
#pragma once

#include "base/bytes.h"
#include "sftp/vfs.h"

#define NAME_PATH SFTP_PATH_SIZE

// A single part of a path that leads nowhere else: not empty, "." or "..", no '/', no
// NUL. What a server names is asked this before it is made here (CVE-2018-20685,
// CVE-2019-6111).
bool name_is_plain(const char *name);

// folder/name, or `name` itself when it is absolute or the folder is empty. False: too
// long.
bool path_join(char out[NAME_PATH], const char *folder, const char *name);

// The last part of a path: "a/b/" has "b", "/" has "/", "" has ".". Into out.
bool path_last(char out[NAME_PATH], const char *path);

// Where `path` comes to lie within the folder: folder/last part. What has no name of its
// own ("/", ".", "..") is the folder itself: never what lies above or beside it.
bool path_into(char out[NAME_PATH], const char *folder, const char *path);

// The server's file name as a C string; false: it has a NUL or is too long.
bool name_copy(char out[NAME_PATH], struct view name);

// Whether a text has characters that a pattern gives a meaning, not counting escaped
// ones.
bool pattern_is(const char *text);
// The text that a pattern without such characters stands for: escapes are taken off.
void pattern_plain(char *text);
