/* Hostile lines of known hosts: what is found lies within the line. */

#include "runner/remote/known_hosts.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_within(const char *line, size_t size, const char *part, size_t part_size) {
    assert(part >= line && part_size > 0 && part + part_size <= line + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *line = (const char *)data;
    struct known_hosts_line found;
    if (!known_hosts_parse(line, size, &found))
        return 0;
    assert_within(line, size, found.names, found.names_size);
    assert_within(line, size, found.type, found.type_size);
    assert_within(line, size, found.key, found.key_size);
    (void)known_hosts_names(&found, "host.example");
    (void)known_hosts_names(&found, "[host.example]:2222");
    return 0;
}
