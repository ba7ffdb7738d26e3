#include "executor/storage.h"

#include "executor/chain/read_set.h"
#include "executor/chain/write_set.h"

#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/memory.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

_Static_assert((STORAGE_READS_MAX & (STORAGE_READS_MAX - 1)) == 0, "a mask finds the place");

/*
 * A ring with three positions: done <= stored <= pushed. Jobs in [stored, pushed) belong to the
 * thread, those in [done, stored) wait to be taken back. Reads have another one like it.
 */
struct storage {
    struct store *store; /* of the thread while it runs */
    struct chain chain;
    struct store_entry *entries;
    struct read_digest read_digest;
    struct buffer value; /* that was read last */

    pthread_t thread;
    int done_fd;
    struct storage_job *ring;
    uint64_t mask;
    uint64_t done;   /* of the loop */
    uint64_t pushed; /* of the loop; the thread sees `visible` */
    bool stopped;    /* there is no thread */
    struct storage_read *reads;
    uint64_t reads_done;
    uint64_t reads_pushed;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    uint64_t visible;
    uint64_t stored;
    uint64_t reads_visible;
    uint64_t reads_served;
    bool sleeping;
    bool stopping;
    bool signalled; /* done_fd is readable, or about to be */
    bool failed;
    struct error failure;
};

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

static size_t find_entries(struct storage *s, const uint8_t *body, size_t size) {
    struct byte_reader r = byte_reader(body, size);
    struct write_set_entry entry;
    size_t count = 0;
    while (write_set_next(&r, &entry)) {
        assert(count < PEE_KEYS_MAX);
        s->entries[count++] = (struct store_entry){
            .key_offset = (uint32_t)(entry.key - body),
            .key_size = entry.key_size,
            .value_offset = (uint32_t)(entry.value - body),
            .value_size = entry.value_size,
        };
    }
    assert(!r.failed);
    return count;
}

static int make_block(struct storage *s, struct storage_job *job, struct error *err) {
    uint8_t header[BLOCK_HEADER_SIZE];
    uint8_t *body = NULL;
    size_t size = pee_write_set_size(&job->command);
    if (!job->skip_execution && job->command.execution_ms)
        storage_execute(job->command.execution_ms, job->busy_wait);
    if (store_reserve(s->store, size, &body, err) < 0)
        return -1;
    pee_expand(&job->command, body);
    assert(job->height == s->chain.height + 1);
    chain_add(&s->chain, &job->command, job->request_digest, body, size, header);
    memcpy(job->digest, s->chain.digest, sizeof job->digest);
    struct store_block block = {
        .height = job->height,
        .header = header,
        .header_size = sizeof header,
        .body = body,
        .body_size = size,
        .entries = s->entries,
        .entry_count = find_entries(s, body, size),
    };
    return store_put(s->store, &block, err);
}

static bool executes(const struct storage_job *job) {
    return job->command.execution_ms > 0 && !job->skip_execution;
}

/* Blocks of the jobs from `begin` on, committed together. Returns the end of the batch. */
static uint64_t store_batch(struct storage *s, uint64_t begin, uint64_t end, struct error *err,
                            bool *ret_failed) {
    size_t bytes = 0;
    uint64_t i = begin;
    while (i < end && i - begin < STORAGE_BATCH_MAX && bytes < STORAGE_BATCH_BYTES_MAX) {
        struct storage_job *job = &s->ring[i & s->mask];
        if (i > begin && executes(job))
            break; /* those before it need not wait for that */
        if (make_block(s, job, err) < 0) {
            *ret_failed = true;
            break;
        }
        bytes += pee_write_set_size(&job->command);
        i++;
    }
    struct error commit_err = ERROR_NULL;
    if (i > begin && store_commit(s->store, &commit_err) < 0) {
        *err = commit_err;
        *ret_failed = true;
        return begin;
    }
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

/* Locked, but for the work itself. */
static void store_some(struct storage *s) {
    uint64_t begin = s->stored, end = s->visible;
    if (begin == end || s->failed)
        return;
    pthread_mutex_unlock(&s->lock);
    struct error err = ERROR_NULL;
    bool failed = false;
    uint64_t upto = store_batch(s, begin, end, &err, &failed);
    pthread_mutex_lock(&s->lock);
    s->stored = upto;
    if (failed) {
        s->failed = true;
        s->failure = err;
    }
    signal_done(s);
}

/* Takes the key's latest value in. Adds its size to `bytes`. */
static int read_key(struct storage *s, const struct pee_command *command, uint32_t i, size_t *bytes,
                    struct error *err) {
    uint8_t key[PEE_KEY_SIZE_MAX];
    pee_key(command, i, key);
    buffer_clear(&s->value);
    if (store_get(s->store, key, command->key_size, &s->value, err) < 0) {
        if (err->kind != ERROR_NOT_FOUND)
            return -1;
        error_clear(err);
        read_digest_absent(&s->read_digest);
        return 0;
    }
    *bytes += s->value.size;
    if (*bytes > STORAGE_READ_BYTES_MAX)
        return error_set(err, ERROR_LIMIT, "a read of more than %d bytes", STORAGE_READ_BYTES_MAX);
    read_digest_value(&s->read_digest, (const uint8_t *)s->value.data, s->value.size);
    return 0;
}

/* Returns how many bytes were read. */
static size_t serve_read(struct storage *s, struct storage_read *read) {
    struct error err = ERROR_NULL;
    size_t bytes = 0;
    int r = 0;
    read->height = store_height(s->store);
    read_digest_begin(&s->read_digest);
    for (uint32_t i = 0; r == 0 && i < read->command.key_count; i++)
        r = read_key(s, &read->command, i, &bytes, &err);
    read_digest_end(&s->read_digest, read->digest);
    snprintf(read->problem, sizeof read->problem, "%s", r < 0 ? err.text : "");
    return bytes;
}

/* Locked, but for the work itself. All that was put is committed. */
static void read_some(struct storage *s) {
    uint64_t i = s->reads_served, begin = i, end = s->reads_visible;
    size_t bytes = 0;
    if (begin == end)
        return;
    pthread_mutex_unlock(&s->lock);
    while (i < end && i - begin < STORAGE_BATCH_MAX && bytes < STORAGE_BATCH_BYTES_MAX)
        bytes += serve_read(s, &s->reads[i++ & (STORAGE_READS_MAX - 1)]);
    pthread_mutex_lock(&s->lock);
    s->reads_served = i;
    signal_done(s);
}

static bool has_work(const struct storage *s) {
    return (s->stored != s->visible && !s->failed) || s->reads_served != s->reads_visible;
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
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- the loop's side ---- */

int storage_start(struct store *store, struct chain *chain, uint32_t jobs_max, struct storage **ret,
                  struct error *err) {
    struct storage *s = mem_new(struct storage);
    uint64_t slots = 64;
    while (slots < jobs_max)
        slots *= 2;
    s->store = store;
    s->chain = *chain;
    s->entries = mem_new_array(struct store_entry, PEE_KEYS_MAX);
    s->ring = mem_new_array(struct storage_job, slots);
    s->mask = slots - 1;
    s->reads = mem_new_array(struct storage_read, STORAGE_READS_MAX);
    read_digest_init(&s->read_digest);
    buffer_init(&s->value, PEE_VALUE_SIZE_MAX);
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

void storage_push(struct storage *s, const struct storage_job *job) {
    assert(s->pushed - s->done <= s->mask);
    s->ring[s->pushed++ & s->mask] = *job;
}

bool storage_push_read(struct storage *s, const struct storage_read *read) {
    if (s->reads_pushed - s->reads_done == STORAGE_READS_MAX)
        return false;
    s->reads[s->reads_pushed++ & (STORAGE_READS_MAX - 1)] = *read;
    return true;
}

void storage_kick(struct storage *s) {
    if (s->visible == s->pushed && s->reads_visible == s->reads_pushed) /* only the loop writes */
        return;
    pthread_mutex_lock(&s->lock);
    s->visible = s->pushed;
    s->reads_visible = s->reads_pushed;
    bool wake = s->sleeping;
    pthread_mutex_unlock(&s->lock);
    if (wake)
        pthread_cond_signal(&s->wake);
}

int storage_done_fd(const struct storage *s) {
    return s->done_fd;
}

/* Locked. `all_taken`: once what is taken now is gone, nothing is left of either kind. */
static void looked(struct storage *s, bool all_taken) {
    uint64_t count;
    if (!s->signalled || !all_taken)
        return;
    s->signalled = false;
    ssize_t n = read(s->done_fd, &count, sizeof count);
    (void)n; /* nothing to read is fine too */
}

size_t storage_take(struct storage *s, struct storage_job *out, size_t max) {
    pthread_mutex_lock(&s->lock);
    uint64_t stored = s->stored;
    looked(s, stored - s->done <= max && s->reads_served == s->reads_done);
    pthread_mutex_unlock(&s->lock);
    size_t taken = 0;
    for (; taken < max && s->done < stored; taken++)
        out[taken] = s->ring[s->done++ & s->mask];
    return taken;
}

size_t storage_take_reads(struct storage *s, struct storage_read *out, size_t max) {
    pthread_mutex_lock(&s->lock);
    uint64_t served = s->reads_served;
    looked(s, served - s->reads_done <= max && s->stored == s->done);
    pthread_mutex_unlock(&s->lock);
    size_t taken = 0;
    for (; taken < max && s->reads_done < served; taken++)
        out[taken] = s->reads[s->reads_done++ & (STORAGE_READS_MAX - 1)];
    return taken;
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
    s->stored = s->pushed;
    s->reads_served = s->reads_pushed;
}

struct store *storage_free(struct storage *s) {
    assert(s->stopped);
    struct store *store = s->store;
    chain_deinit(&s->chain);
    read_digest_deinit(&s->read_digest);
    buffer_deinit(&s->value);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    if (s->done_fd >= 0)
        close(s->done_fd);
    free(s->entries);
    free(s->ring);
    free(s->reads);
    free(s);
    return store;
}
