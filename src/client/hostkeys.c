// The host's key against what is known, in the order in which nothing that speaks
// against a key can be overruled: revocations, its certificate's authority, the key
// itself, its address, the domain name system.
#include "client/hostkeys.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/address.h"
#include "base/limits.h"
#include "base/text.h"
#include "client/hostkeys_check.h"
#include "client/redial.h"
#include "io/clock.h"
#include "io/endpoint.h"
#include "io/file.h"
#include "io/prompt.h"
#include "io/resolver.h"
#include "key/certificate.h"
#include "key/krl.h"

// ---- decision ----

bool hostkeys_is_changed(enum known_hosts_result result) {
    return result == KNOWN_HOSTS_CHANGED || result == KNOWN_HOSTS_OTHER_TYPE;
}

enum hostkeys_decision hostkeys_decide(int strict, bool batch,
                                       enum known_hosts_result result) {
    switch (result) {
    case KNOWN_HOSTS_OK:
        return HOSTKEYS_TRUST;
    case KNOWN_HOSTS_IS_REVOKED:
        return HOSTKEYS_REFUSE;
    // Who stands between chooses the type of key: one that is not on record is no less of
    // an alarm.
    case KNOWN_HOSTS_OTHER_TYPE:
    case KNOWN_HOSTS_CHANGED:
        return strict == STRICT_HOST_KEY_OFF ? HOSTKEYS_TRUST_CHANGED : HOSTKEYS_REFUSE;
    case KNOWN_HOSTS_NEW:
        if (strict == STRICT_HOST_KEY_OFF || strict == STRICT_HOST_KEY_ACCEPT_NEW)
            return HOSTKEYS_TRUST_AND_ADD;
        return strict == STRICT_HOST_KEY_ASK && !batch ? HOSTKEYS_ASK : HOSTKEYS_REFUSE;
    }
    return HOSTKEYS_REFUSE;
}

// ---- revocation lists ----

static enum err check_list(const struct hostkeys_check *k, const char *path,
                           bool *revoked) {
    scoped_buf text = {0};
    struct fault fault = {0};
    *revoked = true;
    enum err e = file_read(path, 0, LIMIT_KRL, &text, &fault);
    if (e == OK)
        e = revoked_keys_check(buf_view(&text), path, k->key, revoked, &fault);
    if (e != OK)
        log_error(&k->c->log, "RevokedHostKeys %s: %s; so no host key is trusted", path,
                  fault_text(&fault));
    else if (*revoked)
        log_error(&k->c->log, "The %s key of %s (%s) is revoked in %s.",
                  k->key->type->short_name, k->c->known_name, k->fingerprint, path);
    return e;
}

// A list that cannot be read revokes.
static bool is_revoked(const struct hostkeys_check *k) {
    const struct conf_list *lists = &k->c->config.revoked_host_keys;
    for (size_t i = 0; i < lists->n; i++) {
        char path[PATH_MAX];
        bool revoked = true;
        if (!client_path(k->c, lists->v[i], path, sizeof path) ||
            check_list(k, path, &revoked) != OK || revoked) {
            log_error(&k->c->log, "Host key verification failed.");
            k->c->end.host_result = KNOWN_HOSTS_IS_REVOKED;
            return true;
        }
    }
    return false;
}

// ---- known_hosts ----

static enum err in_files(const struct hostkeys_check *k, const char *name,
                         struct known_hosts_verdict *v) {
    return known_hosts_check(k->files->at, hostkeys_count(k->files), name,
                             key_blob(k->plain), v);
}

// The certificate counts only whole: else the key in it is looked at like any other.
static enum err check_certificate(struct hostkeys_check *k) {
    const struct client_config *o = &k->c->config;
    struct fault fault = {0};
    struct certificate_want want = {.kind = CERTIFICATE_HOST,
                                    .ca_algorithms = o->ca_signature_algorithms,
                                    .now_s = clock_wall_s(),
                                    .principal = k->name};
    TRY(known_hosts_check_authority(k->files->at, hostkeys_count(k->files),
                                    k->c->known_name, key_blob(k->key->certificate->ca),
                                    &k->verdict));
    if (k->verdict.result != KNOWN_HOSTS_OK) {
        log_debug(&k->c->log, "no authority is known for the host's certificate");
        return OK;
    }
    k->certified = certificate_check(k->key, &want, &fault) == OK;
    if (!k->certified) {
        log_error(&k->c->log, "The host's certificate is not taken: %s",
                  fault_text(&fault));
        k->verdict.result = KNOWN_HOSTS_NEW;
    }
    return OK;
}

// On another port than 22, a key that is known for the host on 22 will do.
static enum err check_without_port(struct hostkeys_check *k) {
    struct known_hosts_verdict other;
    if (k->c->config.host_key_alias != NULL || k->c->config.port == 22)
        return OK;
    TRY(in_files(k, k->name, &other));
    if (other.result == KNOWN_HOSTS_OK || other.result == KNOWN_HOSTS_IS_REVOKED) {
        log_debug(&k->c->log, "the key is known for the host on port 22");
        k->verdict = other;
    }
    return OK;
}

static enum err check_address(struct hostkeys_check *k) {
    struct client *c = k->c;
    if (!c->config.check_host_ip || c->proxied || c->is_local ||
        strcmp(c->host, c->address) == 0)
        return OK;
    TRY(known_hosts_name(k->address, sizeof k->address, c->address, c->config.port));
    TRY(hostkeys_run_command(c, "ADDRESS", k->address, k->key));
    return in_files(k, k->address, &k->address_verdict);
}

static void note_damage(const struct hostkeys_check *k) {
    const struct known_hosts_verdict *v = &k->verdict;
    if (v->damaged_count > 0)
        log_debug(&k->c->log, "%zu damaged lines in known_hosts, the first is %s:%lu",
                  v->damaged_count, v->damaged.file, v->damaged.number);
}

static enum err look_up(struct hostkeys_check *k) {
    struct client *c = k->c;
    TRY(hostkeys_read(c));
    k->files = c->known;
    TRY(hostkeys_run_command(c, "HOSTNAME", c->known_name, k->key));
    if (k->key->certificate != NULL)
        TRY(check_certificate(k));
    if (!k->certified && k->verdict.result != KNOWN_HOSTS_IS_REVOKED) {
        TRY(in_files(k, c->known_name, &k->verdict));
        if (k->verdict.result == KNOWN_HOSTS_NEW)
            TRY(check_without_port(k));
    } else if (k->certified) {
        struct known_hosts_verdict plain;
        TRY(in_files(k, c->known_name, &plain));
        if (plain.result == KNOWN_HOSTS_IS_REVOKED)
            k->verdict = plain;
    }
    note_damage(k);
    return check_address(k);
}

// ---- the domain name system ----

// Whatever goes wrong here leaves the key as unknown as it was.
static void ask_dns(struct hostkeys_check *k) {
    struct client *c = k->c;
    struct address numeric;
    struct fault fault = {0};
    scoped_buf answer;
    buf_init(&answer, 65536);
    if (c->config.verify_host_key_dns == TRISTATE_NO || address_parse(&numeric, c->host))
        return;
    enum err e = resolver_ask(c->host, SSHFP_RECORD_TYPE, &answer, &fault);
    if (e == OK)
        e = sshfp_check(buf_view(&answer), k->plain, &k->dns);
    if (e != OK) {
        k->dns = (struct sshfp_verdict){0};
        log_debug(&c->log, "SSHFP: %s",
                  fault.code != OK ? fault_text(&fault) : err_text(e));
        return;
    }
    log_debug(&c->log, "SSHFP: %zu records, %s, %s", k->dns.found,
              k->dns.matches ? "this key" : "not this key",
              k->dns.authenticated ? "authentic" : "nobody vouches for them");
    if (k->dns.found > 0 && !k->dns.matches) {
        hostkeys_say_changed(k);
        log_error(&c->log,
                  "The domain name system has other fingerprints for %s (SSHFP).",
                  c->config.hostname);
    }
}

static bool dns_vouches(const struct hostkeys_check *k) {
    return k->c->config.verify_host_key_dns == TRISTATE_YES && k->dns.matches &&
           k->dns.authenticated && k->verdict.result != KNOWN_HOSTS_IS_REVOKED;
}

// ---- acting ----

// A host that may be somebody else gets neither secrets nor ways into other hosts.
static bool take_away(struct client *c) {
    struct client_config *o = &c->config;
    bool forwards = o->local_forward.n + o->remote_forward.n + o->dynamic_forward.n > 0;
    c->distrusted = true;
    log_error(&c->log, "Going on all the same (StrictHostKeyChecking no), without "
                       "passwords and forwardings.");
    o->forward_agent = o->forward_x11 = false;
    o->forward_agent_path = NULL;
    o->tunnel = 0;
    o->local_forward = o->remote_forward = o->dynamic_forward = (struct conf_list){0};
    if (forwards && o->exit_on_forward_failure)
        log_error(&c->log, "Forwardings were asked for, and ExitOnForwardFailure is on.");
    return !forwards || !o->exit_on_forward_failure;
}

static bool address_is_fine(struct hostkeys_check *k) {
    const struct client_config *o = &k->c->config;
    if (k->address[0] == 0)
        return true;
    if (k->address_verdict.result == KNOWN_HOSTS_NEW &&
        k->verdict.result == KNOWN_HOSTS_OK) {
        hostkeys_add_address(k);
        return true;
    }
    if (!hostkeys_is_changed(k->address_verdict.result))
        return k->address_verdict.result != KNOWN_HOSTS_IS_REVOKED;
    hostkeys_say_address_differs(k);
    if (o->strict_host_key_checking == STRICT_HOST_KEY_OFF)
        return true;
    return o->strict_host_key_checking == STRICT_HOST_KEY_ASK && !o->batch_mode &&
           prompt_yes_no("Are you sure you want to continue connecting (yes/no)? ",
                         NULL) == 1;
}

static bool fail(const struct hostkeys_check *k) {
    log_error(&k->c->log, "Host key verification failed.");
    return false;
}

static bool act_new(struct hostkeys_check *k, bool asked) {
    if (asked && !hostkeys_ask(k))
        return fail(k);
    hostkeys_add(k);
    hostkeys_say_step(k, "new");
    // What was read does not have it yet. What nobody has looked at vouches for no
    // others.
    hostkeys_forget(k->c);
    k->c->keys_may_change = asked;
    return true;
}

// Is the line that knows the key in one of the user's own files?
static bool is_of_user(const struct hostkeys_check *k) {
    for (size_t i = 0; i < k->files->users; i++)
        if (k->files->at[i].name == k->verdict.line.file)
            return true;
    return false;
}

// A further link of a connection whose first one was let pass with a key that is on no
// record: no less is known now than then.
static bool is_first_links(const struct hostkeys_check *k) {
    enum known_hosts_result result = k->verdict.result;
    return (result == KNOWN_HOSTS_NEW ||
            (hostkeys_is_changed(result) && k->c->distrusted)) &&
           redial_host_key_is_same(k->c, key_blob(k->key));
}

static bool act(struct hostkeys_check *k) {
    const struct client_config *o = &k->c->config;
    switch (
        hostkeys_decide(o->strict_host_key_checking, o->batch_mode, k->verdict.result)) {
    case HOSTKEYS_TRUST:
        k->c->keys_may_change = !k->certified && is_of_user(k);
        hostkeys_say_picture(k);
        hostkeys_say_step(k, "known");
        return true;
    case HOSTKEYS_ASK:
        return act_new(k, true);
    case HOSTKEYS_TRUST_AND_ADD:
        return act_new(k, false);
    case HOSTKEYS_TRUST_CHANGED:
        hostkeys_say_changed(k);
        hostkeys_say_step(k, "CHANGED");
        return take_away(k->c) || fail(k);
    case HOSTKEYS_REFUSE:
        if (!is_first_links(k))
            break;
        hostkeys_say_step(k, "that of the link before");
        return true;
    }
    hostkeys_say_refused(k);
    return false;
}

// ---- the check ----

static bool is_too_small(const struct hostkeys_check *k) {
    const struct client_config *o = &k->c->config;
    if (k->key->type->kind != PK_RSA || pk_bits(k->key->pk) >= o->required_rsa_size)
        return false;
    log_error(&k->c->log, "the host's RSA key has %u bits, RequiredRSASize is %u",
              pk_bits(k->key->pk), o->required_rsa_size);
    return true;
}

static enum err check_key(struct hostkeys_check *k, bool *trusted) {
    struct client *c = k->c;
    if (is_too_small(k) || is_revoked(k))
        return OK;
    if (c->config.no_host_authentication_for_localhost && c->is_local &&
        c->config.host_key_alias == NULL) {
        hostkeys_say_step(k, "not checked, it is this machine");
        *trusted = true;
        return OK;
    }
    TRY(look_up(k));
    ask_dns(k);
    if (dns_vouches(k)) {
        hostkeys_say_step(k, "vouched for by the domain name system");
        *trusted = true;
        return OK;
    }
    *trusted = (address_is_fine(k) || fail(k)) && act(k);
    return OK;
}

enum err hostkeys_check(struct client *c, const struct transport_event *event,
                        bool *trusted) {
    *trusted = false;
    struct hostkeys_check k = {.c = c};
    const char *name =
        c->config.host_key_alias != NULL ? c->config.host_key_alias : c->host;
    c->keys_may_change = false;
    TRY(known_hosts_name(k.name, sizeof k.name, name, 0));
    TRY(key_from_blob(&k.key, event->host_key, &c->fault));
    enum err e = key_from_blob(&k.plain, key_plain_blob(k.key), &c->fault);
    key_fingerprint(k.fingerprint, sizeof k.fingerprint, key_plain_blob(k.key),
                    c->config.fingerprint_hash == 0 ? &digest_md5 : &digest_sha256);
    if (e == OK)
        e = check_key(&k, trusted);
    key_free(k.plain);
    key_free(k.key);
    if (e != OK)
        *trusted = false;
    return e;
}
