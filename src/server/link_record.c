#include "server/link_record.h"

#include "base/limits.h"
#include "server/ipc_table.h"

#define F(kind, member) FIELD(kind, link_record, member)

// Up to here they stood in the first version that was given out.
#define FIELDS_FIRST 41

// clang-format off
static const struct message_field fields[] = {
    F(U64, serial), F(U64, listener), F(U64, id), F(U32, state), F(TEXT, peer), F(TEXT, local),
    F(PORT, peer_port), F(PORT, local_port), F(TEXT, user), F(BOOL, valid_user),
    F(BOOL, authenticated), F(BOOL, said_end), F(BOOL, pending), F(BOOL, grace_over),
    F(BOOL, judge_stays), F(U32, uid), F(U64, since), F(TEXT, key), F(TEXT, comment),
    F(U32, host_key), F(TEXT, host_algorithm), F(U32, proofs), F(STRING, session_id),
    F(U32, question), F(U32, ticket), F(U32, questions), F(U32, failures), F(U64, grace_at),
    F(U32, holder_pid), F(U32, judge_pid), F(U32, gate_version), F(U32, holder_version),
    F(U32, judge_version), F(U64, gate_seen), F(U64, holder_seen), F(U64, judge_seen),
    F(STRING, host_keys), F(U64, gate_pid), F(TEXT, ca), F(STRING, certificate_id),
    F(U64, certificate_serial), F(STRING, terminals), F(STRING, identity),
    F(STRING, handle), F(U64, suspended_at), F(U64, suspended_since), F(U32, suspended_grace),
    F(BOOL, suspended_terminal), F(U64, attaching), F(U32, factors), F(TEXT, domain),
    F(TEXT, host), F(TEXT, agent), F(TEXT, auth_info), F(STRING, wanted),
    F(BOOL, turned_away), FIELDS_END,
};
// clang-format on

static const struct fields_of record = {0, "link record", sizeof(struct link_record),
                                        fields};

enum err link_record_write(const struct link_record *r, struct buf *out) {
    struct writer w = writer_to_buf(out);
    fields_encode(&w, fields, r);
    return writer_end(&w);
}

static bool one_state(uint32_t state) {
    return state != 0 && (state & (state - 1)) == 0 && (state & ~LINK_ANY) == 0;
}

enum err link_record_read(struct link_record *r, struct view bytes, struct fault *fault) {
    struct reader reader = reader_of(bytes);
    TRY(fields_decode_loose(&record, FIELDS_FIRST, &reader, r, fault));
    if (!one_state(r->state) || r->question >= IPC_NUMBERS || r->user.n > LIMIT_USER_NAME)
        return fault_set(fault, ERR_FORMAT, 0, "link record: no such state or user");
    return OK;
}
