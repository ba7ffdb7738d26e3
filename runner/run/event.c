#include "runner/run/event.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENT_TEXT_MAX = 16 << 10 };

int event_queue_init(struct event_queue *q, struct error *err) {
    *q = (struct event_queue){.event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (q->event_fd < 0)
        return error_set_os(err, ERROR_IO, errno, "create eventfd");
    pthread_mutex_init(&q->lock, NULL);
    q->last = &q->first;
    return 0;
}

void event_queue_deinit(struct event_queue *q) {
    struct event *event;
    while ((event = event_take(q)))
        event_free(event);
    pthread_mutex_destroy(&q->lock);
    close(q->event_fd);
}

void event_post(struct event_queue *q, struct event *event) {
    pthread_mutex_lock(&q->lock);
    *q->last = event;
    q->last = &event->next;
    pthread_mutex_unlock(&q->lock);
    uint64_t one = 1;
    ssize_t n = write(q->event_fd, &one, sizeof one);
    (void)n; /* full means readable already */
}

struct event *event_take(struct event_queue *q) {
    uint64_t counter;
    pthread_mutex_lock(&q->lock);
    struct event *event = q->first;
    if (event) {
        q->first = event->next;
        if (!q->first)
            q->last = &q->first;
        event->next = NULL;
    } else {
        ssize_t n = read(q->event_fd, &counter, sizeof counter);
        (void)n;
    }
    pthread_mutex_unlock(&q->lock);
    return event;
}

struct event *event_new(enum event_kind kind) {
    struct event *event = mem_new(struct event);
    event->kind = kind;
    return event;
}

void event_free(struct event *event) {
    free(event->text);
    free(event);
}

void event_post_vtext(struct event_queue *q, enum event_kind kind, size_t step, const char *format,
                      va_list args) {
    cleanup_free char *raw = mem_alloc(EVENT_TEXT_MAX);
    vsnprintf(raw, EVENT_TEXT_MAX, format, args);
    cleanup(buffer_deinit) struct buffer shown;
    buffer_init(&shown, 4 * EVENT_TEXT_MAX); /* as \xNN each byte is four */
    text_harmless(&shown, raw, strlen(raw));

    struct event *event = event_new(kind);
    event->step = step;
    event->text = buffer_take(&shown);
    event_post(q, event);
}

void event_post_text(struct event_queue *q, enum event_kind kind, size_t step, const char *format,
                     ...) {
    va_list args;
    va_start(args, format);
    event_post_vtext(q, kind, step, format, args);
    va_end(args);
}
