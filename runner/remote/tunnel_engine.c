/* Connections to the engine of a host, by the way that there is. */

#include "lib/text.h"
#include "runner/remote/tunnel_impl.h"

#include <stdlib.h>
#include <unistd.h>

/* A stopped engine is not asked about again by each of many connections. */
#define ASK_AGAIN_NS (1 * NS_PER_SEC)

static void fail(struct link *link, const struct error *err) {
    if (link->job)
        job_finish(take_ptr(link->job), -1, err);
    if (link->fd >= 0)
        link_begin_refusing(link, err);
    else
        link_enter(link, LINK_GONE);
}

bool tunnel_engine_prepare(struct tunnel *t, struct link *link) {
    struct destination socket = {.unix_socket = t->engine_socket};
    switch (t->way) {
    case ENGINE_WAY_UNKNOWN:
        if (t->asking)
            return false;
        link_to(link, &socket);
        return true;
    case ENGINE_WAY_SOCKET: link_to(link, &socket); return true;
    case ENGINE_WAY_DIAL_STDIO:
    case ENGINE_WAY_SUDO_DIAL_STDIO:
        if (!link->command)
            link_run(link, engine_way_command(t->way, t->engine_socket));
        return true;
    case ENGINE_WAY_NONE: break;
    }
    fail(link, &t->way_error);
    return false;
}

static void ask(struct tunnel *t) {
    struct link *link = link_new(-1, -1);
    link->capture = true;
    link_run(link, engine_way_question(t->engine_socket));
    t->asking = link;
    t->way_asked = clock_instant();
    error_clear(&t->way_error);
    tunnel_add_link(t, link);
}

void tunnel_engine_refused(struct tunnel *t, struct link *link, const struct error *err) {
    if (t->way == ENGINE_WAY_SOCKET) {
        struct error down = ERROR_NULL;
        error_set(&down, ERROR_UNREACHABLE, "the engine's socket %s takes no connection: %s",
                  t->engine_socket, err->text);
        error_hint(&down, "see there: `systemctl status docker`");
        t->way = ENGINE_WAY_UNKNOWN; /* it may come back otherwise */
        fail(link, &down);
        return;
    }
    bool asked = t->way_error.kind != ERROR_NONE &&
                 instant_ns_between(t->way_asked, clock_instant()) < ASK_AGAIN_NS;
    if (asked)
        fail(link, &t->way_error);
    else if (!t->asking)
        ask(t);
}

void tunnel_engine_opened(struct tunnel *t, struct link *link) {
    if (!link->session)
        t->way = ENGINE_WAY_SOCKET;
}

void tunnel_engine_answered(struct tunnel *t, struct link *asked) {
    t->asking = NULL;
    if (t->way_error.kind == ERROR_NONE)
        t->way =
            engine_way_answer(buffer_string(&asked->captured), t->engine_socket, &t->way_error);
    atomic_store(&t->engine_takes_sessions,
                 t->way == ENGINE_WAY_DIAL_STDIO || t->way == ENGINE_WAY_SUDO_DIAL_STDIO);
    if (t->way != ENGINE_WAY_UNKNOWN)
        return;
    t->way_asked = clock_instant();
    for (size_t i = 0; i < t->link_count; i++)
        if (t->links[i]->engine && t->links[i]->state == LINK_WAITING)
            fail(t->links[i], &t->way_error);
}
