#include "runner/command/log_order.h"

#include "lib/clock.h"
#include "lib/memory.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { QUEUE_BYTES_MAX = 256 << 10 /* of one container; one line may be longer */ };

struct line {
    struct line *next;
    int64_t ns;
    struct instant came;
    char *text;
    size_t size;
};

struct source {
    struct line *first, *last;
    size_t bytes;
    bool ended;
};

struct log_order {
    pthread_mutex_t lock;
    pthread_cond_t came, went;
    bool waiting; /* the printer */
    uint64_t window_ns;
    struct source *sources;
    size_t count;
};

struct log_order *log_order_new(size_t sources, uint64_t window_ns) {
    struct log_order *o = mem_new(struct log_order);
    pthread_condattr_t attr;
    *o = (struct log_order){.window_ns = window_ns, .count = sources};
    o->sources = mem_new_array(struct source, sources);
    pthread_mutex_init(&o->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&o->came, &attr);
    pthread_cond_init(&o->went, &attr);
    pthread_condattr_destroy(&attr);
    return o;
}

void log_order_free(struct log_order *o) {
    for (size_t i = 0; i < o->count; i++)
        for (struct line *line = o->sources[i].first, *next; line; line = next) {
            next = line->next;
            free(line->text);
            free(line);
        }
    pthread_cond_destroy(&o->came);
    pthread_cond_destroy(&o->went);
    pthread_mutex_destroy(&o->lock);
    free(o->sources);
    free(o);
}

static void wake_printer(struct log_order *o) {
    if (o->waiting)
        pthread_cond_signal(&o->came);
}

void log_order_push(struct log_order *o, size_t source, int64_t ns, char *text, size_t size) {
    struct line *line = mem_new(struct line);
    *line = (struct line){.ns = ns, .came = clock_instant(), .text = text, .size = size};
    pthread_mutex_lock(&o->lock);
    struct source *s = &o->sources[source];
    while (s->bytes > QUEUE_BYTES_MAX)
        pthread_cond_wait(&o->went, &o->lock);
    if (s->last)
        s->last->next = line;
    else
        s->first = line;
    s->last = line;
    s->bytes += size + sizeof *line;
    wake_printer(o);
    pthread_mutex_unlock(&o->lock);
}

void log_order_end(struct log_order *o, size_t source) {
    pthread_mutex_lock(&o->lock);
    o->sources[source].ended = true;
    wake_printer(o);
    pthread_mutex_unlock(&o->lock);
}

/* Whose line is the earliest; NULL when there is none. */
static struct source *earliest(const struct log_order *o, bool *ret_all, bool *ret_ended) {
    struct source *found = NULL;
    *ret_all = *ret_ended = true;
    for (size_t i = 0; i < o->count; i++) {
        struct source *s = &o->sources[i];
        *ret_all = *ret_all && (s->first || s->ended);
        *ret_ended = *ret_ended && s->ended;
        if (s->first && (!found || s->first->ns < found->first->ns))
            found = s;
    }
    return found;
}

static char *take(struct log_order *o, struct source *s, size_t *ret_size) {
    struct line *line = s->first;
    char *text = line->text;
    bool was_full = s->bytes > QUEUE_BYTES_MAX;
    s->first = line->next;
    s->last = s->first ? s->last : NULL;
    s->bytes -= line->size + sizeof *line;
    if (was_full && s->bytes <= QUEUE_BYTES_MAX)
        pthread_cond_broadcast(&o->went);
    *ret_size = line->size;
    free(line);
    return text;
}

static void wait_until(struct log_order *o, struct instant when) {
    struct timespec until = {.tv_sec = (time_t)(when.ns / NS_PER_SEC),
                             .tv_nsec = (long)(when.ns % NS_PER_SEC)};
    o->waiting = true;
    if (when.ns == INSTANT_NEVER.ns)
        pthread_cond_wait(&o->came, &o->lock);
    else
        pthread_cond_timedwait(&o->came, &o->lock, &until);
    o->waiting = false;
}

char *log_order_pop(struct log_order *o, void (*before_wait)(void), size_t *ret_size) {
    char *text = NULL;
    pthread_mutex_lock(&o->lock);
    for (;;) {
        bool all, ended;
        struct source *s = earliest(o, &all, &ended);
        struct instant due = s ? instant_after(s->first->came, o->window_ns) : INSTANT_NEVER;
        if (s && (all || instant_passed(due, clock_instant())))
            text = take(o, s, ret_size);
        if (text || (!s && ended))
            break;
        before_wait();
        wait_until(o, due);
    }
    pthread_mutex_unlock(&o->lock);
    return text;
}
