/* Which container goes to which host, as a table. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *nothing(void *arg, const char *name) {
    (void)arg;
    (void)name;
    return NULL;
}
static const struct environment env = {.lookup = nothing};

struct trial {
    struct project *project;
    struct deployment *deployment;
    struct plan *plan;
};

static void trial_deinit(struct trial *t) {
    if (t->plan)
        plan_free(t->plan);
    if (t->project)
        project_free(t->project);
    if (t->deployment)
        deployment_free(t->deployment);
}

/* "a b:fleet": hosts and their fleets; NULL: this machine. */
static void deployment_of(const char *hosts, struct trial *t) {
    struct error err = ERROR_NULL;
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 10000);
    buffer_text(&text, hosts ? "testbed:\n  provider: hosts\n  hosts:\n" : "{}");
    cleanup_free char *copy = text_dup(hosts ? hosts : "");
    char *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        char *fleet = strchr(word, ':');
        if (fleet)
            *fleet++ = '\0';
        buffer_format(&text, "    - {ssh: %s%s%s}\n", word, fleet ? ", fleet: " : "",
                      fleet ? fleet : "");
    }
    if (deployment_parse("d", "/t", 0600, buffer_string(&text), text.size, &env, &t->deployment,
                         &err) < 0)
        fail_msg("%s", err.text);
}

static int plan_of(const char *services, const char *hosts, const struct plan_options *wishes,
                   struct trial *t, struct error *err) {
    cleanup_free char *text = text_format("services:\n%s", services);
    struct project_source source = {"c", text, strlen(text)};
    struct project_options options = {.name = "p", .folder = "/t", .environment = env};
    deployment_of(hosts, t);
    if (project_parse(&source, 1, &options, &t->project, err) < 0)
        fail_msg("%s", err->text);
    return plan_make(t->project, t->deployment, wishes, &t->plan, err);
}

/* "p-a-1@host:port ..." */
static char *places(const struct plan *plan) {
    struct buffer out;
    buffer_init(&out, 10000);
    for (size_t i = 0; i < plan->container_count; i++) {
        const struct plan_container *c = &plan->containers[i];
        buffer_format(&out, "%s%s@%s", i ? " " : "", c->name + 2, plan->hosts[c->host].name);
        if (c->port_count)
            buffer_format(&out, ":%u", c->ports[0].port);
    }
    return buffer_take(&out);
}

#define HOST_NET " image: x, network_mode: host, "
#define REPLICAS(name, n, more)                                                                    \
    "  " name ": {" HOST_NET "scale: " #n ", x-seatrial: {role: replica" more "}}\n"
#define LOADER(more) "  l: {" HOST_NET "x-seatrial: {role: loader" more "}}\n"
#define SIDECAR(name, n) "  " name ": {image: x, scale: " #n "}\n"

static const struct {
    const char *what, *hosts, *services, *expected; /* or the error */
} cases[] = {
    {"a host each", "a b c d e", REPLICAS("r", 4, "") LOADER(""), "r-1@a r-2@b r-3@c r-4@d l-1@e"},
    {"more hosts than containers", "a b c d e f", REPLICAS("r", 4, "") LOADER(""),
     "r-1@a r-2@b r-3@c r-4@d l-1@e"},
    {"replicas first, whatever the file's order", "a b c", LOADER("") REPLICAS("r", 2, ""),
     "l-1@c r-1@a r-2@b"},
    {"a loader shares where there is no host left", "a b", REPLICAS("r", 2, "") LOADER(""),
     "r-1@a r-2@b l-1@a"},
    {"sidecars fill up", "a b c d", SIDECAR("s", 2) REPLICAS("r", 2, "") LOADER(""),
     "s-1@d s-2@a r-1@a r-2@b l-1@c"},
    {"two services of replicas", "a b c d", REPLICAS("r", 2, "") REPLICAS("q", 2, "") LOADER(""),
     "r-1@a r-2@b q-1@c q-2@d l-1@a"},
    {"per_host spreads before it stacks", "a b c",
     REPLICAS("r", 5, ", per_host: 2, ports: {p: 70}") LOADER(""),
     "r-1@a:70 r-2@b:70 r-3@c:70 r-4@a:71 r-5@b:71 l-1@c"},
    {"one host, all of them", "a", REPLICAS("r", 3, ", per_host: 3, ports: {p: 70}") LOADER(""),
     "r-1@a:70 r-2@a:71 r-3@a:72 l-1@a"},
    {"two fleets", "a:x b:y c:x d:y", REPLICAS("r", 2, ", fleet: y") LOADER(", fleet: x"),
     "r-1@b r-2@d l-1@a"},
    {"a fleet and those without", "a b:y c d:y", REPLICAS("r", 2, ", fleet: y") LOADER(""),
     "r-1@b r-2@d l-1@a"},
    {"prepare services take nobody's place", "a b c",
     "  k: {" HOST_NET "x-seatrial: {role: prepare}}\n"
     "  m: {" HOST_NET "x-seatrial: {role: prepare}}\n" REPLICAS("r", 2, "") LOADER(""),
     "k-1@a m-1@b r-1@a r-2@b l-1@c"},
    {"who shares a network goes along", "a b c",
     REPLICAS("r", 2, "") LOADER("") "  s: {image: x, scale: 2, network_mode: 'service:r'}\n"
                                     "  t: {image: x, network_mode: 'service:l'}\n",
     "r-1@a r-2@b l-1@c s-1@a s-2@b t-1@c"},
    {"a service without containers needs no host", "a:x",
     REPLICAS("r", 1, ", fleet: x") LOADER(", fleet: x") SIDECAR("s", 0), "r-1@a l-1@a"},
    {"local: one host, no limit, fleets mean nothing", NULL,
     REPLICAS("r", 3, ", fleet: x, ports: {p: 70}") LOADER(", fleet: y"),
     "r-1@local:70 r-2@local:71 r-3@local:72 l-1@local"},

    {"too few hosts", "a b", REPLICAS("r", 3, "") LOADER(""),
     "c:2:3: service 'r' wants 3 containers, 1 per host, and there are 2 hosts without a fleet"},
    {"too few in a fleet", "a:x b:y",
     REPLICAS("r", 5, ", fleet: x, per_host: 4") LOADER(", fleet: y"),
     "c:2:3: service 'r' wants 5 containers, 4 per host, and there is 1 host in fleet 'x'"},
    {"no such fleet", "a:replicas b:loaders", REPLICAS("r", 1, ", fleet: replcas") LOADER(""),
     "c:2:3: service 'r': no host belongs to fleet 'replcas'; did you mean 'replicas'?"},
    {"no fleet said", "a:x b:y c:x", REPLICAS("r", 1, "") LOADER(""),
     "c:2:3: service 'r' names no fleet, and every host belongs to one ('x', 'y')"},
    {"bridge networks do not span hosts", "a b",
     REPLICAS("r", 1, "") "  l: {image: x, x-seatrial: {role: loader}}\n",
     "c:3:3: service 'l' of role loader is on a network of its host alone, and the trial is on "
     "several hosts"},
    {"neither do those that are shared", "a b",
     REPLICAS("r", 1,
              "") "  s: {image: x, ports: ['80']}\n"
                  "  l: {image: x, network_mode: 'service:s', x-seatrial: {role: loader}}\n",
     "c:4:3: service 'l' of role loader is on a network of its host alone, and the trial is on "
     "several hosts"},
    {"one port of one host for two services", "a b",
     REPLICAS("r", 2, ", ports: {p: 70}") LOADER(", ports: {q: 70}"),
     "port 70 is port 'p' of p-r-1 and port 'q' of p-l-1, on one host"},
    {"networks shared with too few", "a b",
     REPLICAS("r", 2, "") LOADER("") "  s: {image: x, scale: 3, network_mode: 'service:r'}\n",
     "c:4:3: container 3 of service 's' shares the network of service 'r', which has 2 containers"},
    {"a name that leads back to the host itself", "localhost b", REPLICAS("r", 1, "") LOADER(""),
     "d:4:7: containers on other hosts cannot reach host 'localhost' at 'localhost'"},
};

static void containers_are_placed_as_the_table_says(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_NULL;
        cleanup(trial_deinit) struct trial t = {.plan = NULL};
        struct plan_options wishes = {.run = "0badcafe"};
        int r = plan_of(cases[i].services, cases[i].hosts, &wishes, &t, &err);
        cleanup_free char *got = r < 0 ? text_dup(err.text) : places(t.plan);
        if (!text_equal(got, cases[i].expected))
            fail_msg("%s:\n  %s\n  instead of\n  %s", cases[i].what, got, cases[i].expected);
        if (r < 0)
            assert_int_equal(err.kind, ERROR_CONFIG);
    }
}

static void too_few_hosts_are_told_how_many_per_host_would_do(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(trial_deinit) struct trial t = {.plan = NULL};
    struct plan_options wishes = {.run = "0badcafe"};
    assert_int_equal(plan_of(REPLICAS("r", 7, "") LOADER(""), "a b c", &wishes, &t, &err), -1);
    assert_string_equal(
        err.hint, "list more hosts, or write `per_host: 3` under `x-seatrial` of service 'r'");
}

static void a_loader_by_hand_is_on_the_loaders_host(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(trial_deinit) struct trial t = {.plan = NULL};
    struct plan_options wishes = {.run = "0badcafe", .mode = PLAN_LOAD};
    assert_int_equal(plan_of(REPLICAS("r", 2, "") LOADER(""), "a b c", &wishes, &t, &err), 0);
    cleanup_free char *got = places(t.plan);
    assert_string_equal(got, "r-1@a r-2@b l-by-hand@c");
    assert_true(t.plan->hosts[2].used);
    assert_false(t.plan->hosts[0].used);
}

/* ---- addresses ---- */

static void addresses_are_what_is_said_or_resolved_or_in_ssh(void **state) {
    (void)state;
    static const char *const resolved[] = {"10.0.0.1", NULL};
    struct error err = ERROR_NULL;
    cleanup(trial_deinit) struct trial t = {.plan = NULL};
    struct plan_options wishes = {.run = "0badcafe", .addresses = resolved};
    assert_int_equal(plan_of(REPLICAS("r", 1, "") LOADER(""), "a b", &wishes, &t, &err), 0);
    assert_string_equal(t.plan->hosts[0].address, "10.0.0.1");
    assert_string_equal(t.plan->hosts[1].address, "b");
    assert_int_equal(t.plan->host_count, 2); /* nothing is built, so there is no builder */
    assert_true(t.plan->builder == PLAN_NONE);
}

static void resolved_addresses_are_checked(void **state) {
    (void)state;
    static const char *const cases_[][3] = {
        {"10.0.0.1", "10.0.0.1",
         "d:5:7: hosts 'b' and 'a' (line 4) have the same address '10.0.0.1'"},
        {"10.0.0.1", "x\"y", "d:5:7: host 'b' has an address that cannot be one: 'x\"y'"},
        {"127.0.0.1", "10.0.0.1",
         "d:4:7: containers on other hosts cannot reach host 'a' at '127.0.0.1'"},
    };
    for (size_t i = 0; i < sizeof cases_ / sizeof *cases_; i++) {
        struct error err = ERROR_NULL;
        cleanup(trial_deinit) struct trial t = {.plan = NULL};
        struct plan_options wishes = {.run = "0badcafe", .addresses = cases_[i]};
        assert_int_equal(plan_of(REPLICAS("r", 1, "") LOADER(""), "a b", &wishes, &t, &err), -1);
        assert_string_equal(err.text, cases_[i][2]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_are_placed_as_the_table_says),
        cmocka_unit_test(too_few_hosts_are_told_how_many_per_host_would_do),
        cmocka_unit_test(a_loader_by_hand_is_on_the_loaders_host),
        cmocka_unit_test(addresses_are_what_is_said_or_resolved_or_in_ssh),
        cmocka_unit_test(resolved_addresses_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
