#include "runner/run/custom.h"

#include "lib/clock.h"
#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

static const enum custom_when whens[] = {
    [DEPLOYMENT_AT_INTERVAL] = CUSTOM_INTERVAL,
    [DEPLOYMENT_AT_START] = CUSTOM_START,
    [DEPLOYMENT_AT_END] = CUSTOM_END,
    [DEPLOYMENT_ON_DEMAND] = CUSTOM_DEMAND,
};

void custom_list_add(struct custom_list *list, const struct deployment_command *command,
                     size_t targets_max) {
    struct custom_target *targets = mem_new_array(struct custom_target, targets_max + 1);
    list->targets[list->count] = targets;
    list->commands[list->count++] =
        (struct custom_command){.name = command->name,
                                .command = command->command,
                                .script_path = command->script,
                                .in_container = command->in == DEPLOYMENT_IN_CONTAINER,
                                .when = whens[command->when],
                                .interval_ns = (uint64_t)command->interval_sec * NS_PER_SEC,
                                .timeout_ns = (uint64_t)command->timeout_sec * NS_PER_SEC,
                                .targets = targets};
}

/* custom/<n>.out of the one that has no name, custom/<name>/<n>.out of all others. */
static char *folder_of(const struct custom_command *command, const char *container_folder) {
    char *folder = path_join(container_folder, "custom");
    if (!command->name)
        return folder;
    char *named = path_join(folder, command->name);
    free(folder);
    return named;
}

void custom_list_add_target(struct custom_list *list, const struct custom_target *target) {
    struct custom_command *command = &list->commands[list->count - 1];
    struct custom_target *to = &list->targets[list->count - 1][command->target_count++];
    *to = *target;
    char *folder = folder_of(command, target->folder);
    to->folder = folder;
    mem_grow(list->folders, list->folder_count, list->folder_capacity);
    list->folders[list->folder_count++] = folder;
}

void custom_list_deinit(struct custom_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->targets[i]);
    for (size_t i = 0; i < list->folder_count; i++)
        free(list->folders[i]);
    free(list->folders);
}

static const struct {
    const char *key;
    size_t offset;
} counts[] = {
    {"runs", offsetof(struct custom_count, runs)},
    {"failures", offsetof(struct custom_count, failures)},
    {"overruns", offsetof(struct custom_count, overruns)},
    {"lost", offsetof(struct custom_count, lost)},
    {"timed_out", offsetof(struct custom_count, timed_out)},
    {"container_ended", offsetof(struct custom_count, container_ended)},
};

void custom_count_write(const struct custom_count *count, struct json *object) {
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        uint64_t value;
        memcpy(&value, (const char *)count + counts[i].offset, sizeof value);
        json_set_int(object, counts[i].key, (int64_t)value);
    }
}

struct custom_count custom_count_read(const struct json *object) {
    struct custom_count count = {0};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct error ignored = ERROR_NULL;
        int64_t value = 0;
        json_get_int(object, counts[i].key, 0, &value, &ignored);
        memcpy((char *)&count + counts[i].offset, &value, sizeof value);
    }
    return count;
}
