/*
 * The loader as a process against scripted replicas: exit status, what it prints, and that its
 * counts are true whatever the replica does.
 */

#include "lib/cleanup.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/memory.h"
#include "lib/request_set.h"
#include "lib/text.h"
#include "lib/wire.h"
#include "tests/fake/primary.h"
#include "tests/unit/folder.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

/* ---- a stage: a folder, replicas, a loader ---- */

enum { REPLICAS_MAX = 4, ARGS_MAX = 32 };

struct stage {
    struct folder folder;
    struct primary *primaries[REPLICAS_MAX]; /* NULL: nobody listens there */
    uint16_t ports[REPLICAS_MAX];
    int n;
    char *env; /* SEATRIAL_LOADER_ARGS */
    pid_t pid;
    int status; /* exit status, or 128 + signal */
    char *out, *err;
    struct json *load;
    struct primary_counts counts; /* of the first replica */
};

/* A port where nobody listens: it was free a moment ago. */
static uint16_t free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static void stage_add(struct stage *s, const struct primary_script *script) {
    struct error err = ERROR_NULL;
    if (script) {
        assert_int_equal(primary_start(script, &s->primaries[s->n], &err), 0);
        s->ports[s->n] = primary_port(s->primaries[s->n]);
    } else {
        s->ports[s->n] = free_port();
    }
    s->n++;
}

static void write_cluster(struct stage *s) {
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 64 * 1024);
    buffer_text(&text, "run: 3f9c2a1b\nproject: demo\ncontainers:\n");
    for (int i = 0; i < s->n; i++)
        buffer_format(&text,
                      "  - {name: demo-replica-%d, service: replica, role: replica, index: %d, "
                      "host: local, address: 127.0.0.1, ports: {replica: %u}}\n",
                      i + 1, i, s->ports[i]);
    folder_write(&s->folder, "cluster.yaml", buffer_string(&text));
}

static struct stage stage_empty(void) {
    return (struct stage){.folder = folder_make(), .pid = -1};
}

/* One replica, and it is the primary. */
static struct stage stage_with(struct primary_script script) {
    struct stage s = stage_empty();
    script.n = 1;
    stage_add(&s, &script);
    return s;
}

static void stage_down(struct stage *s) {
    for (int i = 0; i < s->n; i++)
        if (s->primaries[i])
            primary_stop(s->primaries[i], NULL);
    free(s->out);
    free(s->err);
    free(s->env);
    if (s->load)
        json_free(s->load);
    folder_remove(&s->folder);
}

static void become_loader(const struct stage *s, char *const argv[]) {
    int out = openat(s->folder.fd, "stdout", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    int err = openat(s->folder.fd, "stderr", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fchdir(s->folder.fd) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(99);
    unsetenv("SEATRIAL_LOADER_ARGS");
    if (s->env)
        setenv("SEATRIAL_LOADER_ARGS", s->env, 1);
    execv(LOADER_PROGRAM, argv);
    _exit(98);
}

/* `args` are split at blanks. */
static void stage_start(struct stage *s, const char *args) {
    char *argv[ARGS_MAX] = {(char *)(uintptr_t) "loader"};
    cleanup_free char *copy = text_dup(args);
    int argc = 1;
    for (char *rest = copy, *word; (word = strtok_r(rest, " ", &rest));)
        argv[argc++] = word;
    write_cluster(s);
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0)
        become_loader(s, argv);
}

static void stage_wait(struct stage *s) {
    int status;
    struct error err = ERROR_NULL;
    assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
    s->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    free(s->out);
    free(s->err);
    s->out = folder_read(&s->folder, "stdout");
    s->err = folder_read(&s->folder, "stderr");
    cleanup_free char *load = folder_read(&s->folder, "out/load.json");
    if (s->load)
        json_free(s->load);
    s->load = NULL;
    if (load)
        assert_int_equal(json_parse(load, strlen(load), 0, &s->load, &err), 0);
}

/* Only the first replica's counts are kept. */
static void stop_replicas(struct stage *s) {
    for (int i = s->n - 1; i >= 0; i--)
        if (s->primaries[i])
            primary_stop(take_ptr(s->primaries[i]), &s->counts);
}

#define HERE "--cluster cluster.yaml --out out "

static void stage_load(struct stage *s, const char *args) {
    cleanup_free char *all = text_format(HERE "%s", args);
    stage_start(s, all);
    stage_wait(s);
    stop_replicas(s);
}

static int64_t number(const struct stage *s, const char *path) {
    struct error err = ERROR_NULL;
    int64_t value = -1;
    if (!s->load)
        fail_msg("no load.json; stderr: %s", s->err);
    if (json_require_int(s->load, path, 0, INT64_MAX, &value, &err) < 0)
        fail_msg("%s", err.text);
    return value;
}

static void assert_counts(const struct stage *s, int64_t acknowledged, int64_t timed_out,
                          int64_t failed, int64_t overloaded) {
    assert_int_equal(number(s, "requests.acknowledged"), acknowledged);
    assert_int_equal(number(s, "requests.timed_out"), timed_out);
    assert_int_equal(number(s, "requests.failed"), failed);
    assert_int_equal(number(s, "requests.overloaded"), overloaded);
}

static void assert_says(const char *text, const char *part) {
    if (!strstr(text, part))
        fail_msg("'%s' is not in: %s", part, text);
}

static void assert_status(const struct stage *s, int status) {
    if (s->status != status)
        fail_msg("exit status %d, not %d; stderr: %s", s->status, status, s->err);
}

static uint64_t acknowledged_in_set(const struct stage *s) {
    struct error err = ERROR_NULL;
    cleanup(request_set_freep) struct request_set *set = NULL;
    cleanup_free char *path = text_format("%s/out/acknowledged.json", s->folder.path);
    if (request_set_load(path, &set, &err) < 0)
        fail_msg("%s", err.text);
    return request_set_count(set);
}

/* Lines of the CSV but its first; -1 if export fails. */
static int exported_lines(struct stage *s, const char *path) {
    cleanup_free char *args = text_format("export %s", path);
    int lines = 0;
    stage_start(s, args);
    stage_wait(s);
    for (const char *p = s->out; (p = strchr(p, '\n')); p++)
        lines++;
    return s->status == 0 ? lines - 1 : -1;
}

/* ---- good replicas ---- */

static void all_requests_are_acknowledged_and_recorded(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.check_payloads = true});
    stage_load(&s, "-b 2000");
    assert_status(&s, 0);
    assert_counts(&s, 2000, 0, 0, 0);
    assert_int_equal(number(&s, "requests.intended"), 2000);
    assert_int_equal(number(&s, "requests.sent"), 2000);
    assert_string_equal(json_text_or_null(json_find(s.load, "model")), "closed");
    assert_true(json_is_nothing(json_find(s.load, "asked_per_s")));
    assert_int_equal(acknowledged_in_set(&s), 2000);

    assert_int_equal(s.counts.requests, 2000);
    assert_int_equal(s.counts.out_of_order, 0);
    assert_int_equal(s.counts.client_max - s.counts.client_min, 14);
    assert_true(s.counts.same_payloads < 50); /* places repeat, but seldom */
    const struct primary_shape *shape = &s.counts.shape;
    assert_int_equal(shape->key_count, 31);
    assert_int_equal(shape->key_size, 118);
    assert_int_equal(shape->value_size, 2841);
    assert_int_equal(shape->payload_size, 15100);
    assert_int_equal(shape->execution_ms, 0);
    assert_int_equal(shape->flags, WIRE_REQUEST_BUSY_WAIT);

    assert_says(s.out, "2000 asked for, 2000 sent, 2000 acknowledged");
    assert_says(s.out, "p99.99");
    assert_int_equal(exported_lines(&s, "out/requests.bin"), 2000);
    assert_says(s.out, "client,number,intended_ns,sent_ns,latency_ns,outcome\n");
}

static void every_option_reaches_the_replica(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_load(&s, "-b 7 -p 1 -k 3 -s 20 -v 0 -d 64 -c 100 -e 25 -w 0 -i 0 --seed 9");
    assert_status(&s, 0);
    assert_int_equal(s.counts.requests, 7);
    const struct primary_shape *shape = &s.counts.shape;
    assert_int_equal(shape->key_count, 3);
    assert_int_equal(shape->key_size, 20);
    assert_int_equal(shape->value_size, 0);
    assert_int_equal(shape->payload_size, 64);
    assert_int_equal(shape->execution_ms, 25);
    assert_int_equal(shape->flags, WIRE_REQUEST_PRE_EXECUTE);
    assert_false(folder_has(&s.folder, "out/requests.bin"));
    assert_says(s.out, "seed 9");
}

static void latencies_are_those_of_the_replica(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.delay_ns = 5 * NS_PER_MS});
    stage_load(&s, "-b 40 -c 4");
    assert_status(&s, 0);
    assert_true(number(&s, "latency_ns.min") >= 4995000); /* less a thousandth */
    assert_true(number(&s, "latency_from_send_ns.min") >= 4995000);
    assert_true(number(&s, "latency_ns.p50") >= number(&s, "latency_from_send_ns.p50"));
    assert_true(number(&s, "latency_ns.p50") <= number(&s, "latency_ns.max"));
}

static void a_stalled_replica_shows_in_the_maximum(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.stall_at = 50, .stall_ns = 300 * NS_PER_MS});
    stage_load(&s, "-b 200 -c 3");
    assert_status(&s, 0);
    assert_true(number(&s, "latency_ns.max") >= 299 * (int64_t)NS_PER_MS);
}

static void the_primary_is_whoever_says_it_of_itself(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, &(struct primary_script){.index = 0, .n = 3, .primary = 1});
    stage_add(&s, &(struct primary_script){.index = 1, .n = 3, .primary = 1});
    stage_add(&s, &(struct primary_script){.index = 2, .n = 3, .primary = 1});
    stage_load(&s, "-b 50");
    assert_status(&s, 0);
    assert_counts(&s, 50, 0, 0, 0);
    assert_int_equal(s.counts.requests, 0); /* of replica 0 */
    assert_int_equal(s.counts.connections, 1);
}

static void a_backup_that_is_away_is_only_a_warning(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, &(struct primary_script){.index = 0, .n = 2, .primary = 0});
    stage_add(&s, NULL);
    stage_load(&s, "-b 50");
    assert_status(&s, 0);
    assert_counts(&s, 50, 0, 0, 0);
    assert_says(s.err, "warning: replica 1 ('demo-replica-2' at 127.0.0.1:");
}

static void a_second_load_has_other_clients(void **state) {
    (void)state;
    struct primary_counts first;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_load(&s, "-b 20 -c 2");
    assert_status(&s, 0);
    first = s.counts;
    cleanup(stage_down) struct stage again = stage_with((struct primary_script){0});
    stage_load(&again, "-b 20 -c 2");
    assert_status(&again, 0);
    assert_true(again.counts.client_min > first.client_max ||
                again.counts.client_max < first.client_min);
}

/* ---- replicas that are not good ---- */

static void lost_requests_time_out_and_the_load_goes_on(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){.lose_each = 10});
    stage_load(&s, "-b 100 -c 5 --request-timeout 200ms");
    assert_status(&s, 1);
    assert_counts(&s, 90, 10, 0, 0);
    assert_int_equal(number(&s, "requests.sent"), 100);
    assert_int_equal(acknowledged_in_set(&s), 90);
    assert_says(s.err, "not every request was acknowledged");
}

static void a_silent_replica_times_out_every_request(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_NEVER});
    stage_load(&s, "-b 6 -c 3 --request-timeout 100ms");
    assert_status(&s, 1);
    assert_counts(&s, 0, 6, 0, 0);
    assert_true(json_is_nothing(json_find(s.load, "latency_ns.p50")));
    assert_says(s.out, "no request was acknowledged");
}

/* The kernel takes a few MB; the rest never leaves, and is not said to have been sent. */
static void a_replica_that_reads_nothing_gets_only_what_fits(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){.reads_nothing = true});
    stage_load(&s, "-b 300 -c 100 -d 1048576 --request-timeout 200ms");
    assert_status(&s, 1);
    assert_counts(&s, 0, 300, 0, 0);
    assert_true(number(&s, "requests.sent") > 0);
    assert_true(number(&s, "requests.sent") < 100);
}

static void overload_is_an_outcome_of_its_own(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){.overloaded_each = 5});
    stage_load(&s, "-b 100 -c 5");
    assert_status(&s, 1);
    assert_counts(&s, 80, 0, 0, 20);
    assert_int_equal(s.counts.overloaded, 20);
    assert_int_equal(acknowledged_in_set(&s), 80);
}

static void a_connection_closed_after_each_reply_loses_what_was_sent_on_it(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_AND_CLOSES});
    stage_load(&s, "-b 60 -c 3 -d 100");
    assert_status(&s, 1);
    int64_t acknowledged = number(&s, "requests.acknowledged");
    assert_int_equal(acknowledged, s.counts.replies);
    assert_int_equal(number(&s, "requests.failed"), 60 - acknowledged);
    assert_int_equal(number(&s, "requests.sent"), 60);
    assert_true(s.counts.connections >= 10);
}

static void a_reply_that_comes_twice_counts_once(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_TWICE});
    stage_load(&s, "-b 100 -c 5");
    assert_status(&s, 0);
    assert_counts(&s, 100, 0, 0, 0);
    assert_says(s.out, "replies to requests that had an outcome before");
}

static void garbage_ends_the_load_with_a_clear_error(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_GARBAGE});
    stage_load(&s, "-b 100 -c 5");
    assert_status(&s, 1);
    assert_counts(&s, 0, 0, 5, 0);
    assert_says(s.err, "replica 0 ('demo-replica-1' at 127.0.0.1:");
    assert_says(s.err, "does not speak our protocol");
    assert_says(s.out, "ended early");
}

static void an_answer_to_nobodys_request_is_not_believed(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_STRANGER});
    stage_load(&s, "-b 100 -c 5");
    assert_status(&s, 1);
    assert_says(s.err, "it answered a request that was not sent");
}

static void a_replica_that_refuses_everything_is_not_asked_for_ever(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with(
        (struct primary_script){.answer = PRIMARY_ANSWERS_REFUSED, .text = "values are too large"});
    stage_load(&s, "-b 100000 -c 5 -d 64");
    assert_status(&s, 1);
    assert_says(s.err, "refuses our requests: values are too large");
    assert_true(number(&s, "requests.failed") >= 100);
    assert_true(number(&s, "requests.failed") < 200);
}

static void a_primary_that_vanishes_ends_the_load_with_true_counts(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){.vanish_after = 200});
    stage_load(&s, "-b 100000 -c 5 -d 100 --connect-timeout 300ms");
    assert_status(&s, 1);
    int64_t acknowledged = number(&s, "requests.acknowledged");
    assert_true(acknowledged <= 200 && acknowledged >= 195);
    assert_int_equal(number(&s, "requests.sent"), acknowledged + number(&s, "requests.failed") +
                                                      number(&s, "requests.timed_out"));
    assert_int_equal(acknowledged_in_set(&s), acknowledged);
    assert_says(s.err, "there is no primary to load: replica 0 ('demo-replica-1' at 127.0.0.1:");
    assert_says(s.err, "Connection refused");
}

/* ---- greetings ---- */

static void expect_no_greeting(struct primary_script script, const char *says) {
    cleanup(stage_down) struct stage s = stage_with(script);
    stage_load(&s, "-b 10 --connect-timeout 200ms");
    assert_status(&s, 1);
    assert_says(s.err, "replica 0 ('demo-replica-1' at 127.0.0.1:");
    assert_says(s.err, says);
    assert_int_equal(number(&s, "requests.sent"), 0);
    assert_int_equal(s.counts.requests, 0);
}

static void a_wrong_greeting_is_a_clear_error(void **state) {
    (void)state;
    expect_no_greeting((struct primary_script){.greeting = PRIMARY_SAYS_GARBAGE},
                       "does not speak our protocol");
    expect_no_greeting((struct primary_script){.greeting = PRIMARY_SAYS_NOTHING},
                       "it does not answer HELLO in time");
    expect_no_greeting((struct primary_script){.greeting = PRIMARY_CLOSES},
                       "it closed the connection");
    expect_no_greeting((struct primary_script){.primary = 5}, "primary 5, n 1");
}

static void a_refusal_is_shown_without_its_escapes(void **state) {
    (void)state;
    expect_no_greeting(
        (struct primary_script){.greeting = PRIMARY_REFUSES, .text = "wrong run \x1b[31m"},
        "it refused us: wrong run \\x1b[31m");
}

static void an_unreachable_replica_is_named(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, NULL);
    stage_load(&s, "-b 10 --connect-timeout 100ms");
    assert_status(&s, 1);
    cleanup_free char *where = text_format("127.0.0.1:%u", s.ports[0]);
    assert_says(s.err, where);
    assert_says(s.err, "Connection refused");
    assert_int_equal(number(&s, "requests.sent"), 0);
}

static void a_replica_at_the_wrong_address_is_not_believed(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, &(struct primary_script){.n = 2, .greeting = PRIMARY_SAYS_OTHER_INDEX});
    stage_add(&s, NULL);
    stage_load(&s, "-b 10 --connect-timeout 200ms");
    assert_status(&s, 1);
    assert_says(s.err, "replica 0 ('demo-replica-1' at 127.0.0.1:");
    assert_says(s.err, "it says that it is replica 1");
    assert_says(s.err, "Connection refused"); /* the other one's reason */
}

static void a_cluster_of_another_size_is_refused(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, &(struct primary_script){.n = 4});
    stage_load(&s, "-b 10");
    assert_status(&s, 1);
    assert_says(s.err, "it is one of 4 replicas, but the cluster file names 1");
}

/* ---- signals ---- */

static void a_signal_ends_the_load_and_everything_is_written(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    stage_start(&s, HERE "-b 1000000000 -d 100");
    primary_wait(s.primaries[0], 1000);
    kill(s.pid, SIGTERM);
    stage_wait(&s);
    stop_replicas(&s);
    assert_status(&s, 143);
    int64_t acknowledged = number(&s, "requests.acknowledged");
    assert_int_equal(acknowledged, s.counts.replies); /* those under way were waited for */
    assert_int_equal(number(&s, "requests.sent"), s.counts.requests);
    assert_counts(&s, acknowledged, 0, 0, 0);
    assert_int_equal(acknowledged_in_set(&s), acknowledged);
    assert_int_equal(exported_lines(&s, "out/requests.bin"), acknowledged);
}

static void a_second_signal_ends_the_waiting(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s =
        stage_with((struct primary_script){.answer = PRIMARY_ANSWERS_NEVER});
    struct instant start = clock_instant();
    stage_start(&s, HERE "-b 1000 -c 4 --request-timeout 1h");
    primary_wait(s.primaries[0], 4);
    kill(s.pid, SIGINT);
    while (waitpid(s.pid, NULL, WNOHANG | WNOWAIT) == 0 &&
           instant_ns_between(start, clock_instant()) < 60 * NS_PER_SEC)
        kill(s.pid, SIGINT);
    stage_wait(&s);
    stop_replicas(&s);
    assert_status(&s, 130);
    assert_counts(&s, 0, 0, 4, 0);
    assert_int_equal(number(&s, "requests.sent"), 4);
}

static void a_signal_while_connecting_ends_at_once(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, NULL);
    stage_start(&s, HERE "-b 10 --connect-timeout 1h");
    while (!folder_has(&s.folder, "out/requests.bin.part")) /* signals are caught before that */
        sched_yield();
    kill(s.pid, SIGINT);
    stage_wait(&s);
    assert_status(&s, 130);
    assert_int_equal(number(&s, "requests.sent"), 0);
}

/* ---- the command line ---- */

static void wrong_command_lines_end_with_2(void **state) {
    (void)state;
    static const char *const lines[][2] = {
        {"-f pool.yaml", "client-pool files are not supported yet"},
        {"-x", "unknown option '-x'"},
        {"-c 0", "option -c (--concurrency): '0' is not a whole number from 1 to 100000"},
        {"fast", "unexpected argument 'fast'"},
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        cleanup(stage_down) struct stage s = stage_empty();
        stage_load(&s, lines[i][0]);
        assert_status(&s, 2);
        assert_says(s.err, lines[i][1]);
        assert_false(folder_has(&s.folder, "out"));
    }
}

static void the_environment_speaks_when_nobody_else_does(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_with((struct primary_script){0});
    s.env = text_dup("-b 3 -c 2 --cluster 'cluster.yaml' --out \"out\"");
    stage_start(&s, "");
    stage_wait(&s);
    assert_status(&s, 0);
    assert_counts(&s, 3, 0, 0, 0);
    stage_load(&s, "-b 5"); /* replaces all of it */
    assert_status(&s, 0);
    assert_counts(&s, 5, 0, 0, 0);
}

static void a_bad_environment_is_named(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    s.env = text_dup("-b 'x");
    stage_start(&s, "");
    stage_wait(&s);
    assert_status(&s, 2);
    assert_says(s.err, "SEATRIAL_LOADER_ARGS: a ' is not closed");
}

static void files_of_an_earlier_load_are_gone(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_add(&s, NULL);
    folder_write(&s.folder, "out/requests.bin", "old");
    folder_write(&s.folder, "out/acknowledged.json", "old");
    folder_write(&s.folder, "out/load.json", "{\"old\": true}");
    stage_load(&s, "-b 10 -i 0 --connect-timeout 50ms");
    assert_status(&s, 1);
    assert_false(folder_has(&s.folder, "out/requests.bin"));
    assert_null(json_find(s.load, "old"));
    assert_int_equal(acknowledged_in_set(&s), 0);
}

static void a_wrong_cluster_file_is_named_with_its_line(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_load(&s, "-b 10"); /* no containers in it */
    assert_status(&s, 3);
    assert_says(s.err, "cluster.yaml:3:");
    stage_load(&s, "-b 10 --cluster nowhere.yaml");
    assert_int_not_equal(s.status, 0);
    assert_says(s.err, "nowhere.yaml");
}

static void export_tells_a_damaged_file(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    folder_write(&s.folder, "text", "this is a text and not what was asked for\n");
    folder_write_mode(&s.folder, "cut", "STRQ\1\0\0\0aaaaaaaabbbbbbbb\1\1\0\1\5\1", 30, 0644);
    assert_int_equal(exported_lines(&s, "text"), -1);
    assert_says(s.err, "this is not a requests.bin");
    assert_int_equal(exported_lines(&s, "cut"), -1);
    assert_says(s.err, "after 1 records: the file was cut");
    assert_int_equal(exported_lines(&s, "nothing"), -1);
    assert_says(s.err, "open 'nothing': No such file or directory");
}

static void help_and_version_are_printed(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    stage_load(&s, "--help");
    assert_status(&s, 0);
    assert_says(s.out,
                "-b, --requests=NUMBER      Number of requests to launch (default: 4000000)");
    assert_says(s.out, "milliseconds");
    stage_load(&s, "--version");
    assert_status(&s, 0);
    assert_string_equal(s.out, "loader " SEATRIAL_VERSION "\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_requests_are_acknowledged_and_recorded),
        cmocka_unit_test(every_option_reaches_the_replica),
        cmocka_unit_test(latencies_are_those_of_the_replica),
        cmocka_unit_test(a_stalled_replica_shows_in_the_maximum),
        cmocka_unit_test(the_primary_is_whoever_says_it_of_itself),
        cmocka_unit_test(a_backup_that_is_away_is_only_a_warning),
        cmocka_unit_test(a_second_load_has_other_clients),
        cmocka_unit_test(lost_requests_time_out_and_the_load_goes_on),
        cmocka_unit_test(a_silent_replica_times_out_every_request),
        cmocka_unit_test(a_replica_that_reads_nothing_gets_only_what_fits),
        cmocka_unit_test(overload_is_an_outcome_of_its_own),
        cmocka_unit_test(a_connection_closed_after_each_reply_loses_what_was_sent_on_it),
        cmocka_unit_test(a_reply_that_comes_twice_counts_once),
        cmocka_unit_test(garbage_ends_the_load_with_a_clear_error),
        cmocka_unit_test(an_answer_to_nobodys_request_is_not_believed),
        cmocka_unit_test(a_replica_that_refuses_everything_is_not_asked_for_ever),
        cmocka_unit_test(a_primary_that_vanishes_ends_the_load_with_true_counts),
        cmocka_unit_test(a_wrong_greeting_is_a_clear_error),
        cmocka_unit_test(a_refusal_is_shown_without_its_escapes),
        cmocka_unit_test(an_unreachable_replica_is_named),
        cmocka_unit_test(a_replica_at_the_wrong_address_is_not_believed),
        cmocka_unit_test(a_cluster_of_another_size_is_refused),
        cmocka_unit_test(a_signal_ends_the_load_and_everything_is_written),
        cmocka_unit_test(a_second_signal_ends_the_waiting),
        cmocka_unit_test(a_signal_while_connecting_ends_at_once),
        cmocka_unit_test(wrong_command_lines_end_with_2),
        cmocka_unit_test(the_environment_speaks_when_nobody_else_does),
        cmocka_unit_test(a_bad_environment_is_named),
        cmocka_unit_test(files_of_an_earlier_load_are_gone),
        cmocka_unit_test(a_wrong_cluster_file_is_named_with_its_line),
        cmocka_unit_test(export_tells_a_damaged_file),
        cmocka_unit_test(help_and_version_are_printed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
