/* Images pulled by the hosts' engines from what this runner serves them through their tunnels. */

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/engine/transfer.h"
#include "runner/run/delivery.h"
#include "runner/run/host_image.h"

#include <string.h>

#define SAY_EVERY_NS (500 * NS_PER_MS)

struct saying {
    const struct act *act;
    struct instant said;
};

static void on_bytes(void *arg, uint64_t came, uint64_t expected) {
    struct saying *s = arg;
    struct instant now = clock_instant();
    if (instant_ns_between(s->said, now) < SAY_EVERY_NS)
        return;
    s->said = now;
    act_say(s->act, "saved %.1f of about %.1f MB", (double)came / 1e6, (double)expected / 1e6);
}

/* Not this way: by loading it, then. */
static int not_this_way(const struct act *act, struct error *err) {
    act_warn(act, "image '%s' is loaded on host '%s', not pulled through its tunnel: %s%s%s",
             act->trial->plan->images[act->step->subject].reference, host_name(act->host),
             err->text, err->hint[0] ? "; " : "", err->hint);
    error_clear(err);
    return 1;
}

/* In an engine's words: "filesystem layer verification failed for digest"; where it keeps images in
 * containerd: "unexpected commit digest". */
static bool is_damaged(const struct error *err) {
    return strcasestr(err->text, "verification") || strcasestr(err->text, "unexpected commit");
}

static int pull(const struct act *act, const struct engine_image *wanted, const char *name,
                struct error *err) {
    struct task task = act_forward_task(act);
    struct host_image_progress progress = {.act = act};
    struct engine_transfer transfer = {.on_event = host_image_on_transfer, .arg = &progress};
    char digest[ENGINE_DIGEST_SIZE];
    if (engine_image_pull(act->engine, name, NULL, &transfer, &task, digest, err) < 0) {
        if (err->kind == ERROR_UNREACHABLE || err->kind == ERROR_CANCELLED)
            return -1;
        if (is_damaged(err))
            delivery_forget(act->trial->delivery, wanted);
        delivery_give_up(act->trial->delivery, act->step->host);
        return not_this_way(act, err);
    }
    int r = host_image_take(act, wanted, name, err);
    /* Another step about the same image under another name may have dropped this one. */
    if (r == 1)
        r = host_image_look(act, wanted, err);
    if (r == 1)
        return error_set(err, ERROR_FAILED, "what the engine pulled is not image %.19s",
                         wanted->id);
    return r;
}

/* Engines that are reached through a tunnel, and take 127.0.0.1 without TLS. */
static bool is_possible(const struct act *act) {
    return !host_is_local(act->host) && !act->trial->hosts[act->step->host].podman;
}

int act_deliver_image(const struct act *act, struct engine *from, const struct engine_image *wanted,
                      struct error *err) {
    struct delivery *d = act->trial->delivery;
    struct task task = act_forward_task(act);
    struct saying saying = {.act = act, .said = clock_instant()};
    struct delivery_watch watch = {.on_bytes = on_bytes, .arg = &saying};
    char digest[DIGEST_TEXT_SIZE];
    cleanup_free char *name = NULL;
    if (!is_possible(act))
        return 1;
    int r = delivery_serve(d, act->step->subject, from, wanted, &watch, &task, digest, err);
    if (r == 0)
        r = delivery_reach(d, act->step->host, act->host, digest, &task, &name, err);
    if (r != 0)
        return r < 0 ? -1 : not_this_way(act, err);
    r = pull(act, wanted, name, err);
    delivery_leave(d, act->step->host);
    return r;
}
