#include "tests/sim/pbft/sim.h"

#include "tests/sim/pbft/cluster.h"

#include "lib/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void violation(struct sim *s, const char *format, ...) {
    if (s->result->violation[0])
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(s->result->violation, sizeof s->result->violation, format, args);
    va_end(args);
}

void say(const struct sim *s, const char *format, ...) {
    if (!s->verbose)
        return;
    va_list args;
    va_start(args, format);
    printf("%9.1f ms  ", (double)s->now_ns / 1e6);
    vprintf(format, args);
    putchar('\n');
    va_end(args);
}

uint64_t roll(struct sim *s, uint64_t below) {
    s->rng ^= s->rng << 13;
    s->rng ^= s->rng >> 7;
    s->rng ^= s->rng << 17;
    return below ? (s->rng >> 11) % below : 0;
}

bool chance(struct sim *s, uint64_t per_mille) {
    return roll(s, 1000) < per_mille;
}

/* ---- the queue of events ---- */

static bool before(const struct event *a, const struct event *b) {
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void plan(struct sim *s, uint64_t delay_ns, const struct event *event) {
    mem_grow(s->heap, s->heap_count, s->heap_capacity);
    struct event e = *event;
    e.at_ns = s->now_ns + delay_ns;
    e.order = s->order++;
    size_t i = s->heap_count++;
    for (; i > 0 && before(&e, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = e;
}

static struct event next_event(struct sim *s) {
    struct event first = s->heap[0], last = s->heap[--s->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap_count)
            break;
        if (child + 1 < s->heap_count && before(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!before(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return first;
}

/* ---- faults ---- */

static void cut_off(struct sim *s, uint16_t a, uint16_t b, bool cut) {
    s->cut[a][b] = s->cut[b][a] = cut;
}

/* Silently: nobody is told that the other is gone. */
static void partition(struct sim *s) {
    uint64_t side = roll(s, UINT64_C(1) << s->n);
    say(s, "partition %llx", (unsigned long long)side);
    for (uint16_t a = 0; a < s->n; a++)
        for (uint16_t b = 0; b < a; b++)
            cut_off(s, a, b, (side >> a & 1) != (side >> b & 1));
}

static void heal(struct sim *s) {
    for (uint16_t a = 0; a < s->n; a++)
        for (uint16_t b = 0; b < a; b++)
            cut_off(s, a, b, false);
}

static void break_link(struct sim *s, uint16_t a, uint16_t b) {
    if (a == b || !s->replicas[a].running || !s->replicas[b].running)
        return;
    set_link(s, a, b, false);
    cut_off(s, a, b, true);
    plan(s, roll(s, 400 * MS), &(struct event){.kind = KIND_LINK, .a = a, .b = b});
}

static void crash(struct sim *s, uint16_t at) {
    if (!s->replicas[at].running)
        return;
    say(s, "replica %u crashes at height %llu", at,
        (unsigned long long)s->replicas[at].disk_height);
    replica_crash(s, at);
    plan(s, roll(s, 1000 * MS), &(struct event){.kind = KIND_RESTART, .a = at});
}

/* As when the power of a rack goes: what was not written down is lost on all of them at once. */
static void crash_all(struct sim *s) {
    for (uint16_t i = 0; i < s->n; i++)
        if (chance(s, 800))
            crash(s, i);
}

static void break_disk(struct sim *s, uint16_t at) {
    struct replica *r = &s->replicas[at];
    if (!r->running || r->store_failed)
        return;
    say(s, "the disk of replica %u fails", at);
    r->store_failed = true;
    replica_step(s, at, &(struct pbft_event){.type = PBFT_STORE_FAILED});
}

static void on_fault(struct sim *s) {
    uint16_t at = (uint16_t)roll(s, s->n);
    if (!s->faults)
        return;
    switch (roll(s, 7)) {
    case 0: partition(s); break;
    case 1: heal(s); break;
    case 2:
    case 3: break_link(s, at, (uint16_t)roll(s, s->n)); break;
    case 4: crash(s, at); break;
    case 5: crash_all(s); break;
    default:
        if (s->replicas[at].badness == BROKEN_DISK)
            break_disk(s, at);
        else if (s->replicas[at].badness == FORGETFUL)
            crash(s, at);
    }
    plan(s, roll(s, 500 * MS), &(struct event){.kind = KIND_FAULT});
}

static void on_link(struct sim *s, const struct event *e) {
    cut_off(s, e->a, e->b, false);
    if (s->replicas[e->a].running && s->replicas[e->b].running)
        set_link(s, e->a, e->b, true);
}

static void end_faults(struct sim *s) {
    say(s, "no more faults");
    s->faults = false;
    heal(s);
    for (uint16_t i = 0; i < s->n; i++)
        if (!s->replicas[i].running)
            replica_start(s, i);
    for (uint16_t a = 0; a < s->n; a++)
        for (uint16_t b = 0; b < a; b++)
            set_link(s, a, b, true);
    for (uint32_t i = 0; i < s->clients; i++)
        s->client[i].answered_at_end_of_faults = s->client[i].answered;
}

/* ---- the phases ---- */

static void on_restart(struct sim *s, const struct event *e) {
    if (!s->replicas[e->a].running && !s->stopping)
        replica_start(s, e->a);
}

static void on_tick(struct sim *s, const struct event *e) {
    struct replica *r = &s->replicas[e->a];
    if (r->running && r->epoch == e->epoch) {
        r->tick_ns = 0;
        replica_step(s, e->a, &(struct pbft_event){.type = PBFT_TICK});
    }
}

static void on_client_event(struct sim *s, const struct event *e) {
    if (e->epoch == s->client[e->a].number)
        on_client(s, e);
}

static void take(struct sim *s) {
    struct event e = next_event(s);
    s->now_ns = e.at_ns;
    s->result->events++;
    switch (e.kind) {
    case KIND_DELIVER: on_deliver(s, &e); return;
    case KIND_STORED: on_store_done(s, &e); return;
    case KIND_TICK: on_tick(s, &e); return;
    case KIND_CLIENT: on_client_event(s, &e); return;
    case KIND_REPLY: on_reply(s, &e); return;
    case KIND_FAULT: on_fault(s); return;
    case KIND_LINK: on_link(s, &e); return;
    case KIND_RESTART: on_restart(s, &e); return;
    case KIND_STOP: return;
    }
}

static bool has_progressed(const struct sim *s) {
    for (uint32_t i = 0; i < s->clients; i++)
        if (s->client[i].answered < s->client[i].answered_at_end_of_faults + ANSWER_NEEDED)
            return false;
    return true;
}

/* Every correct one has caught up, once clients are quiet: nobody may be left behind for good. */
static bool has_caught_up(const struct sim *s) {
    for (uint16_t i = 0; i < s->n; i++)
        if (!is_bad(s, i) && s->replicas[i].disk_height < s->truth_height)
            return false;
    return true;
}

static bool has_stopped(const struct sim *s) {
    for (uint16_t i = 0; i < s->n; i++)
        if (s->replicas[i].running && !is_bad(s, i))
            return false;
    return true;
}

static void run_until(struct sim *s, uint64_t until_ns, bool (*done)(const struct sim *s),
                      const char *what) {
    while (s->heap_count > 0 && !s->result->violation[0] && !(done && done(s)) &&
           s->heap[0].at_ns <= until_ns)
        take(s);
    if (s->now_ns < until_ns && !done)
        s->now_ns = until_ns;
    if (done && !done(s) && !s->result->violation[0])
        violation(s, "%s", what);
}

static void stop_all(struct sim *s) {
    say(s, "all are told to stop");
    s->stopping = true;
    for (uint16_t i = 0; i < s->n && !s->result->violation[0]; i++)
        if (s->replicas[i].running)
            replica_step(s, i, &(struct pbft_event){.type = PBFT_DRAIN});
}

static void run(struct sim *s) {
    for (uint16_t i = 0; i < s->n; i++)
        replica_start(s, i);
    for (uint16_t i = 0; i < s->clients; i++)
        plan(s, roll(s, 10 * MS), &(struct event){.kind = KIND_CLIENT, .a = i});
    plan(s, roll(s, 300 * MS), &(struct event){.kind = KIND_FAULT});
    run_until(s, s->faults_until_ns, NULL, NULL);
    if (s->result->violation[0])
        return;
    end_faults(s);
    run_until(s, PROGRESS_UNTIL, has_progressed, "no progress after the faults");
    s->quiet = true;
    run_until(s, PROGRESS_UNTIL, has_caught_up, "a correct replica does not catch up");
    if (s->result->violation[0])
        return;
    stop_all(s);
    run_until(s, STOP_UNTIL, has_stopped, "not all replicas stop");
    if (!s->result->violation[0])
        check_end(s);
}

/* ---- making and ending it ---- */

static void choose_bad(struct sim *s) {
    for (uint16_t left = s->f; left > 0; left--) {
        uint16_t at = (uint16_t)roll(s, s->n);
        if (s->replicas[at].badness == GOOD)
            s->replicas[at].badness = (enum badness)roll(s, 4);
        say(s, "replica %u is %s", at,
            (const char *const[]){"good", "Byzantine", "forgetful",
                                  "going to have a broken disk"}[s->replicas[at].badness]);
    }
}

/* How bad it is. In a storm views come to nothing one after the other. */
static void choose_weather(struct sim *s) {
    bool storm = roll(s, 3) == 0;
    s->loss_per_mille = storm || roll(s, 3) == 0 ? roll(s, storm ? 400 : 200) : 0;
    s->double_per_mille = roll(s, 100);
    s->slow_per_mille = roll(s, storm ? 500 : 50);
    s->config.request_timeout_ns = (storm ? 20 + roll(s, 100) : 300) * MS;
    s->faults_until_ns = (storm ? 8000 : 3000) * MS;
}

static void make(struct sim *s, uint64_t seed) {
    static const uint16_t sizes[] = {1, 4, 4, 4, 4, 5, 6, 7};
    s->rng = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    for (int i = 0; i < 8; i++)
        roll(s, 2);
    s->faults = true;
    s->n = sizes[roll(s, sizeof sizes / sizeof *sizes)];
    s->f = (uint16_t)((s->n - 1) / 3);
    s->clients = 1 + (uint32_t)roll(s, CLIENTS_MAX);
    s->config = PBFT_CONFIG_DEFAULT;
    choose_weather(s);
    s->config.n = s->n;
    s->config.window = 8 << roll(s, 2);
    s->config.checkpoint_interval = s->config.window >> (1 + roll(s, 2));
    s->config.pipeline_max = 1 + (uint32_t)roll(s, 5);
    s->config.batch_max = 1 + (uint32_t)roll(s, 5);
    s->config.clients_max = 16;
    s->config.status_ns = 30 * MS;
    s->config.hash = sim_hash;
    for (uint16_t i = 0; i < s->n; i++) {
        struct replica *r = &s->replicas[i];
        s->config.replica = i;
        r->memory = mem_zero(1, pbft_size(&s->config));
        r->disk = mem_new_array(struct block, HEIGHT_MAX);
        r->ordered = mem_new_array(struct block, HEIGHT_MAX);
        r->log = mem_new_array(struct logged, RECORDS_MAX);
        r->clock_rate = 900 + roll(s, 200);
        r->clock_offset_ns = roll(s, 1000) * MS;
        r->store_slowness = 1 + roll(s, 30);
    }
    s->truth = mem_new_array(struct block, HEIGHT_MAX);
    s->handles = mem_zero(HANDLES_MAX, sizeof *s->handles);
    s->acknowledged = mem_zero(CLIENTS_MAX, sizeof *s->acknowledged);
    s->executed = mem_zero(CLIENTS_MAX, sizeof *s->executed);
    choose_bad(s);
}

static void unmake(struct sim *s) {
    for (size_t i = 0; i < s->heap_count; i++)
        if (s->heap[i].packet)
            packet_free(s->heap[i].packet);
    for (uint16_t i = 0; i < s->n; i++) {
        struct replica *r = &s->replicas[i];
        log_cut(r, 0);
        for (uint16_t k = 0; k < s->n; k++)
            if (r->heard[k])
                packet_free(r->heard[k]);
        free(r->memory);
        free(r->disk);
        free(r->ordered);
        free(r->log);
    }
    free(s->truth);
    free(s->handles);
    free(s->acknowledged);
    free(s->executed);
    free(s->heap);
    free(s);
}

static void say_status(const struct sim *s) {
    for (uint16_t i = 0; i < s->n; i++) {
        struct pbft_status c;
        if (!s->replicas[i].core)
            continue;
        pbft_get_status(s->replicas[i].core, &c);
        say(s,
            "replica %u: view %llu%s, stable %llu, committed %llu, proposed %llu, head %llu, "
            "stored %llu, waiting %llu%s",
            i, (unsigned long long)c.view, c.active ? "" : " (on its way)",
            (unsigned long long)c.stable, (unsigned long long)c.committed,
            (unsigned long long)c.proposed, (unsigned long long)c.head,
            (unsigned long long)c.stored, (unsigned long long)c.waiting,
            c.transferring ? ", transfers" : "");
    }
}

void sim_run(const struct sim_options *options, struct sim_result *ret) {
    struct sim *s = mem_new(struct sim);
    *ret = (struct sim_result){.events = 0};
    s->result = ret;
    s->verbose = options->verbose;
    make(s, options->seed);
    say(s, "seed %llu: %u replicas, %u clients", (unsigned long long)options->seed, s->n,
        s->clients);
    run(s);
    say_status(s);
    ret->height = s->truth_height;
    unmake(s);
}
