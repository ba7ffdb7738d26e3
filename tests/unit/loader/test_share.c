/* A load that several loaders share: the parts are the whole, and all begin at one time. */

#include "loader/share.h"
#include "loader/start.h"

#include "lib/cleanup.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "loader/limits.h"
#include "tests/unit/folder.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cmocka.h>

static struct options parse(const char *first, const char *second, const char *third,
                            const char *fourth) {
    char *argv[] = {(char[]){"loader"}, text_dup(first),  text_dup(second),
                    text_dup(third),    text_dup(fourth), NULL};
    struct options o;
    struct error err = ERROR_NULL;
    if (options_parse(5, argv, &o, &err) < 0)
        fail_msg("%s", err.text);
    for (int i = 1; i < 5; i++)
        free(argv[i]); /* numbers only: no text is borrowed */
    return o;
}

static void environment_says_which_loader_of_how_many(void **state) {
    (void)state;
    struct share s;
    struct error err = ERROR_NULL;
    assert_int_equal(share_parse("2", "3", &s, &err), 0);
    assert_int_equal(s.index, 2);
    assert_int_equal(s.loaders, 3);
    assert_int_equal(share_part(&s), 2);
    assert_int_equal(share_parse("7", NULL, &s, &err), 0); /* by itself, but another's ids */
    assert_int_equal(s.index, 7);
    assert_int_equal(s.loaders, 1);
    assert_int_equal(share_part(&s), 0);
    assert_int_equal(share_parse(NULL, "", &s, &err), 0);
    assert_int_equal(s.loaders, 1);
    static const char *const bad[][2] = {
        {"3", "3"}, {"0", "0"}, {"0", "x"}, {"-1", "2"}, {"0", "257"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error_clear(&err);
        assert_int_equal(share_parse(bad[i][0], bad[i][1], &s, &err), -1);
        assert_int_equal(err.kind, ERROR_CONFIG);
    }
}

static void shares_add_up_and_nobody_is_left_without(void **state) {
    (void)state;
    static const char *const loads[][2] = {{"20000", "15"}, {"7", "7"},     {"100", "7"},
                                           {"7", "100"},    {"1000", "16"}, {"11", "13"}};
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++)
        for (uint32_t n = 1; n <= 7; n++) {
            struct options whole = parse("-b", loads[i][0], "-c", loads[i][1]);
            uint64_t requests = 0, clients = 0;
            for (uint32_t index = 0; index < n; index++) {
                const struct share s = {.index = index, .loaders = n};
                struct options part;
                struct error err = ERROR_NULL;
                assert_int_equal(share_take(&s, &whole, &part, &err), 0);
                assert_true(part.requests > 0 && part.concurrency > 0);
                requests += part.requests;
                clients += part.concurrency;
            }
            assert_int_equal(requests, whole.requests);
            assert_int_equal(clients, whole.concurrency);
            options_deinit(&whole);
        }
}

static void no_limit_stays_no_limit(void **state) {
    (void)state;
    struct options whole = parse("-b", "0", "-c", "15"), part;
    const struct share s = {.index = 1, .loaders = 2};
    struct error err = ERROR_NULL;
    assert_int_equal(share_take(&s, &whole, &part, &err), 0);
    assert_int_equal(part.requests, 0);
    options_deinit(&whole);
}

static void what_cannot_be_divided_is_refused(void **state) {
    (void)state;
    static const char *const loads[][4] = {{"-b", "10", "-c", "2"},
                                           {"-b", "2", "-c", "15"},
                                           {"--rate", "10", "--clients", "2"},
                                           {"--rate", "10", "--in-flight-max", "1"},
                                           {"--rate", "10", "-b", "2"}};
    for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
        struct options whole = parse(loads[i][0], loads[i][1], loads[i][2], loads[i][3]), part;
        const struct share s = {.index = 0, .loaders = 3};
        struct error err = ERROR_NULL;
        assert_int_equal(share_take(&s, &whole, &part, &err), -1);
        assert_int_equal(err.kind, ERROR_CONFIG);
        assert_non_null(strstr(err.text, "cannot be divided among 3 loaders"));
        options_deinit(&whole);
    }
}

/* Whatever numbers of threads the loaders have. */
static void arrivals_of_all_loaders_are_the_schedule_of_one(void **state) {
    (void)state;
    enum { COUNT = 1000, LOADERS = 3 };
    static const char *const models[] = {"constant", "poisson"};
    for (size_t m = 0; m < 2; m++) {
        struct options whole = parse("--rate", "100..5000:1s,20000", "--arrival", models[m]);
        struct arrivals_config config = {.rate = &whole.rate,
                                         .model = whole.arrival,
                                         .seed = share_seed("20261120-a"),
                                         .requests = COUNT,
                                         .end_ns = UINT64_MAX};
        cleanup_free uint64_t *times = mem_new_array(uint64_t, COUNT);
        struct arrivals a;
        struct arrival one;
        arrivals_init(&a, &config, 0, 1);
        while (arrivals_next(&a, &one))
            times[one.position] = one.intended_ns;
        size_t seen = 0;
        for (uint32_t loader = 0; loader < LOADERS; loader++) {
            const struct share s = {.index = loader, .loaders = LOADERS};
            struct options part;
            struct error err = ERROR_NULL;
            uint64_t own = 0;
            whole.requests = COUNT;
            assert_int_equal(share_take(&s, &whole, &part, &err), 0);
            config.loader = loader;
            config.loaders = LOADERS;
            for (uint32_t thread = 0; thread <= loader; thread++) {
                arrivals_init(&a, &config, thread, loader + 1);
                for (; arrivals_next(&a, &one); own++) {
                    assert_int_equal(one.position % LOADERS, loader);
                    assert_int_equal(one.intended_ns, times[one.position]);
                }
            }
            assert_int_equal(own, part.requests);
            seen += own;
        }
        assert_int_equal(seen, COUNT);
        options_deinit(&whole);
    }
}

/* ---- the start ---- */

static void a_start_is_one_whole_line(void **state) {
    (void)state;
    struct wall_time t;
    struct error err = ERROR_NULL;
    assert_int_equal(start_parse("1441812279474000000\n", &t, &err), 0);
    assert_int_equal(t.ns, INT64_C(1441812279474000000));
    assert_int_equal(start_parse("", &t, &err), 1);
    assert_int_equal(start_parse("14418122", &t, &err), 1); /* while it is being written */
    static const char *const bad[] = {"\n",  "now\n",  "-5\n",
                                      "0\n", "1\n2\n", "99999999999999999999999\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        error_clear(&err);
        assert_int_equal(start_parse(bad[i], &t, &err), -1);
        assert_int_equal(err.kind, ERROR_INVALID);
    }
}

static void a_start_is_converted_to_the_clock_that_counts(void **state) {
    (void)state;
    const struct start_clocks now = {.wall = {.ns = INT64_C(5000000000000)}, .instant = {.ns = 70}};
    struct instant at;
    struct error err = ERROR_NULL;
    assert_int_equal(start_convert((struct wall_time){INT64_C(5000000000123)}, &now, &at, &err), 0);
    assert_int_equal(at.ns, 193);
    assert_int_equal(start_convert((struct wall_time){INT64_C(4998750000000)}, &now, &at, &err),
                     -1);
    assert_int_equal(err.kind, ERROR_TIMEOUT);
    assert_non_null(strstr(err.text, "it was 1.250000 s ago"));
    error_clear(&err);
    const struct wall_time far = {now.wall.ns + (int64_t)LOADER_START_AHEAD_NS_MAX + 1};
    assert_int_equal(start_convert(far, &now, &at, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

struct giver {
    const struct folder *folder;
    const char *text;
    int watch_fd; /* of the folder */
};

/* What the runner does: waits for `ready`, then puts the time there in two pieces. */
static void *give(void *context) {
    const struct giver *g = context;
    char events[4096];
    while (!folder_has(g->folder, "ready"))
        assert_true(read(g->watch_fd, events, sizeof events) > 0);
    cleanup_free char *path = text_format("%s/start", g->folder->path);
    cleanup_fclose FILE *file = fopen(path, "we");
    fwrite(g->text, 1, 5, file);
    fflush(file);
    fputs(g->text + 5, file);
    return NULL;
}

static void all_begin_when_the_file_says(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(cancel_deinit) struct cancel cancel;
    struct error err = ERROR_NULL;
    struct wall_time at;
    struct instant begin;
    assert_int_equal(cancel_init(&cancel, &err), 0);
    cleanup_free char *ready = text_format("%s/ready", f.path);
    cleanup_free char *start = text_format("%s/start", f.path);
    const struct start_clocks before = start_clocks();
    const int64_t agreed = before.wall.ns + (int64_t)(3 * NS_PER_SEC);
    cleanup_free char *text = text_format("%lld\n", (long long)agreed);
    cleanup_close int watch_fd = inotify_init1(IN_CLOEXEC);
    assert_true(inotify_add_watch(watch_fd, f.path, IN_MOVED_TO | IN_CLOSE_WRITE) >= 0);
    struct giver giver = {.folder = &f, .text = text, .watch_fd = watch_fd};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, give, &giver), 0);
    int r = start_await(ready, start, 60 * NS_PER_SEC, &cancel, &at, &begin, &err);
    pthread_join(thread, NULL);
    if (r != 0)
        fail_msg("%s", err.text);
    assert_int_equal(at.ns, agreed);
    /* Both are the same moment, as far as the two clocks go alike. */
    assert_true(begin.ns > before.instant.ns + 2 * NS_PER_SEC);
    assert_true(begin.ns < before.instant.ns + 4 * NS_PER_SEC);
}

static void without_a_start_the_wait_ends_with_an_error(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(cancel_deinit) struct cancel cancel;
    struct error err = ERROR_NULL;
    struct wall_time at;
    struct instant begin;
    assert_int_equal(cancel_init(&cancel, &err), 0);
    cleanup_free char *ready = text_format("%s/ready", f.path);
    cleanup_free char *start = text_format("%s/start", f.path);
    assert_int_equal(start_await(ready, start, NS_PER_MS, &cancel, &at, &begin, &err), -1);
    assert_int_equal(err.kind, ERROR_TIMEOUT);
    assert_true(folder_has(&f, "ready"));
    error_clear(&err);
    folder_write(&f, "start", "1441812279474000000\n");
    assert_int_equal(start_await(ready, start, NS_PER_SEC, &cancel, &at, &begin, &err), -1);
    assert_non_null(strstr(err.text, "the agreed start was missed"));
    error_clear(&err);
    folder_write(&f, "start", "soon\n");
    assert_int_equal(start_await(ready, start, NS_PER_SEC, &cancel, &at, &begin, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void a_cancellation_ends_the_wait(void **state) {
    (void)state;
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(cancel_deinit) struct cancel cancel;
    struct error err = ERROR_NULL;
    struct wall_time at;
    struct instant begin;
    assert_int_equal(cancel_init(&cancel, &err), 0);
    cancel_raise(&cancel, 1);
    cleanup_free char *ready = text_format("%s/ready", f.path);
    cleanup_free char *start = text_format("%s/start", f.path);
    assert_int_equal(start_await(ready, start, 60 * NS_PER_SEC, &cancel, &at, &begin, &err), 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(environment_says_which_loader_of_how_many),
        cmocka_unit_test(shares_add_up_and_nobody_is_left_without),
        cmocka_unit_test(no_limit_stays_no_limit),
        cmocka_unit_test(what_cannot_be_divided_is_refused),
        cmocka_unit_test(arrivals_of_all_loaders_are_the_schedule_of_one),
        cmocka_unit_test(a_start_is_one_whole_line),
        cmocka_unit_test(a_start_is_converted_to_the_clock_that_counts),
        cmocka_unit_test(all_begin_when_the_file_says),
        cmocka_unit_test(without_a_start_the_wait_ends_with_an_error),
        cmocka_unit_test(a_cancellation_ends_the_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
