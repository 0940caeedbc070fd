// The table of server/ipc_table.h and its codec.
#include "server/ipc_table.h"

#include <stdio.h>

#define F(kind, member) FIELD(kind, ROW_STRUCT, member)

// clang-format off
#define ROW_STRUCT ipc_listening
static const struct message_field f_listening[] = {F(U32, version), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_link_new
static const struct message_field f_link_new[] = {F(U64, id), F(TEXT, peer), F(U32, peer_port),
    F(TEXT, local), F(U32, local_port), F(U32, pid), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_link_end
static const struct message_field f_link_end[] = {F(U64, id), F(BOOL, abnormal), F(U32, status),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_link_authed
static const struct message_field f_link_authed[] = {F(U64, id), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_startups
static const struct message_field f_startups[] = {F(U32, elsewhere), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_stop
static const struct message_field f_stop[] = {F(BOOL, now), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_sign
static const struct message_field f_sign[] = {F(U32, ticket), F(U32, key), F(TEXT, algorithm),
    F(STRING, hash), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_signed
static const struct message_field f_signed[] = {F(U32, ticket), F(STRING, signature), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_user
static const struct message_field f_user[] = {F(U32, ticket), F(STRING, user), F(STRING, service),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_user_answer
static const struct message_field f_user_answer[] = {F(U32, ticket), F(TEXT, methods),
    F(BOOL, valid), F(BOOL, none), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_key_query
static const struct message_field f_key_query[] = {F(U32, ticket), F(TEXT, algorithm),
    F(STRING, blob), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_key_auth
static const struct message_field f_key_auth[] = {F(U32, ticket), F(TEXT, algorithm),
    F(STRING, blob), F(STRING, data), F(STRING, signature), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_answer
static const struct message_field f_answer[] = {F(U32, ticket), F(U32, verdict), F(TEXT, methods),
    F(TEXT, method), F(TEXT, key), F(STRING, banner), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_verdict
#define OF_LOGIN F(U32, ticket), F(TEXT, user), F(TEXT, home),                            \
    F(TEXT, shell), F(U32, uid), F(U32, gid), F(STRING, groups), F(TEXT, method), F(TEXT, key),  \
    F(TEXT, comment), F(U32, permits), F(BOOL, has_command), F(TEXT, command),                   \
    F(STRING, environment), F(STRING, permit_open), F(STRING, permit_listen), F(BOOL, expires),  \
    F(U64, expires_at), F(STRING, auth_info), F(STRING, pam_environment), F(STRING, message),    \
    F(BOOL, holder)
#define LOGIN_FIELDS 22
static const struct message_field f_verdict[] = {OF_LOGIN, F(STRING, identity), FIELDS_END};
// A holder gets what the judge has said, but for who may resume it.
static const struct message_field f_login[] = {OF_LOGIN, FIELDS_END};
#define ipc_login ipc_verdict
#undef ROW_STRUCT
#define ROW_STRUCT ipc_holder_ready
static const struct message_field f_holder_ready[] = {F(U32, version), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_gate_end
static const struct message_field f_gate_end[] = {F(U32, cause), F(U32, reason), F(STRING, text),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_log
static const struct message_field f_log[] = {F(U32, level), F(STRING, text), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_tell
static const struct message_field f_tell[] = {F(U32, action), F(TEXT, text), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_status
static const struct message_field f_status[] = {F(U32, sessions), F(U32, channels),
    F(U64, bytes_in), F(U64, bytes_out), F(U32, idle), F(TEXT, tty), F(TEXT, command),
    F(U32, forwards), F(STRING, terminals), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_prove
static const struct message_field f_prove[] = {F(STRING, blobs), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_proved
static const struct message_field f_proved[] = {F(STRING, signatures), FIELDS_END};
#undef ROW_STRUCT

#define ROW_STRUCT ipc_penalty
static const struct message_field f_penalty[] = {F(TEXT, peer), F(U32, reason), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_none
static const struct message_field f_none[] = {F(U32, ticket), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_password
static const struct message_field f_password[] = {F(U32, ticket), F(TEXT, password),
    F(BOOL, change), F(TEXT, new_password), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_hostbased
static const struct message_field f_hostbased[] = {F(U32, ticket), F(TEXT, algorithm),
    F(STRING, blob), F(TEXT, host), F(TEXT, client_user), F(STRING, data), F(STRING, signature),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_kbdint
static const struct message_field f_kbdint[] = {F(U32, ticket), F(STRING, submethods), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_responses
static const struct message_field f_responses[] = {F(U32, ticket), F(STRING, responses), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_prompts
static const struct message_field f_prompts[] = {F(U32, ticket), F(STRING, name),
    F(STRING, instruction), F(STRING, prompts), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_change
static const struct message_field f_change[] = {F(U32, ticket), F(STRING, prompt), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_holder_made
static const struct message_field f_holder_made[] = {F(U32, pid), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_holder_seam
static const struct message_field f_holder_seam[] = {F(U32, pid), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_make
static const struct message_field f_make[] = {F(U32, role), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_made
static const struct message_field f_made[] = {F(U32, pid), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_start
static const struct message_field f_start[] = {F(STRING, session_id), F(STRING, host_key),
    F(TEXT, peer), F(TEXT, local), F(U32, peer_port), F(U32, local_port), F(STRING, host_keys),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_facts
static const struct message_field f_facts[] = {F(STRING, certificate_id), F(U64, serial),
    F(TEXT, ca), F(TEXT, why), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_event
static const struct message_field f_event[] = {F(U32, event), F(U32, channel), F(TEXT, kind),
    F(STRING, text), F(TEXT, tty), F(STRING, host), F(U32, port), F(U32, status), F(TEXT, signal),
    F(TEXT, reason), F(U64, bytes_in), F(U64, bytes_out), F(U32, lost), F(TEXT, forced_by), F(TEXT, forced), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_refused
static const struct message_field f_refused[] = {F(TEXT, peer), F(U32, peer_port), F(TEXT, local),
    F(U32, local_port), F(U32, reason), F(U32, pending), F(U32, untold), F(TEXT, why), FIELDS_END};
#undef ROW_STRUCT

#define ROW_STRUCT ipc_policy
static const struct message_field f_policy[] = {F(U32, max_tries), F(STRING, banner),
    F(BOOL, refuse), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_record
static const struct message_field f_record[] = {F(BOOL, in), F(TEXT, line), F(TEXT, user),
    F(TEXT, host), F(U32, pid), F(U32, uid), F(U64, at), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_commission
static const struct message_field f_commission[] = {F(TEXT, agent), F(TEXT, provider),
    F(TEXT, algorithm), F(STRING, key), F(STRING, handle), F(U32, flags), F(STRING, data),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_delivery
static const struct message_field f_delivery[] = {F(STRING, signature), F(TEXT, why),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_resume
static const struct message_field f_resume[] = {F(STRING, handle), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_not_resumed
static const struct message_field f_not_resumed[] = {F(U32, reason), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_resumable
static const struct message_field f_resumable[] = {F(STRING, handle), F(U32, grace), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_suspended
static const struct message_field f_suspended[] = {F(U32, grace), F(BOOL, terminal),
    F(BOOL, silent), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_attach
static const struct message_field f_attach[] = {F(U64, link), F(STRING, session_id), F(TEXT, peer),
    F(U32, peer_port), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_attached
static const struct message_field f_attached[] = {F(U64, link), F(U32, reason), F(U32, seconds),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_resumption
static const struct message_field f_resumption[] = {F(U32, ticket), F(U64, epoch), F(STRING, proof),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_vouch
static const struct message_field f_vouch[] = {F(U64, link), F(STRING, session_id), F(U64, epoch),
    F(STRING, proof), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_vouched
static const struct message_field f_vouched[] = {F(U64, link), F(U32, reason), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_factors
static const struct message_field f_factors[] = {F(U32, ticket), F(U32, methods), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_claim
static const struct message_field f_claim[] = {F(U32, channel), F(TEXT, name), F(U32, flags),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_claimed
static const struct message_field f_claimed[] = {F(U32, channel), F(U32, result), F(TEXT, id),
    F(TEXT, text), F(BOOL, may_keep), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_view
static const struct message_field f_view[] = {F(TEXT, name), F(U32, flags), F(TEXT, who),
    FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_viewed
static const struct message_field f_viewed[] = {F(U32, channel), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_held
static const struct message_field f_held[] = {F(U32, grace), FIELDS_END};
#undef ROW_STRUCT

#define ROW_STRUCT ipc_ended
static const struct message_field f_ended[] = {F(TEXT, class), F(STRING, text), FIELDS_END};
#undef ROW_STRUCT

#define ROW_STRUCT ipc_domain
static const struct message_field f_domain[] = {F(U64, id), F(TEXT, name), FIELDS_END};
#undef ROW_STRUCT

#define ROW_STRUCT ipc_host
static const struct message_field f_host[] = {F(TEXT, name), FIELDS_END};
#undef ROW_STRUCT
#define ROW_STRUCT ipc_leavings
static const struct message_field f_leavings[] = {F(TEXT, agent), F(TEXT, auth_info), FIELDS_END};
#undef ROW_STRUCT

#define ROW(NAME, name, from, to, states, flags)                                         \
    [IPC_##NAME] = {IPC_##NAME, from, to, states, flags,                                 \
                    {IPC_##NAME, #NAME, sizeof(struct ipc_##name), f_##name}, 0, 0}
// One that has grown: in which version, and how many fields it had before.
#define ROW_GREW(NAME, name, from, to, states, flags, grew, before)                      \
    [IPC_##NAME] = {IPC_##NAME, from, to, states, flags,                                 \
                    {IPC_##NAME, #NAME, sizeof(struct ipc_##name), f_##name}, grew, before}

_Static_assert(IPC_NUMBERS <= 64, "a bit of ipc_side.seen for each");
static const struct ipc_row rows[IPC_NUMBERS] = {
    ROW(LISTENING,    listening,    IPC_LISTENER, IPC_KEEPER, LINK_NONE, 0),
    ROW_GREW(LINK_NEW, link_new,    IPC_LISTENER, IPC_KEEPER, LINK_NONE, IPC_FD, 2, 5),
    ROW(LINK_END,     link_end,     IPC_LISTENER, IPC_KEEPER, LINK_NONE, 0),
    ROW(LINK_AUTHED,  link_authed,  IPC_KEEPER, IPC_LISTENER, LINK_NONE, 0),
    ROW(STARTUPS,     startups,     IPC_KEEPER, IPC_LISTENER, LINK_NONE, 0),
    ROW(STOP,         stop,         IPC_KEEPER, IPC_LISTENER, LINK_NONE, 0),
    ROW(SIGN,         sign,         IPC_GATE, IPC_KEEPER, LINK_NEW | LINK_KEYED | LINK_USER |
        LINK_AUTHED | LINK_OPEN, IPC_LIMITED),
    ROW(SIGNED,       signed,       IPC_KEEPER, IPC_GATE, LINK_NONE, 0),
    ROW(USER,         user,         IPC_GATE | IPC_KEEPER, IPC_KEEPER | IPC_JUDGE,
        LINK_KEYED, IPC_ONCE),
    ROW(USER_ANSWER,  user_answer,  IPC_JUDGE | IPC_KEEPER, IPC_KEEPER | IPC_GATE,
        LINK_USER, IPC_ONCE),
    ROW(KEY_QUERY,    key_query,    IPC_GATE | IPC_KEEPER, IPC_KEEPER | IPC_JUDGE,
        LINK_USER, 0),
    ROW(KEY_AUTH,     key_auth,     IPC_GATE | IPC_KEEPER, IPC_KEEPER | IPC_JUDGE,
        LINK_USER, IPC_DECIDES),
    ROW(ANSWER,       answer,       IPC_JUDGE | IPC_KEEPER, IPC_KEEPER | IPC_GATE,
        LINK_USER, 0),
    ROW_GREW(VERDICT, verdict,      IPC_JUDGE, IPC_KEEPER, LINK_USER, IPC_ONCE | IPC_DECIDES, 3,
        LOGIN_FIELDS),
    ROW(HOLDER_READY, holder_ready, IPC_KEEPER, IPC_GATE, LINK_NONE, IPC_ONCE | IPC_FD),
    ROW(GATE_END,     gate_end,     IPC_GATE, IPC_KEEPER, LINK_ANY & ~LINK_CLOSING, IPC_ONCE),
    ROW(LOG,          log,          IPC_LISTENER | IPC_GATE | IPC_JUDGE | IPC_HOLDER, IPC_KEEPER,
        LINK_ANY, IPC_LIMITED),
    ROW(TELL,         tell,         IPC_KEEPER, IPC_GATE | IPC_HOLDER, LINK_NONE, 0),
    ROW_GREW(STATUS,  status,       IPC_HOLDER, IPC_KEEPER, LINK_OPEN | LINK_CLOSING, IPC_LIMITED,
        4, 7),
    ROW(PROVE,        prove,        IPC_HOLDER, IPC_KEEPER, LINK_OPEN | LINK_CLOSING, IPC_LIMITED),
    ROW(PROVED,       proved,       IPC_KEEPER, IPC_HOLDER, LINK_NONE, 0),
    ROW(PENALTY,      penalty,      IPC_LISTENER | IPC_KEEPER, IPC_KEEPER | IPC_LISTENER,
        LINK_NONE, 0),
    ROW(NONE,         none,         IPC_GATE | IPC_KEEPER, IPC_KEEPER | IPC_JUDGE,
        LINK_USER, IPC_DECIDES),
    ROW(PASSWORD,     password,     IPC_GATE | IPC_KEEPER, IPC_KEEPER | IPC_JUDGE,
        LINK_USER, IPC_DECIDES | IPC_SECRET),
    ROW(KBDINT,       kbdint,       IPC_GATE | IPC_KEEPER, IPC_KEEPER | IPC_JUDGE,
        LINK_USER, IPC_DECIDES),
    ROW(RESPONSES,    responses,    IPC_GATE | IPC_KEEPER, IPC_KEEPER | IPC_JUDGE,
        LINK_USER, IPC_DECIDES | IPC_SECRET),
    ROW(PROMPTS,      prompts,      IPC_JUDGE | IPC_KEEPER, IPC_KEEPER | IPC_GATE, LINK_USER, 0),
    ROW(CHANGE,       change,       IPC_JUDGE | IPC_KEEPER, IPC_KEEPER | IPC_GATE, LINK_USER, 0),
    ROW(HOLDER_MADE,  holder_made,  IPC_JUDGE, IPC_KEEPER, LINK_USER, IPC_ONCE | IPC_FD),
    ROW(HOLDER_SEAM,  holder_seam,  IPC_JUDGE, IPC_KEEPER, LINK_USER, IPC_ONCE | IPC_FD),
    ROW(MAKE,         make,         IPC_KEEPER, IPC_NURSERY, LINK_NONE, IPC_FD),
    ROW(MADE,         made,         IPC_NURSERY, IPC_KEEPER, LINK_NONE, 0),
    ROW(START,        start,        IPC_KEEPER, IPC_JUDGE | IPC_HOLDER, LINK_NONE, IPC_ONCE),
    ROW(LOGIN,        login,        IPC_KEEPER, IPC_HOLDER, LINK_NONE, IPC_ONCE | IPC_FD),
    ROW(FACTS,        facts,        IPC_JUDGE, IPC_KEEPER, LINK_USER, 0),
    ROW_GREW(EVENT,   event,        IPC_HOLDER, IPC_KEEPER, LINK_OPEN | LINK_CLOSING, IPC_LIMITED,
        4, 13),
    ROW(REFUSED,      refused,      IPC_LISTENER, IPC_KEEPER, LINK_NONE, 0),
    ROW(POLICY,       policy,       IPC_JUDGE | IPC_KEEPER, IPC_KEEPER | IPC_GATE, LINK_USER, IPC_ONCE),
    ROW(RECORD,       record,       IPC_KEEPER, IPC_RECORDER, LINK_NONE, 0),
    ROW(HOSTBASED,    hostbased,    IPC_GATE | IPC_KEEPER, IPC_KEEPER | IPC_JUDGE,
        LINK_USER, IPC_DECIDES),
    ROW(COMMISSION,   commission,   IPC_KEEPER, IPC_SIGNER, LINK_NONE, IPC_ONCE),
    ROW(DELIVERY,     delivery,     IPC_SIGNER, IPC_KEEPER, LINK_NONE, IPC_ONCE),
    ROW(RESUME,       resume,       IPC_GATE | IPC_KEEPER, IPC_KEEPER | IPC_JUDGE, LINK_KEYED,
        IPC_ONCE),
    ROW(NOT_RESUMED,  not_resumed,  IPC_KEEPER, IPC_GATE, LINK_NONE, IPC_ONCE),
    ROW(RESUMABLE,    resumable,    IPC_HOLDER, IPC_KEEPER, LINK_OPEN | LINK_CLOSING, IPC_ONCE),
    ROW(SUSPENDED,    suspended,    IPC_HOLDER, IPC_KEEPER, LINK_OPEN | LINK_CLOSING, 0),
    ROW(ATTACH,       attach,       IPC_KEEPER, IPC_HOLDER, LINK_NONE, IPC_FD),
    ROW(ATTACHED,     attached,     IPC_HOLDER, IPC_KEEPER, LINK_OPEN | LINK_CLOSING, 0),
    ROW(RESUMPTION,   resumption,   IPC_GATE, IPC_KEEPER, LINK_USER, IPC_ONCE | IPC_DECIDES),
    ROW(VOUCH,        vouch,        IPC_KEEPER, IPC_HOLDER, LINK_NONE, 0),
    ROW(VOUCHED,      vouched,      IPC_HOLDER, IPC_KEEPER, LINK_OPEN | LINK_CLOSING, 0),
    ROW(FACTORS,      factors,      IPC_JUDGE | IPC_KEEPER, IPC_KEEPER | IPC_JUDGE, LINK_USER, IPC_ONCE),
    ROW(DOMAIN,       domain,       IPC_LISTENER | IPC_KEEPER, IPC_KEEPER | IPC_JUDGE | IPC_HOLDER,
        LINK_NONE, 0),
    ROW(CLAIM,        claim,        IPC_HOLDER, IPC_KEEPER, LINK_OPEN | LINK_CLOSING, IPC_LIMITED),
    ROW(CLAIMED,      claimed,      IPC_KEEPER, IPC_HOLDER, LINK_NONE, 0),
    ROW(VIEW,         view,         IPC_KEEPER, IPC_HOLDER, LINK_NONE, IPC_FD),
    ROW(VIEWED,       viewed,       IPC_KEEPER, IPC_HOLDER, LINK_NONE, IPC_FD),
    ROW(HELD,         held,         IPC_HOLDER, IPC_KEEPER, LINK_OPEN | LINK_CLOSING, 0),
    ROW(HOST,         host,         IPC_JUDGE | IPC_KEEPER, IPC_KEEPER | IPC_HOLDER | IPC_RECORDER,
        LINK_USER, IPC_ONCE),
    ROW(LEAVINGS,     leavings,     IPC_HOLDER, IPC_KEEPER, LINK_OPEN | LINK_CLOSING, IPC_LIMITED),
    ROW(ENDED,        ended,        IPC_HOLDER | IPC_KEEPER, IPC_KEEPER | IPC_GATE,
        LINK_OPEN | LINK_CLOSING, IPC_ONCE),
};
// clang-format on

const struct ipc_row *ipc_row(unsigned number) {
    return number < IPC_NUMBERS && rows[number].of.name != NULL ? &rows[number] : NULL;
}

static enum err judge_row(const struct ipc_side *side, const struct ipc_row *row,
                          bool has_fd, struct fault *fault) {
    const char *why = NULL;
    uint8_t number = (uint8_t)row->number;
    if (!(row->from & side->from) || !(row->to & side->to))
        why = "comes from the wrong process";
    else if (row->states != LINK_NONE && side->state != LINK_NONE &&
             !(row->states & side->state))
        why = "is not allowed in this state of the link";
    else if ((row->flags & IPC_ONCE) && side->seen >> row->number & 1)
        why = "came a second time";
    else if (has_fd != ((row->flags & IPC_FD) != 0))
        why = has_fd ? "carries a descriptor" : "lacks its descriptor";
    if (why == NULL)
        return OK;
    return fault_set(fault, ERR_UNEXPECTED, number, "process message %s %s", row->of.name,
                     why);
}

static enum err decode_body(const struct ipc_side *side, const struct ipc_row *row,
                            struct reader *r, union ipc_body *body, struct fault *fault) {
    if (side->version > IPC_VERSION)
        return fields_decode_loose(&row->of, SIZE_MAX, r, body, fault);
    if (side->version != 0 && side->version < row->grew)
        return fields_decode_loose(&row->of, row->fields_before, r, body, fault);
    return fields_decode(&row->of, r, body, fault);
}

enum err ipc_decode(struct ipc_side *side, struct view bytes, bool has_fd,
                    struct ipc_message *out, struct fault *fault) {
    memset(out, 0, sizeof *out);
    out->fd = -1;
    struct reader r = reader_of(bytes);
    unsigned number = read_u8(&r);
    const struct ipc_row *row = bytes.n > 0 ? ipc_row(number) : NULL;
    if (row == NULL)
        return fault_set(fault,
                         side->version > IPC_VERSION ? ERR_UNSUPPORTED : ERR_UNEXPECTED,
                         (uint8_t)number, "unknown process message %u", number);
    TRY(judge_row(side, row, has_fd, fault));
    TRY(decode_body(side, row, &r, &out->body, fault));
    if (row->flags & IPC_ONCE)
        side->seen |= UINT64_C(1) << row->number;
    out->row = row;
    return OK;
}

enum err ipc_encode(enum ipc_number number, const void *body, struct span room,
                    size_t *used) {
    return fields_message(&rows[number].of, body, room, used);
}

const char *ipc_role_name(enum ipc_role role) {
    switch (role) {
    case IPC_KEEPER:
        return "keeper";
    case IPC_LISTENER:
        return "listener";
    case IPC_GATE:
        return "gate";
    case IPC_JUDGE:
        return "judge";
    case IPC_HOLDER:
        return "holder";
    case IPC_RECORDER:
        return "recorder";
    case IPC_NURSERY:
        return "nursery";
    case IPC_SIGNER:
        return "signer";
    }
    return "?";
}

struct bit_name {
    unsigned bit;
    const char *name;
};

static const struct bit_name role_names[] = {
    {IPC_KEEPER, "keeper"},     {IPC_LISTENER, "listener"}, {IPC_GATE, "gate"},
    {IPC_JUDGE, "judge"},       {IPC_HOLDER, "holder"},     {IPC_NURSERY, "nursery"},
    {IPC_RECORDER, "recorder"}, {IPC_SIGNER, "signer"},     {0, NULL},
};
static const struct bit_name state_names[] = {
    {LINK_NEW, "NEW"},   {LINK_KEYED, "KEYED"},
    {LINK_USER, "USER"}, {LINK_AUTHED, "AUTHED"},
    {LINK_OPEN, "OPEN"}, {LINK_CLOSING, "CLOSING"},
    {0, NULL},
};
static const struct bit_name flag_names[] = {
    {IPC_ONCE, "once"},       {IPC_DECIDES, "decides"}, {IPC_FD, "descriptor"},
    {IPC_LIMITED, "limited"}, {IPC_SECRET, "secret"},   {0, NULL},
};

static size_t put_bits(char *out, size_t size, unsigned bits,
                       const struct bit_name *names) {
    size_t n = 0;
    out[0] = '\0';
    for (; names->name != NULL; names++)
        if ((bits & names->bit) && n < size)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? "+" : "",
                                  names->name);
    if (n == 0)
        n = (size_t)snprintf(out, size, "-");
    return n;
}

const char *ipc_row_text(const struct ipc_row *row, char *out, size_t size) {
    char from[64], to[64], states[64], flags[64];
    put_bits(from, sizeof from, row->from, role_names);
    put_bits(to, sizeof to, row->to, role_names);
    put_bits(states, sizeof states, row->states, state_names);
    put_bits(flags, sizeof flags, row->flags, flag_names);
    size_t n = (size_t)snprintf(out, size, "%u %s %s>%s %s %s:", row->number,
                                row->of.name, from, to, states, flags);
    for (const struct message_field *f = row->of.fields; f->kind != FIELD_END && n < size;
         f++)
        n += (size_t)snprintf(out + n, size - n, " %s", f->name);
    return out;
}
