#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/collect/logs.h"
#include "runner/engine/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What we have, what the engine has, and the file that both become. */
struct complete {
    const struct engine_container *state;
    struct log_file ours;
    struct log_reader reader;
    struct log_merge merge;
    struct log_file out;
};

static int next_old(void *arg, struct log_old *ret, struct error *err) {
    struct complete *c = arg;
    struct log_record record;
    return log_reader_next(&c->reader, &record, ret, err);
}

static int find_old(void *arg, uint64_t hash, uint64_t *ret_offset, struct error *err) {
    const struct complete *c = arg;
    return log_reader_find(&c->reader, hash, ret_offset, err);
}

static int begins(void *arg, const struct log_old *old, const struct log_record *record,
                  struct error *err) {
    const struct complete *c = arg;
    return log_old_begins(c->ours.fd, c->ours.path, old, record, err);
}

static int keep(void *arg, const struct log_old *old, struct error *err) {
    struct complete *c = arg;
    return log_file_copy(&c->out, &c->ours, old, err);
}

static int add(void *arg, const struct log_record *record, bool known, struct error *err) {
    (void)known;
    struct complete *c = arg;
    return log_file_add(&c->out, record, err);
}

static int note_gap(void *arg, int64_t from_ns, int64_t to_ns, enum log_origin behind, bool first,
                    struct error *err) {
    struct complete *c = arg;
    bool rotated = behind == LOG_THEIRS && first && log_can_rotate(c->state);
    struct log_gap gap = {
        .from_ns = from_ns, .to_ns = to_ns, .reason = rotated ? LOG_GAP_ROTATED : LOG_GAP_LOST};
    return log_file_add_gap(&c->out, &gap, err);
}

static const struct log_merge_calls merge_calls = {.next = next_old,
                                                   .find = find_old,
                                                   .begins = begins,
                                                   .keep = keep,
                                                   .add = add,
                                                   .gap = note_gap};

static int take_line(void *arg, const struct engine_log_line *line, struct error *err) {
    struct complete *c = arg;
    struct log_record record;
    if (log_record_of_line(line, &record, err) < 0)
        return -1;
    return log_merge_push(&c->merge, &record, err);
}

/* The engine's log ends before ours: until when, nobody knows. */
static int end_lost(struct complete *c, struct error *err) {
    const struct engine_container *state = c->state;
    int64_t from_ns = c->merge.last_ns;
    int64_t to_ns =
        state->running ? clock_wall().ns : log_time_ns(state->finished, strlen(state->finished));
    bool died = !state->running && state->exit_code == LOG_EXIT_LOST;
    struct log_gap gap = {.from_ns = from_ns,
                          .to_ns = to_ns > from_ns ? to_ns : from_ns,
                          .reason = died ? LOG_GAP_HOST_RESTARTED : LOG_GAP_LOST};
    return log_file_add_gap(&c->out, &gap, err);
}

static int merge(struct complete *c, struct engine *engine, const struct task *task,
                 struct error *err) {
    struct engine_log_options options = {.timestamps = true, .tty = c->state->tty};
    log_reader_init(&c->reader, c->ours.fd, c->ours.path, 0, c->ours.size);
    log_merge_init(&c->merge, &merge_calls, c);
    if (engine_container_logs(engine, c->state->id, &options, take_line, c, task, err) < 0)
        return -1;
    int r = log_merge_end(&c->merge, err);
    return r == 1 ? end_lost(c, err) : r;
}

/* Engines of all versions say it in these words. */
static bool is_unreadable(const struct error *err) {
    return strstr(err->text, "does not support reading") != NULL;
}

static int complete(struct engine *engine, const struct engine_container *state, const char *path,
                    const struct task *task, struct log_result *ret, struct error *err) {
    cleanup_free char *beside = text_format("%s.again", path);
    struct complete c = {.state = state, .ours = LOG_FILE_NULL, .out = LOG_FILE_NULL};
    int r = log_file_open(&c.ours, path, false, err);
    if (r == 0)
        r = log_file_open(&c.out, beside, true, err);
    if (r == 0)
        r = merge(&c, engine, task, err);
    if (r == 0)
        r = log_file_flush(&c.out, err);
    if (r == 0 && rename(beside, path) < 0)
        r = error_set_os(err, ERROR_IO, errno, "replace '%s'", path);
    if (r < 0)
        unlink(beside); /* what we have is better than half of it */
    log_result_of(r < 0 ? &c.ours : &c.out, ret);
    ret->complete = r == 0;
    log_merge_deinit(&c.merge);
    log_reader_deinit(&c.reader);
    log_file_deinit(&c.ours);
    log_file_deinit(&c.out);
    return r;
}

int log_complete(struct engine *engine, const struct engine_container *state, const char *path,
                 const struct task *task, struct log_result *result, struct error *err) {
    if (result->complete && !log_may_have_rotated(state, result->bytes, result->lines))
        return 0;
    struct log_result found = {.breaks = result->breaks};
    int r = complete(engine, state, path, task, &found, err);
    log_result_deinit(result);
    *result = found;
    if (r == 0 || !is_unreadable(err))
        return r;
    error_clear(err);
    result->unreadable = true;
    if (result->lines == 0)
        unlink(path); /* an empty file would say that there was nothing */
    return 1;
}
