// The message table and what is driven by it.
#include "wire/messages.h"

#include <assert.h>
#include <stdio.h>

#include "base/text.h"

#define END FIELDS_END
#define F FIELD

static const struct message_field disconnect_fields[] = {
    F(U32, msg_disconnect, reason), F(STRING, msg_disconnect, description),
    F(STRING, msg_disconnect, language), END};
static const struct message_field ignore_fields[] = {F(STRING, msg_ignore, data), END};
static const struct message_field unimplemented_fields[] = {
    F(U32, msg_unimplemented, sequence), END};
static const struct message_field debug_fields[] = {F(BOOL, msg_debug, always_display),
                                                    F(STRING, msg_debug, text),
                                                    F(STRING, msg_debug, language), END};
static const struct message_field service_fields[] = {F(TEXT, msg_service, name), END};
static const struct message_field ext_info_fields[] = {
    F(U32, msg_ext_info, count), F(REST, msg_ext_info, extensions), END};
static const struct message_field kexinit_fields[] = {
    F(BYTES16, msg_kexinit, cookie),
    F(NAME_LIST, msg_kexinit, kex),
    F(NAME_LIST, msg_kexinit, host_key),
    F(NAME_LIST, msg_kexinit, cipher_c2s),
    F(NAME_LIST, msg_kexinit, cipher_s2c),
    F(NAME_LIST, msg_kexinit, mac_c2s),
    F(NAME_LIST, msg_kexinit, mac_s2c),
    F(NAME_LIST, msg_kexinit, compression_c2s),
    F(NAME_LIST, msg_kexinit, compression_s2c),
    F(NAME_LIST, msg_kexinit, language_c2s),
    F(NAME_LIST, msg_kexinit, language_s2c),
    F(BOOL, msg_kexinit, first_kex_packet_follows),
    F(U32, msg_kexinit, reserved),
    END};
static const struct message_field empty_fields[] = {END};
static const struct message_field kex_ecdh_init_fields[] = {
    F(STRING, msg_kex_ecdh_init, client_blob), END};
static const struct message_field kex_ecdh_reply_fields[] = {
    F(STRING, msg_kex_ecdh_reply, host_key), F(STRING, msg_kex_ecdh_reply, server_blob),
    F(STRING, msg_kex_ecdh_reply, signature), END};
static const struct message_field kex_dh_gex_request_fields[] = {
    F(U32, msg_kex_dh_gex_request, min), F(U32, msg_kex_dh_gex_request, preferred),
    F(U32, msg_kex_dh_gex_request, max), END};
static const struct message_field userauth_request_fields[] = {
    F(STRING, msg_userauth_request, user), F(TEXT, msg_userauth_request, service),
    F(TEXT, msg_userauth_request, method), F(REST, msg_userauth_request, fields), END};
static const struct message_field userauth_failure_fields[] = {
    F(NAME_LIST, msg_userauth_failure, methods),
    F(BOOL, msg_userauth_failure, partial_success), END};
static const struct message_field userauth_banner_fields[] = {
    F(STRING, msg_userauth_banner, text), F(STRING, msg_userauth_banner, language), END};
static const struct message_field rest_fields[] = {F(REST, msg_rest, fields), END};
static const struct message_field global_request_fields[] = {
    F(TEXT, msg_global_request, name), F(BOOL, msg_global_request, want_reply),
    F(REST, msg_global_request, fields), END};
static const struct message_field channel_open_fields[] = {
    F(TEXT, msg_channel_open, type),   F(U32, msg_channel_open, sender),
    F(U32, msg_channel_open, window),  F(U32, msg_channel_open, max_packet),
    F(REST, msg_channel_open, fields), END};
static const struct message_field channel_open_confirmation_fields[] = {
    F(U32, msg_channel_open_confirmation, recipient),
    F(U32, msg_channel_open_confirmation, sender),
    F(U32, msg_channel_open_confirmation, window),
    F(U32, msg_channel_open_confirmation, max_packet),
    F(REST, msg_channel_open_confirmation, fields),
    END};
static const struct message_field channel_open_failure_fields[] = {
    F(U32, msg_channel_open_failure, recipient), F(U32, msg_channel_open_failure, reason),
    F(STRING, msg_channel_open_failure, description),
    F(STRING, msg_channel_open_failure, language), END};
static const struct message_field channel_window_adjust_fields[] = {
    F(U32, msg_channel_window_adjust, recipient),
    F(U32, msg_channel_window_adjust, bytes), END};
static const struct message_field channel_data_fields[] = {
    F(U32, msg_channel_data, recipient), F(STRING, msg_channel_data, data), END};
static const struct message_field channel_extended_data_fields[] = {
    F(U32, msg_channel_extended_data, recipient), F(U32, msg_channel_extended_data, type),
    F(STRING, msg_channel_extended_data, data), END};
static const struct message_field channel_fields[] = {F(U32, msg_channel, recipient),
                                                      END};
static const struct message_field channel_request_fields[] = {
    F(U32, msg_channel_request, recipient), F(TEXT, msg_channel_request, name),
    F(BOOL, msg_channel_request, want_reply), F(REST, msg_channel_request, fields), END};
static const struct message_field ping_fields[] = {F(STRING, msg_ping, data), END};
static const struct message_field resume_open_fields[] = {
    F(STRING, msg_resume_open, random), F(U32, msg_resume_open, grace), END};
static const struct message_field resume_opened_fields[] = {
    F(STRING, msg_resume_opened, handle), F(STRING, msg_resume_opened, random),
    F(U32, msg_resume_opened, grace), END};
static const struct message_field resume_refused_fields[] = {
    F(U32, msg_resume_refused, reason), F(STRING, msg_resume_refused, text), END};
static const struct message_field resume_attach_fields[] = {
    F(STRING, msg_resume_attach, handle), F(U64, msg_resume_attach, epoch),
    F(STRING, msg_resume_attach, counts), F(STRING, msg_resume_attach, proof), END};
static const struct message_field resume_attached_fields[] = {
    F(U64, msg_resume_attached, epoch), F(STRING, msg_resume_attached, counts),
    F(STRING, msg_resume_attached, proof), END};
static const struct message_field resume_ack_fields[] = {
    F(U64, msg_resume_ack, epoch), F(STRING, msg_resume_ack, counts), END};

#define M(number, type, fields)                                                          \
    [SSH_MSG_##number] = {SSH_MSG_##number, #number, sizeof(struct type), fields}

static const struct message_schema schemas[256] = {
    M(DISCONNECT, msg_disconnect, disconnect_fields),
    M(IGNORE, msg_ignore, ignore_fields),
    M(UNIMPLEMENTED, msg_unimplemented, unimplemented_fields),
    M(DEBUG, msg_debug, debug_fields),
    M(SERVICE_REQUEST, msg_service, service_fields),
    M(SERVICE_ACCEPT, msg_service, service_fields),
    M(EXT_INFO, msg_ext_info, ext_info_fields),
    M(NEWCOMPRESS, msg_empty, empty_fields),
    M(KEXINIT, msg_kexinit, kexinit_fields),
    M(NEWKEYS, msg_empty, empty_fields),
    M(KEX_ECDH_INIT, msg_kex_ecdh_init, kex_ecdh_init_fields),
    M(KEX_ECDH_REPLY, msg_kex_ecdh_reply, kex_ecdh_reply_fields),
    M(KEX_DH_GEX_INIT, msg_kex_ecdh_init, kex_ecdh_init_fields),
    M(KEX_DH_GEX_REPLY, msg_kex_ecdh_reply, kex_ecdh_reply_fields),
    M(KEX_DH_GEX_REQUEST, msg_kex_dh_gex_request, kex_dh_gex_request_fields),
    M(USERAUTH_REQUEST, msg_userauth_request, userauth_request_fields),
    M(USERAUTH_FAILURE, msg_userauth_failure, userauth_failure_fields),
    M(USERAUTH_SUCCESS, msg_empty, empty_fields),
    M(USERAUTH_BANNER, msg_userauth_banner, userauth_banner_fields),
    M(USERAUTH_PK_OK, msg_rest, rest_fields),
    M(USERAUTH_INFO_RESPONSE, msg_rest, rest_fields),
    M(GLOBAL_REQUEST, msg_global_request, global_request_fields),
    M(REQUEST_SUCCESS, msg_rest, rest_fields),
    M(REQUEST_FAILURE, msg_empty, empty_fields),
    M(CHANNEL_OPEN, msg_channel_open, channel_open_fields),
    M(CHANNEL_OPEN_CONFIRMATION, msg_channel_open_confirmation,
      channel_open_confirmation_fields),
    M(CHANNEL_OPEN_FAILURE, msg_channel_open_failure, channel_open_failure_fields),
    M(CHANNEL_WINDOW_ADJUST, msg_channel_window_adjust, channel_window_adjust_fields),
    M(CHANNEL_DATA, msg_channel_data, channel_data_fields),
    M(CHANNEL_EXTENDED_DATA, msg_channel_extended_data, channel_extended_data_fields),
    M(CHANNEL_EOF, msg_channel, channel_fields),
    M(CHANNEL_CLOSE, msg_channel, channel_fields),
    M(CHANNEL_REQUEST, msg_channel_request, channel_request_fields),
    M(CHANNEL_SUCCESS, msg_channel, channel_fields),
    M(CHANNEL_FAILURE, msg_channel, channel_fields),
    M(PING, msg_ping, ping_fields),
    M(PONG, msg_ping, ping_fields),
    M(RESUME_OPEN, msg_resume_open, resume_open_fields),
    M(RESUME_OPENED, msg_resume_opened, resume_opened_fields),
    M(RESUME_REFUSED, msg_resume_refused, resume_refused_fields),
    M(RESUME_ATTACH, msg_resume_attach, resume_attach_fields),
    M(RESUME_ATTACHED, msg_resume_attached, resume_attached_fields),
    M(RESUME_ACK, msg_resume_ack, resume_ack_fields),
};

const struct message_schema *message_schema(uint8_t number) {
    return schemas[number].name != NULL ? &schemas[number] : NULL;
}

const char *message_name(uint8_t number) {
    return schemas[number].name != NULL ? schemas[number].name : "unknown";
}

enum err message_decode(uint8_t number, struct view payload, void *out,
                        struct fault *fault) {
    const struct message_schema *schema = message_schema(number);
    assert(schema != NULL);
    struct reader r = reader_of(payload);
    if (read_u8(&r) != number || r.err != OK) {
        memset(out, 0, schema->size);
        return fault_set(fault, ERR_UNEXPECTED, number, "not a %s message", schema->name);
    }
    struct fields_of of = {number, schema->name, schema->size, schema->fields};
    return fields_decode(&of, &r, out, fault);
}

void message_encode(struct writer *w, uint8_t number, const void *in) {
    const struct message_schema *schema = message_schema(number);
    assert(schema != NULL);
    write_u8(w, number);
    fields_encode(w, schema->fields, in);
}

const char *message_trace(char *out, size_t size, struct view payload) {
    struct reader r = reader_of(payload);
    uint8_t number = read_u8(&r);
    const struct message_schema *schema = message_schema(number);
    int n = snprintf(out, size, "%s (%u, %zu bytes)", message_name(number), number,
                     payload.n);
    size_t at = n < 0 ? 0 : (size_t)n < size ? (size_t)n : size - 1;
    if (schema != NULL)
        fields_trace(out + at, size - at, &r, schema->fields);
    return out;
}

bool name_list_next(struct view *list, struct view *name) {
    if (list->n == 0)
        return false;
    const uint8_t *comma = memchr(list->p, ',', list->n);
    size_t n = comma != NULL ? (size_t)(comma - list->p) : list->n;
    size_t skip = comma != NULL ? n + 1 : n;
    *name = view_of(list->p, n);
    *list = view_of(list->p + skip, list->n - skip);
    return true;
}

static bool name_list_has_view(struct view list, struct view wanted) {
    struct view name;
    while (name_list_next(&list, &name))
        if (view_equal(name, wanted))
            return true;
    return false;
}

bool name_list_has(struct view list, const char *name) {
    return name_list_has_view(list, view_text(name));
}

struct view name_list_first_common(struct view ours, struct view theirs) {
    struct view name;
    while (name_list_next(&ours, &name))
        if (name_list_has_view(theirs, name))
            return name;
    return view_of(NULL, 0);
}
