// Names of the owners of files on the server (users-groups-by-id@openssh.com): numbers
// are collected, asked for once, and shown as names where the server knows them.
#pragma once

#include "transfer/remote.h"

#define REMOTE_OWNER 64u  // bytes of a name
#define REMOTE_OWNERS_MAX 256u

struct remote_owners {
    struct remote_owner_name {
        uint32_t id;
        char *name;               // owned; NULL: not known
    } ids[2][REMOTE_OWNERS_MAX];  // users, groups
    uint32_t n[2];
};

void remote_owners_add(struct remote_owners *o, const struct sftp_attributes *a);
void remote_owners_ask(struct remote *r, struct remote_owners *o);
// The name, cleaned, else the number.
void remote_owner(const struct remote_owners *o, uint32_t id, bool group,
                  char out[REMOTE_OWNER]);
void remote_owners_free(struct remote_owners *o);
