#include "transfer/remote_owners.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

static void add(struct remote_owners *o, unsigned kind, uint32_t id) {
    for (uint32_t i = 0; i < o->n[kind]; i++)
        if (o->ids[kind][i].id == id)
            return;
    if (o->n[kind] < REMOTE_OWNERS_MAX)
        o->ids[kind][o->n[kind]++].id = id;
}

void remote_owners_add(struct remote_owners *o, const struct sftp_attributes *a) {
    if ((a->flags & SFTP_ATTR_OWNER) == 0)
        return;
    add(o, 0, a->uid);
    add(o, 1, a->gid);
}

static struct view encode(const struct remote_owners *o, unsigned kind, struct span s) {
    struct writer w = writer_to_span(s);
    for (uint32_t i = 0; i < o->n[kind]; i++)
        write_u32(&w, o->ids[kind][i].id);
    return view_of(s.p, w.n);
}

void remote_owners_ask(struct remote *r, struct remote_owners *o) {
    uint8_t room[2][4 * REMOTE_OWNERS_MAX];
    struct sftp_reply reply;
    if (o->n[0] + o->n[1] == 0 || !sftp_client_has(r->client, SFTP_OP_USERS_GROUPS))
        return;
    union sftp_request request = {
        .ids = {encode(o, 0, (struct span){room[0], sizeof room[0]}),
                encode(o, 1, (struct span){room[1], sizeof room[1]})}};
    if (remote_call(r, SFTP_OP_USERS_GROUPS, &request, &reply) != SFTP_OK ||
        reply.kind != SFTP_REPLY_BODY)
        return;
    struct reader body = reader_of(reply.bytes);
    for (unsigned kind = 0; kind < 2; kind++) {
        struct reader names = reader_of(read_string(&body));
        for (uint32_t i = 0; i < o->n[kind]; i++) {
            struct view name = read_string(&names);
            if (names.err == OK && name.n > 0)
                o->ids[kind][i].name = strndup((const char *)name.p, name.n);
        }
    }
}

void remote_owner(const struct remote_owners *o, uint32_t id, bool group,
                  char out[REMOTE_OWNER]) {
    snprintf(out, REMOTE_OWNER, "%u", id);
    for (uint32_t i = 0; i < o->n[group]; i++)
        if (o->ids[group][i].id == id && o->ids[group][i].name != NULL)
            text_one_line(out, REMOTE_OWNER, view_text(o->ids[group][i].name));
}

void remote_owners_free(struct remote_owners *o) {
    for (unsigned kind = 0; kind < 2; kind++)
        for (uint32_t i = 0; i < o->n[kind]; i++)
            free(o->ids[kind][i].name);
}
