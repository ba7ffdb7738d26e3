/* What people find beside the results to work on the machines by name. */

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "runner/run/inventory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char mine[] = "/home/me/.ssh/known_hosts", more[] = "/etc/more";
static char *const known_hosts[] = {mine, more, NULL};
static const char *const replica[] = {"replica", NULL};
static const char *const both[] = {"replica", "loader", NULL};

static const struct inventory_host hosts[] = {
    {.name = "r1",
     .user = "ubuntu",
     .address = "10.0.0.11",
     .port = 22,
     .identity_file = "/keys/100%.pem",
     .known_hosts_files = known_hosts,
     .roles = replica,
     .fleet = "data-bases"},
    {.name = "r2",
     .user = "me",
     .address = "203.0.113.7",
     .port = 2222,
     .proxy_jump = "gate",
     .host_key = "ssh-ed25519 AAAA",
     .known_hosts_files = known_hosts,
     .roles = both},
};
static const struct inventory inventory = {.hosts = hosts, .count = 2, .folder = "/results/x"};

static void fill(void (*write)(const struct inventory *, struct buffer *),
                 const struct inventory *what, struct buffer *out) {
    buffer_init(out, 1 << 16);
    write(what, out);
}

static void the_ssh_configuration_says_how_we_are_connected(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer out;
    fill(inventory_ssh_config, &inventory, &out);
    const char *text = buffer_string(&out);
    assert_non_null(
        strstr(text, "\nHost r1\n    HostName \"10.0.0.11\"\n    Port 22\n    User \"ubuntu\"\n"
                     "    IdentityFile \"/keys/100%%.pem\"\n"
                     "    UserKnownHostsFile \"/home/me/.ssh/known_hosts\" \"/etc/more\"\n"));
    assert_non_null(strstr(text, "    Port 2222\n    User \"me\"\n    ProxyJump \"gate\"\n"
                                 "    UserKnownHostsFile \"/results/x/known_hosts\"\n"));
    assert_non_null(strstr(text, "\nHost *\n    Include \"~/.ssh/config\"\n"));
}

static void what_is_not_the_users_own_configuration_is_included_instead(void **state) {
    (void)state;
    struct inventory other = inventory;
    other.ssh_config = "/else/config";
    cleanup(buffer_deinit) struct buffer out;
    fill(inventory_ssh_config, &other, &out);
    assert_non_null(strstr(buffer_string(&out), "    Include \"/else/config\"\n"));
    assert_null(strstr(buffer_string(&out), "~/.ssh"));
}

static void only_pinned_keys_are_known_beside_the_results(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer out;
    fill(inventory_known_hosts, &inventory, &out);
    assert_string_equal(buffer_string(&out), "[203.0.113.7]:2222 ssh-ed25519 AAAA\n");
}

static void ansible_finds_hosts_roles_and_fleets(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer ini, yaml;
    fill(inventory_ini, &inventory, &ini);
    assert_string_equal(
        buffer_string(&ini),
        "# ansible -i THIS_FILE all -m ping\n[hosts]\n"
        "r1 ansible_host=10.0.0.11 ansible_port=22 ansible_user=ubuntu\n"
        "r2 ansible_host=203.0.113.7 ansible_port=2222 ansible_user=me\n"
        "\n[replica]\nr1\nr2\n\n[loader]\nr2\n\n[fleet_data_bases]\nr1\n"
        "\n[all:vars]\nansible_ssh_common_args=-F \"{{ inventory_dir }}/ssh_config\"\n");
    fill(inventory_yaml, &inventory, &yaml);
    assert_non_null(strstr(buffer_string(&yaml),
                           "  children:\n    replica:\n      hosts:\n        \"r1\": {}\n"
                           "        \"r2\": {}\n    loader:\n"));
}

static void a_value_that_would_be_more_than_one_is_left_out(void **state) {
    (void)state;
    const struct inventory_host host = {.name = "r1",
                                        .user = "a\"\n    ProxyCommand \"evil",
                                        .address = "10.0.0.1",
                                        .port = 22,
                                        .identity_file = "/x\\"};
    const struct inventory one = {.hosts = &host, .count = 1, .folder = "/r"};
    cleanup(buffer_deinit) struct buffer out;
    fill(inventory_ssh_config, &one, &out);
    assert_null(strstr(buffer_string(&out), "evil"));
    assert_null(strstr(buffer_string(&out), "IdentityFile"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ssh_configuration_says_how_we_are_connected),
        cmocka_unit_test(what_is_not_the_users_own_configuration_is_included_instead),
        cmocka_unit_test(only_pinned_keys_are_known_beside_the_results),
        cmocka_unit_test(ansible_finds_hosts_roles_and_fleets),
        cmocka_unit_test(a_value_that_would_be_more_than_one_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
