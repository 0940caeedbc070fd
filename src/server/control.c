#include "server/control.h"

#include <stdio.h>

#define F(kind, member) FIELD(kind, ROW_STRUCT, member)

// clang-format off
#define ROW_STRUCT control_hello
static const struct message_field f_hello[] = {F(U32, version), F(U32, pid), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT control_list
static const struct message_field f_list[] = {F(U32, flags), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT control_session
static const struct message_field f_session[] = {F(TEXT, id), F(TEXT, user), F(TEXT, key),
    F(TEXT, comment), F(TEXT, peer), F(PORT, peer_port), F(TEXT, local), F(PORT, local_port),
    F(U32, uid), F(U64, since), F(U64, idle), F(U64, bytes_in), F(U64, bytes_out),
    F(U32, sessions), F(U32, channels), F(TEXT, tty), F(TEXT, command), F(U32, forwards),
    F(U64, suspended), F(U64, grace_left), F(STRING, terminals), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT control_end
static const struct message_field f_end[] = {F(TEXT, what), F(TEXT, text), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT control_done
static const struct message_field f_done[] = {F(U32, count), F(TEXT, text), FIELDS_END};
#undef ROW_STRUCT

#define ROW_STRUCT control_attach
static const struct message_field f_attach[] = {F(TEXT, name), F(U32, flags), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT control_view
static const struct message_field f_view[] = {F(U32, version), FIELDS_END};
#undef ROW_STRUCT

#define SESSION_LEAST 17  // fields that every keeper sends
#define BY_TOOL 1u
#define BY_KEEPER 2u
#define ROW(NAME, name, from)                                                            \
    [CONTROL_##NAME] = {from, {CONTROL_##NAME, #NAME, sizeof(struct control_##name), f_##name}}

static const struct row {
    unsigned from;
    struct fields_of of;
} rows[CONTROL_NUMBERS] = {
    ROW(HELLO, hello, BY_TOOL | BY_KEEPER),
    ROW(LIST, list, BY_TOOL),
    ROW(SESSION, session, BY_KEEPER),
    ROW(END, end, BY_TOOL),
    ROW(DONE, done, BY_KEEPER),
    ROW(ATTACH, attach, BY_TOOL),
    ROW(VIEW, view, BY_KEEPER),
};
// clang-format on

enum err control_decode(struct view bytes, bool from_tool, struct control_message *out,
                        struct fault *fault) {
    struct reader r = reader_of(bytes);
    unsigned number = read_u8(&r);
    memset(out, 0, sizeof *out);
    if (bytes.n == 0 || number >= CONTROL_NUMBERS || rows[number].of.name == NULL ||
        !(rows[number].from & (from_tool ? BY_TOOL : BY_KEEPER)))
        return fault_set(fault, ERR_UNEXPECTED, (uint8_t)number,
                         "unknown control message %u", number);
    TRY(number == CONTROL_SESSION
            ? fields_decode_loose(&rows[number].of, SESSION_LEAST, &r, &out->body, fault)
            : fields_decode(&rows[number].of, &r, &out->body, fault));
    out->number = number;
    return OK;
}

enum err control_encode(enum control_number number, const void *body, struct span room,
                        size_t *used) {
    return fields_message(&rows[number].of, body, room, used);
}

// ---- places ----

static bool format(char *out, size_t size, const char *a, const char *b, int a_n) {
    int n = snprintf(out, size, "%.*s%s", a_n, a, b);
    return n >= 0 && (size_t)n < size;
}

bool control_folder(bool root, const char *runtime, const char *config_file, char *out,
                    size_t size) {
    if (root)
        return format(out, size, "/run/bowline", "", 64);
    if (runtime != NULL && runtime[0] == '/')
        return format(out, size, runtime, "/bowline", 4096);
    const char *slash = config_file != NULL ? strrchr(config_file, '/') : NULL;
    if (slash == NULL || config_file[0] != '/')
        return false;
    return format(out, size, config_file, "", (int)(slash - config_file));
}

bool control_path(const char *folder, const char *name, const char *address,
                  uint16_t port, char *out, size_t size) {
    bool any = address == NULL || strchr(address, '/') != NULL;
    int n = snprintf(out, size, "%s/%s.%u%s%s.sock", folder, name, port, any ? "" : "@",
                     any ? "" : address);
    return n >= 0 && (size_t)n < size;
}

bool control_is_keeper(const char *name, uint16_t port) {
    unsigned found;
    size_t n = strlen(name);
    return n > 5 && strcmp(name + n - 5, ".sock") == 0 &&
           sscanf(name, "sshd.%5u", &found) == 1 && (port == 0 || port == found);
}

bool terminal_next(struct reader *r, struct terminal_told *t) {
    if (reader_left(r) == 0)
        return false;
    t->name = read_string(r);
    t->state = read_u32(r);
    t->status = read_u32(r);
    t->watchers = read_u32(r);
    return reader_end(r) == OK || reader_left(r) > 0;
}
