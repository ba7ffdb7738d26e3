#include "runner/run/health.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/engine/exec.h"

#include <string.h>

/* {"CMD", ...} and {"CMD-SHELL", text} as a command; NULL when there is no health check. */
static const char **health_command(const struct engine_container *state) {
    struct error ignored = ERROR_NULL;
    const struct json *test = NULL;
    if (json_get_array(state->json, "Config.Healthcheck.Test", &test, &ignored) < 0 || !test)
        return NULL;
    const char *kind = json_text_or_null(json_at(test, 0));
    bool shell = text_equal(kind, "CMD-SHELL");
    if (!shell && !text_equal(kind, "CMD"))
        return NULL;
    const char **command = mem_new_array(const char *, json_count(test) + 3);
    size_t n = 0;
    if (shell) {
        command[n++] = "/bin/sh";
        command[n++] = "-c";
    }
    for (size_t i = 1; i < json_count(test); i++) {
        const char *word = json_text_or_null(json_at(test, i));
        command[n++] = word ? word : "";
    }
    return command;
}

int health_probe(struct engine *engine, const struct engine_container *state,
                 const struct task *task, char said[HEALTH_OUTPUT_MAX], struct error *err) {
    cleanup_free const char **command = health_command(state);
    cleanup(engine_exec_result_deinit) struct engine_exec_result result = ENGINE_EXEC_RESULT_NULL;
    struct engine_exec_spec spec = {.cmd = command};
    if (!command)
        return HEALTH_NOT_CHECKED;
    if (engine_exec(engine, state->id, &spec, HEALTH_OUTPUT_MAX / 4, 0, task, &result, err) < 0)
        return err->kind == ERROR_CONFLICT ? 1 : -1; /* not running: the caller looks */
    cleanup(buffer_deinit) struct buffer text;
    buffer_init(&text, HEALTH_OUTPUT_MAX - 1);
    text_harmless(&text, buffer_string(&result.out), result.out.size);
    text_harmless(&text, buffer_string(&result.err), result.err.size);
    snprintf(said, HEALTH_OUTPUT_MAX, "%s", buffer_string(&text));
    said[strcspn(said, "\n")] = '\0';
    return result.exit_code == 0 ? 0 : 1;
}
