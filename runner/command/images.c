/* `seatrial images`: the image part of a trial alone. */

#include "runner/command/images.h"

const struct command images_commands[] = {
#define X(name, summary) {#name, summary, &images_##name##_argp, images_##name},
    IMAGES_COMMANDS(X)
#undef X
};
const size_t images_command_count = sizeof images_commands / sizeof *images_commands;

static char *add_commands(int key, const char *text, void *input) {
    (void)input;
    return command_help_list(key, text, "seatrial images", images_commands, images_command_count);
}

const struct argp images_argp = {NULL,
                                 command_parse_part,
                                 "COMMAND [ARGUMENTS]",
                                 "Does the image part of a trial alone, as `run` would do it.\v.",
                                 NULL,
                                 add_commands,
                                 NULL};

int command_images(struct command_context *context, int argc, char **argv) {
    return command_run_part(context, &images_argp, "images", images_commands, images_command_count,
                            argc, argv);
}
