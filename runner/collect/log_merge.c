#include "runner/collect/log_merge.h"

#include "lib/memory.h"

#include <stdlib.h>

enum { WINDOW_FIRST = 256 };

void log_merge_init(struct log_merge *m, const struct log_merge_calls *calls, void *arg) {
    *m = (struct log_merge){.calls = *calls, .arg = arg, .in_step = true, .finds = LOG_MERGE_FINDS};
}

void log_merge_deinit(struct log_merge *m) {
    free(m->window);
    free(m->released);
    m->window = NULL;
    m->released = NULL;
}

bool log_merge_only_adds(const struct log_merge *m) {
    return m->count == 0 && m->old_ended && m->released_count == 0 && !m->pending &&
           m->last == LOG_THEIRS;
}

/* ---- the window ---- */

static struct log_old *at(const struct log_merge *m, size_t i) {
    return &m->window[(m->first + i) % m->capacity];
}

static void widen(struct log_merge *m) {
    size_t capacity = m->capacity ? 2 * m->capacity : WINDOW_FIRST;
    struct log_old *window = mem_new_array(struct log_old, capacity);
    for (size_t i = 0; i < m->count; i++)
        window[i] = *at(m, i);
    free(m->window);
    m->window = window;
    m->capacity = capacity;
    m->first = 0;
}

/* So that it holds `wanted`, if there are so many. */
static int fill(struct log_merge *m, size_t wanted, struct error *err) {
    while (m->count < wanted && !m->old_ended) {
        if (m->count == m->capacity)
            widen(m);
        int r = m->calls.next(m->arg, at(m, m->count), err);
        if (r < 0)
            return -1;
        m->old_ended = r == 1;
        m->count += r == 0;
    }
    return 0;
}

static struct log_old pop(struct log_merge *m) {
    struct log_old old = *at(m, 0);
    m->first = (m->first + 1) % m->capacity;
    m->count--;
    return old;
}

/* ---- what comes out ---- */

/* A gap of ours was none if the engine has what is on both sides of it. */
static int settle(struct log_merge *m, enum log_origin origin, struct error *err) {
    bool filled = m->last >= LOG_THEIRS && origin >= LOG_THEIRS && !m->gap.perhaps;
    m->pending = false;
    if (filled)
        return 0;
    m->last = LOG_NOWHERE; /* it is said already */
    return m->calls.keep(m->arg, &m->gap, err);
}

static int arrive(struct log_merge *m, enum log_origin origin, int64_t ns, struct error *err) {
    if (m->pending && settle(m, origin, err) < 0)
        return -1;
    bool unknown = (m->last == LOG_OURS && origin == LOG_THEIRS) ||
                   (m->last == LOG_THEIRS && origin == LOG_OURS);
    if (unknown && m->calls.gap(m->arg, m->last_ns, ns, origin, !m->theirs_begun, err) < 0)
        return -1;
    m->last = origin;
    m->last_ns = ns;
    return 0;
}

static int emit(struct log_merge *m, const struct log_record *record, enum log_origin origin,
                bool known, struct error *err) {
    if (arrive(m, origin, record->ns, err) < 0)
        return -1;
    m->theirs_begun = true;
    return m->calls.add(m->arg, record, known, err);
}

static void remember(struct log_merge *m, uint64_t hash) {
    if (!m->released)
        m->released = mem_new_array(uint64_t, LOG_MERGE_RELEASED);
    m->released[m->released_next] = hash;
    m->released_next = (m->released_next + 1) % LOG_MERGE_RELEASED;
    m->released_count += m->released_count < LOG_MERGE_RELEASED;
    m->released_age = 0;
}

/* The oldest in the window is ours alone. */
static int release(struct log_merge *m, bool by_time, struct error *err) {
    struct log_old old = pop(m);
    if (old.kind == LOG_FOREIGN)
        return m->calls.keep(m->arg, &old, err);
    if (old.kind == LOG_GAP) {
        if (m->pending && m->calls.keep(m->arg, &m->gap, err) < 0)
            return -1;
        m->pending = true;
        m->gap = old;
        return 0;
    }
    if (by_time)
        remember(m, old.hash);
    if (arrive(m, LOG_OURS, old.ns, err) < 0)
        return -1;
    return m->calls.keep(m->arg, &old, err);
}

/* ---- where a new record belongs ---- */

/* It came already, as one that was ours alone by its time. */
static bool was_released(struct log_merge *m, uint64_t hash) {
    if (m->released_count && ++m->released_age > LOG_MERGE_RELEASED)
        m->released_count = m->released_next = 0;
    for (size_t i = 0; i < m->released_count; i++)
        if (m->released[i] == hash) {
            m->released[i] = 0;
            return true;
        }
    return false;
}

/* Its place in the window: 0, and whether it is more than its beginning; 1: it is not there. */
static int look(struct log_merge *m, const struct log_record *record, uint64_t hash,
                size_t *ret_place, bool *ret_whole, struct error *err) {
    size_t beginning = SIZE_MAX;
    for (size_t i = 0; i < m->count; i++) {
        const struct log_old *old = at(m, i);
        if (old->hash == hash) {
            *ret_place = i;
            *ret_whole = true;
            return 0;
        }
        if (old->ns == record->ns && old->kind == record->kind && beginning == SIZE_MAX) {
            int r = m->calls.begins(m->arg, old, record, err);
            if (r < 0)
                return -1;
            beginning = r ? i : beginning;
        }
    }
    *ret_place = beginning;
    *ret_whole = false;
    return beginning == SIZE_MAX;
}

static int take_known(struct log_merge *m, const struct log_record *record, size_t place,
                      bool whole, struct error *err) {
    for (; place; place--)
        if (release(m, false, err) < 0)
            return -1;
    pop(m); /* the record itself, or its beginning, which it replaces */
    m->in_step = true;
    return emit(m, record, LOG_BOTH, whole, err);
}

/* It is behind the window, there. */
static int take_far(struct log_merge *m, const struct log_record *record, uint64_t offset,
                    struct error *err) {
    for (;;) {
        if (fill(m, 1, err) < 0)
            return -1;
        if (m->count == 0 || at(m, 0)->offset >= offset)
            break;
        if (release(m, false, err) < 0)
            return -1;
    }
    if (m->count > 0)
        pop(m);
    m->in_step = true;
    return emit(m, record, LOG_BOTH, true, err);
}

/* The engine's alone: what we have of earlier times comes first. */
static int take_new(struct log_merge *m, const struct log_record *record, struct error *err) {
    m->in_step = false;
    for (;;) {
        if (fill(m, 1, err) < 0)
            return -1;
        if (m->count == 0 || at(m, 0)->ns > record->ns)
            break;
        if (release(m, true, err) < 0)
            return -1;
    }
    if (m->count == 0 && m->window) { /* from now on, as a rule */
        free(m->window);
        m->window = NULL;
        m->capacity = m->first = 0;
    }
    return emit(m, record, LOG_THEIRS, false, err);
}

static int search(struct log_merge *m, const struct log_record *record, uint64_t hash,
                  struct error *err) {
    size_t place;
    bool whole;
    if (fill(m, LOG_MERGE_WINDOW, err) < 0)
        return -1;
    int r = look(m, record, hash, &place, &whole, err);
    if (r <= 0)
        return r < 0 ? -1 : take_known(m, record, place, whole, err);
    if (was_released(m, hash))
        return 0;
    uint64_t offset;
    if (m->in_step && !m->old_ended && m->finds > 0) {
        m->finds--;
        r = m->calls.find(m->arg, hash, &offset, err);
        if (r <= 0)
            return r < 0 ? -1 : take_far(m, record, offset, err);
    }
    return take_new(m, record, err);
}

int log_merge_push(struct log_merge *m, const struct log_record *record, struct error *err) {
    if (log_merge_only_adds(m))
        return m->calls.add(m->arg, record, false, err);
    if (fill(m, 1, err) < 0)
        return -1;
    if (m->count == 0 && m->released_count == 0)
        return take_new(m, record, err);
    uint64_t hash = log_record_hash(record);
    if (m->count > 0 && at(m, 0)->hash == hash)
        return take_known(m, record, 0, true, err);
    return search(m, record, hash, err);
}

int log_merge_end(struct log_merge *m, struct error *err) {
    for (;;) {
        if (fill(m, 1, err) < 0)
            return -1;
        if (m->count == 0)
            break;
        if (release(m, false, err) < 0)
            return -1;
    }
    bool proved = m->pending && m->gap.perhaps && m->last == LOG_OURS;
    if (!proved && m->pending && settle(m, LOG_NOWHERE, err) < 0)
        return -1;
    return m->last == LOG_OURS;
}
