#include "runner/report/agreement.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { STATE_MAX_BYTES = 64 << 10 };

int agreement_read_state(const char *text, size_t size, struct agreement_replica *ret,
                         struct error *err) {
    cleanup(json_freep) struct json *state = NULL;
    int64_t height;
    const char *digest;
    if (json_parse(text, size, STATE_MAX_BYTES, &state, err) < 0 ||
        json_require_int(state, "height", 0, INT64_MAX, &height, err) < 0 ||
        json_require_text(state, "digest", &digest, err) < 0)
        return error_wrap(err, "state.json");
    if (strlen(digest) >= sizeof ret->digest)
        return error_set(err, ERROR_LIMIT, "state.json: the digest is longer than %d characters",
                         AGREEMENT_DIGEST_MAX - 1);
    ret->has_state = true;
    ret->height = (uint64_t)height;
    snprintf(ret->digest, sizeof ret->digest, "%s", digest);
    return 0;
}

static void __attribute__((format(printf, 2, 3)))
disagree(struct agreement *a, const char *format, ...) {
    a->ok = false;
    if (a->reason_count == AGREEMENT_REASONS_MAX)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(a->reasons[a->reason_count++], AGREEMENT_REASON_MAX, format, args);
    va_end(args);
}

static void compare_states(const struct agreement_replica *replicas, size_t count,
                           struct agreement *a) {
    const struct agreement_replica *first = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct agreement_replica *r = &replicas[i];
        if (!r->has_state)
            continue;
        a->checked = true;
        a->replicas++;
        if (!first) {
            first = r;
            a->height = r->height;
            memcpy(a->digest, r->digest, sizeof a->digest);
        } else if (r->height != first->height) {
            disagree(a, "%s is at height %llu, %s at %llu", first->name,
                     (unsigned long long)first->height, r->name, (unsigned long long)r->height);
        } else if (strcmp(r->digest, first->digest) != 0) {
            disagree(a, "%s and %s have different digests at height %llu: %.16s…, %.16s…",
                     first->name, r->name, (unsigned long long)r->height, first->digest, r->digest);
        }
    }
}

static void report_missing(const struct agreement_replica *r, const struct request_check *check,
                           struct agreement *a) {
    if (check->missing)
        disagree(a,
                 "%llu acknowledged requests are not in the chain of %s, first: client %llu "
                 "number %llu",
                 (unsigned long long)check->missing, r->name,
                 (unsigned long long)check->missing_first[0].client,
                 (unsigned long long)check->missing_first[0].number);
}

static void report_duplicates(const struct agreement_replica *r, const struct request_check *check,
                              struct agreement *a) {
    if (check->duplicates)
        disagree(a,
                 "%llu requests are more than once in the chain of %s, first: client %llu "
                 "number %llu",
                 (unsigned long long)check->duplicates, r->name,
                 (unsigned long long)check->duplicates_first[0].client,
                 (unsigned long long)check->duplicates_first[0].number);
}

/* What is lowest, or highest, among the replicas is what the trial has to answer for. */
static void compare_requests(const struct agreement_replica *r,
                             struct request_set *const *acknowledged, size_t count,
                             struct agreement *a) {
    uint64_t in_chain = 0;
    struct request_check check;
    for (size_t i = 0; i < count; i++) {
        request_set_check(acknowledged[i], r->executed, &check);
        in_chain += check.acknowledged_in_chain;
        report_missing(r, &check, a);
    }
    report_duplicates(r, &check, a);
    if (!a->requests_checked || in_chain < a->acknowledged_in_chain)
        a->acknowledged_in_chain = in_chain;
    if (check.duplicates > a->duplicates)
        a->duplicates = check.duplicates;
    a->requests_checked = true;
}

void agreement_check(const struct agreement_replica *replicas, size_t count,
                     struct request_set *const *acknowledged, size_t acknowledged_count,
                     struct agreement *ret) {
    *ret = (struct agreement){.ok = true};
    compare_states(replicas, count, ret);
    for (size_t i = 0; acknowledged_count && i < count; i++)
        if (replicas[i].executed)
            compare_requests(&replicas[i], acknowledged, acknowledged_count, ret);
    ret->ok = ret->ok && ret->checked;
}

struct json *agreement_json(const struct agreement *a) {
    if (!a->checked && !a->requests_checked)
        return json_new_null();
    struct json *object = json_new_object();
    json_set_bool(object, "ok", a->ok);
    json_set_int(object, "replicas", (int64_t)a->replicas);
    json_set_int(object, "height", (int64_t)a->height);
    json_set_text(object, "digest", a->digest);
    if (a->requests_checked) {
        json_set_int(object, "acknowledged_in_chain", (int64_t)a->acknowledged_in_chain);
        json_set_int(object, "duplicates", (int64_t)a->duplicates);
    } else {
        json_set(object, "acknowledged_in_chain", json_new_null());
        json_set(object, "duplicates", json_new_null());
    }
    return object;
}
