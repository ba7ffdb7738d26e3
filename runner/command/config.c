/* `seatrial config`: the checked, merged project. */

#include "lib/cleanup.h"
#include "runner/command/command.h"

const struct argp config_argp = {
    NULL, NULL, NULL, "Prints the merged Compose project as canonical YAML.", NULL, NULL, NULL};

int command_config(struct command_context *context, int argc, char **argv) {
    struct error err = ERROR_NULL;
    command_parse(&config_argp, "config", argc, argv, NULL);
    cleanup(command_files_deinit) struct command_files files = COMMAND_FILES_NULL;
    if (command_read_files(context, &files, &err) < 0)
        return command_fail(context, &err);
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, 64 << 20);
    project_write_config(files.project, &text);
    fputs(buffer_string(&text), stdout);
    return 0;
}
