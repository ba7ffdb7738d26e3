#include "runner/run/publish.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRIES_MAX = 5 };
#define PAUSE_NS NS_PER_SEC /* the first; each one after is twice as long */
#define SAY_EVERY_NS (500 * NS_PER_MS)

/* ---- saying ---- */

__attribute__((format(printf, 2, 3))) static void say(const struct publish *p, const char *format,
                                                      ...) {
    va_list args;
    cleanup_free char *text = NULL;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort(); /* out of memory */
    va_end(args);
    p->options.say(p->options.arg, text);
}

static void on_pause(void *arg, const char *why, uint64_t ns) {
    say(arg, "the registry is busy (%s): a pause of %.1f s", why, (double)ns / 1e9);
}

static int on_transfer(void *arg, const struct engine_transfer_event *event, struct error *err) {
    (void)err;
    struct publish *p = arg;
    struct instant now = clock_instant();
    if (event->total == 0 || instant_ns_between(p->said, now) < SAY_EVERY_NS)
        return 0;
    p->said = now;
    say(p, "%s %s %.1f of %.1f MB", event->status, event->id, (double)event->done / 1e6,
        (double)event->total / 1e6);
    return 0;
}

/* ---- opening ---- */

int publish_open(const struct publish_options *options, const char *reference, struct publish *ret,
                 struct error *err) {
    *ret = (struct publish){.options = *options};
    if (reference_parse(reference, &ret->name, err) < 0)
        return -1;
    reference_default_tag(&ret->name);
    reference_text(&ret->name, ret->text);
    /* It is told of pauses: so it must stay where it is. */
    struct registry_options wanted = {.on_pause = on_pause, .arg = ret};
    if (registries_auth(options->registries, ret->name.domain, &options->task, &ret->auth, err) < 0)
        return -1;
    return registries_open(options->registries, ret->name.domain, &wanted, &options->task,
                           &ret->registry, err);
}

void publish_deinit(struct publish *p) {
    registry_close(p->registry);
    *p = PUBLISH_NULL;
}

char *publish_by_digest(const struct publish *p, const char *digest) {
    char text[REFERENCE_TEXT_SIZE];
    struct reference r = p->name;
    r.tag[0] = '\0';
    snprintf(r.digest, sizeof r.digest, "%s", digest);
    return text_dup(reference_text(&r, text));
}

/* ---- faults of the registry ---- */

/* It is not the host of a step that is not reached: nobody shall wait for that one. */
static int of_registry(int r, struct error *err) {
    if (r < 0 && err->kind == ERROR_UNREACHABLE)
        err->kind = ERROR_FAILED;
    return r;
}

static int look_up(const struct publish *p, const char *reference, struct registry_manifest *ret,
                   struct error *err) {
    return of_registry(
        registry_head(p->registry, p->name.path, reference, &p->options.task, ret, err), err);
}

/* ---- trying again ---- */

/* In an engine's words: we are not known, or may not. */
static bool is_about_us(const struct error *err) {
    return strcasestr(err->text, "unauthorized") || strcasestr(err->text, "denied") ||
           strcasestr(err->text, "authentication") || strcasestr(err->text, "no basic auth");
}

/* What another try cannot change. That we are not known, engines also say when the registry was
 * only too busy to tell them how to log in: that is tried once more. */
static bool is_final(const struct error *err, unsigned tries) {
    static const char *const words[] = {"manifest unknown", "not found", "verification failed",
                                        "does not exist", "invalid reference"};
    if (err->kind != ERROR_FAILED && err->kind != ERROR_REFUSED)
        return true; /* the host is lost, or it was ended: others know what to do */
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasestr(err->text, words[i]))
            return true;
    return is_about_us(err) && tries > 1;
}

static int explain(const struct publish *p, struct error *err) {
    if (is_about_us(err))
        error_hint(err,
                   "`docker login %s`, or docker.username and docker.access_token in "
                   "deployment.yaml: %s, and the token may have expired or may not do this",
                   p->name.domain,
                   p->auth.username || p->auth.identity_token ? "somebody is known there"
                                                              : "nobody is known there now");
    else if (strcasestr(err->text, "verification failed"))
        error_hint(err,
                   "the registry's copy is damaged: delete '%s' there, and push it again; or run "
                   "without a registry",
                   p->text);
    return -1;
}

/*
 * An engine has failed to push or pull. It does not tell us for how long it was asked to wait: so
 * before the next try the registry is asked by us, who wait as it says. -1: that was it.
 */
static int before_next_try(const struct publish *p, unsigned tries, struct error *err) {
    if (tries >= TRIES_MAX || is_final(err, tries))
        return explain(p, err);
    struct error asked = ERROR_NULL;
    say(p, "again in a moment: %s", err->text);
    if (task_sleep(&p->options.task, PAUSE_NS << (tries - 1), &asked) < 0 ||
        of_registry(registry_check(p->registry, &p->options.task, &asked), &asked) < 0) {
        *err = asked;
        return -1;
    }
    error_clear(err);
    return 0;
}

/* ---- looking ---- */

int publish_find_tag(const struct publish *p, char ret_digest[ENGINE_DIGEST_SIZE],
                     struct error *err) {
    struct registry_manifest m;
    int r = look_up(p, p->name.tag, &m, err);
    if (r == 0)
        snprintf(ret_digest, ENGINE_DIGEST_SIZE, "%s", m.digest);
    return r;
}

const char *publish_known_digest(const struct publish *p, const struct engine_image *image) {
    for (size_t i = 0; i < json_count(image->digests); i++) {
        const char *text = json_text_or_null(json_at(image->digests, i));
        struct error ignored = ERROR_NULL;
        struct reference r;
        if (text && reference_parse(text, &r, &ignored) == 0 && r.digest[0] &&
            text_equal(r.domain, p->name.domain) && text_equal(r.path, p->name.path))
            return strchr(text, '@') + 1;
    }
    return NULL;
}

int publish_is_there(const struct publish *p, const struct engine_image *image,
                     char ret_digest[ENGINE_DIGEST_SIZE], struct error *err) {
    const char *known = publish_known_digest(p, image);
    ret_digest[0] = '\0';
    int r = known ? publish_find_tag(p, ret_digest, err) : 1;
    return r == 0 ? !text_equal(ret_digest, known) : r;
}

/* The registry is asked, whatever the engine says. */
static int check_pushed(const struct publish *p, const char *digest, struct error *err) {
    struct registry_manifest m;
    char now[ENGINE_DIGEST_SIZE] = "gone";
    int r = look_up(p, digest, &m, err);
    if (r == 1)
        return error_set(err, ERROR_INVALID, "registry '%s' does not have %s, which was pushed",
                         p->name.domain, digest);
    if (r < 0 || publish_find_tag(p, now, err) < 0)
        return -1;
    if (!text_equal(now, digest)) {
        cleanup_free char *text = text_format(
            "tag '%s' was moved by somebody else: %s was pushed, and it is %s now; what follows "
            "goes by digest",
            p->text, digest, now);
        p->options.warn(p->options.arg, text);
    }
    return 0;
}

/* ---- pushing and pulling ---- */

static int push(struct publish *p, char ret_digest[ENGINE_DIGEST_SIZE], struct error *err) {
    struct engine_transfer transfer = {.on_event = on_transfer, .arg = p};
    for (unsigned tries = 1;; tries++) {
        if (engine_image_push(p->options.engine, p->text, &p->auth, &transfer, &p->options.task,
                              ret_digest, err) == 0)
            return 0;
        if (before_next_try(p, tries, err) < 0)
            return -1;
    }
}

int publish_push(struct publish *p, const struct engine_image *image,
                 char ret_digest[ENGINE_DIGEST_SIZE], struct error *err) {
    int r = publish_is_there(p, image, ret_digest, err);
    if (r <= 0)
        return r < 0 ? -1 : 1;
    if (engine_image_tag(p->options.engine, image->id, p->text, &p->options.task, err) < 0 ||
        push(p, ret_digest, err) < 0)
        return -1;
    return check_pushed(p, ret_digest, err);
}

int publish_pull(struct publish *p, char ret_digest[ENGINE_DIGEST_SIZE], struct error *err) {
    struct engine_transfer transfer = {.on_event = on_transfer, .arg = p};
    for (unsigned tries = 1;; tries++) {
        if (engine_image_pull(p->options.engine, p->text, &p->auth, &transfer, &p->options.task,
                              ret_digest, err) == 0)
            return 0;
        if (before_next_try(p, tries, err) < 0)
            return -1;
    }
}
