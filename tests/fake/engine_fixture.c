#include "tests/fake/engine_fixture.h"

#include "lib/text.h"

static struct cancel cancelled;

void raise_cancel(void) {
    cancel_raise(&cancelled, 1);
}

int try_open(struct fixture *f, const struct fake_step *script, struct engine_options options) {
    *f = (struct fixture){0};
    assert_int_equal(cancel_init(&cancelled, &f->err), 0);
    f->fake = fake_start(script);
    struct task forever = {.cancel = &cancelled, .deadline = INSTANT_NEVER};
    f->task = task_within(&forever, PATIENCE_NS);
    cleanup_free char *host = text_format("unix://%s", fake_socket(f->fake));
    options.host = host;
    return engine_open(&options, &f->task, &f->engine, &f->err);
}

void open_fixture(struct fixture *f, const struct fake_step *script) {
    if (try_open(f, script, (struct engine_options){0}) < 0)
        fail_msg("%s", f->err.text);
}

void close_fixture(struct fixture *f) {
    engine_close(f->engine);
    assert_string_equal(fake_finish(f->fake), "");
    cancel_deinit(&cancelled);
}

void assert_error(const struct fixture *f, enum error_kind kind, const char *part) {
    if (f->err.kind != kind || !strstr(f->err.text, part))
        fail_msg("%s: %s (wanted %s: ...%s...)", error_kind_name(f->err.kind), f->err.text,
                 error_kind_name(kind), part);
    assert_null(strchr(f->err.text, '\x1b'));
}

int count_push(void *arg, const void *data, size_t size, struct error *err) {
    (void)data, (void)err;
    *(uint64_t *)arg += size;
    return 0;
}
