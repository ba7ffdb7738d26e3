#include "runner/remote/login.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/crypto.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/algorithms.h"
#include "runner/remote/dial.h"
#include "runner/remote/gate.h"
#include "runner/remote/identity.h"
#include "runner/remote/known_hosts.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* Between attempts at an sshd that dropped us; and each time longer by as much. */
#define DROPPED_WAIT_NS (100 * NS_PER_MS)

/* ---- calls that say SSH_AGAIN ---- */

/* Sends what is unsent, and waits until something comes. */
static int wait_for_more(struct ssh *ssh, const struct task *task, struct error *err) {
    if (ssh_flush(ssh, err) < 0)
        return -1;
    if (ssh_has_input(ssh))
        return task_check(task, err);
    if (task_wait(task, ssh_fd(ssh), ssh_events(ssh), err) < 0)
        return -1;
    struct pollfd fd = {.fd = ssh_fd(ssh), .events = POLLIN};
    poll(&fd, 1, 0);
    ssh_polled(ssh, fd.revents);
    return 0;
}

static int handshake(struct ssh *ssh, const struct task *task, struct error *err) {
    int r;
    while ((r = ssh_handshake(ssh, err)) == SSH_AGAIN)
        if (wait_for_more(ssh, task, err) < 0) {
            if (err->kind != ERROR_TIMEOUT)
                return -1;
            error_set(err, ERROR_TIMEOUT, "timed out while keys were exchanged");
            return error_hint(err, "something accepts connections there and does not speak SSH "
                                   "(yet): is sshd the one that listens?");
        }
    return r;
}

/* ---- the host's key ---- */

/* NULL-terminated, of borrowed strings. */
static char **all_known_hosts(const struct target *t) {
    char **lists[] = {t->user_known_hosts_files, t->global_known_hosts_files};
    size_t count = 0;
    for (size_t i = 0; i < 2; i++)
        for (char **f = lists[i]; f && *f; f++)
            count++;
    char **all = mem_new_array(char *, count + 1), **at = all;
    for (size_t i = 0; i < 2; i++)
        for (char **f = lists[i]; f && *f; f++)
            *at++ = *f;
    return all;
}

static const char *known_name(const struct target *t) {
    return t->host_key_alias ? t->host_key_alias : t->host_name;
}

/* An alias stands for the host on any port. */
static uint16_t known_port(const struct target *t) {
    return t->host_key_alias ? 0 : t->port;
}

static int check_pinned_one(const char *pinned, const void *key, size_t size,
                            const char *fingerprint, struct error *err) {
    if (text_starts(pinned, "SHA256:")) {
        if (strcmp(pinned, fingerprint) == 0)
            return 0;
        return error_set(err, ERROR_REFUSED, "its host key is %s, and %s is pinned", fingerprint,
                         pinned);
    }
    /* "ssh-ed25519 AAAA... comment" */
    cleanup(buffer_deinit) struct buffer blob;
    buffer_init(&blob, 64 * 1024);
    const char *begin = strchr(pinned, ' ');
    begin = begin ? begin + strspn(begin, " ") : "";
    if (base64_decode(begin, strcspn(begin, " \t\r\n"), &blob, err) < 0) {
        error_set(err, ERROR_CONFIG, "the pinned host key is no public key");
        return error_hint(err, "as in a .pub file, \"ssh-ed25519 AAAA...\", or \"SHA256:...\"");
    }
    if (blob.size == size && memcmp(blob.data, key, size) == 0)
        return 0;
    cleanup_free char *other = known_hosts_fingerprint(blob.data, blob.size);
    return error_set(err, ERROR_REFUSED, "its host key is %s, and %s is pinned", fingerprint,
                     other);
}

/* Any of its lines; what the last says of it is the error. */
static int check_pinned(const char *pinned, const void *key, size_t size, const char *fingerprint,
                        struct error *err) {
    int r;
    do {
        size_t length = strcspn(pinned, "\n");
        cleanup_free char *one = text_format("%.*s", (int)length, pinned);
        error_clear(err);
        r = check_pinned_one(one, key, size, fingerprint, err);
        pinned += length;
    } while (r < 0 && *pinned++);
    return r;
}

static int refuse_unknown(const struct target *t, const char *fingerprint, struct error *err) {
    error_set(err, ERROR_REFUSED, "its host key %s is not known", fingerprint);
    return error_hint(err,
                      "compare it with what `ssh-keygen -lf` says there of "
                      "/etc/ssh/ssh_host_*_key.pub; then `ssh-keyscan -p %u %s >>%s`, or pin it "
                      "as the host's key in the deployment file",
                      t->port, t->host_name,
                      t->user_known_hosts_files && t->user_known_hosts_files[0]
                          ? t->user_known_hosts_files[0]
                          : "~/.ssh/known_hosts");
}

static int accept_unknown(const struct login *login, const struct known_hosts_query *query,
                          const char *fingerprint, struct error *err) {
    const struct target *t = login->target;
    bool accept = login->unknown_keys == HOST_UNKNOWN_ACCEPT_NEW ||
                  t->host_key_checking == TARGET_CHECK_ACCEPT_NEW ||
                  t->host_key_checking == TARGET_CHECK_NO;
    if (!accept)
        return refuse_unknown(t, fingerprint, err);
    if (!t->user_known_hosts_files || !t->user_known_hosts_files[0])
        return 0;
    return known_hosts_add(t->user_known_hosts_files[0], query, err);
}

static int refuse_changed(const struct known_hosts_query *query, const char *fingerprint,
                          const char *where, struct error *err) {
    cleanup_free char *name = query->port == 22 || query->port == 0
                                  ? text_dup(query->host)
                                  : text_format("[%s]:%u", query->host, query->port);
    error_set(err, ERROR_REFUSED, "its host key is %s, and it is known by another (%s)",
              fingerprint, where);
    return error_hint(err,
                      "if the machine was set up anew and this is its key, forget the old one: "
                      "`ssh-keygen -R '%s' -f %.*s`; if not, somebody is in between",
                      name, (int)strcspn(where, ":"), where);
}

static int check_host_key(const struct login *login, struct ssh *ssh, struct error *err) {
    const struct target *t = login->target;
    struct known_hosts_query query = {
        .host = known_name(t), .port = known_port(t), .hash_name = t->hash_known_hosts};
    query.key = ssh_host_key(ssh, &query.key_size);
    if (!query.key)
        return error_set(err, ERROR_INVALID, "it has no host key");
    cleanup_free char *fingerprint = known_hosts_fingerprint(query.key, query.key_size);
    if (login->host_key)
        return check_pinned(login->host_key, query.key, query.key_size, fingerprint, err);
    cleanup_free char **files = all_known_hosts(t);
    struct known_hosts_result result;
    if (known_hosts_check(files, &query, &result, err) < 0)
        return -1;
    switch (result.answer) {
    case KNOWN_HOSTS_MATCH: return 0;
    case KNOWN_HOSTS_UNKNOWN: return accept_unknown(login, &query, fingerprint, err);
    case KNOWN_HOSTS_REVOKED:
        error_set(err, ERROR_REFUSED, "its host key %s is revoked (%s)", fingerprint, result.where);
        return error_hint(err, "whoever has this key is not to be trusted; give the host a new "
                               "one");
    case KNOWN_HOSTS_CHANGED: break;
    }
    return refuse_changed(&query, fingerprint, result.where, err);
}

/* ---- who we are ---- */

struct proof {
    struct identity *identity;
    struct task task;
};

/* Asking somebody for a passphrase takes as long as it takes, and that is not the network's time:
 * sshd has a limit of its own. */
static int sign(void *arg, const void *data, size_t size, unsigned char **ret, size_t *ret_size,
                struct error *err) {
    struct proof *proof = arg;
    struct task unhurried = {.cancel = proof->task.cancel, .deadline = INSTANT_NEVER};
    struct instant begun = clock_instant();
    int r = identity_sign(proof->identity, data, size, &unhurried, ret, ret_size, err);
    proof->task.deadline =
        instant_after(proof->task.deadline, instant_ns_between(begun, clock_instant()));
    return r;
}

/* Without its passphrase, some files do not even tell the public key. */
static int prepare(struct proof *proof, struct error *err) {
    struct task unhurried = {.cancel = proof->task.cancel, .deadline = INSTANT_NEVER};
    struct instant begun = clock_instant();
    int r = identity_prepare(proof->identity, &unhurried, err);
    proof->task.deadline =
        instant_after(proof->task.deadline, instant_ns_between(begun, clock_instant()));
    return r;
}

/* 0, SSH_NO or -1. */
static int try_key(struct ssh *ssh, const char *user, struct identity *identity,
                   const struct task *task, struct error *err) {
    struct proof proof = {.identity = identity, .task = *task};
    if (prepare(&proof, err) < 0)
        return err->kind == ERROR_CANCELLED ? -1 : SSH_NO;
    struct ssh_key key = {.algorithm = identity_algorithm(identity), .sign = sign, .arg = &proof};
    key.blob = identity_blob(identity, &key.blob_size);
    int r;
    while ((r = ssh_login_key(ssh, user, &key, err)) == SSH_AGAIN)
        if (wait_for_more(ssh, &proof.task, err) < 0)
            return -1;
    return r;
}

static int ask_methods(struct ssh *ssh, const char *user, const struct task *task,
                       const char **ret_methods, struct error *err) {
    int r;
    while ((r = ssh_login_methods(ssh, user, ret_methods, err)) == SSH_AGAIN)
        if (wait_for_more(ssh, task, err) < 0)
            return -1;
    return r;
}

static int not_let_in(const struct target *t, const struct buffer *tried, const char *problems,
                      struct error *err) {
    error_set(err, ERROR_REFUSED, "user '%s' is not let in: %s%s%s", t->user,
              tried->size ? buffer_string(tried) : "there is no key to try", problems ? "; " : "",
              problems ? problems : "");
    return error_hint(err,
                      "put the public key into ~%s/.ssh/authorized_keys there, or name another "
                      "key or user; `ssh %s@%s` shows what the same keys do",
                      t->user, t->user, t->host_name);
}

static int prove(struct ssh *ssh, const struct login *login, const struct identity_set *set,
                 const char *problems, const struct task *task, char **ret_file,
                 struct error *err) {
    const char *user = login->target->user;
    cleanup(buffer_deinit) struct buffer tried;
    buffer_init(&tried, 2048);
    for (size_t i = 0; i < set->count; i++) {
        struct identity *identity = set->identities[i];
        int r = try_key(ssh, user, identity, task, err);
        if (r == 0) {
            *ret_file = text_dup(identity_file(identity));
            return 0;
        }
        if (r < 0 && err->kind == ERROR_UNREACHABLE) {
            error_wrap(err, "after %zu of %zu keys", i + 1, set->count);
            error_hint(err, "sshd gives up after some keys (MaxAuthTries): name the right one by "
                            "IdentityFile, with IdentitiesOnly yes");
        }
        if (r < 0)
            return -1;
        buffer_format(&tried, "%s%s: %s", tried.size ? "; " : "", identity_describe(identity),
                      err->text);
        error_clear(err);
    }
    return not_let_in(login->target, &tried, problems, err);
}

static int authenticate(struct ssh *ssh, const struct login *login, const struct task *task,
                        char **ret_file, struct error *err) {
    const struct target *t = login->target;
    const char *methods = NULL;
    if (ask_methods(ssh, t->user, task, &methods, err) != 0)
        return -1;
    *ret_file = NULL;
    if (!methods)
        return 0;
    if (!strstr(methods, "publickey")) {
        char shown[256];
        return error_set(err, ERROR_REFUSED, "it lets nobody in by key (only by: %s)",
                         text_safe(methods, shown, sizeof shown));
    }
    struct identity_set set = IDENTITY_SET_NULL;
    cleanup_free char *problems = NULL;
    if (identity_collect(t->identity_files, t->identity_agent, t->identities_only, task, &set,
                         &problems, err) < 0)
        return -1;
    if (t->batch_mode)
        identity_set_silent(&set);
    int r = prove(ssh, login, &set, problems, task, ret_file, err);
    identity_set_deinit(&set);
    return r;
}

/* ---- all of it ---- */

/* Host key algorithms: those by which the host is known come first, or it would look changed. */
static char *host_key_algorithms(const struct login *login) {
    const struct target *t = login->target;
    cleanup_free char *wanted =
        algorithms_apply(ssh_algorithms_ours.host_key, t->host_key_algorithms);
    cleanup_free char *first = NULL;
    if (login->host_key) {
        first = text_format("%.*s", (int)strcspn(login->host_key, " "), login->host_key);
    } else {
        cleanup_free char **files = all_known_hosts(t);
        first = known_hosts_algorithms(files, known_name(t), known_port(t));
    }
    return algorithms_prefer(wanted, first ? first : "");
}

static int connect_once(const struct login *login, const struct task *task, int *ret_fd,
                        struct error *err) {
    const struct target *t = login->target;
    if (login->dial)
        return login->dial(login->dial_arg, t->host_name, t->port, task, ret_fd, err);
    struct dial to = {.host = t->host_name,
                      .port = t->port,
                      .family = t->address_family,
                      .bind_address = t->bind_address};
    return dial(&to, task, ret_fd, err);
}

static int new_session(const struct login *login, int fd, struct ssh **ret, struct error *err) {
    const struct target *t = login->target;
    const struct ssh_algorithms *ours = &ssh_algorithms_ours;
    cleanup_free char *host_key = host_key_algorithms(login);
    cleanup_free char *kex = algorithms_apply(ours->kex, t->kex_algorithms);
    cleanup_free char *ciphers = algorithms_apply(ours->ciphers, t->ciphers);
    cleanup_free char *macs = algorithms_apply(ours->macs, t->macs);
    struct ssh_algorithms algorithms = {.kex = kex,
                                        .host_key = host_key,
                                        .ciphers = ciphers,
                                        .macs = macs,
                                        .compression = t->compression};
    return ssh_new(fd, &algorithms, ret, err);
}

static int name_drop(struct ssh *ssh, struct error *err) {
    char said[128];
    ssh_greeting(ssh, said, sizeof said);
    error_set(err, ERROR_UNREACHABLE, "sshd closed the connection before its banner%s%s%s",
              said[0] ? ", saying '" : "", said, said[0] ? "'" : "");
    return error_hint(err, "it takes only so many connections that are not yet logged in "
                           "(MaxStartups in sshd_config), or blocks this address");
}

/* 1: dropped before its banner, `err` says so: worth another try. */
static int attempt(const struct login *login, const struct task *task, struct ssh **ret,
                   char **ret_file, struct error *err) {
    cleanup(ssh_freep) struct ssh *ssh = NULL;
    cleanup(gate_leavep) struct gate *gate = NULL;
    int fd;
    if (gate_enter(login->target->host_name, login->target->port, task, &gate, err) < 0 ||
        connect_once(login, task, &fd, err) < 0 || new_session(login, fd, &ssh, err) < 0)
        return -1;
    if (handshake(ssh, task, err) < 0) {
        if (!ssh_ended_before_banner(ssh))
            return -1;
        name_drop(ssh, err);
        return 1;
    }
    if (check_host_key(login, ssh, err) < 0 || authenticate(ssh, login, task, ret_file, err) < 0)
        return -1;
    *ret = take_ptr(ssh);
    return 0;
}

static uint64_t jitter(uint64_t ns) {
    uint32_t random;
    random_bytes(&random, sizeof random);
    return ns / 2 + ns * (random % 1024) / 1024;
}

int login(const struct login *login, const struct task *task, struct ssh **ret,
          char **ret_identity_file, struct error *err) {
    struct task limited = task_within(task, login->timeout_ns);
    for (uint64_t tries = 1;; tries++) {
        int r = attempt(login, &limited, ret, ret_identity_file, err);
        if (r <= 0)
            return r;
        struct error over = ERROR_NULL;
        if (task_sleep(&limited, jitter(tries * DROPPED_WAIT_NS), &over) < 0) {
            if (over.kind == ERROR_CANCELLED)
                *err = over;
            return error_wrap(err, "after %lu attempts", (unsigned long)tries);
        }
    }
}
