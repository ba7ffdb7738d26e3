#include "runner/remote/identity.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/agent.h"
#include "runner/remote/key_file.h"
#include "runner/remote/key_ring.h"
#include "runner/remote/passphrase.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Listing needs nobody; before signing, somebody may have to confirm. */
#define AGENT_LIST_NS (5 * NS_PER_SEC)
#define AGENT_SIGN_NS (60 * NS_PER_SEC)

struct identity {
    char *description;
    char *file;              /* or NULL */
    char *agent;             /* the socket, when the agent signs */
    char *comment;           /* of the agent */
    struct buffer blob;      /* empty while unknown */
    struct signing_key *key; /* NULL: the agent's, or still locked */
    bool silent;             /* nobody is to be asked */
};

static void identity_free(struct identity *identity) {
    if (!identity)
        return;
    free(identity->description);
    free(identity->file);
    free(identity->agent);
    free(identity->comment);
    buffer_deinit(&identity->blob);
    signing_key_free(identity->key);
    free(identity);
}

void identity_set_deinit(struct identity_set *set) {
    for (size_t i = 0; i < set->count; i++)
        identity_free(set->identities[i]);
    free(set->identities);
    *set = IDENTITY_SET_NULL;
}

void identity_set_silent(struct identity_set *set) {
    for (size_t i = 0; i < set->count; i++)
        set->identities[i]->silent = true;
}

const char *identity_describe(const struct identity *identity) {
    return identity->description;
}

const char *identity_file(const struct identity *identity) {
    return identity->file;
}

const void *identity_blob(const struct identity *identity, size_t *ret_size) {
    *ret_size = identity->blob.size;
    return identity->blob.size ? identity->blob.data : NULL;
}

const char *identity_algorithm(const struct identity *identity) {
    const char *type = key_blob_type(identity->blob.data, identity->blob.size);
    return text_equal(type, "ssh-rsa") ? "rsa-sha2-512" : type;
}

/* ---- files ---- */

/* Whoever can read it has it already: as ssh, this is refused, since it is always a mistake. */
static int check_mode(const char *file, struct error *err) {
    struct stat status;
    if (stat(file, &status) < 0 || status.st_uid != getuid() || (status.st_mode & 077) == 0)
        return 0;
    error_set(err, ERROR_REFUSED, "'%s' can be read by others (mode 0%03o)", file,
              (unsigned)status.st_mode & 0777);
    return error_hint(err, "chmod 600 '%s'", file);
}

/* 1: locked, as key_file_parse says. */
static int read_private(const char *file, const char *passphrase, struct key_file *ret,
                        struct error *err) {
    cleanup(buffer_wipe) struct buffer text = BUFFER_NULL;
    if (file_read(file, KEY_FILE_SIZE_MAX, &text, err) < 0 || check_mode(file, err) < 0)
        return -1;
    int r = key_file_parse(buffer_string(&text), text.size, passphrase, ret, err);
    return r < 0 ? error_wrap(err, "'%s'", file) : r;
}

static int read_public(const char *file, struct buffer *ret_blob, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    cleanup_free char *comment = NULL;
    if (file_read(file, KEY_FILE_SIZE_MAX, &text, err) < 0)
        return -1;
    return key_file_public(buffer_string(&text), text.size, ret_blob, &comment, err);
}

/* A candidate of a file: what is known of it without asking anybody. */
struct candidate {
    const char *file;
    struct key_file content;
    struct error problem; /* why it can only be used by the agent */
    bool exists, used;
};

static void candidate_deinit(struct candidate *c) {
    key_file_deinit(&c->content);
}

static void load_candidate(struct candidate *c) {
    int r = read_private(c->file, NULL, &c->content, &c->problem);
    c->exists = r >= 0 || c->problem.kind != ERROR_NOT_FOUND;
    if (c->content.blob.size > 0)
        return;
    /* Encrypted PEM, something unusable, a public key, or nothing at all. */
    cleanup_free char *beside = text_format("%s.pub", c->file);
    struct error ignored = ERROR_NULL;
    struct buffer blob = BUFFER_NULL;
    if (read_public(c->file, &blob, &ignored) == 0)
        error_set(&c->problem, ERROR_REFUSED, "'%s' is a public key that the agent does not hold",
                  c->file);
    else if (read_public(beside, &blob, &ignored) < 0)
        return;
    buffer_deinit(&c->content.blob);
    c->content.blob = blob;
}

/* ---- collecting ---- */

struct collection {
    struct identity_set *set;
    size_t capacity;
    struct buffer problems;
};

static void add(struct collection *collection, struct identity *identity) {
    struct identity_set *set = collection->set;
    mem_grow(set->identities, set->count, collection->capacity);
    set->identities[set->count++] = identity;
}

static void add_problem(struct collection *collection, const struct error *problem) {
    buffer_format(&collection->problems, "%s%s%s%s%s", collection->problems.size ? "; " : "",
                  problem->text, problem->hint[0] ? " (" : "", problem->hint,
                  problem->hint[0] ? ")" : "");
}

static bool same_blob(const struct buffer *blob, const struct agent_key *key) {
    return blob->size == key->blob_size && blob->size > 0 &&
           memcmp(blob->data, key->blob, blob->size) == 0;
}

static struct identity *of_agent(const char *agent, const struct agent_key *key, const char *file) {
    struct identity *identity = mem_new(struct identity);
    identity->description = file ? text_format("key '%s' of the agent", file)
                                 : text_format("agent key '%s'", key->comment);
    identity->file = text_dup(file);
    identity->agent = text_dup(agent);
    identity->comment = text_dup(key->comment);
    buffer_init(&identity->blob, KEY_BLOB_SIZE_MAX);
    buffer_append(&identity->blob, key->blob, key->blob_size);
    return identity;
}

static struct identity *of_file(struct candidate *c) {
    struct identity *identity = mem_new(struct identity);
    identity->description = text_format("file '%s'", c->file);
    identity->file = text_dup(c->file);
    identity->blob = c->content.blob;
    c->content.blob = BUFFER_NULL;
    identity->key = take_ptr(c->content.key);
    return identity;
}

static void add_agent_keys(struct collection *collection, const char *agent,
                           const struct agent_keys *keys, struct candidate *candidates,
                           size_t candidate_count, bool named) {
    for (size_t i = 0; i < keys->count; i++) {
        const struct agent_key *key = &keys->keys[i];
        struct candidate *match = NULL;
        for (size_t j = 0; j < candidate_count && !match; j++)
            if (same_blob(&candidates[j].content.blob, key))
                match = &candidates[j];
        if (!key_blob_type(key->blob, key->blob_size) || key->blob_size > KEY_BLOB_SIZE_MAX) {
            if (!named) {
                struct error problem = ERROR_NULL;
                error_set(&problem, ERROR_INVALID,
                          "the agent's key '%s' is of a type that is not supported", key->comment);
                add_problem(collection, &problem);
            }
        } else if (named ? match && !match->used : !match) {
            add(collection, of_agent(agent, key, match ? match->file : NULL));
        }
        if (match)
            match->used = true;
    }
}

/* What files can do by themselves. */
static void add_files(struct collection *collection, struct candidate *candidates,
                      size_t candidate_count) {
    for (size_t i = 0; i < candidate_count; i++) {
        struct candidate *c = &candidates[i];
        if (c->used || !c->exists)
            continue;
        if (c->problem.kind != ERROR_NONE)
            add_problem(collection, &c->problem);
        else
            add(collection, of_file(c));
    }
}

static int list_agent(const char *agent, const struct task *task, struct agent_keys *ret,
                      struct collection *collection, struct error *err) {
    struct error problem = ERROR_NULL;
    struct task limited = task_within(task, AGENT_LIST_NS);
    if (!agent || agent_list(agent, &limited, ret, &problem) == 0)
        return 0;
    if (task_check(task, err) < 0)
        return error_wrap(err, "ask the agent for its keys");
    error_wrap(&problem, "ask the agent for its keys");
    add_problem(collection, &problem);
    return 0;
}

static int collect(struct collection *collection, struct candidate *candidates,
                   size_t candidate_count, const char *agent, bool only_files,
                   const struct task *task, struct error *err) {
    cleanup(agent_keys_deinit) struct agent_keys keys = AGENT_KEYS_NULL;
    if (list_agent(agent, task, &keys, collection, err) < 0)
        return -1;
    for (size_t i = 0; i < candidate_count; i++)
        load_candidate(&candidates[i]);
    add_agent_keys(collection, agent, &keys, candidates, candidate_count, true);
    if (!only_files)
        add_agent_keys(collection, agent, &keys, candidates, candidate_count, false);
    add_files(collection, candidates, candidate_count);
    return 0;
}

enum { PROBLEMS_SIZE_MAX = 16 << 10 };

int identity_collect(char *const *files, const char *agent, bool only_files,
                     const struct task *task, struct identity_set *ret, char **ret_problems,
                     struct error *err) {
    size_t count = 0;
    while (files[count])
        count++;
    cleanup_free struct candidate *candidates = mem_new_array(struct candidate, count + 1);
    for (size_t i = 0; i < count; i++)
        candidates[i] = (struct candidate){.file = files[i], .content = KEY_FILE_NULL};
    cleanup(identity_set_deinit) struct identity_set set = IDENTITY_SET_NULL;
    struct collection collection = {.set = &set};
    buffer_init(&collection.problems, PROBLEMS_SIZE_MAX);
    int r = collect(&collection, candidates, count, agent, only_files, task, err);
    for (size_t i = 0; i < count; i++)
        candidate_deinit(&candidates[i]);
    if (r == 0) {
        *ret = set;
        set = IDENTITY_SET_NULL;
        *ret_problems =
            collection.problems.size ? text_dup(buffer_string(&collection.problems)) : NULL;
    }
    buffer_deinit(&collection.problems);
    return r;
}

/* ---- signing ---- */

/* Another host may have needed it before. */
static bool take_unlocked(struct identity *identity) {
    if (identity->blob.size > 0)
        identity->key = key_ring_find(identity->blob.data, identity->blob.size);
    return identity->key != NULL;
}

/* A passphrase is right when it opens the file, and what is in it is what was offered. */
static int try_passphrase(void *context, const char *passphrase, struct error *err) {
    struct identity *identity = context;
    if (take_unlocked(identity)) /* while we waited for our turn */
        return 0;
    cleanup(key_file_deinit) struct key_file content = KEY_FILE_NULL;
    int r = read_private(identity->file, passphrase, &content, err);
    if (r != 0)
        return r;
    if (identity->blob.size == 0) {
        identity->blob = content.blob;
        content.blob = BUFFER_NULL;
    } else if (identity->blob.size != content.blob.size ||
               memcmp(identity->blob.data, content.blob.data, content.blob.size) != 0) {
        return error_set(err, ERROR_INVALID, "'%s' and '%s.pub' are of different keys",
                         identity->file, identity->file);
    }
    identity->key = take_ptr(content.key);
    key_ring_add(identity->blob.data, identity->blob.size, identity->key);
    return 0;
}

static int unlock(struct identity *identity, const struct task *task, struct error *err) {
    if (identity->agent || identity->key || take_unlocked(identity))
        return 0;
    if (identity->silent)
        return error_set(err, ERROR_REFUSED,
                         "the key '%s' is encrypted, and BatchMode forbids to ask", identity->file);
    return passphrase_open(identity->file, task, try_passphrase, identity, err);
}

int identity_prepare(struct identity *identity, const struct task *task, struct error *err) {
    return identity->blob.size > 0 ? 0 : unlock(identity, task, err);
}

static int sign_by_agent(const struct identity *identity, const void *data, size_t size,
                         const struct task *task, struct buffer *ret, struct error *err) {
    struct agent_key key = {.blob = (unsigned char *)identity->blob.data,
                            .blob_size = identity->blob.size};
    struct task limited = task_within(task, AGENT_SIGN_NS);
    if (agent_sign(identity->agent, &key, identity_algorithm(identity), data, size, &limited, ret,
                   err) < 0)
        return error_wrap(err, "sign by the %s", identity->description);
    return 0;
}

int identity_sign(struct identity *identity, const void *data, size_t size, const struct task *task,
                  unsigned char **ret, size_t *ret_size, struct error *err) {
    cleanup(buffer_deinit) struct buffer signature;
    buffer_init(&signature, AGENT_MESSAGE_SIZE_MAX);
    if (identity->agent) {
        if (sign_by_agent(identity, data, size, task, &signature, err) < 0)
            return -1;
    } else if (unlock(identity, task, err) < 0 ||
               key_sign(identity->key, data, size, &signature, err) < 0) {
        return error_wrap(err, "sign by the %s", identity->description);
    }
    *ret_size = signature.size;
    *ret = (unsigned char *)buffer_take(&signature);
    return 0;
}
