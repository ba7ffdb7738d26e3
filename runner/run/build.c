#include "runner/run/build.h"

#include "images/context_memory.h"
#include "images/dockerfile.h"
#include "images/reference.h"
#include "images/vcs.h"
#include "lib/crypto.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/transfer.h"
#include "runner/plan/plan.h"
#include "runner/run/describe.h"
#include "runner/run/pin.h"

#include <stdlib.h>
#include <string.h>

enum {
    OUTPUT_TAIL_MAX = 3000, /* of a failed build, shown in its error */
    SHOWN_LINE_MAX = 512,
    READ_TWICE_BYTES_MAX = 64 << 20, /* a twentieth of a second */
};

struct build {
    const struct build_wanted *wanted;
    struct engine *engine;
    const struct task *task;
    struct context *context;
    struct ignore *allowed;
    struct locked_build *source;
    bool whole;       /* all of the context is sent */
    bool bases_known; /* those in `source` are all that there are */
    bool buildkit;
    bool secret;        /* among the arguments */
    struct buffer line; /* the line that is being written */
    struct buffer tail;
};

/* ---- output ---- */

static void keep_tail(struct buffer *tail, const char *text, size_t size) {
    if (size > OUTPUT_TAIL_MAX) {
        text += size - OUTPUT_TAIL_MAX;
        size = OUTPUT_TAIL_MAX;
    }
    if (tail->size + size > OUTPUT_TAIL_MAX)
        buffer_consume(tail, tail->size + size - OUTPUT_TAIL_MAX);
    buffer_append(tail, text, size);
}

static void show_lines(struct build *b, const char *text) {
    for (; *text; text++) {
        if (*text != '\n') {
            if (b->line.size < SHOWN_LINE_MAX)
                buffer_append(&b->line, text, 1);
            continue;
        }
        if (b->line.size)
            b->wanted->say(b->wanted->arg, buffer_string(&b->line));
        buffer_clear(&b->line);
    }
}

static void write_log(const struct build *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void write_log(const struct build *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (b->wanted->log)
        vfprintf(b->wanted->log, format, args);
    va_end(args);
}

static int on_event(void *arg, const struct engine_build_event *event, struct error *err) {
    (void)err;
    struct build *b = arg;
    switch (event->kind) {
    case ENGINE_BUILD_TEXT:
        write_log(b, "%s", event->text);
        keep_tail(&b->tail, event->text, strlen(event->text));
        show_lines(b, event->text);
        break;
    case ENGINE_BUILD_STATUS:
        write_log(b, "%s %s %s\n", event->id, event->text, event->progress);
        break;
    case ENGINE_BUILD_IMAGE: write_log(b, "image %s\n", event->id); break;
    case ENGINE_BUILD_ERROR: write_log(b, "error: %s\n", event->text); break;
    }
    return 0;
}

/* The engine's message says which step failed; the output before it says why. */
static void append_output(const struct buffer *tail, struct error *err) {
    cleanup(buffer_deinit) struct buffer shown;
    buffer_init(&shown, sizeof err->text);
    text_harmless(&shown, buffer_string(tail), tail->size);
    size_t size = strlen(err->text);
    if (tail->size)
        snprintf(err->text + size, sizeof err->text - size, "\nits last output:\n%s",
                 buffer_string(&shown));
}

/* ---- what is asked of the engine ---- */

/* The service's image name and its further tags. */
static const char **tags_of(const struct build_wanted *wanted) {
    char *const *further = wanted->service->build->tags;
    size_t count = 0;
    while (further && further[count])
        count++;
    const char **tags = mem_new_array(const char *, count + 2);
    tags[0] = wanted->reference;
    for (size_t i = 0; i < count; i++)
        tags[i + 1] = further[i];
    return tags;
}

static struct engine_pair *pairs_of(const struct env_pair *from, size_t more) {
    size_t count = env_pairs_count(from);
    struct engine_pair *to = mem_new_array(struct engine_pair, count + more + 1);
    for (size_t i = 0; i < count; i++)
        to[i] = (struct engine_pair){from[i].name, from[i].value};
    return to;
}

static const char *platform_of(const struct project_service *service) {
    return service->build->platform ? service->build->platform : service->platform;
}

/* As docker does it: BuildKit where the engine has it, unless DOCKER_BUILDKIT says 0. */
static int choose_builder(struct build *b, struct error *err) {
    const char *wish = getenv("DOCKER_BUILDKIT");
    if (text_equal(wish, "0"))
        return 0;
    return engine_has_buildkit(b->engine, b->task, &b->buildkit, err);
}

static int send_build(struct build *b, char ret_id[ENGINE_IMAGE_ID_SIZE], struct error *err) {
    const struct project_build *wanted = b->wanted->service->build;
    cleanup_free const char **tags = tags_of(b->wanted);
    cleanup_free struct engine_pair *args = pairs_of(wanted->args, 0);
    cleanup_free struct engine_pair *labels = pairs_of(wanted->labels, 1);
    labels[env_pairs_count(wanted->labels)] =
        (struct engine_pair){LABEL_IMAGE_OWNER, b->wanted->owner};
    struct engine_build build = {.tags = tags,
                                 .dockerfile = context_dockerfile(b->context),
                                 .target = wanted->target,
                                 .args = args,
                                 .labels = labels,
                                 .network_mode = wanted->network,
                                 .platform = platform_of(b->wanted->service),
                                 .cache_from = (const char *const *)wanted->cache_from,
                                 .buildkit = b->buildkit,
                                 .no_cache = wanted->no_cache,
                                 .pull = wanted->pull && !b->bases_known,
                                 .context = context_source(b->context),
                                 .on_event = on_event,
                                 .arg = b};
    if (engine_image_build(b->engine, &build, b->task, ret_id, err) == 0)
        return 0;
    append_output(&b->tail, err);
    return -1;
}

/* ---- what it is built from ---- */

static void note_dockerfile(const struct build *b, struct locked_build *source) {
    const struct buffer *text = context_dockerfile_text(b->context);
    unsigned char hash[SHA256_SIZE];
    char digest[DIGEST_TEXT_SIZE];
    sha256_of(buffer_string(text), text->size, hash);
    source->dockerfile = text_dup(context_dockerfile(b->context));
    source->dockerfile_digest = text_dup(digest_text(hash, digest));
}

static int pull_base(struct build *b, const char *reference, struct error *err) {
    char digest[ENGINE_DIGEST_SIZE];
    struct engine_transfer transfer = {.on_event = NULL};
    struct engine_registry_auth auth;
    struct reference r;
    if (reference_parse(reference, &r, err) < 0 ||
        registries_auth(b->wanted->registries, r.domain, b->task, &auth, err) < 0)
        return -1;
    cleanup_free char *said = text_format("pulling base image %s", reference);
    b->wanted->say(b->wanted->arg, said);
    if (engine_image_pull(b->engine, reference, &auth, &transfer, b->task, digest, err) < 0)
        return error_wrap(err, "base image '%s' is not on the engine, and pulling it failed",
                          reference);
    return 0;
}

/* What is built on it does what its ONBUILD says, which may copy anything. */
static bool has_triggers(const struct engine_image *image) {
    return json_count(json_find(image->json, "Config.OnBuild")) > 0;
}

static const char *word_of(const struct engine_image *image, const char *name) {
    const char *word = json_text_or_null(json_find(image->json, name));
    return word ? word : "";
}

/* Whether it is what a build for `platform` ("linux/arm64/v8") starts from. */
static bool is_for(const struct engine_image *image, const char *platform) {
    const char *variant = json_text_or_null(json_find(image->json, "Variant"));
    cleanup_free char *own =
        text_format("%s/%s", word_of(image, "Os"), word_of(image, "Architecture"));
    cleanup_free char *exact = variant ? text_format("%s/%s", own, variant) : NULL;
    return text_equal(platform, own) || text_equal(platform, exact);
}

/* 1: of what is not here for the platform that is asked for, the builder has its own, perhaps. */
static int find_base(struct build *b, const char *reference, struct engine_image *ret,
                     struct error *err) {
    const char *platform = platform_of(b->wanted->service);
    bool pull = b->wanted->service->build->pull;
    if (pull && platform)
        return 1;
    int r = pull ? 1 : engine_image_inspect(b->engine, reference, b->task, ret, err);
    if (platform)
        return r == 0 && !is_for(ret, platform) ? 1 : r;
    if (r != 1)
        return r;
    if (pull_base(b, reference, err) < 0)
        return -1;
    r = engine_image_inspect(b->engine, reference, b->task, ret, err);
    return r == 1 ? error_set(err, ERROR_NOT_FOUND, "base image '%s' was pulled, and is not there",
                              reference)
                  : r;
}

static int note_base(struct build *b, const char *reference, struct error *err) {
    cleanup(engine_image_deinit) struct engine_image found = ENGINE_IMAGE_NULL;
    int r = find_base(b, reference, &found, err);
    if (r < 0)
        return -1;
    if (r == 1) {
        b->bases_known = false;
        b->whole = true;
        return 0;
    }
    cleanup(locked_image_deinit) struct locked_image base = pin_of(&found, reference);
    locked_build_add_base(b->source, reference, base.id, base.digest);
    b->whole = b->whole || has_triggers(&found);
    return 0;
}

static void read_dockerfile(struct build *b, struct dockerfile *ret) {
    const struct project_build *wanted = b->wanted->service->build;
    size_t count = env_pairs_count(wanted->args);
    cleanup_free struct dockerfile_arg *args = mem_new_array(struct dockerfile_arg, count + 1);
    for (size_t i = 0; i < count; i++)
        args[i] = (struct dockerfile_arg){wanted->args[i].name, wanted->args[i].value};
    struct dockerfile_options options = {
        .args = args, .target = wanted->target, .every_stage = !b->buildkit};
    const struct buffer *text = context_dockerfile_text(b->context);
    dockerfile_read(buffer_string(text), text->size, &options, ret);
}

/* What is reached, and what it stands on. */
static int note_dockerfile_needs(struct build *b, struct error *err) {
    cleanup(dockerfile_deinit) struct dockerfile d;
    read_dockerfile(b, &d);
    b->bases_known = d.bases_known;
    b->whole = d.whole;
    for (size_t i = 0; i < d.base_count; i++)
        if (note_base(b, d.bases[i], err) < 0)
            return -1;
    if (!b->whole)
        context_narrow(b->context, reach_new(d.paths, d.path_count));
    return 0;
}

static int note_source(struct build *b, struct error *err) {
    const struct env_pair *args = b->wanted->service->build->args;
    for (size_t i = 0; i < env_pairs_count(args); i++)
        b->secret |= locked_build_add_arg(b->source, args[i].name, args[i].value);
    note_dockerfile(b, b->source);
    struct vcs vcs;
    int r = vcs_look(b->wanted->context, b->task, &vcs, err);
    if (r < 0)
        return -1;
    b->source->commit = r == 0 ? text_dup(vcs.commit) : NULL;
    b->source->dirty = r == 0 && vcs.dirty;
    return note_dockerfile_needs(b, err);
}

/* ---- is it built already? ---- */

static void add_pairs(struct json *key, const char *name, const struct env_pair *pairs) {
    struct json *object = json_set_object(key, name);
    for (size_t i = 0; i < env_pairs_count(pairs); i++)
        json_set(object, pairs[i].name, json_new_text(pairs[i].value));
}

/* Of all that decides what is built, once the context's digest is known. A secret leaves no trace
 * that could be guessed at, and a base that is not known makes no promise: then there is none. */
static void set_key(struct build *b, const char *context) {
    const struct project_build *wanted = b->wanted->service->build;
    unsigned char hash[SHA256_SIZE];
    char digest[DIGEST_TEXT_SIZE];
    free(b->source->key);
    b->source->key = NULL;
    if (!b->bases_known || b->secret)
        return;
    cleanup(json_freep) struct json *key = json_new_object();
    json_set_text(key, "context", context);
    json_set(key, "dockerfile", json_new_text(b->source->dockerfile));
    json_set(key, "dockerfile_digest", json_new_text(b->source->dockerfile_digest));
    json_set(key, "target", json_new_text(wanted->target));
    json_set(key, "network", json_new_text(wanted->network));
    json_set(key, "platform", json_new_text(platform_of(b->wanted->service)));
    json_set_bool(key, "buildkit", b->buildkit);
    add_pairs(key, "args", wanted->args);
    add_pairs(key, "labels", wanted->labels);
    struct json *bases = json_set_array(key, "bases");
    for (size_t i = 0; i < b->source->base_count; i++)
        json_append_text(bases, b->source->bases[i].id);
    cleanup_free char *text = json_to_text(key, JSON_LINE);
    sha256_of(text, strlen(text), hash);
    b->source->key = text_dup(digest_text(hash, digest));
}

/* The context's digest, if it can be had for less than sending it. 1: it cannot. What is large and
 * looks otherwise than before is otherwise, most likely: then reading it twice would be in vain. */
static int digest_of(struct build *b, struct context_result *ret, struct error *err) {
    const struct build_wanted *wanted = b->wanted;
    if (context_look(b->context, ret, err) < 0)
        return -1;
    enum context_memory memory =
        context_remembered(wanted->context, wanted->reference, ret->fingerprint, ret->digest);
    if (memory == CONTEXT_SAME)
        return 0;
    if (memory == CONTEXT_CHANGED && ret->content_bytes > READ_TWICE_BYTES_MAX)
        return 1;
    if (context_read(b->context, ret, err) < 0)
        return -1;
    context_remember(wanted->context, wanted->reference, ret);
    return context_rewind(b->context, err);
}

static const struct locked_image *built_before(const struct build *b) {
    const struct image_lock *lock = b->wanted->lock;
    const struct locked_image *old = lock ? image_lock_find(lock, b->wanted->reference) : NULL;
    bool wanted = !b->wanted->service->build->no_cache && b->bases_known && !b->secret;
    return wanted && old && old->build && old->build->key ? old : NULL;
}

static int tag_all(struct build *b, const char *id, struct error *err) {
    cleanup_free const char **tags = tags_of(b->wanted);
    for (const char *const *tag = tags; *tag; tag++)
        if (engine_image_tag(b->engine, id, *tag, b->task, err) < 0)
            return -1;
    return 0;
}

/* 1: it has to be built. */
static int find_built(struct build *b, struct build_made *made, struct error *err) {
    const struct locked_image *old = built_before(b);
    if (!old)
        return 1;
    int r = digest_of(b, &made->context, err);
    if (r != 0)
        return r;
    set_key(b, made->context.digest);
    if (!text_equal(b->source->key, old->build->key))
        return 1;
    r = pin_look(b->engine, old->id, b->wanted->reference, b->task, &made->locked, err);
    if (r != 0)
        return r;
    return tag_all(b, old->id, err);
}

/* ---- the whole ---- */

static void build_deinit(struct build *b) {
    if (b->context)
        context_free(b->context);
    if (b->source)
        locked_build_free(b->source);
    if (b->allowed)
        ignore_free(b->allowed);
    buffer_deinit(&b->line);
    buffer_deinit(&b->tail);
}

static int send_and_look(struct build *b, struct build_made *made, struct error *err) {
    char id[ENGINE_IMAGE_ID_SIZE];
    if (send_build(b, id, err) < 0 || context_result(b->context, &made->context, err) < 0)
        return -1;
    made->sent = true;
    set_key(b, made->context.digest);
    context_remember(b->wanted->context, b->wanted->reference, &made->context);
    int r = pin_look(b->engine, id, b->wanted->reference, b->task, &made->locked, err);
    if (r == 1)
        return error_set(err, ERROR_NOT_FOUND, "image %.19s was built, and is not there", id);
    return r;
}

static int make(struct build *b, struct build_made *made, struct error *err) {
    cleanup(locked_image_deinit) struct locked_image before = {.reference = NULL};
    if (choose_builder(b, err) < 0 || note_source(b, err) < 0 ||
        pin_look(b->engine, b->wanted->reference, b->wanted->reference, b->task, &before, err) < 0)
        return -1;
    int r = find_built(b, made, err);
    if (r < 0 || (r == 1 && send_and_look(b, made, err) < 0))
        return -1;
    b->source->context = text_dup(made->context.digest);
    made->locked.build = take_ptr(b->source);
    made->unchanged = text_equal(before.id, made->locked.id);
    return 0;
}

/* What the user says is no secret, in the words of `.dockerignore`. */
static int read_allowed(struct build *b, struct error *err) {
    char *const *patterns = b->wanted->service->seatrial.context_allow;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, IGNORE_BYTES_MAX);
    for (; patterns && *patterns; patterns++)
        buffer_format(&text, "%s\n", *patterns);
    if (ignore_parse(buffer_string(&text), text.size, &b->allowed, err) < 0)
        return error_wrap(err, "x-seatrial.context_allow of service '%s'",
                          b->wanted->service->name);
    return 0;
}

static int open_context(struct build *b, struct error *err) {
    const struct project_build *wanted = b->wanted->service->build;
    if (read_allowed(b, err) < 0)
        return -1;
    struct context_options options = {.root = b->wanted->context,
                                      .dockerfile = wanted->dockerfile,
                                      .dockerfile_text = wanted->dockerfile_inline,
                                      .left_out = b->wanted->left_out,
                                      .allowed = b->allowed};
    return context_open(&options, &b->context, err);
}

int build_look(const struct build_wanted *wanted, struct context_result *ret, struct error *err) {
    cleanup(build_deinit) struct build b = {.wanted = wanted, .buildkit = true};
    cleanup(dockerfile_deinit) struct dockerfile d = DOCKERFILE_NULL;
    if (open_context(&b, err) < 0)
        return -1;
    read_dockerfile(&b, &d);
    if (!d.whole)
        context_narrow(b.context, reach_new(d.paths, d.path_count));
    return context_read(b.context, ret, err);
}

int build_image(struct engine *engine, const struct build_wanted *wanted, const struct task *task,
                struct build_made *ret, struct error *err) {
    cleanup(build_deinit) struct build b = {.wanted = wanted, .engine = engine, .task = task};
    cleanup(build_made_deinit) struct build_made made = BUILD_MADE_NULL;
    buffer_init(&b.line, 1024);
    buffer_init(&b.tail, 2 * OUTPUT_TAIL_MAX);
    b.source = mem_new(struct locked_build);
    if (open_context(&b, err) < 0 || make(&b, &made, err) < 0)
        return -1;
    *ret = made;
    made = BUILD_MADE_NULL;
    return 0;
}

void build_made_deinit(struct build_made *made) {
    locked_image_deinit(&made->locked);
}

char *build_summary(const struct build_made *made) {
    if (!made->sent)
        return text_format("built already: %.19s, nothing was sent", made->locked.id);
    return text_format("%s %.19s, context of %llu files, %.1f MB, %.19s",
                       made->unchanged ? "unchanged" : "built", made->locked.id,
                       (unsigned long long)made->context.files, (double)made->context.bytes / 1e6,
                       made->context.digest);
}
