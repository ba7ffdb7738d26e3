/*
 * The loader as a process against servers of others, HTTP and echo: its counts are true whatever
 * they do.
 */

#include "tests/cli/loader_stage.h"

#include "lib/cleanup.h"
#include "lib/text.h"
#include "tests/fake/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* The loader with `args` against a server with the script. */
static struct server_counts load(struct stage *s, struct server_script script, const char *args) {
    struct error err = ERROR_NULL;
    struct server *server = NULL;
    struct server_counts counts;
    if (server_start(&script, &server, &err) < 0)
        fail_msg("%s", err.text);
    cleanup_free char *line =
        text_format("--protocol %s --target 127.0.0.1:%u %s", script.echo ? "tcp-echo" : "http",
                    server_port(server), args);
    stage_load(s, line);
    server_stop(server, &counts);
    return counts;
}

static void every_client_asks_on_a_connection_of_its_own(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    struct server_counts counts =
        load(&s, (struct server_script){0}, "-b 1000 -c 20 --path /a?b=c");
    assert_status(&s, 0);
    assert_counts(&s, 1000, 0, 0, 0);
    assert_int_equal(counts.requests, 1000);
    assert_int_equal(counts.connections, 20);
    assert_int_equal(counts.body_bytes, 0);
    assert_int_equal(strncmp(counts.head, "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:", 37), 0);
    assert_says(s.out, "HTTP GET /a?b=c");
    assert_string_equal(json_text_or_null(json_find(s.load, "protocol")), "http");
    assert_int_equal(stage_exported(&s, "out/requests.bin"), 1000);
}

static void post_carries_the_payload(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    struct server_counts counts =
        load(&s, (struct server_script){0}, "-b 100 -c 4 --method POST -d 100000");
    assert_status(&s, 0);
    assert_int_equal(counts.requests, 100);
    assert_int_equal(counts.body_bytes, 100 * 100000);
    assert_says(counts.head, "Content-Length: 100000\r\n");
}

static void answers_of_every_form_are_understood(void **state) {
    (void)state;
    static const enum server_answer forms[] = {
        SERVER_ANSWERS_IN_PIECES,  SERVER_ANSWERS_CHUNKED,      SERVER_ANSWERS_UNTIL_CLOSE,
        SERVER_ANSWERS_AND_CLOSES, SERVER_ANSWERS_AND_VANISHES, SERVER_ANSWERS_TWICE,
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        cleanup(stage_down) struct stage s = stage_empty();
        struct server_counts counts =
            load(&s, (struct server_script){.answer = forms[i]}, "-b 100 -c 5");
        /* A connection that vanishes may have taken the next request along. */
        bool vanishes = forms[i] == SERVER_ANSWERS_AND_VANISHES;
        assert_status(&s, vanishes && stage_number(&s, "requests.failed") > 0 ? 1 : 0);
        assert_int_equal(
            stage_number(&s, "requests.acknowledged") + stage_number(&s, "requests.failed"), 100);
        assert_true(vanishes || counts.requests == 100);
    }
}

static void in_the_open_loop_a_server_that_never_answers_makes_timeouts(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    struct server_counts counts =
        load(&s, (struct server_script){.answer = SERVER_ANSWERS_NEVER, .only_each = 10},
             "--rate 1000 -b 200 --clients 50 --request-timeout 3s");
    assert_status(&s, 1);
    assert_counts(&s, 180, 20, 0, 0);
    assert_true(counts.connections > 50); /* their answers could still have come */
}

static void statuses_are_outcomes(void **state) {
    (void)state;
    static const struct {
        unsigned status;
        int64_t acknowledged, failed, overloaded;
    } rows[] = {{204, 50, 0, 0}, {302, 50, 0, 0}, {429, 0, 0, 50},
                {503, 0, 0, 50}, {404, 0, 50, 0}, {101, 0, 50, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup(stage_down) struct stage s = stage_empty();
        load(&s, (struct server_script){.status = rows[i].status}, "-b 50 -c 5");
        assert_counts(&s, rows[i].acknowledged, 0, rows[i].failed, rows[i].overloaded);
        assert_status(&s, rows[i].acknowledged == 50 ? 0 : 1);
    }
}

static void who_answers_no_http_is_named_and_not_asked_for_ever(void **state) {
    (void)state;
    static const enum server_answer forms[] = {SERVER_ANSWERS_GARBAGE, SERVER_ANSWERS_TOO_MUCH};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        cleanup(stage_down) struct stage s = stage_empty();
        load(&s, (struct server_script){.answer = forms[i]}, "-b 100000 -c 5 --threads 1");
        assert_status(&s, 1);
        assert_says(s.err, "100 answers in a row were no good: 127.0.0.1:");
        assert_true(stage_number(&s, "requests.failed") >= 100);
    }
}

static void a_server_that_closes_instead_of_answering_makes_failures(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    load(&s, (struct server_script){.answer = SERVER_CLOSES, .only_each = 5}, "-b 100 -c 1");
    assert_status(&s, 1);
    assert_counts(&s, 80, 0, 20, 0);
    assert_says(s.err, "it closed the connection in an answer");
}

static void a_server_that_goes_away_ends_the_load(void **state) {
    (void)state;
    cleanup(stage_down) struct stage s = stage_empty();
    load(&s, (struct server_script){.end_after = 50}, "-b 1000 -c 1 --connect-timeout 200ms");
    assert_status(&s, 1);
    assert_says(s.err, "0 of 1 connections stand: 127.0.0.1:");
    assert_true(stage_number(&s, "requests.acknowledged") >= 49);
}

static void an_echo_is_compared(void **state) {
    (void)state;
    cleanup(stage_down) struct stage good = stage_empty(), bad = stage_empty();
    load(&good, (struct server_script){.echo = true, .answer = SERVER_ANSWERS_IN_PIECES},
         "-b 200 -c 3 -d 50");
    assert_status(&good, 0);
    assert_counts(&good, 200, 0, 0, 0);
    load(&bad, (struct server_script){.echo = true, .answer = SERVER_ANSWERS_GARBAGE},
         "-b 20 -c 3 -d 50");
    assert_status(&bad, 1);
    assert_counts(&bad, 0, 0, 20, 0);
    assert_says(bad.err, "what it sent back is not what it was sent");
}

static void options_of_another_protocol_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *args, *says;
    } rows[] = {
        {"--protocol http --target 127.0.0.1:1 -k 5",
         "option -k (--keys) is of --protocol replica"},
        {"--target 127.0.0.1:1", "--target needs --protocol http or tcp-echo"},
        {"--path /x", "--path needs --protocol http"},
        {"--protocol tcp-echo --target 127.0.0.1:1 -d 0", "needs a payload"},
        {"--protocol http --target 127.0.0.1:1 --path x", "--path must begin with '/'"},
        {"--protocol gopher", "'gopher' is none of replica|http|tcp-echo"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup(stage_down) struct stage s = stage_empty();
        stage_load(&s, rows[i].args);
        assert_status(&s, 2);
        assert_says(s.err, rows[i].says);
    }
}

static void targets_that_cannot_be_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *target, *says;
    } rows[] = {
        {"127.0.0.1", "'127.0.0.1' is not HOST:PORT"}, {"127.0.0.1:0", "the port of '127.0.0.1:0'"},
        {"[::1", "'[::1' is not HOST:PORT"},           {":80", "':80' is not HOST:PORT"},
        {"127.0.0.1:80,", "'' is not HOST:PORT"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cleanup(stage_down) struct stage s = stage_empty();
        cleanup_free char *args = text_format("--protocol http --target %s", rows[i].target);
        stage_load(&s, args);
        assert_status(&s, 3);
        assert_says(s.err, rows[i].says);
    }
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_client_asks_on_a_connection_of_its_own),
        cmocka_unit_test(post_carries_the_payload),
        cmocka_unit_test(answers_of_every_form_are_understood),
        cmocka_unit_test(in_the_open_loop_a_server_that_never_answers_makes_timeouts),
        cmocka_unit_test(statuses_are_outcomes),
        cmocka_unit_test(who_answers_no_http_is_named_and_not_asked_for_ever),
        cmocka_unit_test(a_server_that_closes_instead_of_answering_makes_failures),
        cmocka_unit_test(a_server_that_goes_away_ends_the_load),
        cmocka_unit_test(an_echo_is_compared),
        cmocka_unit_test(options_of_another_protocol_are_refused),
        cmocka_unit_test(targets_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
