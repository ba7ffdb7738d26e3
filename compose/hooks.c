/* Lifecycle hooks of a service. */

#include "compose/read.h"
#include "lib/memory.h"
#include "lib/text.h"

enum { HOOKS_MAX = 64 };

static int read_hook_command(const struct yaml_node *value, void *target, void *reading,
                             struct error *err) {
    (void)reading;
    return read_command(value, &((struct project_hook *)target)->command, err);
}

static int read_hook_environment(const struct yaml_node *value, void *target, void *reading,
                                 struct error *err) {
    struct project_hook *hook = target;
    return read_pairs(value, reading, PAIRS_ENVIRONMENT, &hook->environment, err);
}

#define AT(member) offsetof(struct project_hook, member)
static const struct yaml_field fields[] = {
    YAML_READ_VALUE("command", read_hook_command),
    YAML_READ_VALUE("environment", read_hook_environment),
    YAML_VALUE("privileged", BOOL, AT(privileged)),
    YAML_VALUE("user", TEXT, AT(user)),
    YAML_VALUE("working_dir", TEXT, AT(working_dir)),
};
#undef AT
static const struct yaml_table table = YAML_TABLE_WITH_EXTENSIONS("a hook", fields);

int read_pre_stop(const struct yaml_node *value, void *target, void *reading, struct error *err) {
    struct project_service *service = target;
    if (yaml_want(value, YAML_SEQUENCE, err) < 0)
        return -1;
    if (value->count > HOOKS_MAX)
        return yaml_error(value, err, "more than %d hooks", HOOKS_MAX);
    service->pre_stop = mem_new_array(struct project_hook, value->count);
    for (size_t i = 0; i < value->count; i++) {
        struct project_hook *hook = &service->pre_stop[service->pre_stop_count++];
        if (yaml_read(value->items[i], &table, hook, reading, err) < 0)
            return -1;
        if (!hook->command || !hook->command[0])
            return yaml_error(value->items[i], err, "a hook needs a 'command'");
    }
    return 0;
}
