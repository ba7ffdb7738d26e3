/* Hostile journals: whatever is read of one lies within its steps, and reading what was good again
 * says the same. */

#include "runner/run/journal_read.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(journal_log_deinit) struct journal_log log = JOURNAL_LOG_NULL;
    cleanup(journal_log_deinit) struct journal_log again = JOURNAL_LOG_NULL;
    if (journal_parse((const char *)data, size, &log, &err) < 0)
        return 0;
    assert(log.header && log.size <= size && log.step_count <= JOURNAL_STEPS_MAX);
    int r = journal_parse((const char *)data, log.size, &again, &err);
    assert(r == 0 && again.size == log.size && again.step_count == log.step_count);
    for (size_t i = 0; i < log.step_count; i++)
        assert(again.steps[i].state == log.steps[i].state);
    return 0;
}
