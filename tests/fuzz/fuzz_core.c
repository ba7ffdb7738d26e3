/* Any bytes as a core dump, and as what gdb says: an error, or sound words. */

#include "lib/cleanup.h"
#include "runner/collect/backtrace.h"
#include "runner/collect/core.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_sound_path(const char *path) {
    assert(path[0] == '/' && strlen(path) < CORE_PATH_MAX && !strstr(path, "/../"));
}

static void read_core(const uint8_t *data, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(core_deinit) struct core core = CORE_NULL;
    cleanup_close int fd = memfd_create("core", MFD_CLOEXEC);
    ssize_t n = write(fd, data, size);
    assert(n == (ssize_t)size);
    (void)n;
    int r = core_read(fd, &core, &err);
    assert((r < 0) == (*err.text != '\0'));
    assert(core.module_count <= CORE_MODULES_MAX && core.main_module < (int)core.module_count);
    if (core.program && core.program[0] == '/')
        assert_sound_path(core.program);
    for (size_t i = 0; i < core.module_count; i++) {
        assert_sound_path(core.modules[i].path);
        if (core.modules[i].name)
            assert_sound_path(core.modules[i].name);
    }
    char id[BUILD_ID_TEXT_SIZE];
    const struct elf_source file = elf_file_source(&fd);
    elf_build_id(&file, 0, true, id);
    assert(strlen(id) % 2 == 0);
}

static void read_words(const uint8_t *data, size_t size) {
    static const char mark[] = "== the thread that was ended ==\n";
    struct backtrace_frame frame;
    char text[4096];
    size = size < sizeof text - sizeof mark ? size : sizeof text - sizeof mark;
    memcpy(text, mark, sizeof mark);
    memcpy(text + strlen(mark), data, size);
    text[strlen(mark) + size] = '\0';
    if (backtrace_top(text, &frame))
        assert(strlen(frame.function) < sizeof frame.function && (frame.line || !*frame.file));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_core(data, size);
    read_words(data, size);
    return 0;
}
