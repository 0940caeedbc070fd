// Identity files and the agent's keys.
#include "client/identities.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/limits.h"
#include "base/text.h"
#include "client/agent_bind.h"
#include "client/redial.h"
#include "crypto/digest.h"
#include "io/fd.h"
#include "io/file.h"
#include "io/prompt.h"
#include "key/private_key.h"
#include "signer/security_key.h"

// The public half of a file, or the file beside it; nothing is said.
static struct key *read_public_half(const char *path) {
    char beside[PATH_MAX + 8];
    struct fault ignored = {0};
    struct key *key = NULL;
    scoped_buf text = {0}, public = {0};
    snprintf(beside, sizeof beside, "%s.pub", path);
    if (file_read(beside, 0, LIMIT_KEY_FILE, &public, &ignored) == OK) {
        struct view line = buf_view(&public);
        const uint8_t *end = line.n > 0 ? memchr(line.p, '\n', line.n) : NULL;
        if (end != NULL)
            line.n = (size_t)(end - line.p);
        if (key_from_public_text(&key, line, &ignored) == OK)
            return key;
    }
    fault_clear(&ignored);
    if (file_read(path, 0, LIMIT_KEY_FILE, &text, &ignored) != OK)
        return NULL;
    enum err e = private_key_public_half(&key, buf_view(&text), &ignored);
    secret_wipe(text.p, text.room);
    return e == OK ? key : NULL;
}

// ---- the agent ----

static const char *agent_path(struct identities *ids, char *out) {
    const char *path = ids->c->config.identity_agent;
    if (path == NULL || strcmp(path, "SSH_AUTH_SOCK") == 0)
        return getenv("SSH_AUTH_SOCK");
    if (strcasecmp(path, "none") == 0)
        return NULL;
    if (*path == '$' && path[1] != '{')
        return getenv(path + 1);
    return client_path(ids->c, path, out, PATH_MAX) ? out : NULL;
}

// Which of the agent's keys are those of identity files, by their public halves.
static void find_configured(struct identities *ids) {
    const struct conf_list *files = &ids->c->config.identity_file;
    char path[PATH_MAX];
    ids->configured = calloc(ids->agent.n, sizeof ids->configured[0]);
    for (size_t i = 0; ids->configured != NULL && i < files->n; i++) {
        struct key *key = NULL;
        if (strcasecmp(files->v[i], "none") == 0 ||
            !client_path(ids->c, files->v[i], path, sizeof path) ||
            (key = read_public_half(path)) == NULL)
            continue;
        for (size_t j = 0; j < ids->agent.n; j++)
            ids->configured[j] |= view_equal(ids->agent.keys[j].blob, key_blob(key));
        key_free(key);
    }
}

void identities_note(struct identities *ids, bool offered, const char *format, ...) {
    va_list ap;
    if (ids->notes_n == IDENTITIES_NOTES_MAX)
        return;
    struct identities_note *note = &ids->notes[ids->notes_n++];
    note->offered = offered;
    va_start(ap, format);
    vsnprintf(note->text, sizeof note->text, format, ap);
    va_end(ap);
}

void identities_open(struct identities *ids, struct client *c) {
    memset(ids, 0, sizeof *ids);
    ids->c = c;
    ids->agent.fd = -1;
    char room[PATH_MAX];
    const char *path = agent_path(ids, room);
    struct fault fault = {0};
    ids->agent_state = "there is no agent (SSH_AUTH_SOCK, IdentityAgent)";
    if (path == NULL || *path == 0)
        return;
    enum err e = agent_link_open(&ids->agent, path, &fault);
    if (e == OK)
        agent_bind_login(c, &ids->agent);
    if (e == OK && (e = agent_link_list(&ids->agent)) != OK) {
        fault_set(&fault, e, 0, "agent at %s: %s", path, err_text(e));
        agent_link_close(&ids->agent);
    }
    if (e != OK)
        log_debug(&c->log, "%s", fault_text(&fault));
    else
        ids->agent_state = ids->agent.n == 0 ? "the agent has no keys" : NULL;
    if (ids->agent.n > 0)
        find_configured(ids);
}

void identities_drop_offer(struct identities *ids) {
    key_free(ids->public);
    key_free(ids->secret);
    key_free(ids->certificate);
    ids->public = ids->secret = ids->certificate = NULL;
    ids->in_agent = ids->in_token = false;
    ids->blob = (struct view){0};
}

void identities_close(struct identities *ids) {
    identities_drop_offer(ids);
    if (ids->agent.fd >= 0)
        agent_link_close(&ids->agent);
    identities_close_token(ids);
    free(ids->configured);
}

static bool offer_agent_key(struct identities *ids, const struct agent_link_key *key) {
    identities_drop_offer(ids);
    text_clean(ids->name, sizeof ids->name, key->comment);
    ids->blob = key->blob;
    ids->in_agent = true;
    return true;
}

// ---- files ----

// OpenSSH's rule: a key that others can read is no secret.
static bool is_private(struct identities *ids, int fd, const char *path) {
    struct fault fault = {0};
    if (file_check_private(fd, path, &fault) == OK)
        return true;
    log_error(&ids->c->log, "%s: not used, others can read it: %s (try: chmod 600 '%s')",
              path, fault_text(&fault), path);
    identities_note(ids, false, "%s: others can read it (try: chmod 600 '%s')", path,
                    path);
    ids->skipped++;
    return false;
}

static bool is_public_text(struct view text) {
    struct key *key = NULL;
    if (key_from_public_text(&key, view_until(text, '\n'), NULL) != OK)
        return false;
    key_free(key);
    return true;
}

static bool read_private(struct identities *ids, const char *path, struct buf *text) {
    struct fault fault = {0};
    scoped_fd fd = -1;
    enum err e = file_open(path, 0, &fd, &fault);
    if (e == ERR_NOT_FOUND) {
        bool wanted = !ids->c->config.identity_file_is_default;
        log_at(&ids->c->log, wanted ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG1,
               "identity file %s: not there", path);
        return false;
    }
    if (e == OK)
        e = file_read_fd(fd, path, LIMIT_KEY_FILE, text, &fault);
    // A public file, whose private half the agent has, everybody may read.
    if (e == OK)
        return is_public_text(buf_view(text)) || is_private(ids, fd, path);
    log_error(&ids->c->log, "%s", fault_text(&fault));
    identities_note(ids, false, "%s", fault_text(&fault));
    ids->skipped++;
    return false;
}

static struct key *read_public_file(struct identities *ids, const char *beside) {
    scoped_buf text = {0};
    struct fault fault = {0};
    struct key *key = NULL;
    if (file_read(beside, 0, LIMIT_KEY_FILE, &text, &fault) != OK)
        return NULL;
    struct view line = buf_view(&text);
    const uint8_t *end = memchr(line.p, '\n', line.n);
    if (end != NULL)
        line.n = (size_t)(end - line.p);
    if (key_from_public_text(&key, line, &fault) != OK) {
        log_error(&ids->c->log, "%s: %s", beside, fault_text(&fault));
        return NULL;
    }
    return key;
}

// The public half that stands beside the private file, for those that hide theirs.
static struct key *read_public(struct identities *ids, const char *path) {
    char beside[PATH_MAX + 8];
    snprintf(beside, sizeof beside, "%s.pub", path);
    return read_public_file(ids, beside);
}

static bool parse_private(struct identities *ids, const char *path, struct view text) {
    struct fault fault = {0};
    struct key *key = NULL;
    enum err e = private_key_parse(&key, text, (struct view){0}, &fault);
    if (e == OK) {
        ids->secret = key;
        return true;
    }
    if (e != ERR_PASSPHRASE) {
        // Perhaps a public file, whose private half the agent has.
        const uint8_t *end = memchr(text.p, '\n', text.n);
        struct view line = view_of(text.p, end != NULL ? (size_t)(end - text.p) : text.n);
        struct fault ignored = {0};
        if (key_from_public_text(&ids->public, line, &ignored) == OK &&
            agent_link_find(&ids->agent, key_blob(ids->public)) != NULL)
            return true;
        log_error(&ids->c->log, "%s: %s", path, fault_text(&fault));
        identities_note(ids, false, "%s: %s", path, fault_text(&fault));
        ids->skipped++;
        return false;
    }
    fault_clear(&fault);
    if (private_key_public_half(&ids->public, text, &fault) != OK)
        ids->public = read_public(ids, path);
    if (ids->public == NULL) {
        log_info(&ids->c->log, "%s: encrypted, and there is no %s.pub; not used", path,
                 path);
        identities_note(ids, false,
                        "%s: encrypted, and its public half %s.pub is missing", path,
                        path);
    }
    return ids->public != NULL;
}

static bool offer_file(struct identities *ids, const char *path) {
    identities_drop_offer(ids);
    scoped_buf text = {0};
    bool there = read_private(ids, path, &text);
    bool good = there && parse_private(ids, path, buf_view(&text));
    if (text.p != NULL)
        secret_wipe(text.p, text.room);
    if (!good) {
        identities_drop_offer(ids);
        return false;
    }
    snprintf(ids->name, sizeof ids->name, "%s", path);
    ids->blob = key_blob(ids->secret != NULL ? ids->secret : ids->public);
    ids->in_agent =
        ids->secret == NULL && agent_link_find(&ids->agent, ids->blob) != NULL;
    return true;
}

// ---- certificates ----

struct key *identities_read_certificate(struct identities *ids, const char *path) {
    struct key *key = read_public_file(ids, path);
    if (key == NULL || key->certificate != NULL)
        return key;
    log_error(&ids->c->log, "%s: holds no certificate", path);
    key_free(key);
    return NULL;
}

static void attach_certificate(struct identities *ids, struct key *certificate) {
    ids->certificate = certificate;
    ids->blob = key_blob(certificate);
}

// A certificate for a key that the agent alone has.
static bool offer_agent_certificate(struct identities *ids, const char *path) {
    identities_drop_offer(ids);
    struct key *certificate = identities_read_certificate(ids, path);
    if (certificate == NULL)
        return false;
    if (agent_link_find(&ids->agent, key_plain_blob(certificate)) == NULL) {
        key_free(certificate);
        return false;
    }
    snprintf(ids->name, sizeof ids->name, "%s", path);
    ids->in_agent = true;
    attach_certificate(ids, certificate);
    return true;
}

// The public file beside a private one may hold its certificate, which then stands for
// it.
static void attach_beside(struct identities *ids, const char *path) {
    char beside[PATH_MAX + 8];
    scoped_buf text = {0};
    struct key *key = NULL;
    snprintf(beside, sizeof beside, "%s.pub", path);
    if (file_read(beside, 0, LIMIT_KEY_FILE, &text, NULL) != OK ||
        key_from_public_text(&key, view_until(buf_view(&text), '\n'), NULL) != OK)
        return;
    if (key->certificate != NULL && view_equal(key_plain_blob(key), ids->blob))
        attach_certificate(ids, key);
    else
        key_free(key);
}

static bool offer_with_certificate(struct identities *ids, const char *path,
                                   const char *certificate_path) {
    struct key *certificate = identities_read_certificate(ids, certificate_path);
    if (certificate == NULL)
        return false;
    if (!offer_file(ids, path) || !view_equal(key_plain_blob(certificate), ids->blob)) {
        key_free(certificate);
        identities_drop_offer(ids);
        return false;
    }
    attach_certificate(ids, certificate);
    return true;
}

// The key of a file comes behind its certificates.
static bool offer_stage(struct identities *ids, const char *path) {
    const struct conf_list *list = &ids->c->config.certificate_file;
    char certificate[PATH_MAX + 16];
    size_t stage = ids->stage++;
    if (stage > list->n) {
        ids->stage = 0;
        ids->next_file++;
        if (!offer_file(ids, path))
            return false;
        attach_beside(ids, path);
        return true;
    }
    if (stage == 0)
        snprintf(certificate, sizeof certificate, "%s-cert.pub", path);
    else if (!client_path(ids->c, list->v[stage - 1], certificate, sizeof certificate))
        return false;
    return offer_with_certificate(ids, path, certificate);
}

// ---- one after the other ----

// Once in one login: a partial success is not repeated with the same key.
static bool offered_before(struct identities *ids) {
    uint8_t hash[DIGEST_MAX];
    if (digest_parts(&digest_sha256, &ids->blob, 1, hash) != OK ||
        ids->offered_n == IDENTITIES_OFFERED_MAX)
        return true;
    for (size_t i = 0; i < ids->offered_n; i++)
        if (memcmp(ids->offered[i], hash, 32) == 0)
            return true;
    memcpy(ids->offered[ids->offered_n++], hash, 32);
    return false;
}

// First those that are configured, then the others.
static bool next_of_agent(struct identities *ids) {
    unsigned passes = ids->c->config.identities_only ? 1 : 2;
    for (; ids->agent_pass < passes; ids->agent_pass++, ids->next_agent = 0) {
        while (ids->next_agent < ids->agent.n) {
            size_t i = ids->next_agent++;
            bool configured = ids->configured != NULL && ids->configured[i];
            if (configured == (ids->agent_pass == 0))
                return offer_agent_key(ids, &ids->agent.keys[i]);
        }
    }
    return false;
}

static bool next_candidate(struct identities *ids, bool *end) {
    const struct client_config *o = &ids->c->config;
    char path[PATH_MAX];
    *end = false;
    while (ids->next_agent_certificate < o->certificate_file.n)
        if (client_path(ids->c, o->certificate_file.v[ids->next_agent_certificate++],
                        path, sizeof path) &&
            offer_agent_certificate(ids, path))
            return true;
    if (next_of_agent(ids) || identities_next_token(ids))
        return true;
    while (ids->next_file < o->identity_file.n) {
        const char *text = o->identity_file.v[ids->next_file];
        if (strcasecmp(text, "none") != 0 && client_path(ids->c, text, path, sizeof path))
            return offer_stage(ids, path);
        ids->next_file++;
    }
    *end = true;
    return false;
}

static const char *type_name(struct view blob, char *out, size_t size) {
    struct reader r = reader_of(blob);
    return text_copy(out, size, read_text(&r)) ? out : "";
}

static bool too_small(struct identities *ids) {
    struct key *key = NULL;
    unsigned least = ids->c->config.required_rsa_size;
    if (key_from_blob(&key, ids->blob, NULL) != OK)
        return false;
    unsigned bits = key->type->kind == PK_RSA ? pk_bits(key->pk) : least;
    key_free(key);
    if (bits >= least)
        return false;
    log_error(&ids->c->log, "%s: not used, RSA key of %u bits, RequiredRSASize is %u",
              ids->name, bits, least);
    identities_note(ids, false, "%s: RSA key of %u bits, RequiredRSASize is %u",
                    ids->name, bits, least);
    ids->skipped++;
    return true;
}

static void note_offer(struct identities *ids, const char *type) {
    char print[KEY_FINGERPRINT_SIZE];
    key_fingerprint(print, sizeof print,
                    ids->certificate != NULL ? key_plain_blob(ids->certificate)
                                             : ids->blob,
                    &digest_sha256);
    identities_note(ids, true, "%s %s %s%s", type, print, ids->name,
                    ids->in_agent   ? " (agent)"
                    : ids->in_token ? " (token)"
                                    : "");
}

bool identities_next(struct identities *ids, const struct auth_client *auth,
                     struct auth_identity *out) {
    for (bool end = false; !end;) {
        if (!next_candidate(ids, &end) || offered_before(ids) || too_small(ids))
            continue;
        char type[64];
        const char *name = type_name(ids->blob, type, sizeof type);
        const struct signature_alg *alg = auth_client_algorithm(auth, name);
        if (alg == NULL) {
            log_debug(&ids->c->log, "%s: no signature algorithm in common for %s",
                      ids->name, name);
            identities_note(ids, false,
                            "%s: the server and PubkeyAcceptedAlgorithms have no "
                            "algorithm for %s in common",
                            ids->name, name);
            continue;
        }
        log_debug(&ids->c->log, "offering %s %s%s", alg->name, ids->name,
                  ids->in_agent ? " (agent)" : "");
        note_offer(ids, name);
        *out = (struct auth_identity){.blob = ids->blob,
                                      .algorithm = alg,
                                      .sign_now = ids->secret != NULL &&
                                                  !ids->secret->type->security_key};
        return true;
    }
    identities_drop_offer(ids);
    return false;
}

// ---- signing ----

static void decrypt(struct identities *ids) {
    struct fault fault = {0};
    scoped_buf text = {0};
    if (ids->c->config.batch_mode) {
        log_debug(&ids->c->log, "%s: needs a passphrase, not asked for in batch mode",
                  ids->name);
        identities_note(ids, false,
                        "%s: the server takes it, but its passphrase is not asked for in "
                        "batch mode (try: ssh-add '%s')",
                        ids->name, ids->name);
        return;
    }
    if (file_read(ids->name, 0, LIMIT_KEY_FILE, &text, &fault) != OK) {
        log_error(&ids->c->log, "%s", fault_text(&fault));
        return;
    }
    char question[PATH_MAX + 64], answer[PROMPT_MAX];
    snprintf(question, sizeof question, "Enter passphrase for key '%s': ", ids->name);
    for (unsigned i = 0; i < ids->c->config.number_of_password_prompts; i++) {
        enum err e = prompt_ask(question, 0, answer, sizeof answer, &fault);
        // An empty one means: not this key.
        if (e != OK || answer[0] == 0) {
            identities_note(ids, false, "%s: no passphrase was given", ids->name);
            break;
        }
        e = private_key_parse(&ids->secret, buf_view(&text), view_text(answer), NULL);
        secret_wipe(answer, sizeof answer);
        if (e == OK)
            break;
        log_info(&ids->c->log, "%s: %s", ids->name, err_text(e));
    }
    secret_wipe(text.p, text.room);
}

static const char *provider(const struct identities *ids) {
    return security_key_provider(ids->c->config.security_key_provider);
}

// A certificate's key signs under the plain name.
static const struct signature_alg *plain_algorithm(const struct signature_alg *alg) {
    const struct alg *plain = alg_find(ALG_SIGNATURE, view_text(alg->signature_name));
    return plain != NULL ? plain->signature : alg;
}

// OK with nothing appended: it was said why already.
static enum err sign_with_file(struct identities *ids, const struct signature_alg *alg,
                               struct view data, struct buf *out, struct fault *fault) {
    struct view plain =
        ids->certificate != NULL ? key_plain_blob(ids->certificate) : ids->blob;
    bool further = ids->c->redial != NULL;
    struct security_key_use use = {provider(ids), &ids->c->log, further};
    if (ids->secret == NULL)
        decrypt(ids);
    if (ids->secret == NULL)
        return OK;
    // The .pub beside it may belong to another key.
    if (!view_equal(key_blob(ids->secret), plain)) {
        log_error(&ids->c->log, "%s and its public half do not belong together",
                  ids->name);
        return OK;
    }
    if (further && (ids->secret->handle_flags & KEY_HANDLE_TOUCH) != 0)
        redial_wants_touch(ids->c);
    return ids->secret->type->security_key
               ? security_key_sign(ids->secret, &use, plain_algorithm(alg), data, out,
                                   fault)
               : key_sign(ids->secret, alg, data, out);
}

void identities_sign(struct identities *ids, const struct signature_alg *alg,
                     struct view data, struct buf *out) {
    enum err e = OK;
    struct view plain =
        ids->certificate != NULL ? key_plain_blob(ids->certificate) : ids->blob;
    if (ids->in_agent) {
        e = agent_link_sign(&ids->agent, plain, alg, data, out);
        if (e == OK || ids->public == NULL) {
            if (e != OK)
                log_info(&ids->c->log, "the agent does not sign with %s: %s", ids->name,
                         err_text(e));
            if (e != OK)
                identities_note(ids, false, "%s: the agent does not sign with it: %s",
                                ids->name, err_text(e));
            return;
        }
    }
    struct fault fault = {0};
    e = ids->in_token
            ? identities_sign_token(ids, plain_algorithm(alg), data, out, &fault)
            : sign_with_file(ids, alg, data, out, &fault);
    if (e != OK) {
        fault_set(&fault, e, 0, "%s", err_text(e));
        log_error(&ids->c->log, "%s: signing failed: %s", ids->name, fault_text(&fault));
        identities_note(ids, false, "%s: signing failed: %s", ids->name,
                        fault_text(&fault));
        buf_clear(out);
    }
}

// ---- AddKeysToAgent ----

static bool may_keep(const struct identities *ids) {
    const struct client_add_keys *k = &ids->c->config.add_keys_to_agent;
    char question[PATH_MAX + 64], answer[PROMPT_MAX];
    if (k->how != TRISTATE_ASK)
        return true;
    snprintf(question, sizeof question, "Add key %s (%s) to agent?", ids->name,
             ids->secret->comment != NULL ? ids->secret->comment : "");
    enum err e =
        prompt_ask(question, PROMPT_ECHO | PROMPT_CONFIRM, answer, sizeof answer, NULL);
    return e == OK && (answer[0] == 0 || strcasecmp(answer, "yes") == 0);
}

static enum err keep(struct identities *ids, const struct key *certificate,
                     const char *comment, const struct agent_constraints *c) {
    scoped_buf request;
    buf_init(&request, AGENT_MESSAGE_MAX);
    TRY(agent_ask_add(ids->secret, certificate, comment, c, &request));
    return agent_link_do(&ids->agent, &request);
}

void identities_keep(struct identities *ids) {
    const struct client_add_keys *k = &ids->c->config.add_keys_to_agent;
    struct agent_constraints c = {.lifetime_s = k->seconds, .confirm = k->confirm};
    const char *comment = ids->name;
    if (k->how == TRISTATE_NO || ids->secret == NULL || ids->in_agent)
        return;
    if (ids->agent.fd < 0) {
        log_debug(&ids->c->log, "no agent, so %s is not added to it", ids->name);
        return;
    }
    if (!may_keep(ids))
        return;
    if (ids->secret->comment != NULL && ids->secret->comment[0] != 0)
        comment = ids->secret->comment;
    if (ids->secret->type->security_key)
        c.provider = view_text(provider(ids));
    enum err e = keep(ids, NULL, comment, &c);
    // What it was offered as goes along: the next login needs no file any more.
    if (e == OK && ids->certificate != NULL)
        e = keep(ids, ids->certificate, comment, &c);
    log_debug(&ids->c->log, "%s: %s", ids->name,
              e == OK ? "added to the agent" : "the agent does not take it");
}
