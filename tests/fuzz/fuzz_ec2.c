/* What EC2, AWS's files and those who give keys say. The first byte chooses who speaks. */

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/cloud/aws_profile.h"
#include "runner/cloud/aws_url.h"
#include "runner/cloud/ec2.h"
#include "runner/cloud/ec2_read.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What goes into requests and rules must be harmless there. */
static void check(const struct machines *machines) {
    for (size_t i = 0; i < machines->count; i++) {
        const struct machine *m = &machines->items[i];
        assert(text_equal(m->owner, "me") && !strpbrk(m->id, "&=% \n"));
        assert(strspn(m->address, "0123456789.") == strlen(m->address));
        assert(!strpbrk(m->type, "\x1b\n"));
    }
}

static void answer(const char *text, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(xml_freep) struct xml *document = NULL;
    cleanup(machines_deinit) struct machines machines = MACHINES_NULL;
    cleanup_free struct ec2_rule *rules = mem_new_array(struct ec2_rule, EC2_RULES_MAX);
    struct ec2_fault fault;
    if (ec2_fault_read(text, size, &fault))
        assert(fault.code[0] && !strchr(fault.message, '\x1b'));
    if (xml_parse(text, size, &document, &err) < 0) {
        assert(err.kind == ERROR_INVALID || err.kind == ERROR_LIMIT);
        return;
    }
    ec2_read_instances(xml_root(document), "r", "me", &machines, &err);
    ec2_read_groups(xml_root(document), "r", "me", &machines, &err);
    check(&machines);
    assert(ec2_read_rules(xml_root(document), "sg-1", rules) <= EC2_RULES_MAX);
}

static void profile(const char *text, size_t size, bool is_config) {
    struct error err = ERROR_NULL;
    cleanup(aws_profile_deinit) struct aws_profile p = {.found = false};
    aws_profile_read("f", text, size, "p", is_config, &p, &err);
}

static void keys(const char *text, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(aws_credentials_deinit) struct aws_credentials c = AWS_CREDENTIALS_NULL;
    if (aws_answer_read(text, size, &c, &err) == 0)
        assert(!strpbrk(c.secret_access_key, "\r\n ") && !strchr(c.access_key_id, ':'));
}

static void address(const char *text) {
    struct error err = ERROR_NULL;
    struct aws_url url;
    if (aws_url_parse(text, &url, &err) == 0)
        assert(url.host[0] && url.port && !strpbrk(url.host, "@/ "));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    cleanup_free char *text = mem_zero(1, size);
    size--;
    memcpy(text, data + 1, size);
    switch (data[0]) {
    case 'X': answer(text, size); break;
    case 'P': profile(text, size, false); break;
    case 'C': profile(text, size, true); break;
    case 'K': keys(text, size); break;
    case 'U': address(text); break;
    default: break;
    }
    return 0;
}
