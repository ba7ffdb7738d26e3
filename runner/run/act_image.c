/* Steps about images: build them from their context, or find them. */

#include "images/context.h"
#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/run/trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUILD_TAIL_MAX = 3000 }; /* of a failed build's output, shown in its error */

struct build {
    const struct act *act;
    struct context *context;
    FILE *log;
    struct buffer line; /* the line that is being written */
    struct buffer tail;
};

static void keep_tail(struct buffer *tail, const char *text, size_t size) {
    if (size > BUILD_TAIL_MAX) {
        text += size - BUILD_TAIL_MAX;
        size = BUILD_TAIL_MAX;
    }
    if (tail->size + size > BUILD_TAIL_MAX)
        buffer_consume(tail, tail->size + size - BUILD_TAIL_MAX);
    buffer_append(tail, text, size);
}

static void show_lines(struct build *b, const char *text) {
    for (; *text; text++) {
        if (*text != '\n') {
            if (b->line.size < 512)
                buffer_append(&b->line, text, 1);
            continue;
        }
        if (b->line.size)
            act_say(b->act, "%s", buffer_string(&b->line));
        buffer_clear(&b->line);
    }
}

static int on_build_event(void *arg, const struct engine_build_event *event, struct error *err) {
    (void)err;
    struct build *b = arg;
    switch (event->kind) {
    case ENGINE_BUILD_TEXT:
        fputs(event->text, b->log);
        keep_tail(&b->tail, event->text, strlen(event->text));
        show_lines(b, event->text);
        break;
    case ENGINE_BUILD_STATUS:
        fprintf(b->log, "%s %s %s\n", event->id, event->text, event->progress);
        break;
    case ENGINE_BUILD_IMAGE: fprintf(b->log, "image %s\n", event->id); break;
    case ENGINE_BUILD_ERROR: fprintf(b->log, "error: %s\n", event->text); break;
    }
    return 0;
}

/* The service's image name and its further tags. */
static const char **tags_of(const struct project_service *service) {
    size_t count = 0;
    while (service->build->tags && service->build->tags[count])
        count++;
    const char **tags = mem_new_array(const char *, count + 2);
    tags[0] = service->image;
    for (size_t i = 0; i < count; i++)
        tags[i + 1] = service->build->tags[i];
    return tags;
}

static struct engine_pair *pairs_of(const struct env_pair *from) {
    size_t count = env_pairs_count(from);
    struct engine_pair *to = mem_new_array(struct engine_pair, count + 1);
    for (size_t i = 0; i < count; i++)
        to[i] = (struct engine_pair){from[i].name, from[i].value};
    return to;
}

static int send_build(struct build *b, const struct project_service *service,
                      struct trial_image *image, struct error *err) {
    const struct project_build *wanted = service->build;
    cleanup_free const char **tags = tags_of(service);
    cleanup_free struct engine_pair *args = pairs_of(wanted->args);
    cleanup_free struct engine_pair *labels = pairs_of(wanted->labels);
    struct engine_build build = {.tags = tags,
                                 .dockerfile = context_dockerfile(b->context),
                                 .target = wanted->target,
                                 .args = args,
                                 .labels = labels,
                                 .network_mode = wanted->network,
                                 .no_cache = wanted->no_cache,
                                 .pull = wanted->pull,
                                 .context = context_source(b->context),
                                 .on_event = on_build_event,
                                 .arg = b};
    struct task task = act_forward_task(b->act);
    return engine_image_build(b->act->engine, &build, &task, image->id, err);
}

static FILE *open_build_log(const struct act *act, const char *reference, char **ret_path,
                            struct error *err) {
    cleanup_free char *name = text_format("build-%s.log", reference);
    for (char *p = name; *p; p++)
        if (*p == '/' || *p == ':')
            *p = '_';
    cleanup_free char *path = path_join(act->trial->results.folder, name);
    FILE *log = fopen(path, "we");
    if (!log)
        error_set_os(err, ERROR_IO, errno, "create '%s'", path);
    else
        *ret_path = take_ptr(path);
    return log;
}

static void build_deinit(struct build *b) {
    if (b->context)
        context_free(b->context);
    if (b->log)
        fclose(b->log);
    buffer_deinit(&b->line);
    buffer_deinit(&b->tail);
}

/* "" when there is no such image. */
static int current_id(const struct act *act, const char *reference,
                      char ret_id[ENGINE_IMAGE_ID_SIZE], struct error *err) {
    struct task task = act_forward_task(act);
    cleanup(engine_image_deinit) struct engine_image image = ENGINE_IMAGE_NULL;
    int r = engine_image_inspect(act->engine, reference, &task, &image, err);
    if (r < 0)
        return -1;
    snprintf(ret_id, ENGINE_IMAGE_ID_SIZE, "%s", r == 0 ? image.id : "");
    return 0;
}

static void say_built(const struct act *act, const struct trial_image *image,
                      const struct context_result *sent) {
    act_say(act, "%s %.19s, context of %llu files, %.1f MB, %.19s",
            image->unchanged ? "unchanged" : "built", image->id, (unsigned long long)sent->files,
            (double)sent->bytes / 1e6, sent->digest);
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

int act_build_image(struct act *act, struct error *err) {
    const struct plan_image *plan = &act->trial->plan->images[act->step->subject];
    struct trial_image *image = trial_image(act->trial, act->step->host, act->step->subject);
    cleanup(build_deinit) struct build b = {.act = act};
    buffer_init(&b.line, 1024);
    buffer_init(&b.tail, 2 * BUILD_TAIL_MAX);
    cleanup_free char *log_path = NULL;
    char before[ENGINE_IMAGE_ID_SIZE];
    struct context_options options = {.root = plan->context,
                                      .dockerfile = plan->service->build->dockerfile};
    b.log = open_build_log(act, plan->reference, &log_path, err);
    if (!b.log || current_id(act, plan->reference, before, err) < 0 ||
        context_open(&options, &b.context, err) < 0)
        return -1;

    if (send_build(&b, plan->service, image, err) < 0) {
        append_output(&b.tail, err);
        error_hint(err, "the whole output is in '%s'", log_path);
        image->id[0] = '\0';
        return -1;
    }
    struct context_result sent;
    if (context_result(b.context, &sent, err) < 0) {
        image->id[0] = '\0';
        return -1;
    }
    free(image->context);
    image->context = text_dup(sent.digest);
    image->unchanged = strcmp(before, image->id) == 0;
    say_built(act, image, &sent);
    return 0;
}

int act_find_image(struct act *act, struct error *err) {
    const struct plan_image *plan = &act->trial->plan->images[act->step->subject];
    struct trial_image *image = trial_image(act->trial, act->step->host, act->step->subject);
    struct task task = act_forward_task(act);
    cleanup(engine_image_deinit) struct engine_image found = ENGINE_IMAGE_NULL;
    int r = engine_image_inspect(act->engine, plan->reference, &task, &found, err);
    if (r < 0)
        return -1;
    if (r == 1) {
        error_set(err, ERROR_NOT_FOUND, "there is no image '%s' on the engine", plan->reference);
        return error_hint(err, plan->service->build
                                   ? "build it: leave --no-build out"
                                   : "give the service a `build:`, or pull the image before "
                                     "(pulling is not supported yet)");
    }
    snprintf(image->id, sizeof image->id, "%s", found.id);
    const char *digest = json_text_or_null(json_at(found.digests, 0));
    free(image->digest);
    image->digest = text_dup(digest);
    act_say(act, "%s", digest ? digest : found.id);
    return 0;
}
