#include "runner/report/summary.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "runner/report/load.h"

#include <inttypes.h>
#include <string.h>

enum { SUMMARY_SCHEMA = 1, LAST_SIGNAL = 64 };

static const char *const verdict_names[] = {
#define X(verdict, name) [VERDICT_##verdict] = name,
    VERDICTS(X)
#undef X
};

const char *verdict_name(enum verdict verdict) {
    return verdict_names[verdict];
}

int report_exit_signal(const struct report_container *c) {
    return c->ended && c->exit_code > 128 && c->exit_code <= 128 + LAST_SIGNAL
               ? (int)c->exit_code - 128
               : 0;
}

/* A replica or sidecar that ended before we stopped it, or whatever was killed by a fault. */
static bool crashed(const struct report_container *c) {
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
        return ends ? report_exit_signal(c) != 0 : true;
    /* After our SIGTERM 143 is the usual end, and 137 means that its grace was over. */
    int signal = report_exit_signal(c);
    return signal != 0 && signal != 15 && signal != 9 && signal != 2;
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

static bool load_reached(const struct report_input *in) {
    if (!in->load_expected)
        return true;
    if (json_count(in->load_gaps) > 0)
        return false;
    for (size_t i = 0; i < in->container_count; i++) {
        const struct report_container *c = &in->containers[i];
        if (text_equal(c->role, "loader") && c->ended && c->exit_code != 0)
            return false;
    }
    return !in->load || load_count(in->load, "acknowledged") >= load_count(in->load, "intended");
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

static char *crash_sentence(const struct report_container *c) {
    int signal = report_exit_signal(c);
    if (c->oom_killed)
        return text_format("%s on %s was killed: out of memory", c->name, c->host);
    if (signal)
        return text_format("%s on %s was ended by signal %d (%s)", c->name, c->host, signal,
                           strsignal(signal));
    return text_format("%s on %s ended by itself with exit status %" PRId64, c->name, c->host,
                       c->exit_code);
}

static char *load_sentence(const struct report_input *in) {
    if (!in->load)
        return text_dup("the loader did not report the load");
    return text_format("%" PRId64 " of %" PRId64 " requests were acknowledged (%" PRId64
                       " timed out, %" PRId64 " failed, %" PRId64 " overloaded)",
                       load_count(in->load, "acknowledged"), load_count(in->load, "intended"),
                       load_count(in->load, "timed_out"), load_count(in->load, "failed"),
                       load_count(in->load, "overloaded"));
}

static struct json *reasons(const struct report_input *in) {
    struct json *list = json_new_array();
    for (size_t i = 0; i < in->container_count; i++)
        if (crashed(&in->containers[i])) {
            cleanup_free char *sentence = crash_sentence(&in->containers[i]);
            json_append_text(list, sentence);
        }
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
    json_set(summary, "agreement", agreement_json(in->agreement));
    struct json *containers = json_set_array(summary, "containers");
    for (size_t i = 0; i < in->container_count; i++)
        if (in->containers[i].created)
            json_append(containers, container_json(&in->containers[i]));
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
    agreement_text(in->agreement, in->agreement_expected, out);
    containers_text(in, out);
    for (size_t i = 0; i < in->left_behind_count; i++)
        buffer_format(out, "%s%s\n", i == 0 ? "LEFT BEHIND " : "            ", in->left_behind[i]);
}
