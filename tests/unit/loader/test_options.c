/* The command line, and the words of SEATRIAL_LOADER_ARGS. */

#include "lib/clock.h"
#include "lib/text.h"
#include "loader/limits.h"
#include "loader/options.h"
#include "loader/words.h"

#include "lib/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* The words live as long as the options borrow from them. */
static struct words words;

static int parse(const char *line, struct options *ret, struct error *err) {
    *err = ERROR_NULL;
    words_deinit(&words);
    assert_int_equal(words_split("loader", line, &words, err), 0);
    return options_parse(words.argc, words.argv, ret, err);
}

static int words_gone(void **state) {
    (void)state;
    words_deinit(&words);
    return 0;
}

static void the_defaults_are_those_of_the_original_tool(void **state) {
    (void)state;
    struct options o;
    struct error err;
    assert_int_equal(parse("", &o, &err), 0);
    assert_int_equal(o.command, OPTIONS_RUN);
    assert_int_equal(o.requests, 4000000);
    assert_int_equal(o.pre_execute, 0);
    assert_int_equal(o.keys, 31);
    assert_int_equal(o.key_size, 118);
    assert_int_equal(o.value_size, 2841);
    assert_int_equal(o.payload_size, 15100);
    assert_int_equal(o.concurrency, 15);
    assert_int_equal(o.execution_ms, 0);
    assert_int_equal(o.busy_wait, 1);
    assert_int_equal(o.durations, 1);
    assert_int_equal(o.log_level, 1);
    assert_null(o.log_config);
    assert_string_equal(o.cluster_path, "/seatrial/cluster.yaml");
    assert_string_equal(o.out_path, "/seatrial/out");
    assert_int_equal(o.request_timeout_ns, 10 * NS_PER_SEC);
    assert_int_equal(o.connect_timeout_ns, 10 * NS_PER_SEC);
    assert_false(o.seed_given);
}

static void check_all(const struct options *o) {
    assert_int_equal(o->requests, 2);
    assert_int_equal(o->pre_execute, 1);
    assert_int_equal(o->keys, 3);
    assert_int_equal(o->key_size, 4);
    assert_int_equal(o->value_size, 5);
    assert_int_equal(o->payload_size, 6);
    assert_int_equal(o->concurrency, 7);
    assert_int_equal(o->execution_ms, 8);
    assert_int_equal(o->busy_wait, 0);
    assert_int_equal(o->durations, 0);
    assert_int_equal(o->log_level, 3);
    assert_string_equal(o->log_config, "x y");
}

static void every_letter_has_a_long_name(void **state) {
    (void)state;
    struct options o;
    struct error err;
    assert_int_equal(
        parse("-b 2 -p1 -k 3 -s 4 -v 5 -d 6 -c 7 -e 8 -w 0 -i 0 -l 3 -a 'x y'", &o, &err), 0);
    check_all(&o);
    assert_int_equal(parse("--requests 2 --pre-execute=1 --keys 3 --key-size 4 --value-size=5 "
                           "--payload-size 6 --concurrency 7 --execution-time 8 --busy-wait 0 "
                           "--durations 0 --log-level 3 --log-config \"x y\"",
                           &o, &err),
                     0);
    check_all(&o);
}

static void our_own_options_are_taken(void **state) {
    (void)state;
    struct options o;
    struct error err;
    assert_int_equal(parse("--cluster c --out o --request-timeout 1m30s --connect-timeout 250ms "
                           "--seed 18446744073709551615 --threads 3",
                           &o, &err),
                     0);
    assert_string_equal(o.cluster_path, "c");
    assert_string_equal(o.out_path, "o");
    assert_int_equal(o.request_timeout_ns, 90 * NS_PER_SEC);
    assert_int_equal(o.connect_timeout_ns, 250 * NS_PER_MS);
    assert_true(o.seed_given);
    assert_true(o.seed == UINT64_MAX);
    assert_int_equal(o.threads, 3);
}

static void requests_are_one_shape_or_a_mix(void **state) {
    (void)state;
    struct options o;
    struct error err;
    assert_int_equal(parse("-k 3 -d 7 -e 2", &o, &err), 0);
    assert_int_equal(o.mix.count, 1);
    assert_int_equal(o.mix.shapes[0].key_count, 3);
    assert_int_equal(o.mix.shapes[0].payload_size, 7);
    assert_int_equal(o.mix.shapes[0].execution_ms, 2);
    assert_int_equal(o.mix.key_space, 0);
    assert_int_equal(parse("--reads 90 --key-space 1000000 --key-skew zipf:0.9", &o, &err), 0);
    assert_int_equal(o.mix.count, 2);
    assert_string_equal(o.mix.shapes[1].name, "read");
    assert_int_equal(o.mix.shapes[1].weight, 90);
    assert_int_equal(o.mix.key_space, 1000000);
    assert_int_equal(o.mix.skew.model, KEYS_ZIPF);
    /* Letters count wherever they stand. */
    assert_int_equal(
        parse("--shape a,v=1 -k 9 --shape b,weight=3,read --key-space 10 -d 5", &o, &err), 0);
    assert_int_equal(o.mix.count, 2);
    assert_int_equal(o.mix.shapes[0].key_count, 9);
    assert_int_equal(o.mix.shapes[0].value_size, 1);
    assert_int_equal(o.mix.shapes[0].payload_size, 5);
    assert_int_equal(o.mix.shapes[1].key_count, 9);
    assert_int_equal(o.mix.shapes[1].payload_size, 0);
    assert_int_equal(parse("--protocol http --target x:80 --method POST -d 9", &o, &err), 0);
    assert_int_equal(o.mix.shapes[0].payload_size, 9);
    assert_int_equal(parse("--protocol http --target x:80 -d 9", &o, &err), 0);
    assert_int_equal(o.mix.shapes[0].payload_size, 0);
}

static void the_open_loop_has_options_of_its_own(void **state) {
    (void)state;
    struct options o;
    struct error err;
    assert_int_equal(
        parse("--rate 1:1s,2 --arrival poisson --clients 77 --spin --time 3s", &o, &err), 0);
    assert_true(options_open(&o));
    assert_int_equal(o.rate.count, 2);
    assert_int_equal(o.arrival, ARRIVAL_POISSON);
    assert_int_equal(o.concurrency, 77);
    assert_int_equal(o.in_flight_max, 77);
    assert_true(o.spin);
    assert_int_equal(o.time_ns, 3 * NS_PER_SEC);
    options_deinit(&o);
    assert_int_equal(parse("--rate 1 --rate 2 --in-flight-max 5", &o, &err), 0);
    assert_int_equal(o.rate.count, 1);
    assert_int_equal(o.arrival, ARRIVAL_CONSTANT);
    assert_int_equal(o.concurrency, 10000);
    assert_int_equal(o.in_flight_max, 5);
    options_deinit(&o);
}

static void a_load_ends_by_number_unless_something_else_is_said(void **state) {
    (void)state;
    static const struct {
        const char *line;
        uint64_t requests;
        bool until_told;
    } cases[] = {
        {"", 4000000, false},       {"-b 7", 7, false},           {"-b 0", 0, true},
        {"--time 3s", 0, false},    {"--time 3s -b 7", 7, false}, {"--rate 5", 4000000, false},
        {"--rate 5 -b 0", 0, true}, {"--rate 5:3s", 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options o;
        struct error err;
        assert_int_equal(parse(cases[i].line, &o, &err), 0);
        assert_int_equal(o.requests, cases[i].requests);
        assert_int_equal(options_until_told(&o), cases[i].until_told);
        options_deinit(&o);
    }
}

static void the_last_of_two_wins(void **state) {
    (void)state;
    struct options o;
    struct error err;
    assert_int_equal(parse("-b 1 -b 9", &o, &err), 0);
    assert_int_equal(o.requests, 9);
}

static void the_words_that_are_no_options_choose_the_command(void **state) {
    (void)state;
    struct options o;
    struct error err;
    assert_int_equal(parse("export requests.bin", &o, &err), 0);
    assert_int_equal(o.command, OPTIONS_EXPORT);
    assert_string_equal(o.files[0], "requests.bin");
    assert_int_equal(parse("merge a b c -o d", &o, &err), 0);
    assert_int_equal(o.command, OPTIONS_MERGE);
    assert_int_equal(o.files_count, 3);
    assert_string_equal(o.files[2], "c");
    assert_string_equal(o.merged_path, "d");
    assert_int_equal(parse("summarize a", &o, &err), 0);
    assert_int_equal(o.command, OPTIONS_SUMMARIZE);
    assert_int_equal(parse("--help", &o, &err), 0);
    assert_int_equal(o.command, OPTIONS_HELP);
    assert_int_equal(parse("--version", &o, &err), 0);
    assert_int_equal(o.command, OPTIONS_VERSION);
}

/* Command line, error, hint. */
static void expect_mistakes(const char *const cases[][3], size_t count) {
    for (size_t i = 0; i < count; i++) {
        struct options o = {.requests = 77};
        struct error err;
        assert_int_equal(parse(cases[i][0], &o, &err), -1);
        assert_string_equal(err.text, cases[i][1]);
        assert_string_equal(error_kind_name(err.kind), "usage");
        if (cases[i][2])
            assert_string_equal(err.hint, cases[i][2]);
        assert_int_equal(o.requests, 77); /* written only on success */
    }
}

static void mistakes_are_told_clearly(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"-x", "unknown option '-x'", NULL},
        {"-b 5 -xb", "unknown option '-x'", NULL},
        {"-b", "option -b (--requests) needs a value", NULL},
        {"-c 4 --requests", "option --requests needs a value", NULL},
        {"--help=3 -c 4", "option --help takes no value", NULL},
        {"--reqests 5 -c 3", "unknown or ambiguous option '--reqests'", "did you mean --requests?"},
        {"--re 5 -c 3", "unknown or ambiguous option '--re'", NULL},
        {"-b 5k", "option -b (--requests): '5k' is not a whole number from 0 to 1000000000000",
         NULL},
        {"--rate 5..6", "option --rate: a ramp needs a duration, as in 1000..5000:60s", NULL},
        {"--rate 5 --arrival even", "option --arrival: 'even' is none of constant|poisson", NULL},
        {"--spin", "option --spin needs --rate", NULL},
        {"--clients 5 -b 3", "option --clients needs --rate", NULL},
        {"--rate 5 -c 3", "option -c (--concurrency) is of the closed loop", NULL},
        {"--time 31d", "option --time: '31d' is not a duration such as 500ms or 1m30s", NULL},
        {"--cool-down 1s", "option --cool-down needs an end that is known before", NULL},
        {"--rate 5 -b 0 --cool-down 1s", "option --cool-down needs an end that is known before",
         NULL},
        {"--time 3s --warm-up 2s --cool-down 1s",
         "--warm-up and --cool-down leave nothing to measure", NULL},
        {"--rate 100 -b 500 --warm-up 5s", "--warm-up and --cool-down leave nothing to measure",
         NULL},
        {"--time 9999h", "option --time: '9999h' is not a duration from 1ms to 30 days", NULL},
        {"-p 2", "option -p (--pre-execute): '2' is not a whole number from 0 to 1", NULL},
        {"-k -1", "option -k (--keys): '-1' is not a whole number from 0 to 1000000", NULL},
        {"-s 0", "option -s (--key-size): '0' is not a whole number from 1 to 65536", NULL},
        {"-d 1048577",
         "option -d (--payload-size): '1048577' is not a whole number from 0 to "
         "1048576",
         NULL},
        {"-c 100001", "option -c (--concurrency): '100001' is not a whole number from 1 to 100000",
         NULL},
        {"-e 3600001",
         "option -e (--execution-time): '3600001' is not a whole number from 0 to 3600000", NULL},
        {"-w yes", "option -w (--busy-wait): 'yes' is not a whole number from 0 to 1", NULL},
        {"-l 4", "option -l (--log-level): '4' is not a whole number from 0 to 3", NULL},
        {"-a ''", "option -a (--log-config): the text is empty", NULL},
        {"-f ''", "option -f (--client-pool): the text is empty", NULL},
        {"--request-timeout 0s", "option --request-timeout: '0s' is not a duration from 1ms to 1h",
         NULL},
        {"fast", "unexpected argument 'fast'", NULL},
        {"export", "export: no file is named", NULL},
        {"-b 3 export a", "option --requests is of a load, not of `loader export'", NULL},
        {"merge -o x", "merge: no file is named", NULL},
        {"merge a", "merge: -o must say where the merged log goes", NULL},
        {"summarize", "summarize: no file is named", NULL},
        {"-b 3 -o x", "option -o (--output) is of `loader merge'", NULL},
        {"export a b", "unexpected argument 'b'", NULL},
    };
    expect_mistakes(cases, sizeof cases / sizeof *cases);
}

static void mistakes_in_a_mix_are_told_clearly(void **state) {
    (void)state;
    static const char *const cases[][3] = {
        {"--shape a,wieght=3", "option --shape: shape 'a': a shape has no 'wieght'",
         "did you mean weight=?"},
        {"--shape a --shape a", "option --shape: there are two shapes 'a'", NULL},
        {"--shape a --reads 5 --key-space 99", "with --shape, shapes say `read' instead of --reads",
         NULL},
        {"--reads 101", "option --reads: '101' is not a whole number from 0 to 100", NULL},
        {"--reads 50", "reads need keys that are written: --key-space",
         "without it, each request writes keys that nobody else knows"},
        {"--key-skew zipf:0.9", "option --key-skew needs --key-space", NULL},
        {"--key-skew zipf:1.5 --key-space 9",
         "option --key-skew: '1.5' is no THETA from 0 to 0.999", "zipf:0.99 is what YCSB uses"},
        {"--key-space 30", "a request of 31 keys does not fit into --key-space 30", NULL},
        {"--protocol http --target x:80 --reads 5", "option --reads is of --protocol replica",
         NULL},
        {"--shape a --shape b --shape c --shape d --shape e --shape f --shape g --shape h "
         "--shape i",
         "option --shape: there are more than 8 shapes", NULL},
    };
    expect_mistakes(cases, sizeof cases / sizeof *cases);
}

static void expect_words(const char *text, int count, const char *const *expected) {
    struct error err = ERROR_NULL;
    cleanup(words_deinit) struct words w = WORDS_NULL;
    assert_int_equal(words_split("loader", text, &w, &err), 0);
    assert_int_equal(w.argc, count + 1);
    assert_string_equal(w.argv[0], "loader");
    for (int i = 0; i < count; i++)
        assert_string_equal(w.argv[i + 1], expected[i]);
    assert_null(w.argv[count + 1]);
}

static void words_are_split_as_a_shell_does(void **state) {
    (void)state;
    expect_words("", 0, NULL);
    expect_words(" \t\n ", 0, NULL);
    expect_words("-b 20000\t-c  15\n", 4, (const char *[]){"-b", "20000", "-c", "15"});
    expect_words("'a b' \"c 'd'\" e'f 'g", 3, (const char *[]){"a b", "c 'd'", "ef g"});
    expect_words("'' \"\"", 2, (const char *[]){"", ""});
    expect_words("a\\ b \"c\\\"d\\\\e\\n\" 'f\\g'", 3,
                 (const char *[]){"a b", "c\"d\\e\\n", "f\\g"});
    expect_words("$HOME * ~ #x ; | `y`", 7,
                 (const char *[]){"$HOME", "*", "~", "#x", ";", "|", "`y`"});
}

static void words_that_do_not_end_are_an_error(void **state) {
    (void)state;
    static const char *const texts[][2] = {
        {"-b 'x", "a ' is not closed"},
        {"-b \"x\\\"", "a \" is not closed"},
        {"-b x\\", "there is nothing behind the last backslash"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct error err = ERROR_NULL;
        struct words w = WORDS_NULL;
        assert_int_equal(words_split("loader", texts[i][0], &w, &err), -1);
        assert_string_equal(err.text, texts[i][1]);
        assert_int_equal(err.kind, ERROR_USAGE);
    }
}

static void words_have_a_maximum(void **state) {
    (void)state;
    static char many[2 * LOADER_WORDS_MAX + 3], large[LOADER_WORDS_SIZE_MAX + 2];
    struct error err = ERROR_NULL;
    struct words w = WORDS_NULL;
    for (size_t i = 0; i < LOADER_WORDS_MAX; i++)
        memcpy(many + 2 * i, "x ", 2);
    assert_int_equal(words_split("loader", many, &w, &err), 0);
    words_deinit(&w);
    strcat(many, "x");
    assert_int_equal(words_split("loader", many, &w, &err), -1);
    assert_string_equal(err.text, "there are more than 1024 words");
    memset(large, 'x', sizeof large - 1);
    assert_int_equal(words_split("loader", large, &w, &err), -1);
    assert_string_equal(err.text, "the text is longer than 65536 bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_those_of_the_original_tool),
        cmocka_unit_test(every_letter_has_a_long_name),
        cmocka_unit_test(our_own_options_are_taken),
        cmocka_unit_test(requests_are_one_shape_or_a_mix),
        cmocka_unit_test(the_open_loop_has_options_of_its_own),
        cmocka_unit_test(a_load_ends_by_number_unless_something_else_is_said),
        cmocka_unit_test(the_last_of_two_wins),
        cmocka_unit_test(the_words_that_are_no_options_choose_the_command),
        cmocka_unit_test(mistakes_are_told_clearly),
        cmocka_unit_test(mistakes_in_a_mix_are_told_clearly),
        cmocka_unit_test(words_are_split_as_a_shell_does),
        cmocka_unit_test(words_that_do_not_end_are_an_error),
        cmocka_unit_test(words_have_a_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, words_gone);
}
