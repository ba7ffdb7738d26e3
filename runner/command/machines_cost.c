/* What machines cost, and whether that is wanted. */

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/text.h"
#include "lib/yaml.h"
#include "runner/command/machines.h"

#include <ctype.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COST_LIMIT_USD = 10, /* per hour, where the deployment does not say it */
    SENTENCE_MAX = 4096,
};

int machines_prices(const struct deployment *d, struct prices **ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (!d->testbed.prices)
        return prices_parse("prices.yaml", NULL, 0, ret, err);
    if (file_read(d->testbed.prices, YAML_SIZE_MAX, &text, err) < 0)
        return error_wrap(err, "testbed.prices");
    return prices_parse(d->testbed.prices, buffer_string(&text), text.size, ret, err);
}

static int64_t limit_usd(const struct deployment *d) {
    int64_t said = d->testbed.cost_limit_usd_per_hour;
    return said ? said : COST_LIMIT_USD;
}

/* 1: all of the deployment's machines run, so that nothing would be made or started. */
static int all_run(struct machines_session *s, const struct task *task, struct error *err) {
    cleanup(machines_deinit) struct machines machines = MACHINES_NULL;
    size_t run = 0;
    if (s->provider->kind->list(s->provider, PROVIDER_DEPLOYMENT, task, &machines, err) < 0)
        return -1;
    for (size_t i = 0; i < machines.count; i++)
        run += machines.items[i].host && (machines.items[i].state == MACHINE_RUNNING ||
                                          machines.items[i].state == MACHINE_PENDING);
    return run == s->files.deployment->testbed.host_count;
}

static bool can_ask(const struct command_context *context) {
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO) &&
           context->progress_mode != PROGRESS_JSON && context->progress_mode != PROGRESS_QUIET;
}

/* The answer is the first letter of a line. */
static int ask(const char *sentence, const struct task *task, struct error *err) {
    char answer[256];
    fprintf(stderr, "%s\nGo on? [y/N] ", sentence);
    fflush(stderr);
    if (task_wait(task, STDIN_FILENO, POLLIN, err) < 0)
        return -1;
    ssize_t size = read(STDIN_FILENO, answer, sizeof answer);
    if (size > 0 && tolower((unsigned char)answer[0]) == 'y')
        return 0;
    return error_set(err, ERROR_REFUSED, "it was not wanted: nothing was made or started");
}

int machines_confirm(struct machines_session *s, bool yes, const struct task *task,
                     struct error *err) {
    const struct deployment *d = s->files.deployment;
    cleanup(prices_freep) struct prices *prices = NULL;
    cleanup(buffer_deinit) struct buffer sentence = BUFFER_NULL;
    if (yes || d->testbed.provider != DEPLOYMENT_EC2)
        return 0;
    if (machines_prices(d, &prices, err) < 0)
        return -1;
    struct cost cost = cost_of_deployment(d, prices);
    int64_t limit = limit_usd(d);
    if (cost.unknown == 0 && cost.per_hour_micros <= limit * 1000 * 1000)
        return 0;
    int running = all_run(s, task, err);
    if (running != 0)
        return running < 0 ? -1 : 0;
    buffer_init(&sentence, SENTENCE_MAX);
    buffer_format(&sentence, "%zu machines would cost ", cost.machines);
    if (cost.machines == cost.unknown)
        buffer_text(&sentence, "nobody knows how much: ");
    cost_write(&cost, false, &sentence);
    if (can_ask(s->context))
        return ask(buffer_string(&sentence), task, err);
    error_set(err, ERROR_USAGE,
              "%s; above %" PRId64 " USD per hour, or when that is not known, "
              "somebody must want it",
              buffer_string(&sentence), limit);
    return error_hint(err, "--yes wants it; testbed.cost_limit_usd_per_hour is the limit, and "
                           "testbed.prices names a table with other prices");
}

bool machines_report_cost(const struct machines_session *s, struct report_cost *ret) {
    static char unknown_type[sizeof((struct cost *)0)->unknown_type];
    cleanup(prices_freep) struct prices *prices = NULL;
    struct error ignored = ERROR_NULL; /* the same table has been read before, to confirm */
    if (!s->provider || machines_prices(s->files.deployment, &prices, &ignored) < 0)
        return false;
    struct cost cost =
        cost_of_machines(&s->machines, prices, clock_wall().ns / (int64_t)NS_PER_SEC);
    if (cost.machines == 0)
        return false;
    memcpy(unknown_type, cost.unknown_type, sizeof unknown_type);
    *ret = (struct report_cost){.machines = cost.machines,
                                .per_hour_micros = cost.per_hour_micros,
                                .before_micros = cost.so_far_micros,
                                .at_most = cost.at_most,
                                .unknown = cost.unknown,
                                .unknown_type = unknown_type,
                                .left_out = cost_left_out};
    return true;
}
