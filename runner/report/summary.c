#include "runner/report/summary.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/report/load.h"

#include <inttypes.h>
#include <string.h>

enum { SUMMARY_SCHEMA = 1, LAST_SIGNAL = 64, SENTENCE_MAX = 4096 };

static const char *const verdict_names[] = {
#define X(verdict, name) [VERDICT_##verdict] = name,
    VERDICTS(X)
#undef X
};

const char *verdict_name(enum verdict verdict) {
    return verdict_names[verdict];
}

static int status_signal(const struct report_container *c) {
    return c->ended && c->exit_code > 128 && c->exit_code <= 128 + LAST_SIGNAL
               ? (int)c->exit_code - 128
               : 0;
}

/* What it crashed of says more than that we had to kill what was left of it. */
int report_exit_signal(const struct report_container *c) {
    for (size_t i = 0; i < c->core_count; i++)
        if (c->cores[i].signal)
            return c->cores[i].signal;
    return status_signal(c);
}

/* A replica or sidecar that ended before we stopped it, or whatever was killed by a fault. */
static bool ended_badly(const struct report_container *c) {
    if (!c->ended)
        return false;
    if (c->oom_killed)
        return true;
    /* What our stop leaves behind is not held against it. */
    if (c->found_ended)
        return c->exit_code != 0 && c->exit_code != 130 && c->exit_code != 137 &&
               c->exit_code != 143;
    /* These end by themselves; how, is judged by the steps that wait for it. */
    bool ends = text_equal(c->role, "loader") || text_equal(c->role, "prepare");
    if (!c->stopped_by_us)
        return ends ? status_signal(c) != 0 : true;
    /* After our SIGTERM 143 is the usual end, and 137 means that its grace was over. */
    int signal = status_signal(c);
    return signal != 0 && signal != 15 && signal != 9 && signal != 2;
}

/* Also what its restart policy, or its own shell, has made good. */
static bool crashed(const struct report_container *c) {
    return c->core_count > 0 || c->restarts > 0 || ended_badly(c);
}

static int64_t load_count(const struct json *load, const char *name) {
    struct error ignored = ERROR_NULL;
    int64_t value = 0;
    cleanup_free char *path = text_format("requests.%s", name);
    return json_get_int(load, path, 0, &value, &ignored) < 0 ? 0 : value;
}

int report_check_load(const struct json *load, struct error *err) {
    static const char *const counts[] = {"requests.intended", "requests.sent",
                                         "requests.acknowledged"};
    int64_t value;
    double number;
    if (!json_is_object(load))
        return error_set(err, ERROR_INVALID, "load.json: must be an object, not %s",
                         json_type_name(load));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (json_require_int(load, counts[i], 0, INT64_MAX, &value, err) < 0)
            return error_wrap(err, "load.json");
    if (json_get_number(load, "throughput_per_s", 0, &number, err) < 0 ||
        json_get_number(load, "seconds", 0, &number, err) < 0)
        return error_wrap(err, "load.json");
    return 0;
}

static const struct report_container *failed_loader(const struct report_input *in) {
    for (size_t i = 0; i < in->container_count; i++) {
        const struct report_container *c = &in->containers[i];
        if (text_equal(c->role, "loader") && c->ended && c->exit_code != 0)
            return c;
    }
    return NULL;
}

static bool all_acknowledged(const struct report_input *in) {
    return load_count(in->load, "acknowledged") >= load_count(in->load, "intended");
}

static bool load_reached(const struct report_input *in) {
    if (!in->load_expected)
        return true;
    if (json_count(in->load_gaps) > 0)
        return false;
    if (failed_loader(in))
        return false;
    return !in->load || all_acknowledged(in);
}

enum verdict report_verdict(const struct report_input *in) {
    for (size_t i = 0; i < in->container_count; i++)
        if (crashed(&in->containers[i]))
            return VERDICT_CRASHED;
    if (!in->agreement->ok && in->agreement->reason_count)
        return VERDICT_DISAGREEMENT;
    if (in->interrupted)
        return VERDICT_INTERRUPTED;
    if (in->failure_count)
        return VERDICT_FAILED;
    if (!load_reached(in))
        return in->load && load_count(in->load, "overloaded") > 0 ? VERDICT_OVERLOADED
                                                                  : VERDICT_LOAD_NOT_REACHED;
    return VERDICT_GOOD;
}

/* ---- crashes ---- */

static void memory_sentence(const struct report_container *c, struct buffer *out) {
    buffer_text(out, " was killed: out of memory");
    if (c->memory_bytes > 0)
        buffer_format(out, " (it may use %.1f MiB", (double)c->memory_bytes / (1 << 20));
    else
        buffer_text(out, " (it has no limit: the host's memory was used up");
    if (c->memory_bytes_seen > 0)
        buffer_format(out, "; %.1f MiB were seen", (double)c->memory_bytes_seen / (1 << 20));
    buffer_text(out, ")");
}

static void core_sentence(const struct report_container *c, struct buffer *out) {
    const struct report_core *core = &c->cores[0];
    if (core->where)
        buffer_format(out, ", in %s", core->where);
    buffer_format(out, "; core dump in '%s'", core->path);
    if (c->core_count > 1)
        buffer_format(out, " (and %zu more)", c->core_count - 1);
}

static char *crash_sentence(const struct report_container *c) {
    int signal = report_exit_signal(c);
    const struct report_core *core = c->core_count > 0 ? &c->cores[0] : NULL;
    struct buffer out;
    buffer_init(&out, SENTENCE_MAX);
    if (core && !status_signal(c)) /* a part of it did, and it went on, or ended as it liked */
        buffer_format(&out, "%s%sa process of ", core->program ? core->program : "",
                      core->program ? ", " : "");
    buffer_format(&out, "%s on %s", c->name, c->host);
    if (c->oom_killed)
        memory_sentence(c, &out);
    else if (!core && !ended_badly(c))
        buffer_text(&out, " ended by itself");
    else if (signal)
        buffer_format(&out, " was ended by signal %d (%s)", signal, strsignal(signal));
    else if (core)
        buffer_text(&out, " crashed");
    else
        buffer_format(&out, " ended by itself with exit status %" PRId64, c->exit_code);
    if (c->restarts > 0)
        buffer_format(&out, ", and its restart policy started it again (%" PRId64 " times)",
                      c->restarts);
    if (core)
        core_sentence(c, &out);
    return buffer_take(&out);
}

/* The better its end is known, the earlier it is told. */
static int crash_rank(const struct report_container *c) {
    if (!crashed(c))
        return -1;
    return c->core_count > 0 ? 0 : c->oom_killed || status_signal(c) ? 1 : 2;
}
enum { CRASH_RANKS = 3 };

static void crash_reasons(const struct report_input *in, struct json *list) {
    for (int rank = 0; rank < CRASH_RANKS; rank++)
        for (size_t i = 0; i < in->container_count; i++)
            if (crash_rank(&in->containers[i]) == rank) {
                cleanup_free char *sentence = crash_sentence(&in->containers[i]);
                json_append_text(list, sentence);
            }
}

static char *load_sentence(const struct report_input *in) {
    const struct report_container *loader = failed_loader(in);
    if (!in->load)
        return text_dup("the loader did not report the load");
    if (loader && all_acknowledged(in))
        return text_format("%s on %s is not content with the load (exit status %" PRId64
                           "): its last lines say why",
                           loader->name, loader->host, loader->exit_code);
    return text_format("%" PRId64 " of %" PRId64 " requests were acknowledged (%" PRId64
                       " timed out, %" PRId64 " failed, %" PRId64 " overloaded)",
                       load_count(in->load, "acknowledged"), load_count(in->load, "intended"),
                       load_count(in->load, "timed_out"), load_count(in->load, "failed"),
                       load_count(in->load, "overloaded"));
}

static struct json *reasons(const struct report_input *in) {
    struct json *list = json_new_array();
    crash_reasons(in, list);
    for (size_t i = 0; i < in->agreement->reason_count; i++)
        json_append_text(list, in->agreement->reasons[i]);
    if (in->interrupted)
        json_append_text(list, "interrupted by the user");
    for (size_t i = 0; i < in->failure_count; i++)
        json_append_text(list, in->failures[i]);
    if (!load_reached(in)) {
        cleanup_free char *sentence = load_sentence(in);
        json_append_text(list, sentence);
        for (size_t i = 0; i < json_count(in->load_gaps); i++)
            json_append_text(list, json_text_or_null(json_at(in->load_gaps, i)));
    }
    return list;
}

static void set_known(struct json *object, const char *key, const char *text) {
    json_set(object, key, text ? json_new_text(text) : json_new_null());
}

static void cores_json(const struct report_container *c, struct json *list) {
    for (size_t i = 0; i < c->core_count; i++) {
        const struct report_core *core = &c->cores[i];
        struct json *object = json_append(list, json_new_object());
        json_set_text(object, "path", core->path);
        set_known(object, "program", core->program);
        set_known(object, "build_id", core->build_id);
        json_set(object, "signal", core->signal ? json_new_int(core->signal) : json_new_null());
        set_known(object, "where", core->where);
    }
}

static struct json *container_json(const struct report_container *c) {
    struct json *object = json_new_object();
    int signal = report_exit_signal(c);
    json_set_text(object, "name", c->name);
    json_set_text(object, "service", c->service);
    json_set_text(object, "role", c->role);
    json_set_text(object, "host", c->host);
    set_known(object, "image", c->image);
    set_known(object, "image_id", c->image_id);
    set_known(object, "image_digest", c->image_digest);
    json_set(object, "exit_code", c->ended ? json_new_int(c->exit_code) : json_new_null());
    json_set(object, "signal", signal ? json_new_int(signal) : json_new_null());
    json_set_bool(object, "oom_killed", c->oom_killed);
    json_set(object, "memory_limit_bytes",
             c->memory_bytes > 0 ? json_new_int(c->memory_bytes) : json_new_null());
    cores_json(c, json_set_array(object, "cores"));
    json_set_int(object, "restarts", c->restarts);
    return object;
}

struct json *report_summary(const struct report_input *in) {
    struct json *summary = json_new_object();
    json_set_int(summary, "schema", SUMMARY_SCHEMA);
    json_set_text(summary, "run", in->run);
    json_set_text(summary, "name", in->name);
    json_set_text(summary, "verdict", verdict_name(report_verdict(in)));
    json_set(summary, "reasons", reasons(in));
    json_set(summary, "load", in->load ? json_copy_deep(in->load) : json_new_null());
    if (json_count(in->loads_by_hand) > 0)
        json_set(summary, "loads_by_hand", json_copy_deep(in->loads_by_hand));
    json_set(summary, "agreement", agreement_json(in->agreement));
    struct json *containers = json_set_array(summary, "containers");
    for (size_t i = 0; i < in->container_count; i++)
        if (in->containers[i].created)
            json_append(containers, container_json(&in->containers[i]));
    json_set(summary, "resources", in->resources ? resources_json(in->resources) : json_new_null());
    json_set(summary, "cost", in->cost ? report_cost_json(in->cost) : json_new_null());
    struct json *left = json_set_array(summary, "left_behind");
    for (size_t i = 0; i < in->left_behind_count; i++)
        json_append_text(left, in->left_behind[i]);
    return summary;
}

static void latency_text(const struct json *load, struct buffer *out) {
    static const char *const names[] = {"min", "p50", "p90", "p99", "p999", "p9999", "max"};
    struct error ignored = ERROR_NULL;
    const struct json *latency = NULL;
    if (json_get_object(load, "latency_ns", &latency, &ignored) < 0 || !latency)
        return;
    buffer_text(out, "  latency   ");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        double ns = 0;
        if (json_require_number(latency, names[i], &ns, &ignored) == 0)
            buffer_format(out, "%s%s %.3f ms", i ? "  " : "", names[i], ns / 1e6);
    }
    buffer_text(out, "\n");
}

static void load_text(const struct report_input *in, struct buffer *out) {
    struct error ignored = ERROR_NULL;
    double throughput = 0, seconds = 0;
    if (!in->load_expected)
        return;
    if (!in->load) {
        buffer_text(out, "load        not reported\n");
        return;
    }
    json_get_number(in->load, "throughput_per_s", 0, &throughput, &ignored);
    json_get_number(in->load, "seconds", 0, &seconds, &ignored);
    cleanup_free char *sentence = load_sentence(in);
    buffer_format(out, "load        %s\n  rate      %.1f requests/s over %.2f s\n", sentence,
                  throughput, seconds);
    latency_text(in->load, out);
    report_loaders_text(in->load, out);
}

/* Each has a report of its own in its folder. */
static void loads_by_hand_text(const struct json *loads, struct buffer *out) {
    for (size_t i = 0; i < json_count(loads); i++) {
        const struct json *one = json_at(loads, i), *load = json_member(one, "load");
        buffer_format(out, "%s%s: %s", i == 0 ? "by hand     " : "            ",
                      json_text_or_null(json_member(one, "folder")),
                      json_text_or_null(json_member(one, "verdict")));
        if (json_is_object(load))
            buffer_format(out, ", %" PRId64 " of %" PRId64 " requests were acknowledged",
                          load_count(load, "acknowledged"), load_count(load, "intended"));
        buffer_text(out, "\n");
    }
}

static void agreement_text(const struct agreement *a, bool expected, struct buffer *out) {
    if (!a->checked) {
        if (expected)
            buffer_text(out, "agreement   not checked: no replica reported its state\n");
        return;
    }
    buffer_format(out, "agreement   %s: %zu replicas, height %" PRIu64 ", digest %.16s\n",
                  a->ok ? "yes" : "NO", a->replicas, a->height, a->digest);
    if (a->requests_checked)
        buffer_format(out,
                      "  requests  %" PRIu64 " acknowledged and in the chain, %" PRIu64
                      " more than once\n",
                      a->acknowledged_in_chain, a->duplicates);
}

static void containers_text(const struct report_input *in, struct buffer *out) {
    const char *head = "containers  ";
    for (size_t i = 0; i < in->container_count; i++) {
        const struct report_container *c = &in->containers[i];
        if (!c->created)
            continue;
        buffer_format(out, "%s%s on %s, image %.19s", head, c->name, c->host,
                      c->image_id ? c->image_id : "unknown");
        if (c->ended)
            buffer_format(out, ", exit status %" PRId64 "\n", c->exit_code);
        else
            buffer_text(out, "\n");
        head = "            ";
    }
}

static void indented(const char *text, struct buffer *out) {
    for (const char *line = text; *line;) {
        size_t length = strcspn(line, "\n");
        buffer_text(out, "    | ");
        text_harmless(out, line, length);
        buffer_text(out, "\n");
        line += length + (line[length] == '\n');
    }
}

void report_text(const struct report_input *in, struct buffer *out) {
    cleanup(json_freep) struct json *why = reasons(in);
    buffer_format(out, "\nverdict     %s\n", verdict_name(report_verdict(in)));
    for (size_t i = 0; i < json_count(why); i++)
        buffer_format(out, "  because   %s\n", json_text_or_null(json_at(why, i)));
    for (size_t i = 0; i < in->container_count; i++) {
        const struct report_container *c = &in->containers[i];
        if (!c->last_lines || !*c->last_lines)
            continue;
        buffer_format(out, "  the last lines of %s:\n", c->name);
        indented(c->last_lines, out);
    }
    load_text(in, out);
    loads_by_hand_text(in->loads_by_hand, out);
    agreement_text(in->agreement, in->agreement_expected, out);
    if (in->resources)
        resources_text(in->resources, out);
    containers_text(in, out);
    if (in->cost)
        report_cost_text(in->cost, out);
    for (size_t i = 0; i < in->left_behind_count; i++)
        buffer_format(out, "%s%s\n", i == 0 ? "LEFT BEHIND " : "            ", in->left_behind[i]);
}
