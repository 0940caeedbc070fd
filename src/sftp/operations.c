#include "sftp/operations.h"

#include "base/text.h"

static const struct message_field fields_open[] = {
    FIELD(TEXT, sftp_request_open, path), FIELD(U32, sftp_request_open, flags),
    FIELD(REST, sftp_request_open, attributes), FIELDS_END};
static const struct message_field fields_handle[] = {
    FIELD(STRING, sftp_request_handle, handle), FIELDS_END};
static const struct message_field fields_read[] = {
    FIELD(STRING, sftp_request_read, handle), FIELD(U64, sftp_request_read, offset),
    FIELD(U32, sftp_request_read, length), FIELDS_END};
static const struct message_field fields_write[] = {
    FIELD(STRING, sftp_request_write, handle), FIELD(U64, sftp_request_write, offset),
    FIELD(STRING, sftp_request_write, data), FIELDS_END};
static const struct message_field fields_path[] = {FIELD(TEXT, sftp_request_path, path),
                                                   FIELDS_END};
static const struct message_field fields_path_attributes[] = {
    FIELD(TEXT, sftp_request_path_attributes, path),
    FIELD(REST, sftp_request_path_attributes, attributes), FIELDS_END};
static const struct message_field fields_handle_attributes[] = {
    FIELD(STRING, sftp_request_handle_attributes, handle),
    FIELD(REST, sftp_request_handle_attributes, attributes), FIELDS_END};
static const struct message_field fields_two_paths[] = {
    FIELD(TEXT, sftp_request_two_paths, from), FIELD(TEXT, sftp_request_two_paths, to),
    FIELDS_END};
static const struct message_field fields_copy[] = {
    FIELD(STRING, sftp_request_copy, from),   FIELD(U64, sftp_request_copy, from_offset),
    FIELD(U64, sftp_request_copy, length),    FIELD(STRING, sftp_request_copy, to),
    FIELD(U64, sftp_request_copy, to_offset), FIELDS_END};
static const struct message_field fields_ids[] = {FIELD(STRING, sftp_request_ids, users),
                                                  FIELD(STRING, sftp_request_ids, groups),
                                                  FIELDS_END};
static const struct message_field fields_empty[] = {FIELDS_END};

static const struct sftp_operation operations[SFTP_OP_COUNT] = {
#define X(id, name, extension, version, type, kind, writes)                              \
    {SFTP_OP_##id,                                                                       \
     name,                                                                               \
     extension,                                                                          \
     version,                                                                            \
     type,                                                                               \
     writes,                                                                             \
     {type, name, sizeof(struct sftp_request_##kind), fields_##kind}},
    SFTP_OPERATIONS(X)
#undef X
};

const struct sftp_operation *sftp_operation(enum sftp_operation_id id) {
    return &operations[id];
}

const struct sftp_operation *sftp_operation_find(uint8_t type, struct view extension) {
    for (size_t i = 0; i < SFTP_OP_COUNT; i++) {
        const struct sftp_operation *o = &operations[i];
        if (o->type == type && (o->extension == NULL || view_is(extension, o->extension)))
            return o;
    }
    return NULL;
}

static bool find_name(struct view name, uint64_t *set) {
    for (size_t i = 0; i < SFTP_OP_COUNT; i++) {
        if (!view_is(name, operations[i].name))
            continue;
        *set |= UINT64_C(1) << i;
        return true;
    }
    return false;
}

bool sftp_operations_parse(const char *list, uint64_t *set, char *bad, size_t size) {
    *set = 0;
    for (const char *p = list; p != NULL;) {
        const char *comma = strchr(p, ',');
        size_t n = comma != NULL ? (size_t)(comma - p) : strlen(p);
        if (!find_name(view_of(p, n), set)) {
            text_copy(bad, size, view_of(p, n));
            return false;
        }
        p = comma != NULL ? comma + 1 : NULL;
    }
    return true;
}

const char *sftp_status_text(uint32_t status) {
    static const char *const texts[] = {
        "Success",           "End of file",     "No such file",
        "Permission denied", "Failure",         "Bad message",
        "No connection",     "Connection lost", "Operation unsupported"};
    return status < sizeof texts / sizeof texts[0] ? texts[status] : "Unknown error";
}
