/* Host keys of machines that nobody but the machines has ever had. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/cloud/host_key.h"
#include "runner/command/jobs.h"
#include "runner/command/machines.h"

#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 4096 };

#define STEP_NS (30 * NS_PER_SEC)
/* sshd closes its doors for a moment when it reads its keys again. */
#define DOOR_NS (15 * NS_PER_SEC)
#define KNOCK_NS (100 * NS_PER_MS)

/* By root: the key that is there, and a new one beside it. sshd must be able to begin anew. */
static const char make[] =
    "set -e; k=/etc/ssh/ssh_host_ed25519_key; \"$(command -v sshd || echo /usr/sbin/sshd)\" -t; "
    "cut -d' ' -f1,2 $k.pub; rm -f $k.next $k.next.pub; "
    "ssh-keygen -q -t ed25519 -N '' -C '' -f $k.next; cut -d' ' -f1,2 $k.next.pub";

/* It takes the other's place; the sshd that let us in, which is above us, reads its keys again. */
static const char take[] =
    "set -e; k=/etc/ssh/ssh_host_ed25519_key; "
    "if [ -s $k.next ]; then mv -f $k.next.pub $k.pub; mv -f $k.next $k; sync $k /etc/ssh; fi; "
    "p=$$; l=; "
    "while [ \"${p:-0}\" -gt 1 ]; do read -r c </proc/$p/comm; [ \"$c\" != sshd ] || l=$p; "
    "p=$(sed -n 's/^PPid:[[:space:]]*//p' /proc/$p/status); done; "
    "[ -n \"$l\" ] || { echo 'no sshd is above us' >&2; exit 1; }; kill -HUP $l";

/* ---- what is known ---- */

void machines_set_key(struct machines_session *s, const char *id, const char *key, bool pinned) {
    struct machines_key *k = NULL;
    for (size_t i = 0; i < s->key_count && !k; i++)
        if (text_equal(s->keys[i].id, id))
            k = &s->keys[i];
    if (!k) {
        mem_grow(s->keys, s->key_count, s->key_capacity);
        k = &s->keys[s->key_count++];
        *k = (struct machines_key){.id = text_dup(id)};
    }
    free(k->key);
    k->key = text_dup(key);
    k->pinned = pinned;
}

static const struct machines_key *key_of(const struct machines_session *s, const char *id) {
    for (size_t i = 0; i < s->key_count; i++)
        if (text_equal(s->keys[i].id, id))
            return &s->keys[i];
    return NULL;
}

/* One that was asked for may be in its place, or not yet: both are accepted. */
void machines_know_keys(const struct machines_session *s, struct machines *machines) {
    for (size_t i = 0; i < machines->count; i++) {
        struct machine *m = &machines->items[i];
        const struct machines_key *k = key_of(s, m->id);
        if (!k)
            continue;
        char *both = k->pinned || !*m->host_key ? text_dup(k->key)
                                                : text_format("%s\n%s", k->key, m->host_key);
        free(m->host_key);
        m->host_key = both;
    }
}

/* ---- on one machine ---- */

struct replacing {
    struct machines_session *session;
    struct testbed *testbed;
    const struct machine *machine;
    size_t host;
    const struct machines_key *asked; /* by a runner that did not see it in its place; or NULL */
    char *key;                        /* the new one, once it is pinned */
};

static int as_root(const struct replacing *r, const char *script, const struct task *task,
                   struct buffer *ret, struct error *err) {
    cleanup_free char *quoted = host_quote(script);
    cleanup_free char *all = text_format(
        "s=; [ \"$(id -u)\" = 0 ] || s=\"sudo -n\"; PATH=$PATH:/usr/sbin:/sbin; $s sh -c %s",
        quoted);
    cleanup_free char *quoted_all = host_quote(all);
    cleanup_free char *command = text_format("sh -c %s", quoted_all);
    return host_exec_text(r->testbed->hosts[r->host].host, command, KEYS_MAX, task, ret, err);
}

static int journal(const struct replacing *r, const char *key, const char *state,
                   struct error *err) {
    struct json *fields = json_new_object();
    json_set_text(fields, "id", r->machine->id);
    json_set_text(fields, "state", state);
    json_set_text(fields, "key", key);
    return journal_write(&r->session->journal, "host key", fields, err);
}

/* A line of its own answer. */
static int take_line(const char **at, char **ret, struct error *err) {
    char print[HOST_KEY_PRINT_SIZE];
    size_t size = strcspn(*at, "\n");
    cleanup_free char *line = text_format("%.*s", (int)size, *at);
    if (!text_starts(line, "ssh-ed25519 ") || !host_key_fingerprint(line, print))
        return error_set(err, ERROR_INVALID, "what it says is no host key");
    *at += size + ((*at)[size] == '\n');
    *ret = take_ptr(line);
    return 0;
}

/* `ret`: what is to take the place, in the journal already. */
static int ask_for_key(const struct replacing *r, const struct task *task, char **ret,
                       struct error *err) {
    cleanup(buffer_deinit) struct buffer said = BUFFER_NULL;
    cleanup_free char *there = NULL, *next = NULL;
    if (as_root(r, make, task, &said, err) < 0)
        return -1;
    const char *at = buffer_string(&said);
    if (take_line(&at, &there, err) < 0 || take_line(&at, &next, err) < 0)
        return -1;
    /* Its file has it, though sshd may not have read it yet: then another would be one too many. */
    if (r->asked && text_equal(there, r->asked->key)) {
        *ret = take_ptr(there);
        return 0;
    }
    if (journal(r, next, "asked", err) < 0)
        return -1;
    *ret = take_ptr(next);
    return 0;
}

/* With nothing but the new key. */
static int connect_again(const struct replacing *r, const char *key, const struct task *task,
                         struct error *err) {
    struct deployment_host *host =
        &r->session->files.deployment->testbed
             .hosts[r->machine->host - r->session->files.deployment->testbed.hosts];
    struct task brief = task_within(task, DOOR_NS);
    struct error over = ERROR_NULL;
    char *before = host->host_key;
    testbed_disconnect_one(r->testbed, r->host);
    host->host_key = text_dup(key);
    int result;
    while ((result = testbed_connect_one(r->testbed, r->host, &brief, err)) < 0 &&
           (err->kind == ERROR_UNREACHABLE || err->kind == ERROR_REFUSED) &&
           task_sleep(&brief, KNOCK_NS, &over) == 0)
        error_clear(err);
    if (result < 0 && before) { /* whichever is in its place by now */
        free(host->host_key);
        host->host_key = text_format("%s\n%s", key, before);
    }
    free(before);
    return result;
}

static int replace(void *subject, struct engine *engine, void *arg, struct error *err) {
    (void)engine, (void)arg;
    struct replacing *r = subject;
    struct task whole = command_task();
    struct task task = task_within(&whole, STEP_NS);
    cleanup(buffer_deinit) struct buffer said = BUFFER_NULL;
    cleanup_free char *key = NULL;
    if (ask_for_key(r, &task, &key, err) < 0)
        return error_wrap(err, "make a host key");
    if (r->asked && text_equal(r->asked->key, key)) {
        /* What was made beside it just now is not the one. */
        cleanup(buffer_deinit) struct buffer none = BUFFER_NULL;
        if (as_root(r, "rm -f /etc/ssh/ssh_host_ed25519_key.next*", &task, &none, err) < 0)
            return -1;
    }
    if (as_root(r, take, &task, &said, err) < 0)
        return error_wrap(err, "put the new host key in its place");
    if (connect_again(r, key, &whole, err) < 0)
        return error_wrap(err, "connect by the new host key");
    if (journal(r, key, "pinned", err) < 0)
        return -1;
    r->key = take_ptr(key);
    return 0;
}

/* ---- on all ---- */

static void keep(struct replacing *r, const struct job *job, size_t *count) {
    const struct command_context *context = r->session->context;
    if (r->key) {
        machines_set_key(r->session, r->machine->id, r->key, true);
        (*count)++;
        free(r->key);
    } else if (job->fault && job->fault->kind != ERROR_CANCELLED) {
        progress_warn(context->progress,
                      "host %s: its host key is still the one of its user-data, which programs on "
                      "it can read: %s (the next run tries it again)",
                      r->machine->host->name, job->fault->text);
    }
}

static bool needs_key(const struct machines_session *s, const struct machine *m) {
    const struct machines_key *k = key_of(s, m->id);
    return m->host && *m->host_key && !(k && k->pinned);
}

static bool any_needs_key(const struct machines_session *s) {
    for (size_t i = 0; i < s->machines.count; i++)
        if (needs_key(s, &s->machines.items[i]))
            return true;
    return false;
}

void machines_replace_keys(struct machines_session *s, struct testbed *testbed) {
    struct error err = ERROR_NULL;
    if (!any_needs_key(s))
        return;
    if (s->journal.fd < 0 && machines_take_journal(s, &err) < 0) {
        progress_warn(s->context->progress, "host keys are not replaced: %s", err.text);
        return;
    }
    struct replacing *all = mem_new_array(struct replacing, s->machines.count);
    struct job *jobs = mem_new_array(struct job, s->machines.count);
    size_t count = 0, replaced = 0;
    for (size_t i = 0; i < s->machines.count; i++) {
        const struct machine *m = &s->machines.items[i];
        if (!needs_key(s, m))
            continue;
        all[count] =
            (struct replacing){.session = s,
                               .testbed = testbed,
                               .machine = m,
                               .host = (size_t)(m->host - s->files.deployment->testbed.hosts),
                               .asked = key_of(s, m->id)};
        jobs[count] = (struct job){.subject = &all[count]};
        count++;
    }
    jobs_run(jobs, count, 0, replace, NULL);
    for (size_t i = 0; i < count; i++)
        keep(&all[i], &jobs[i], &replaced);
    if (replaced)
        progress_note(s->context->progress, "%zu machines have host keys of their own now",
                      replaced);
    jobs_free(jobs, count);
    free(all);
}
