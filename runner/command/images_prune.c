/* `seatrial images prune`: old images of ours go from the hosts. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/command/hosts.h"
#include "runner/command/images.h"
#include "runner/engine/container.h"
#include "runner/run/describe.h"
#include "runner/run/stale.h"

#include <stdlib.h>

enum { OPTION_KEEP = 256, OPTION_OLDER, OPTION_DRY_RUN };

struct prune_arguments {
    struct hosts_chosen chosen;
    struct stale_limits limits;
    bool dry_run;
};

/* What became of it on one host. */
struct pruned {
    char **lines; /* "HOST ID NAME SIZE" */
    size_t count, capacity;
    size_t in_use;
    uint64_t bytes;
};

struct prune {
    const struct prune_arguments *arguments;
    const struct command_hosts *hosts;
    struct pruned *of; /* by host */
};

static const struct argp_option options[] = {
    {"keep", OPTION_KEEP, "N", 0,
     "how many images without a name stay on each host, the newest ones (3)", 0},
    {"older-than", OPTION_OLDER, "DURATION", 0,
     "images older than this go, with or without a name (720h)", 0},
    {"dry-run", OPTION_DRY_RUN, NULL, 0, "only say which would go", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state) {
    struct prune_arguments *a = state->input;
    struct error err = ERROR_NULL;
    uint64_t number;
    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &a->chosen; return 0;
    case OPTION_KEEP:
        if (text_to_u64(arg, 0, 10000, &number, &err) < 0)
            argp_error(state, "--keep: %s", err.text);
        a->limits.keep = (size_t)number;
        return 0;
    case OPTION_OLDER:
        if (text_to_duration_ns(arg, &number, &err) < 0)
            argp_error(state, "--older-than: %s", err.text);
        a->limits.age_s = (int64_t)(number / NS_PER_SEC);
        return 0;
    case OPTION_DRY_RUN: a->dry_run = true; return 0;
    case ARGP_KEY_ARG: argp_error(state, "unexpected argument '%s'", arg); return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static void note(struct pruned *p, const char *host, const struct engine_image_entry *image) {
    const char *name = json_text_or_null(json_at(image->tags, 0));
    char shown[300];
    mem_grow(p->lines, p->count, p->capacity);
    p->lines[p->count++] = text_format("%s  %.19s  %s  %.1f MB", host, image->id,
                                       name ? text_safe(name, shown, sizeof shown) : "<none>",
                                       (double)image->size_bytes / 1e6);
    p->bytes += (uint64_t)(image->size_bytes > 0 ? image->size_bytes : 0);
}

static bool is_used(const struct engine_container_list *containers, const char *id) {
    for (size_t i = 0; i < containers->count; i++)
        if (text_equal(containers->entries[i].image_id, id))
            return true;
    return false;
}

/* The names of an image that nobody uses go one by one, the image with the last of them. */
static int remove_names(struct engine *engine, const struct json *names, const struct task *task,
                        struct error *err) {
    for (size_t i = 0; i < json_count(names); i++) {
        const char *name = json_text_or_null(json_at(names, i));
        if (name && !text_starts(name, "<none>") &&
            engine_image_remove(engine, name, false, task, err) < 0)
            return -1;
    }
    return 0;
}

/* An engine gives up no image by its id that has names in several repositories, nor any that a
 * container has which was made just now. */
static int remove_one(struct engine *engine, const struct engine_image_entry *image,
                      const struct task *task, struct error *err) {
    int r = engine_image_remove(engine, image->id, false, task, err);
    if (r >= 0 || err->kind != ERROR_CONFLICT)
        return r;
    error_clear(err);
    if (remove_names(engine, image->tags, task, err) < 0 ||
        remove_names(engine, image->digests, task, err) < 0)
        return -1;
    r = engine_image_remove(engine, image->id, false, task, err);
    return r < 0 ? -1 : 0;
}

static int prune_one(struct engine *engine, const struct prune *prune, const char *host,
                     const struct engine_image_entry *image, struct pruned *p, struct error *err) {
    struct task task = command_task();
    int r = prune->arguments->dry_run ? 0 : remove_one(engine, image, &task, err);
    if (r < 0 && err->kind == ERROR_CONFLICT) {
        error_clear(err);
        p->in_use++;
        return 0;
    }
    if (r == 0)
        note(p, host, image);
    return r < 0 ? -1 : 0;
}

static int prune_host(struct command_host *host, struct engine *engine, void *arg,
                      struct error *err) {
    const struct prune *prune = arg;
    struct pruned *p = &prune->of[host - prune->hosts->hosts];
    const char *owner = prune->hosts->context->owner;
    const struct engine_pair labels[] = {{LABEL_IMAGE_OWNER, owner}, {NULL, NULL}};
    struct task task = command_task();
    cleanup(engine_image_list_deinit) struct engine_image_list list = ENGINE_IMAGE_LIST_NULL;
    cleanup(engine_container_list_deinit) struct engine_container_list containers =
        ENGINE_CONTAINER_LIST_NULL;
    if (engine_image_list(engine, labels, &task, &list, err) < 0 ||
        engine_container_list(engine, NULL, &task, &containers, err) < 0)
        return -1;
    cleanup_free bool *stale = mem_new_array(bool, list.count + 1);
    stale_images(&list, owner, clock_wall().ns / (int64_t)NS_PER_SEC, &prune->arguments->limits,
                 stale);
    for (size_t i = 0; i < list.count; i++) {
        if (stale[i] && is_used(&containers, list.entries[i].id))
            p->in_use++;
        else if (stale[i] && prune_one(engine, prune, host->name, &list.entries[i], p, err) < 0)
            return -1;
    }
    return 0;
}

static void report(struct command_context *context, const struct prune *prune) {
    for (size_t i = 0; i < prune->hosts->count; i++) {
        const struct pruned *p = &prune->of[i];
        for (size_t k = 0; k < p->count; k++) {
            puts(p->lines[k]);
            free(p->lines[k]);
        }
        free(p->lines);
        progress_note(context->progress, "%s: %zu images %s (up to %.1f MB), %zu old ones in use",
                      prune->hosts->hosts[i].name, p->count,
                      prune->arguments->dry_run ? "would go" : "went", (double)p->bytes / 1e6,
                      p->in_use);
    }
}

const struct argp images_prune_argp = {
    options,
    parse_option,
    NULL,
    "Removes old images that we have made (they carry our owner's label) from the hosts: of those "
    "that have lost their name to a newer build all but the newest three, and whatever is older "
    "than thirty days. Never an image that a container has, running or not.",
    hosts_children,
    NULL,
    NULL};

int images_prune(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    struct prune_arguments arguments = {
        .limits = {.keep = STALE_KEEP_DEFAULT, .age_s = STALE_AGE_S_DEFAULT}};
    command_parse(&images_prune_argp, "images prune", argc, argv, &arguments);
    cleanup(command_hosts_deinit) struct command_hosts hosts = COMMAND_HOSTS_NULL;
    if (command_hosts_choose(context, &arguments.chosen, &hosts, &err) < 0)
        return command_fail(context, &err);
    command_hosts_connect(&hosts);
    cleanup_free struct pruned *of = mem_new_array(struct pruned, hosts.count + 1);
    struct prune prune = {.arguments = &arguments, .hosts = &hosts, .of = of};
    command_hosts_each(&hosts, prune_host, &prune);
    report(context, &prune);
    return hosts.status;
}
