#include "executor/storage.h"

#include "executor/chain/read_set.h"

#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/memory.h"
#include "lib/wire.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

_Static_assert((STORAGE_READS_MAX & (STORAGE_READS_MAX - 1)) == 0, "a mask finds the place");
_Static_assert((STORAGE_FETCHES_MAX & (STORAGE_FETCHES_MAX - 1)) == 0, "a mask finds the place");

/*
 * Positions in a ring, which only rise: done <= served <= visible <= pushed. What lies in [served,
 * visible) belongs to the thread, what lies in [done, served) waits to be taken back.
 */
struct queue {
    uint64_t mask;
    uint64_t done;    /* of the loop */
    uint64_t pushed;  /* of the loop */
    uint64_t visible; /* locked */
    uint64_t served;  /* locked */
};

struct storage {
    const struct handler *handler;
    struct ledger *ledger; /* of the thread while it runs */
    struct read_digest read_digest;
    struct buffer value;  /* that was read last */
    struct buffer answer; /* the same as an answer */
    struct stopwatch watch;

    pthread_t thread;
    int done_fd;
    uint64_t batch_max; /* blocks in one commit */
    bool in_memory;
    bool stopped; /* there is no thread */
    struct queue jobs;
    struct queue reads;
    struct queue fetches;
    struct storage_job *job_ring;
    struct storage_read *read_ring;
    struct storage_fetch *fetch_ring;

    pthread_mutex_t lock; /* guards what follows, and the queues' positions that say so */
    pthread_cond_t wake;
    bool sleeping;
    bool stopping;
    bool signalled; /* done_fd is readable, or about to be */
    bool failed;
    struct error failure;

    atomic_uint_least64_t answer_bytes; /* made, and not taken back */
};

/* Nothing more is read or ordered until the loop has taken some. */
static bool answers_full(const struct storage *s) {
    return atomic_load(&s->answer_bytes) > STORAGE_ANSWER_BYTES_MAX;
}

void storage_execute(uint32_t execution_ms, bool busy_wait) {
    struct instant end = instant_after(clock_instant(), execution_ms * NS_PER_MS);
    if (busy_wait) {
        while (!instant_passed(end, clock_instant()))
            ;
        return;
    }
    struct timespec until = {.tv_sec = (time_t)(end.ns / NS_PER_SEC),
                             .tv_nsec = (long)(end.ns % NS_PER_SEC)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

/* ---- the thread ---- */

/* NULL: there is none, or it is larger than what a frame can answer. */
static struct blob *take_answer(struct storage *s) {
    bool there = s->answer.size > 0 && !s->answer.overflowed;
    struct blob *answer = there ? blob_new(s->answer.size) : NULL;
    if (answer) {
        memcpy(answer->data, s->answer.data, s->answer.size);
        atomic_fetch_add(&s->answer_bytes, answer->size);
    }
    buffer_clear(&s->answer);
    return answer;
}

/* Unless it was spent ahead, and nothing that was read then has been written since. */
static int spend_time(struct storage *s, struct storage_job *job, struct error *err) {
    uint8_t read_set[SHA256_SIZE];
    if (job->ahead) {
        if (ledger_read_set(s->ledger, &job->command, read_set, err) < 0)
            return -1;
        job->conflict = memcmp(read_set, job->read_set, sizeof read_set) != 0;
    }
    if (job->command.execution_ms > 0 && (!job->ahead || job->conflict))
        storage_execute(job->command.execution_ms, job->busy_wait);
    return 0;
}

static int make_block(struct storage *s, struct storage_job *job, struct error *err) {
    if (job->block)
        return ledger_accept(s->ledger, job->height, job->block->data, job->block->size,
                             job->digest, err);
    if (spend_time(s, job, err) < 0)
        return -1;
    const struct ledger_request request = {
        .height = job->height,
        .sequence = job->sequence,
        .command = &job->command,
        .digest = job->request_digest,
        .answer = &s->answer,
        .watch = &s->watch,
    };
    int r = ledger_execute(s->ledger, &request, job->digest, err);
    job->answer = take_answer(s);
    return r;
}

/* It needs what was committed, or takes its time: those before it are committed first. */
static bool stands_apart(const struct storage *s, const struct storage_job *job) {
    if (job->block)
        return false;
    return (job->command.execution_ms > 0 && !job->ahead) ||
           s->handler->read_count(&job->command) > 0;
}

static size_t size_of(const struct storage *s, const struct storage_job *job) {
    return job->block ? job->block->size : s->handler->write_set_size(&job->command);
}

/* Returns -1 if storing has failed. */
static int do_job(struct storage *s, struct storage_job *job, struct error *err) {
    struct error why;
    error_init(&why);
    if (!job->block)
        stages_record_since(s->watch.stages, STAGE_QUEUE, job->at_ns, s->watch.at_ns);
    int r = make_block(s, job, &why);
    job->at_ns = s->watch.at_ns;
    if (r < 0) {
        *err = why;
        return -1;
    }
    job->refused = r > 0;
    job->problem[0] = '\0';
    if (job->refused)
        snprintf(job->problem, sizeof job->problem, "%s", why.text);
    return 0;
}

/* All of them are in the store; `put_ns` was spent on that before the commit. */
static void note_commit(struct storage *s, uint64_t begin, uint64_t end, uint64_t put_ns) {
    if (!s->watch.stages)
        return;
    stages_record(s->watch.stages, STAGE_COMMIT, put_ns + stopwatch_split(&s->watch));
    for (uint64_t i = begin; i < end; i++) {
        struct storage_job *job = &s->job_ring[i & s->jobs.mask];
        if (!job->block)
            stages_record_since(s->watch.stages, STAGE_STORE, job->at_ns, s->watch.at_ns);
        job->at_ns = s->watch.at_ns;
    }
}

/* Blocks of the jobs from `begin` on, committed together. Returns the end of the batch. */
static uint64_t store_batch(struct storage *s, uint64_t begin, uint64_t end, struct error *err,
                            bool *ret_failed) {
    size_t bytes = 0;
    uint64_t i = begin, put_ns = 0;
    stopwatch_start(&s->watch);
    while (i < end && i - begin < s->batch_max && bytes < STORAGE_BATCH_BYTES_MAX) {
        struct storage_job *job = &s->job_ring[i & s->jobs.mask];
        if (i > begin && stands_apart(s, job))
            break;
        if (do_job(s, job, err) < 0) {
            *ret_failed = true;
            break;
        }
        put_ns += stopwatch_split(&s->watch);
        bytes += size_of(s, job);
        i++;
    }
    struct error commit_err;
    error_init(&commit_err);
    if (i > begin && ledger_commit(s->ledger, &commit_err) < 0) {
        if (!*ret_failed) /* else that is why */
            *err = commit_err;
        *ret_failed = true;
        return begin;
    }
    note_commit(s, begin, i, put_ns);
    return i;
}

/* Tells the loop, once, until it has looked. Locked. */
static void signal_done(struct storage *s) {
    const uint64_t one = 1;
    if (s->signalled)
        return;
    s->signalled = true;
    ssize_t n = write(s->done_fd, &one, sizeof one);
    assert(n == sizeof one);
}

/* Locked. */
static void note_stored(struct storage *s, uint64_t upto, bool failed, const struct error *err) {
    s->jobs.served = upto;
    if (!failed)
        return;
    s->failed = true;
    s->failure = *err;
}

/* Locked, but for the work itself. */
static void store_some(struct storage *s) {
    uint64_t begin = s->jobs.served, end = s->jobs.visible;
    if (begin == end || s->failed || answers_full(s))
        return;
    pthread_mutex_unlock(&s->lock);
    struct error err;
    bool failed = false;
    error_init(&err);
    uint64_t upto = store_batch(s, begin, end, &err, &failed);
    pthread_mutex_lock(&s->lock);
    note_stored(s, upto, failed, &err);
    signal_done(s);
}

/* Takes the key's latest value in. Adds its size to `bytes`. */
static int read_key(struct storage *s, const struct command *command, uint32_t i, size_t *bytes,
                    struct error *err) {
    uint8_t key[COMMAND_KEY_SIZE_MAX];
    bool found;
    buffer_clear(&s->value);
    if (ledger_get(s->ledger, key, s->handler->read_key(command, i, key), &s->value, &found, err) <
        0)
        return -1;
    *bytes += s->value.size;
    if (*bytes > STORAGE_READ_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "a read of more than %d bytes", STORAGE_READ_BYTES_MAX);
    if (s->handler->gives_value)
        handler_answer(found, &s->value, &s->answer);
    else if (found)
        read_digest_value(&s->read_digest, (const uint8_t *)s->value.data, s->value.size);
    else
        read_digest_absent(&s->read_digest);
    return buffer_check(&s->answer, "the answer", err);
}

/* Of a request that is to be executed ahead. */
static size_t serve_read_set(struct storage *s, struct storage_read *read, uint32_t count) {
    enum { VERSION_BYTES = 64 }; /* what looking one up costs, as if it were read */
    struct error err;
    error_init(&err);
    int r = ledger_read_set(s->ledger, &read->command, read->digest, &err);
    read->answer = NULL;
    snprintf(read->problem, sizeof read->problem, "%s", r < 0 ? err.text : "");
    return (size_t)count * VERSION_BYTES;
}

/* Returns how many bytes were read. */
static size_t serve_read(struct storage *s, struct storage_read *read) {
    struct error err;
    size_t bytes = 0;
    int r = 0;
    uint32_t count = s->handler->read_count(&read->command);
    error_init(&err);
    read->height = ledger_height(s->ledger);
    if (read->ahead)
        return serve_read_set(s, read, count);
    read_digest_begin(&s->read_digest);
    for (uint32_t i = 0; r == 0 && i < count; i++)
        r = read_key(s, &read->command, i, &bytes, &err);
    read_digest_end(&s->read_digest, read->digest);
    read->answer = take_answer(s);
    if (read->answer)
        sha256_of(read->answer->data, read->answer->size, read->digest);
    snprintf(read->problem, sizeof read->problem, "%s", r < 0 ? err.text : "");
    return bytes;
}

/* Locked, but for the work itself. All that was put is committed. */
static void read_some(struct storage *s) {
    uint64_t i = s->reads.served, begin = i, end = s->reads.visible;
    size_t bytes = 0;
    if (begin == end || answers_full(s))
        return;
    pthread_mutex_unlock(&s->lock);
    while (i < end && i - begin < STORAGE_BATCH_MAX && bytes < STORAGE_BATCH_BYTES_MAX)
        bytes += serve_read(s, &s->read_ring[i++ & s->reads.mask]);
    pthread_mutex_lock(&s->lock);
    s->reads.served = i;
    signal_done(s);
}

static void serve_fetch(struct storage *s, struct storage_fetch *fetch) {
    struct error err;
    size_t bytes = 0;
    int r = 0;
    uint64_t height = fetch->height;
    error_init(&err);
    fetch->found = 0;
    while (fetch->found < fetch->count && bytes < STORAGE_FETCH_BYTES_MAX &&
           height + fetch->found <= ledger_height(s->ledger)) {
        struct blob **block = &fetch->blocks[fetch->found];
        r = ledger_fetch(s->ledger, height + fetch->found, block, &err);
        if (r < 0)
            break;
        bytes += (*block)->size;
        fetch->found++;
    }
    snprintf(fetch->problem, sizeof fetch->problem, "%s", r < 0 ? err.text : "");
}

/* One at a time: it may read as much as a batch of reads. Locked, but for the work itself. */
static void fetch_one(struct storage *s) {
    uint64_t i = s->fetches.served;
    if (i == s->fetches.visible)
        return;
    pthread_mutex_unlock(&s->lock);
    serve_fetch(s, &s->fetch_ring[i & s->fetches.mask]);
    pthread_mutex_lock(&s->lock);
    s->fetches.served = i + 1;
    signal_done(s);
}

static bool has_work(const struct storage *s) {
    bool jobs = s->jobs.served != s->jobs.visible && !s->failed;
    return ((jobs || s->reads.served != s->reads.visible) && !answers_full(s)) ||
           s->fetches.served != s->fetches.visible;
}

static void *storage_main(void *argument) {
    struct storage *s = argument;
    pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        if (!has_work(s)) {
            s->sleeping = true;
            pthread_cond_wait(&s->wake, &s->lock);
            s->sleeping = false;
            continue;
        }
        store_some(s);
        read_some(s);
        fetch_one(s);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- the loop's side ---- */

void storage_measure(struct storage *s, struct stages *stages) {
    s->watch.stages = stages;
}

int storage_start(struct store *store, struct chain *chain, const struct ledger_options *options,
                  uint32_t jobs_max, struct storage **ret, struct error *err) {
    struct ledger *ledger = NULL;
    if (ledger_open(store, chain, options, &ledger, err) < 0)
        return -1;
    struct storage *s = mem_new(struct storage);
    uint64_t slots = 64;
    while (slots < jobs_max)
        slots *= 2;
    s->ledger = ledger;
    s->handler = options->handler ? options->handler : &handler_pee;
    s->batch_max = options->durability == STORE_SYNC_EACH ? 1 : STORAGE_BATCH_MAX;
    s->in_memory = ledger_in_memory(ledger);
    s->jobs.mask = slots - 1;
    s->reads.mask = STORAGE_READS_MAX - 1;
    s->fetches.mask = STORAGE_FETCHES_MAX - 1;
    s->job_ring = mem_new_array(struct storage_job, slots);
    s->read_ring = mem_new_array(struct storage_read, STORAGE_READS_MAX);
    s->fetch_ring = mem_new_array(struct storage_fetch, STORAGE_FETCHES_MAX);
    read_digest_init(&s->read_digest);
    buffer_init(&s->value, COMMAND_VALUE_SIZE_MAX);
    buffer_init(&s->answer, WIRE_PAYLOAD_MAX);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int problem = s->done_fd < 0 ? errno : pthread_create(&s->thread, NULL, storage_main, s);
    if (problem) {
        s->stopped = true;
        store_free(storage_free(s));
        return error_set_os(err, ERROR_IO, problem, "start the storage thread");
    }
    pthread_setname_np(s->thread, "storage");
    *ret = s;
    return 0;
}

static bool has_room(const struct queue *q) {
    return q->pushed - q->done <= q->mask;
}

void storage_push(struct storage *s, const struct storage_job *job) {
    assert(has_room(&s->jobs));
    s->job_ring[s->jobs.pushed++ & s->jobs.mask] = *job;
}

void storage_push_block(struct storage *s, uint64_t height, struct blob *block, void *request) {
    const struct storage_job job = {.height = height, .block = block, .request = request};
    storage_push(s, &job);
}

bool storage_push_read(struct storage *s, const struct storage_read *read) {
    if (!has_room(&s->reads))
        return false;
    s->read_ring[s->reads.pushed++ & s->reads.mask] = *read;
    return true;
}

bool storage_push_fetch(struct storage *s, const struct storage_fetch *fetch) {
    assert(fetch->height > 0 && fetch->count <= STORAGE_FETCH_BLOCKS_MAX);
    if (!has_room(&s->fetches))
        return false;
    struct storage_fetch *place = &s->fetch_ring[s->fetches.pushed++ & s->fetches.mask];
    *place = *fetch;
    place->found = 0;
    return true;
}

/* Of what the thread has not done, if it does nothing now. Locked. */
static bool is_little(const struct storage *s) {
    size_t bytes = 0;
    if (!s->sleeping || s->failed || s->reads.served != s->reads.pushed ||
        s->fetches.served != s->fetches.pushed)
        return false;
    for (uint64_t i = s->jobs.served; i < s->jobs.pushed; i++) {
        const struct storage_job *job = &s->job_ring[i & s->jobs.mask];
        bytes += STORAGE_AT_ONCE_JOB_BYTES + size_of(s, job);
        if (job->block || stands_apart(s, job) || bytes > STORAGE_AT_ONCE_BYTES_MAX)
            return false;
    }
    return bytes > 0;
}

bool storage_do_at_once(struct storage *s) {
    struct error err;
    bool failed = false, done = false;
    error_init(&err);
    if (!s->in_memory || s->jobs.visible == s->jobs.pushed)
        return false;
    pthread_mutex_lock(&s->lock); /* and kept: so the thread goes on sleeping */
    while (!failed && is_little(s)) {
        uint64_t end = s->jobs.visible = s->jobs.pushed;
        note_stored(s, store_batch(s, s->jobs.served, end, &err, &failed), failed, &err);
        done = true;
    }
    if (failed)
        signal_done(s);
    pthread_mutex_unlock(&s->lock);
    return done;
}

/* Of what the thread knows: only the loop writes `visible`. */
static bool all_visible(const struct queue *q) {
    return q->visible == q->pushed;
}

void storage_kick(struct storage *s) {
    if (all_visible(&s->jobs) && all_visible(&s->reads) && all_visible(&s->fetches))
        return;
    pthread_mutex_lock(&s->lock);
    s->jobs.visible = s->jobs.pushed;
    s->reads.visible = s->reads.pushed;
    s->fetches.visible = s->fetches.pushed;
    bool wake = s->sleeping;
    pthread_mutex_unlock(&s->lock);
    if (wake)
        pthread_cond_signal(&s->wake);
}

int storage_done_fd(const struct storage *s) {
    return s->done_fd;
}

/* Nobody has to be told any more once nothing waits to be taken. Locked. */
static void looked(struct storage *s) {
    uint64_t count;
    if (!s->signalled || s->jobs.served != s->jobs.done || s->reads.served != s->reads.done ||
        s->fetches.served != s->fetches.done)
        return;
    s->signalled = false;
    ssize_t n = read(s->done_fd, &count, sizeof count);
    (void)n; /* nothing to read is fine too */
}

/* Up to `max` that were served: their first position, and how many. What lies there is the loop's
 * until it pushes again. */
static uint64_t take(struct storage *s, struct queue *q, size_t max, size_t *ret_count) {
    pthread_mutex_lock(&s->lock);
    uint64_t begin = q->done, count = q->served - begin;
    *ret_count = count < max ? (size_t)count : max;
    q->done += *ret_count;
    looked(s);
    pthread_mutex_unlock(&s->lock);
    return begin;
}

/* The thread may have waited for that. */
static void answers_taken(struct storage *s, uint64_t bytes) {
    if (bytes == 0)
        return;
    atomic_fetch_sub(&s->answer_bytes, bytes);
    pthread_mutex_lock(&s->lock);
    bool wake = s->sleeping;
    pthread_mutex_unlock(&s->lock);
    if (wake)
        pthread_cond_signal(&s->wake);
}

size_t storage_take(struct storage *s, struct storage_job *out, size_t max) {
    size_t count;
    uint64_t begin = take(s, &s->jobs, max, &count), bytes = 0;
    for (size_t i = 0; i < count; i++) {
        out[i] = s->job_ring[(begin + i) & s->jobs.mask];
        bytes += out[i].answer ? out[i].answer->size : 0;
    }
    answers_taken(s, bytes);
    return count;
}

size_t storage_take_reads(struct storage *s, struct storage_read *out, size_t max) {
    size_t count;
    uint64_t begin = take(s, &s->reads, max, &count), bytes = 0;
    for (size_t i = 0; i < count; i++) {
        out[i] = s->read_ring[(begin + i) & s->reads.mask];
        bytes += out[i].answer ? out[i].answer->size : 0;
    }
    answers_taken(s, bytes);
    return count;
}

size_t storage_take_fetches(struct storage *s, struct storage_fetch *out, size_t max) {
    size_t count;
    uint64_t begin = take(s, &s->fetches, max, &count);
    for (size_t i = 0; i < count; i++)
        out[i] = s->fetch_ring[(begin + i) & s->fetches.mask];
    return count;
}

void storage_get_stats(const struct storage *s, struct storage_stats *ret) {
    struct timespec cpu = {.tv_sec = 0};
    clockid_t clock;
    if (pthread_getcpuclockid(s->thread, &clock) == 0)
        clock_gettime(clock, &cpu);
    *ret = (struct storage_stats){
        .jobs = s->jobs.pushed - s->jobs.done,
        .reads = s->reads.pushed - s->reads.done,
        .fetches = s->fetches.pushed - s->fetches.done,
        .answer_bytes = atomic_load(&s->answer_bytes),
        .cpu_ns = (uint64_t)cpu.tv_sec * NS_PER_SEC + (uint64_t)cpu.tv_nsec,
    };
}

bool storage_failed(struct storage *s, struct error *ret) {
    pthread_mutex_lock(&s->lock);
    bool failed = s->failed;
    if (failed)
        *ret = s->failure;
    pthread_mutex_unlock(&s->lock);
    return failed;
}

void storage_stop(struct storage *s) {
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_mutex_unlock(&s->lock);
    pthread_cond_signal(&s->wake);
    pthread_join(s->thread, NULL);
    s->stopped = true;
    s->jobs.served = s->jobs.pushed;
    s->reads.served = s->reads.pushed;
    s->fetches.served = s->fetches.pushed;
}

struct store *storage_free(struct storage *s) {
    assert(s->stopped);
    struct store *store = ledger_free(s->ledger);
    read_digest_deinit(&s->read_digest);
    buffer_deinit(&s->value);
    buffer_deinit(&s->answer);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    if (s->done_fd >= 0)
        close(s->done_fd);
    free(s->job_ring);
    free(s->read_ring);
    free(s->fetch_ring);
    free(s);
    return store;
}
