/* The program that crashes: it does, and is known by its build-id. */

#include "lib/cleanup.h"
#include "runner/collect/crash_program.h"
#include "runner/collect/elf_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const unsigned char id[CRASH_PROGRAM_ID_SIZE] = {0xca, 0xfe, [19] = 1};

static int make(const char *architecture) {
    cleanup(buffer_deinit) struct buffer program;
    buffer_init(&program, CRASH_PROGRAM_SIZE_MAX);
    assert_int_equal(crash_program(architecture, id, &program), 0);
    int fd = memfd_create("crash", MFD_CLOEXEC);
    assert_int_equal(write(fd, program.data, program.size), program.size);
    return fd;
}

static void it_crashes(void **state) {
    (void)state;
    struct utsname machine;
    uname(&machine);
    cleanup_close int fd = make(machine.machine);
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        char name[] = "crash", *argv[] = {name, NULL}, *none[] = {NULL};
        fexecve(fd, argv, none);
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), CRASH_PROGRAM_SIGNAL);
}

static void every_machine_has_one_that_is_known_by_its_build_id(void **state) {
    (void)state;
    static const struct {
        const char *architecture;
        unsigned machine;
    } machines[] = {{"x86_64", EM_X86_64},
                    {"amd64", EM_X86_64},
                    {"aarch64", EM_AARCH64},
                    {"arm64", EM_AARCH64},
                    {"riscv64", EM_RISCV}};
    for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
        cleanup_close int fd = make(machines[i].architecture);
        const struct elf_source file = elf_file_source(&fd);
        struct elf_header header;
        char text[BUILD_ID_TEXT_SIZE];
        assert_int_equal(elf_read_header(&file, 0, &header), 0);
        assert_int_equal(header.machine, machines[i].machine);
        elf_build_id(&file, 0, true, text);
        assert_string_equal(text, "cafe000000000000000000000000000000000001");
    }
}

static void of_other_machines_nothing_is_known(void **state) {
    (void)state;
    cleanup(buffer_deinit) struct buffer program;
    buffer_init(&program, CRASH_PROGRAM_SIZE_MAX);
    assert_int_equal(crash_program("vax", id, &program), 1);
    assert_int_equal(crash_program("", id, &program), 1);
    assert_int_equal(program.size, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_crashes),
        cmocka_unit_test(every_machine_has_one_that_is_known_by_its_build_id),
        cmocka_unit_test(of_other_machines_nothing_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
