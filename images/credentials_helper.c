/* Programs that keep credentials: asked by their input, heard by their output. */

#include "images/credentials.h"

#include "lib/cleanup.h"
#include "lib/program.h"
#include "lib/text.h"

#include <string.h>

/* A store that wants a passphrase asks a person, who may need some time. */
#define HELPER_NS (60 * NS_PER_SEC)

/* What helpers say when they know nobody there; all of them, since docker compares it. */
static const char unknown[] = "credentials not found in native keychain";

static int judge(const struct buffer *answer, int status, struct credentials *ret,
                 struct error *err) {
    if (status == 0)
        return credentials_answer_read(buffer_string(answer), answer->size, ret, err);
    if (text_starts(buffer_string(answer), unknown))
        return 1;
    char shown[300];
    text_safe(buffer_string(answer), shown, sizeof shown);
    return error_set(err, ERROR_FAILED, "it ended with status %d: %s", status, shown);
}

int credentials_ask_helper(const char *helper, const char *server, const struct task *task,
                           struct credentials *ret, struct error *err) {
    cleanup(buffer_wipe) struct buffer answer;
    cleanup_free char *program = text_format("docker-credential-%s", helper);
    char get[] = "get";
    char *argv[] = {program, get, NULL};
    struct task limited = task_within(task, HELPER_NS);
    int status = 0;
    buffer_init(&answer, CREDENTIALS_ANSWER_MAX);
    if (program_ask(argv, server, &limited, &answer, &status, err) == 0)
        return judge(&answer, status, ret, err);
    return err->kind != ERROR_CONFIG
               ? -1
               : error_hint(err, "it must be in PATH, or leave it out of config.json (credsStore, "
                                 "credHelpers)");
}
