#include "lib/request_set.h"

#include "lib/crypto.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/keyed_hash.h"
#include "lib/memory.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

struct range {
    uint64_t first;
    uint64_t last; /* inclusive */
};

struct client_ranges {
    uint64_t client;
    struct range *ranges; /* sorted, disjoint, not even adjacent */
    size_t count;
    size_t capacity;
};

struct request_set {
    struct client_ranges *clients; /* in the order of their first request */
    size_t client_count;
    size_t client_capacity;
    uint32_t *slots;                  /* open addressing: index into clients + 1, 0 for free */
    size_t slot_count;                /* a power of two, at least twice client_count */
    struct keyed_hash hash;           /* who writes a set into a file chooses the ids */
    struct request_times *duplicates; /* sorted by client, number */
    size_t duplicate_count;
    size_t duplicate_capacity;
    size_t range_count; /* of all clients */
    uint64_t count;
};

struct request_set *request_set_new(void) {
    struct request_set *set = mem_new(struct request_set);
    set->slot_count = 64;
    random_bytes(set->hash.secret, sizeof set->hash.secret);
    set->slots = mem_new_array(uint32_t, set->slot_count);
    return set;
}

void request_set_free(struct request_set *set) {
    if (!set)
        return;
    for (size_t i = 0; i < set->client_count; i++)
        free(set->clients[i].ranges);
    free(set->clients);
    free(set->slots);
    free(set->duplicates);
    free(set);
}

/* The slot that holds `client`, or the free one where it belongs. */
static uint32_t *find_slot(const struct request_set *set, uint64_t client) {
    size_t i = (size_t)keyed_hash_of(&set->hash, &client, sizeof client) & (set->slot_count - 1);
    while (set->slots[i] && set->clients[set->slots[i] - 1].client != client)
        i = (i + 1) & (set->slot_count - 1);
    return &set->slots[i];
}

static const struct client_ranges *find_client(const struct request_set *set, uint64_t client) {
    uint32_t slot = *find_slot(set, client);
    return slot ? &set->clients[slot - 1] : NULL;
}

static void grow_slots(struct request_set *set) {
    free(set->slots);
    set->slot_count *= 2;
    set->slots = mem_new_array(uint32_t, set->slot_count);
    assert(set->clients || set->client_count == 0);
    for (size_t i = 0; i < set->client_count; i++)
        *find_slot(set, set->clients[i].client) = (uint32_t)i + 1;
}

static struct client_ranges *ensure_client(struct request_set *set, uint64_t client,
                                           struct error *err) {
    uint32_t *slot = find_slot(set, client);
    if (*slot)
        return &set->clients[*slot - 1];
    if (set->client_count == REQUEST_SET_CLIENTS_MAX) {
        error_set(err, ERROR_LIMIT, "more than %d clients in one set of requests",
                  REQUEST_SET_CLIENTS_MAX);
        return NULL;
    }
    if (2 * (set->client_count + 1) > set->slot_count) {
        grow_slots(set);
        slot = find_slot(set, client);
    }
    mem_grow(set->clients, set->client_count, set->client_capacity);
    assert(set->clients);
    set->clients[set->client_count++] = (struct client_ranges){.client = client};
    *slot = (uint32_t)set->client_count;
    return &set->clients[set->client_count - 1];
}

/* Index of the first range that ends at `number` or later; count if there is none. */
static size_t find_range(const struct client_ranges *c, uint64_t number) {
    if (c->count && c->ranges[c->count - 1].last < number)
        return c->count; /* numbers come in order: the usual case */
    size_t low = 0, high = c->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (c->ranges[middle].last < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool range_holds(const struct client_ranges *c, size_t at, uint64_t number) {
    return at < c->count && c->ranges[at].first <= number;
}

static int compare_times(const struct request_times *a, uint64_t client, uint64_t number) {
    if (a->client != client)
        return a->client < client ? -1 : 1;
    if (a->number != number)
        return a->number < number ? -1 : 1;
    return 0;
}

/* Index of the first duplicate that is not before (client, number). */
static size_t find_duplicate(const struct request_set *set, uint64_t client, uint64_t number) {
    size_t low = 0, high = set->duplicate_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_times(&set->duplicates[middle], client, number) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_duplicate(const struct request_set *set, size_t at, uint64_t client,
                         uint64_t number) {
    return at < set->duplicate_count && compare_times(&set->duplicates[at], client, number) == 0;
}

/* The request is in a range; it now counts `times_more` more. */
static int add_duplicate(struct request_set *set, uint64_t client, uint64_t number,
                         uint64_t times_more, struct error *err) {
    size_t at = find_duplicate(set, client, number);
    if (__builtin_add_overflow(set->count, times_more, &set->count))
        return error_set(err, ERROR_LIMIT, "a set of requests counts beyond 64 bits");
    if (is_duplicate(set, at, client, number)) {
        set->duplicates[at].times += times_more;
        return 0;
    }
    if (set->duplicate_count == REQUEST_SET_DUPLICATES_MAX)
        return error_set(err, ERROR_LIMIT, "more than %d requests occur more than once",
                         REQUEST_SET_DUPLICATES_MAX);
    mem_grow(set->duplicates, set->duplicate_count, set->duplicate_capacity);
    memmove(&set->duplicates[at + 1], &set->duplicates[at],
            (set->duplicate_count - at) * sizeof *set->duplicates);
    set->duplicates[at] =
        (struct request_times){.client = client, .number = number, .times = 1 + times_more};
    set->duplicate_count++;
    return 0;
}

static int insert_range(struct request_set *set, struct client_ranges *c, size_t at,
                        struct range range, struct error *err) {
    if (set->range_count == REQUEST_SET_RANGES_MAX)
        return error_set(err, ERROR_LIMIT, "a set of requests with more than %d gaps",
                         REQUEST_SET_RANGES_MAX);
    mem_grow(c->ranges, c->count, c->capacity);
    memmove(&c->ranges[at + 1], &c->ranges[at], (c->count - at) * sizeof *c->ranges);
    c->ranges[at] = range;
    c->count++;
    set->range_count++;
    return 0;
}

static void remove_range(struct request_set *set, struct client_ranges *c, size_t at) {
    memmove(&c->ranges[at], &c->ranges[at + 1], (c->count - at - 1) * sizeof *c->ranges);
    c->count--;
    set->range_count--;
}

/* `number` is in no range; `at` is the first range behind it. */
static int extend_ranges(struct request_set *set, struct client_ranges *c, size_t at,
                         uint64_t number, struct error *err) {
    bool joins_before = at > 0 && c->ranges[at - 1].last + 1 == number;
    bool joins_after = at < c->count && c->ranges[at].first == number + 1;
    if (joins_before && joins_after) {
        c->ranges[at - 1].last = c->ranges[at].last;
        remove_range(set, c, at);
        return 0;
    }
    if (joins_before)
        c->ranges[at - 1].last = number;
    else if (joins_after)
        c->ranges[at].first = number;
    else
        return insert_range(set, c, at, (struct range){number, number}, err);
    return 0;
}

static int check_number(uint64_t client, uint64_t number, struct error *err) {
    if (client > REQUEST_SET_NUMBER_MAX || number > REQUEST_SET_NUMBER_MAX)
        return error_set(err, ERROR_LIMIT, "client and number of a request go up to 2^63 - 1");
    return 0;
}

int request_set_add(struct request_set *set, uint64_t client, uint64_t number, struct error *err) {
    if (check_number(client, number, err) < 0)
        return -1;
    struct client_ranges *c = ensure_client(set, client, err);
    if (!c)
        return -1;
    size_t at = find_range(c, number);
    if (range_holds(c, at, number))
        return add_duplicate(set, client, number, 1, err);
    if (extend_ranges(set, c, at, number, err) < 0)
        return -1;
    set->count++;
    return 0;
}

int request_set_add_range(struct request_set *set, uint64_t client, uint64_t first, uint64_t last,
                          struct error *err) {
    if (check_number(client, last, err) < 0)
        return -1;
    struct client_ranges *c = ensure_client(set, client, err);
    if (!c)
        return -1;
    if (first > last || (c->count && c->ranges[c->count - 1].last >= first))
        return error_set(err, ERROR_INVALID,
                         "the ranges of client %llu are not sorted and disjoint",
                         (unsigned long long)client);
    if (__builtin_add_overflow(set->count, last - first + 1, &set->count))
        return error_set(err, ERROR_LIMIT, "a set of requests counts beyond 64 bits");
    if (c->count && c->ranges[c->count - 1].last + 1 == first) {
        c->ranges[c->count - 1].last = last;
        return 0;
    }
    return insert_range(set, c, c->count, (struct range){first, last}, err);
}

int request_set_merge(struct request_set *to, const struct request_set *from, struct error *err) {
    for (size_t i = 0; i < from->client_count; i++) {
        const struct client_ranges *c = &from->clients[i];
        if (find_client(to, c->client))
            return error_set(err, ERROR_INVALID, "client %llu is in both sets",
                             (unsigned long long)c->client);
        for (size_t j = 0; j < c->count; j++)
            if (request_set_add_range(to, c->client, c->ranges[j].first, c->ranges[j].last, err) <
                0)
                return -1;
    }
    for (size_t i = 0; i < from->duplicate_count; i++) {
        const struct request_times *d = &from->duplicates[i];
        if (add_duplicate(to, d->client, d->number, d->times - 1, err) < 0)
            return -1;
    }
    return 0;
}

uint64_t request_set_count(const struct request_set *set) {
    return set->count;
}

uint64_t request_set_times(const struct request_set *set, uint64_t client, uint64_t number) {
    const struct client_ranges *c = find_client(set, client);
    if (!c || !range_holds(c, find_range(c, number), number))
        return 0;
    size_t at = find_duplicate(set, client, number);
    return is_duplicate(set, at, client, number) ? set->duplicates[at].times : 1;
}

/* -- writing -- */

static int compare_clients(const void *a, const void *b) {
    const struct client_ranges *const *x = a, *const *y = b;
    return ((*x)->client > (*y)->client) - ((*x)->client < (*y)->client);
}

/* The clients in rising order; malloc()ed. */
static const struct client_ranges **sort_clients(const struct request_set *set) {
    const struct client_ranges **sorted =
        mem_new_array(const struct client_ranges *, set->client_count + 1);
    for (size_t i = 0; i < set->client_count; i++)
        sorted[i] = &set->clients[i];
    qsort(sorted, set->client_count, sizeof *sorted, compare_clients);
    return sorted;
}

void request_set_write(const struct request_set *set, struct buffer *out) {
    cleanup_free const struct client_ranges **sorted = sort_clients(set);
    buffer_format(out, "{\"schema\":1,\"count\":%llu,\"clients\":[",
                  (unsigned long long)set->count);
    for (size_t i = 0; i < set->client_count; i++) {
        buffer_format(out, "%s\n{\"client\":%llu,\"ranges\":[", i ? "," : "",
                      (unsigned long long)sorted[i]->client);
        for (size_t j = 0; j < sorted[i]->count; j++)
            buffer_format(out, "%s[%llu,%llu]", j ? "," : "",
                          (unsigned long long)sorted[i]->ranges[j].first,
                          (unsigned long long)sorted[i]->ranges[j].last);
        buffer_text(out, "]}");
    }
    buffer_text(out, "],\n\"duplicates\":[");
    for (size_t i = 0; i < set->duplicate_count; i++)
        buffer_format(out, "%s\n{\"client\":%llu,\"number\":%llu,\"times\":%llu}", i ? "," : "",
                      (unsigned long long)set->duplicates[i].client,
                      (unsigned long long)set->duplicates[i].number,
                      (unsigned long long)set->duplicates[i].times);
    buffer_text(out, "]}\n");
}

int request_set_save(const struct request_set *set, const char *path, struct error *err) {
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, REQUEST_SET_JSON_SIZE_MAX);
    request_set_write(set, &out);
    if (buffer_check(&out, "a set of requests", err) < 0)
        return -1;
    return file_write(path, 0644, out.data, out.size, err);
}

/* -- reading -- */

static int parse_range(struct request_set *set, uint64_t client, const struct json *range,
                       struct error *err) {
    int64_t first, last;
    if (json_count(range) != 2 || json_require_int(range, "0", 0, INT64_MAX, &first, err) < 0 ||
        json_require_int(range, "1", 0, INT64_MAX, &last, err) < 0)
        return error_set(err, ERROR_INVALID,
                         "a range of client %llu is not a pair of request numbers",
                         (unsigned long long)client);
    return request_set_add_range(set, client, (uint64_t)first, (uint64_t)last, err);
}

static int parse_client(struct request_set *set, const struct json *value, struct error *err) {
    int64_t client;
    const struct json *ranges;
    if (json_require_int(value, "client", 0, INT64_MAX, &client, err) < 0 ||
        json_require_array(value, "ranges", &ranges, err) < 0)
        return -1;
    if (find_client(set, (uint64_t)client))
        return error_set(err, ERROR_INVALID, "client %lld is listed twice", (long long)client);
    for (size_t i = 0; i < json_count(ranges); i++)
        if (parse_range(set, (uint64_t)client, json_at(ranges, i), err) < 0)
            return -1;
    return 0;
}

static int parse_duplicate(const struct json *value, struct request_times *ret, struct error *err) {
    int64_t client, number, times;
    if (json_require_int(value, "client", 0, INT64_MAX, &client, err) < 0 ||
        json_require_int(value, "number", 0, INT64_MAX, &number, err) < 0 ||
        json_require_int(value, "times", 2, INT64_MAX, &times, err) < 0)
        return -1;
    *ret = (struct request_times){
        .client = (uint64_t)client, .number = (uint64_t)number, .times = (uint64_t)times};
    return 0;
}

static int by_request(const void *a, const void *b) {
    const struct request_times *other = b;
    return compare_times(a, other->client, other->number);
}

/* Sorted first: each goes behind all others then, and none has to be moved. */
static int parse_duplicates(struct request_set *set, const struct json *list, struct error *err) {
    size_t count = json_count(list);
    cleanup_free struct request_times *all = mem_new_array(struct request_times, count + 1);
    for (size_t i = 0; i < count; i++)
        if (parse_duplicate(json_at(list, i), &all[i], err) < 0)
            return -1;
    qsort(all, count, sizeof *all, by_request);
    for (size_t i = 0; i < count; i++) {
        const struct request_times *d = &all[i];
        if (request_set_times(set, d->client, d->number) != 1)
            return error_set(err, ERROR_INVALID,
                             "duplicate (%llu, %llu) is in no range, or listed twice",
                             (unsigned long long)d->client, (unsigned long long)d->number);
        if (add_duplicate(set, d->client, d->number, d->times - 1, err) < 0)
            return -1;
    }
    return 0;
}

static int parse_set(struct request_set *set, const struct json *value, struct error *err) {
    int64_t schema, count;
    const struct json *clients, *duplicates;
    if (json_require_int(value, "schema", 1, 1, &schema, err) < 0 ||
        json_require_int(value, "count", 0, INT64_MAX, &count, err) < 0 ||
        json_require_array(value, "clients", &clients, err) < 0 ||
        json_require_array(value, "duplicates", &duplicates, err) < 0)
        return -1;
    for (size_t i = 0; i < json_count(clients); i++)
        if (parse_client(set, json_at(clients, i), err) < 0)
            return -1;
    if (parse_duplicates(set, duplicates, err) < 0)
        return -1;
    if (set->count != (uint64_t)count)
        return error_set(err, ERROR_INVALID, "'count' is %lld, but %llu requests are listed",
                         (long long)count, (unsigned long long)set->count);
    return 0;
}

int request_set_parse(const char *json, size_t size, struct request_set **ret, struct error *err) {
    cleanup(json_freep) struct json *value = NULL;
    if (json_parse(json, size, REQUEST_SET_JSON_SIZE_MAX, &value, err) < 0)
        return -1;
    cleanup(request_set_freep) struct request_set *set = request_set_new();
    if (parse_set(set, value, err) < 0)
        return -1;
    *ret = take_ptr(set);
    return 0;
}

int request_set_load(const char *path, struct request_set **ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer in = BUFFER_NULL;
    if (file_read(path, REQUEST_SET_JSON_SIZE_MAX, &in, err) < 0)
        return -1;
    if (request_set_parse(buffer_string(&in), in.size, ret, err) < 0)
        return error_wrap(err, "read the set of requests '%s'", path);
    return 0;
}

/* -- comparing -- */

/* `number` counts as one more missing request; only the first few are listed. */
static void list_missing(struct request_check *check, uint64_t client, uint64_t first,
                         uint64_t last) {
    check->missing += last - first + 1;
    for (uint64_t n = first; check->missing_listed < REQUEST_CHECK_LISTED_MAX; n++) {
        check->missing_first[check->missing_listed++] =
            (struct request_times){.client = client, .number = n};
        if (n == last)
            break;
    }
}

/* What of `range` none of the ranges of `c` from *at on holds. Both sides rise together. */
static void check_range(const struct client_ranges *c, size_t *at, uint64_t client,
                        struct range range, struct request_check *check) {
    uint64_t next = range.first;
    check->acknowledged += range.last - range.first + 1;
    while (*at < c->count && c->ranges[*at].last < next)
        ++*at;
    for (; *at < c->count && c->ranges[*at].first <= range.last; ++*at) {
        const struct range *have = &c->ranges[*at];
        if (have->first > next)
            list_missing(check, client, next, have->first - 1);
        if (have->last >= range.last)
            return;
        next = have->last + 1;
    }
    list_missing(check, client, next, range.last);
}

static uint64_t count_distinct(const struct request_set *set) {
    uint64_t distinct = set->count;
    for (size_t i = 0; i < set->duplicate_count; i++)
        distinct -= set->duplicates[i].times - 1;
    return distinct;
}

void request_set_check(const struct request_set *acknowledged, const struct request_set *executed,
                       struct request_check *ret) {
    static const struct client_ranges nobody = {0};
    struct request_check check = {0};
    cleanup_free const struct client_ranges **sorted = sort_clients(acknowledged);
    for (size_t i = 0; i < acknowledged->client_count; i++) {
        const struct client_ranges *have = find_client(executed, sorted[i]->client);
        size_t at = 0;
        for (size_t j = 0; j < sorted[i]->count; j++)
            check_range(have ? have : &nobody, &at, sorted[i]->client, sorted[i]->ranges[j],
                        &check);
    }
    check.acknowledged_in_chain = check.acknowledged - check.missing;
    check.executed = count_distinct(executed);
    check.unacknowledged = check.executed - check.acknowledged_in_chain;
    check.duplicates = executed->duplicate_count;
    for (size_t i = 0; i < executed->duplicate_count && i < REQUEST_CHECK_LISTED_MAX; i++)
        check.duplicates_first[check.duplicates_listed++] = executed->duplicates[i];
    *ret = check;
}
