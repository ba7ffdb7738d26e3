/* Machines: what answers say, who gets which name, what is missing, and what groups let in. */

#include "lib/text.h"
#include "lib/yaml.h"
#include "runner/cloud/ec2_group.h"
#include "runner/cloud/ec2_read.h"
#include "runner/cloud/host_key.h"
#include "runner/cloud/user_data.h"

#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct environment nothing = {.lookup = NULL};

static struct deployment *deployment(const char *text) {
    struct error err = ERROR_NULL;
    struct deployment *d = NULL;
    if (deployment_parse("d", "/w", 0600, text, strlen(text), &nothing, &d, &err) < 0)
        fail_msg("%s", err.text);
    return d;
}

static const char two_regions[] =
    "testbed:\n"
    "  provider: ec2\n"
    "  fleets:\n"
    "    r: {regions: {a-1: 2, b-1: {count: 1, zones: [b-1x]}}, instance_type: t, image: ami-1}\n"
    "    l: {regions: {a-1: 1}, instance_type: t, image: 'ssm:/x', market: spot}\n";

#define TAG(key, value) "<item><key>" key "</key><value>" value "</value></item>"
#define INSTANCE(id, state, launched, index, tags)                                                 \
    "<item><instanceId>" id "</instanceId><instanceState><name>" state                             \
    "</name></instanceState><launchTime>" launched "</launchTime><amiLaunchIndex>" index           \
    "</amiLaunchIndex><ipAddress>1.2.3.4</ipAddress><tagSet>" tags "</tagSet></item>"
#define OURS TAG(TAG_OWNER, "me") TAG(TAG_FLEET, "r") TAG(TAG_EXPIRES, "77")
#define PAGE(items)                                                                                \
    "<x><reservationSet><item><instancesSet>" items "</instancesSet></item></reservationSet></x>"

static struct machines read_page(const char *text, const char *region) {
    struct error err = ERROR_NULL;
    struct machines machines = MACHINES_NULL;
    cleanup(xml_freep) struct xml *document = NULL;
    if (xml_parse(text, strlen(text), &document, &err) < 0 ||
        ec2_read_instances(xml_root(document), region, "me", &machines, &err) < 0)
        fail_msg("%s", err.text);
    return machines;
}

static void the_oldest_machines_of_a_fleet_are_its_hosts(void **state) {
    (void)state;
    cleanup(deployment_freep) struct deployment *d = deployment(two_regions);
    cleanup(machines_deinit) struct machines all =
        read_page(PAGE(INSTANCE("i-3", "running", "2026-01-02T00:00:00.000Z", "0", OURS)
                           INSTANCE("i-2", "stopped", "2026-01-01T00:00:00.000Z", "1", OURS)
                               INSTANCE("i-1", "running", "2026-01-01T00:00:00.000Z", "0", OURS)
                                   INSTANCE("i-0", "terminated", "2025-01-01T00:00:00Z", "0", OURS)
                                       INSTANCE("i-9", "running", "2025-01-01T00:00:00Z", "0",
                                                TAG(TAG_OWNER, "you") TAG(TAG_FLEET, "r"))),
                  "a-1");
    struct machine_wish wishes[3];
    machines_name(&all, d);
    assert_int_equal(all.count, 4); /* the stranger's is nobody */
    assert_string_equal(all.items[0].id, "i-0");
    assert_null(all.items[0].host);
    assert_string_equal(all.items[1].id, "i-1");
    assert_string_equal(all.items[1].name, "r-1");
    assert_string_equal(all.items[2].name, "r-2");
    assert_null(all.items[3].host); /* one too many */
    assert_int_equal(all.items[1].expires_s, 77);
    assert_string_equal(all.items[1].address, "1.2.3.4");
    assert_int_equal(machines_missing(&all, d, wishes), 2);
    assert_string_equal(wishes[0].region->name, "b-1");
    assert_string_equal(wishes[1].fleet->name, "l");
    assert_int_equal(d->testbed.host_count, 4);
    assert_string_equal(d->testbed.hosts[2].name, "r-3");
    assert_string_equal(d->testbed.hosts[3].name, "l-1");
}

static void machines_that_run_are_hosts_and_the_others_say_why_not(void **state) {
    (void)state;
    cleanup(deployment_freep) struct deployment *d = deployment(two_regions);
    cleanup(machines_deinit) struct machines all = read_page(
        PAGE(INSTANCE("i-1", "running", "2026-01-01T00:00:00Z", "0",
                      OURS TAG(TAG_HOST_KEY, "SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"))
                 INSTANCE("i-2", "stopped", "2026-01-02T00:00:00Z", "0", OURS)),
        "a-1");
    machines_name(&all, d);
    machines_to_hosts(&all, d);
    const struct deployment_host *hosts = d->testbed.hosts;
    assert_null(hosts[0].absent);
    assert_string_equal(hosts[0].ssh, "ubuntu@1.2.3.4");
    assert_string_equal(hosts[0].ssh_host, "1.2.3.4");
    assert_string_equal(hosts[0].host_key, "SHA256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    assert_string_equal(hosts[1].absent, "its machine i-2 in a-1 is stopped");
    assert_string_equal(hosts[1].ssh, "r-2");
    assert_string_equal(hosts[3].absent, "there is no machine for it");
    /* The way that the deployment goes to them; one without an address cannot be reached. */
    d->testbed.addresses = DEPLOYMENT_PRIVATE;
    machines_to_hosts(&all, d);
    assert_string_equal(hosts[0].absent, "its machine i-1 in a-1 is without an address");
    machine_set(&all.items[0].private_address, "10.0.0.9");
    machines_to_hosts(&all, d);
    assert_null(hosts[0].absent);
    assert_string_equal(hosts[0].ssh, "ubuntu@10.0.0.9");
}

static void what_answers_say_is_not_believed_where_it_would_do_harm(void **state) {
    (void)state;
    cleanup(machines_deinit) struct machines all = read_page(
        "<x><instancesSet><item><instanceId>i-1</instanceId><ipAddress>-oProxyCommand=x</ipAddress>"
        "<privateIpAddress>1.2.3.4 x</privateIpAddress><instanceType>\xc2\x9b[31m</instanceType>"
        "<tagSet>" TAG(TAG_OWNER, "me") TAG(TAG_HOST_KEY, "SHA256:short")
            TAG(TAG_EXPIRES, "99999999999999999999") "</tagSet></item></instancesSet></x>",
        "r");
    assert_string_equal(all.items[0].address, "");
    assert_string_equal(all.items[0].private_address, "");
    assert_string_equal(all.items[0].host_key, "");
    assert_int_equal(all.items[0].expires_s, 0);
    assert_int_equal(all.items[0].state, MACHINE_PENDING);
    struct error err = ERROR_NULL;
    cleanup(xml_freep) struct xml *document = NULL;
    static const char bad[] = PAGE("<item><instanceId>i-1&amp;Action=x</instanceId><tagSet>" TAG(
        TAG_OWNER, "me") "</tagSet></item>");
    assert_int_equal(xml_parse(bad, strlen(bad), &document, &err), 0);
    assert_int_equal(ec2_read_instances(xml_root(document), "r", "me", &all, &err), -1);
    assert_int_equal(err.kind, ERROR_INVALID);
}

static void a_group_lets_in_the_runner_the_group_and_its_peers_only(void **state) {
    (void)state;
    static const char text[] =
        "<x><securityGroupInfo><item><groupId>sg-1</groupId><ipPermissions>"
        "<item><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort><groups/>"
        "<ipRanges><item><cidrIp>0.0.0.0/0</cidrIp></item><item><cidrIp>1.1.1.1/32</cidrIp></item>"
        "</ipRanges></item>"
        "<item><ipProtocol>-1</ipProtocol><groups><item><groupId>sg-1</groupId></item></groups>"
        "</item></ipPermissions></item></securityGroupInfo></x>";
    static char runner[] = "1.1.1.1/32", peer[] = "2.2.2.2";
    char *from[] = {runner, NULL}, *peers[] = {peer, NULL};
    static struct ec2_rule have[EC2_RULES_MAX], want[EC2_RULES_MAX], diff[EC2_RULES_MAX];
    struct error err = ERROR_NULL;
    cleanup(xml_freep) struct xml *document = NULL;
    assert_int_equal(xml_parse(text, strlen(text), &document, &err), 0);
    size_t have_count = ec2_read_rules(xml_root(document), "sg-1", have);
    size_t want_count = ec2_rules_wanted("sg-1", from, peers, want);
    assert_int_equal(have_count, 3);
    assert_int_equal(want_count, 3);
    assert_int_equal(ec2_rules_without(want, want_count, have, have_count, diff), 1);
    assert_string_equal(diff[0].source, "2.2.2.2/32");
    assert_int_equal(ec2_rules_without(have, have_count, want, want_count, diff), 1);
    assert_string_equal(diff[0].source, "0.0.0.0/0");
}

/* What ssh-keygen makes of the private key is the public one, and its fingerprint ours. */
static void a_host_key_is_one_for_openssh(void **state) {
    (void)state;
    unsigned char seed[HOST_KEY_SEED_SIZE];
    char print[HOST_KEY_PRINT_SIZE], again[HOST_KEY_PRINT_SIZE];
    cleanup(folder_remove) struct folder f = folder_make();
    cleanup(buffer_deinit) struct buffer private, public;
    buffer_init(&private, 4096);
    buffer_init(&public, 4096);
    for (size_t i = 0; i < sizeof seed; i++)
        seed[i] = (unsigned char)i;
    host_key_make(seed, &private, &public, print);
    assert_true(host_key_fingerprint(buffer_string(&public), again));
    assert_string_equal(print, again);
    assert_false(host_key_fingerprint("ssh-ed25519 AAAA", again));
    folder_write_mode(&f, "k", private.data, private.size, 0600);
    cleanup_free char *command =
        text_format("cd %s && ssh-keygen -y -f k >k.pub && ssh-keygen -l -f k.pub >print", f.path);
    if (system(command) != 0) /* NOLINT: words of our own */
        fail_msg("ssh-keygen does not read it");
    cleanup_free char *line = folder_read(&f, "k.pub"), *said = folder_read(&f, "print");
    assert_true(text_starts(line, buffer_string(&public)));
    assert_non_null(strstr(said, print));
}

static void user_data_has_a_limit_and_is_yaml(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct user_data what = {.private_key = "PRIVATE\nLINES\n",
                             .public_key = "ssh-ed25519 AAAA",
                             .authorized_key = "ssh-ed25519 BBBB me@here: 'x'",
                             .user = "ubuntu",
                             .time_to_live_sec = 3600};
    cleanup(buffer_deinit) struct buffer text, small;
    buffer_init(&text, USER_DATA_MAX);
    buffer_init(&small, 100);
    assert_int_equal(user_data_write(&what, &text, &err), 0);
    assert_int_equal(user_data_write(&what, &small, &err), -1);
    cleanup(yaml_tree_freep) struct yaml_tree *tree = NULL;
    assert_true(text_starts(text.data, "#cloud-config\n"));
    assert_int_equal(yaml_parse("u", text.data, text.size, &tree, &err), 0);
    const struct yaml_node *keys = yaml_find(yaml_root(tree), "ssh_keys");
    assert_string_equal(yaml_find(keys, "ed25519_private")->text, what.private_key);
    const struct yaml_node *script =
        yaml_find(yaml_find(yaml_root(tree), "write_files")->items[0], "content");
    assert_non_null(strstr(script->text, "$(date +%s) + 3600))"));
}

/* Before the engine is made or started, by the script that tests/rig/ec2/disks.bats runs. */
static void user_data_has_the_instance_store_made_ready_for_the_engine(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    struct user_data what = {.private_key = "P", .public_key = "p", .user = "u"};
    for (int wanted = 0; wanted < 2; wanted++) {
        cleanup(buffer_deinit) struct buffer text;
        cleanup(yaml_tree_freep) struct yaml_tree *tree = NULL;
        buffer_init(&text, USER_DATA_MAX);
        what.instance_store = wanted;
        assert_int_equal(user_data_write(&what, &text, &err), 0);
        assert_int_equal(yaml_parse("u", text.data, text.size, &tree, &err), 0);
        const struct yaml_node *files = yaml_find(yaml_root(tree), "write_files");
        assert_int_equal(files->count, wanted ? 4 : 2);
        if (!wanted)
            continue;
        assert_string_equal(yaml_find(files->items[2], "path")->text,
                            "/usr/local/sbin/seatrial-disks");
        assert_true(text_starts(yaml_find(files->items[2], "content")->text, "#!/bin/sh\n"));
        assert_non_null(strstr(yaml_find(files->items[3], "content")->text,
                               "RequiredBy=docker.service containerd.service\n"));
        assert_true(strstr(text.data, "enable --now seatrial-disks") <
                    strstr(text.data, "command -v dockerd"));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_machines_of_a_fleet_are_its_hosts),
        cmocka_unit_test(machines_that_run_are_hosts_and_the_others_say_why_not),
        cmocka_unit_test(what_answers_say_is_not_believed_where_it_would_do_harm),
        cmocka_unit_test(a_group_lets_in_the_runner_the_group_and_its_peers_only),
        cmocka_unit_test(a_host_key_is_one_for_openssh),
        cmocka_unit_test(user_data_has_a_limit_and_is_yaml),
        cmocka_unit_test(user_data_has_the_instance_store_made_ready_for_the_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
