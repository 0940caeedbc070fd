// The codec of the control socket's messages.
#include "client/mux_message.h"

#include "base/limits.h"
#include "wire/fields.h"

#define F(type, member) FIELD(U32, type, member)
static const struct message_field hello[] = {
    F(mux_hello, version), FIELD(REST, mux_hello, extensions), FIELDS_END};
static const struct message_field session[] = {F(mux_new_session, id),
                                               FIELD(STRING, mux_new_session, reserved),
                                               F(mux_new_session, tty),
                                               F(mux_new_session, x11),
                                               F(mux_new_session, agent),
                                               F(mux_new_session, subsystem),
                                               F(mux_new_session, escape),
                                               FIELD(TEXT, mux_new_session, term),
                                               FIELD(TEXT, mux_new_session, command),
                                               FIELD(REST, mux_new_session, environment),
                                               FIELDS_END};
static const struct message_field stdio[] = {
    F(mux_stdio_forward, id), FIELD(STRING, mux_stdio_forward, reserved),
    FIELD(TEXT, mux_stdio_forward, host), F(mux_stdio_forward, port), FIELDS_END};
static const struct message_field forward[] = {F(mux_forward, id),
                                               F(mux_forward, type),
                                               FIELD(TEXT, mux_forward, listen_host),
                                               F(mux_forward, listen_port),
                                               FIELD(TEXT, mux_forward, connect_host),
                                               F(mux_forward, connect_port),
                                               FIELDS_END};
static const struct message_field plain[] = {F(mux_id, id), FIELDS_END};
static const struct message_field info[] = {F(mux_info, id), FIELD(TEXT, mux_info, text),
                                            FIELDS_END};
static const struct message_field reason[] = {
    F(mux_reason, id), FIELD(STRING, mux_reason, reason), FIELDS_END};
static const struct message_field pair[] = {F(mux_pair, id), F(mux_pair, value),
                                            FIELDS_END};
static const struct message_field half[] = {F(mux_pair, id), FIELDS_END};

static const struct row {
    enum mux_number number;
    struct fields_of of;
} rows[] = {
#define ROW(number, type, fields)                                                        \
    {                                                                                    \
        MUX_##number, {                                                                  \
            0, #number, sizeof(struct type), fields                                      \
        }                                                                                \
    }
    ROW(HELLO, mux_hello, hello),
    ROW(C_NEW_SESSION, mux_new_session, session),
    ROW(C_ALIVE_CHECK, mux_id, plain),
    ROW(C_TERMINATE, mux_id, plain),
    ROW(C_OPEN_FORWARD, mux_forward, forward),
    ROW(C_CLOSE_FORWARD, mux_forward, forward),
    ROW(C_NEW_STDIO_FORWARD, mux_stdio_forward, stdio),
    ROW(C_STOP_LISTENING, mux_id, plain),
    ROW(C_PROXY, mux_id, plain),
    ROW(C_INFO, mux_info, info),
    ROW(S_OK, mux_id, plain),
    ROW(S_PERMISSION_DENIED, mux_reason, reason),
    ROW(S_FAILURE, mux_reason, reason),
    ROW(S_EXIT, mux_pair, pair),
    ROW(S_ALIVE, mux_pair, pair),
    ROW(S_SESSION_OPENED, mux_pair, pair),
    ROW(S_REMOTE_PORT, mux_pair, pair),
    ROW(S_TTY_ALLOC_FAIL, mux_pair, half),
    ROW(S_PROXY, mux_id, plain),
    ROW(S_INFO, mux_info, info),
#undef ROW
};

static const struct row *row_find(uint32_t number) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((uint32_t)rows[i].number == number)
            return &rows[i];
    return NULL;
}

enum err mux_decode(struct view in, struct mux_message *m, size_t *taken,
                    struct fault *fault) {
    *m = (struct mux_message){0};
    *taken = 0;
    if (in.n < 4)
        return OK;
    uint32_t length = load_u32(in.p);
    if (length < 4 || length > MUX_MESSAGE_MAX - 4)
        return fault_set(fault, ERR_LIMIT, 0, "message of %u bytes on a control socket",
                         length);
    if (in.n - 4 < length)
        return OK;
    struct view body = view_of(in.p + 8, length - 4);
    m->number = load_u32(in.p + 4);
    m->id = m->number != MUX_HELLO && body.n >= 4 ? load_u32(body.p) : 0;
    *taken = 4 + (size_t)length;
    const struct row *row = row_find(m->number);
    if (row == NULL)
        return ERR_UNSUPPORTED;
    m->name = row->of.name;
    struct reader r = reader_of(body);
    return fields_decode(&row->of, &r, &m->hello, fault);
}

enum err mux_encode(struct buf *out, enum mux_number number, const void *fields) {
    const struct row *row = row_find(number);
    if (row == NULL)
        return ERR_UNSUPPORTED;
    scoped_buf body;
    buf_init(&body, MUX_MESSAGE_MAX - 8);
    struct writer w = writer_to_buf(&body);
    fields_encode(&w, row->of.fields, fields);
    TRY(writer_end(&w));
    w = writer_to_buf(out);
    write_u32(&w, 4 + (uint32_t)buf_len(&body));
    write_u32(&w, number);
    write_bytes(&w, buf_view(&body));
    return writer_end(&w);
}

bool mux_next_string(struct view *strings, struct view *string) {
    struct reader r = reader_of(*strings);
    *string = read_string(&r);
    if (strings->n == 0 || r.err != OK)
        return false;
    *strings = read_rest(&r);
    return true;
}
