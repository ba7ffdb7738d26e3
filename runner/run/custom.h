#pragma once

/*
 * From the commands of a deployment to those that runner/collect/custom.h runs: what a trial and
 * `seatrial custom` have in common.
 */

#include "lib/json.h"
#include "runner/collect/custom.h"
#include "runner/deployment/commands.h"

struct custom_list {
    struct custom_command commands[DEPLOYMENT_COMMANDS_MAX + 1];
    struct custom_target *targets[DEPLOYMENT_COMMANDS_MAX + 1]; /* of each */
    size_t count;
    char **folders; /* of all targets */
    size_t folder_count, folder_capacity;
};

/* Borrows its texts. It will have at most so many targets. */
void custom_list_add(struct custom_list *list, const struct deployment_command *command,
                     size_t targets_max);
/* For the command that was added last. Borrows its texts but `folder`, which is the container's:
 * what the command prints goes below `custom` in it. */
void custom_list_add_target(struct custom_list *list, const struct custom_target *target);
void custom_list_deinit(struct custom_list *list);

/* For run.json, and for the journal and back; what is missing there is 0. */
void custom_count_write(const struct custom_count *count, struct json *object);
struct custom_count custom_count_read(const struct json *object);
