/* Core dumps are read as the kernel writes them, and hostile ones do no harm. The one here has a
 * program of one page and a library, with the tables of the dynamic linker in between. */

#include "lib/buffer.h"
#include "lib/bytes.h"
#include "lib/cleanup.h"
#include "runner/collect/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    PROGRAM_AT = 0x400000,
    LIBRARY_AT = 0x700000,
    TABLES_AT = 0x500000,
    PAGE = 4096,
    NOTES_AT = 0x1000,
    NOTES_SIZE = 0x1000,
    CORE_SIZE = 0x5000,
    MAP_AT = TABLES_AT + 0x100,
    NAME_AT = TABLES_AT + 0x200,
    EXECUTED_AT = TABLES_AT + 0x280,
};

static uint8_t image[CORE_SIZE];

static void put_header(uint8_t *at, unsigned type, unsigned segments) {
    struct byte_writer w = byte_writer(at, ELF_HEADER_SIZE);
    const uint8_t ident[EI_NIDENT] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1};
    bytes_put(&w, ident, sizeof ident);
    bytes_put_u16(&w, (uint16_t)type);
    bytes_put_u16(&w, EM_X86_64);
    bytes_put_u32(&w, 1);
    bytes_put_u64(&w, 0);
    bytes_put_u64(&w, ELF_HEADER_SIZE);
    bytes_put_u64(&w, 0);
    bytes_put_u32(&w, 0);
    bytes_put_u16(&w, ELF_HEADER_SIZE);
    bytes_put_u16(&w, ELF_SEGMENT_SIZE);
    bytes_put_u16(&w, (uint16_t)segments);
}

static void put_segment(uint8_t *at, size_t index, unsigned type, uint64_t offset, uint64_t address,
                        uint64_t size) {
    struct byte_writer w =
        byte_writer(at + ELF_HEADER_SIZE + index * ELF_SEGMENT_SIZE, ELF_SEGMENT_SIZE);
    bytes_put_u32(&w, type);
    bytes_put_u32(&w, 4);
    bytes_put_u64(&w, offset);
    bytes_put_u64(&w, address);
    bytes_put_u64(&w, 0);
    bytes_put_u64(&w, size);
    bytes_put_u64(&w, size);
    bytes_put_u64(&w, 4);
}

static void put_note(struct byte_writer *w, const char *name, unsigned type, const void *data,
                     size_t size) {
    static const char padding[4];
    size_t name_size = strlen(name) + 1;
    bytes_put_u32(w, (uint32_t)name_size);
    bytes_put_u32(w, (uint32_t)size);
    bytes_put_u32(w, type);
    bytes_put(w, name, name_size);
    bytes_put(w, padding, -name_size & 3);
    bytes_put(w, data, size);
    bytes_put(w, padding, -size & 3);
}

/* A page that begins as an ELF image does, with a build-id. */
static void put_image(uint8_t *at, uint64_t address, const char *build_id) {
    struct byte_writer notes = byte_writer(at + 0x200, 0x100);
    put_header(at, ET_DYN, 4);
    put_note(&notes, "GNU", NT_GNU_BUILD_ID, build_id, strlen(build_id));
    put_segment(at, 0, PT_LOAD, 0, address, PAGE);
    put_segment(at, 1, PT_PHDR, ELF_HEADER_SIZE, address + ELF_HEADER_SIZE, 4 * ELF_SEGMENT_SIZE);
    put_segment(at, 2, PT_NOTE, 0x200, address + 0x200, bytes_written(&notes));
    put_segment(at, 3, PT_DYNAMIC, 0x300, address + 0x300, 32);
}

static void put_words(uint8_t *at, size_t count, const uint64_t *words) {
    struct byte_writer w = byte_writer(at, count * 8);
    for (size_t i = 0; i < count; i++)
        bytes_put_u64(&w, words[i]);
}

static void put_files(struct byte_writer *w) {
    static const char names[] = "/bin/program\0/usr/lib/libone-1.2.so\0/data/big\0/x/../escape";
    uint8_t data[256];
    struct byte_writer files = byte_writer(data, sizeof data);
    const uint64_t words[] = {4,          PAGE,        /* */
                              PROGRAM_AT, 0x401000, 0, /* */
                              LIBRARY_AT, 0x701000, 0, /* */
                              TABLES_AT,  0x501000, 0, /* */
                              LIBRARY_AT, 0x701000, 0};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        bytes_put_u64(&files, words[i]);
    bytes_put(&files, names, sizeof names);
    put_note(w, "CORE", NT_FILE, data, bytes_written(&files));
}

static void put_notes(uint8_t *at) {
    struct byte_writer w = byte_writer(at, NOTES_SIZE);
    uint8_t status[336] = {[12] = 11}, process[136] = {[24] = 77};
    const uint64_t auxv[] = {
        AT_PHDR, PROGRAM_AT + ELF_HEADER_SIZE, AT_PHNUM, 4, AT_EXECFN, EXECUTED_AT, AT_NULL, 0};
    uint8_t auxiliary[sizeof auxv];
    strcpy((char *)process + 40, "short-name");
    put_words(auxiliary, sizeof auxv / sizeof *auxv, auxv);
    put_note(&w, "CORE", NT_PRSTATUS, status, sizeof status);
    put_note(&w, "CORE", NT_PRPSINFO, process, sizeof process);
    put_note(&w, "CORE", NT_AUXV, auxiliary, sizeof auxiliary);
    put_files(&w);
    status[12] = 6; /* of another thread */
    put_note(&w, "CORE", NT_PRSTATUS, status, sizeof status);
}

static void make_core(void) {
    memset(image, 0, sizeof image);
    put_header(image, ET_CORE, 4);
    put_segment(image, 0, PT_NOTE, NOTES_AT, 0, NOTES_SIZE);
    put_segment(image, 1, PT_LOAD, 0x2000, PROGRAM_AT, PAGE);
    put_segment(image, 2, PT_LOAD, 0x3000, LIBRARY_AT, PAGE);
    put_segment(image, 3, PT_LOAD, 0x4000, TABLES_AT, PAGE);
    put_notes(image + NOTES_AT);
    put_image(image + 0x2000, PROGRAM_AT, "\x01\xab");
    put_image(image + 0x3000, 0, "\x02\xcd");
    uint8_t *tables = image + 0x4000;
    put_words(image + 0x2300, 4, (const uint64_t[]){DT_DEBUG, TABLES_AT, DT_NULL, 0});
    put_words(tables, 2, (const uint64_t[]){1, MAP_AT});
    put_words(tables + 0x100, 4, (const uint64_t[]){LIBRARY_AT, NAME_AT, LIBRARY_AT + 0x300, 0});
    strcpy((char *)tables + 0x200, "/lib/libone.so.1");
    strcpy((char *)tables + 0x280, "./program");
}

static int read_image(size_t size, struct core *ret, struct error *err) {
    cleanup_close int fd = memfd_create("core", MFD_CLOEXEC);
    assert_int_equal(write(fd, image, size), size);
    return core_read(fd, ret, err);
}

static void signal_program_and_modules_are_found(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(core_deinit) struct core core = CORE_NULL;
    make_core();
    assert_int_equal(read_image(sizeof image, &core, &err), 0);
    assert_int_equal(core.signal, 11);
    assert_int_equal(core.pid, 77);
    assert_int_equal(core.threads, 2);
    assert_int_equal(core.machine, EM_X86_64);
    assert_string_equal(core.program, "/bin/program");
    assert_int_equal(core.module_count, 2); /* data files and unsafe paths are none */
    assert_int_equal(core.main_module, 0);
    assert_string_equal(core.modules[0].build_id, "01ab");
    assert_null(core.modules[0].name);
    assert_string_equal(core.modules[1].path, "/usr/lib/libone-1.2.so");
    assert_string_equal(core.modules[1].name, "/lib/libone.so.1");
    assert_string_equal(core.modules[1].build_id, "02cd");
}

static void without_first_pages_the_program_is_what_was_executed(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(core_deinit) struct core core = CORE_NULL;
    make_core();
    memset(image + 0x2000, 0, 4);
    memset(image + 0x3000, 0, 4);
    assert_int_equal(read_image(sizeof image, &core, &err), 0);
    assert_int_equal(core.module_count, 0);
    assert_int_equal(core.main_module, CORE_NONE);
    assert_string_equal(core.program, "./program");
}

static void a_table_of_the_linker_that_turns_in_circles_comes_to_an_end(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(core_deinit) struct core core = CORE_NULL;
    make_core();
    put_words(image + 0x4000 + 0x118, 1, (const uint64_t[]){MAP_AT});
    assert_int_equal(read_image(sizeof image, &core, &err), 0);
    assert_string_equal(core.modules[1].name, "/lib/libone.so.1");
}

static void a_name_that_leads_out_is_no_name(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(core_deinit) struct core core = CORE_NULL;
    make_core();
    strcpy((char *)image + 0x4000 + 0x200, "/lib/../../etc/x");
    strcpy((char *)image + 0x4000 + 0x280, "/../evil");
    memset(image + 0x2000, 0, 4);
    assert_int_equal(read_image(sizeof image, &core, &err), 0);
    assert_null(core.modules[0].name);
    assert_string_equal(core.program, "short-name");
}

static void what_is_no_core_dump_is_told_from_one_that_is_broken(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(core_deinit) struct core core = CORE_NULL;
    make_core();
    assert_int_equal(read_image(0, &core, &err), 1);
    assert_int_equal(read_image(ELF_HEADER_SIZE - 1, &core, &err), 1);
    assert_int_equal(read_image(ELF_HEADER_SIZE + 10, &core, &err), -1);
    assert_string_equal(err.text, "it is cut off: its segments are not in it");
    assert_int_equal(read_image(NOTES_AT + 10, &core, &err), -1);
    assert_string_equal(err.text, "it is cut off: its notes are not in it");
    image[EI_CLASS] = ELFCLASS32;
    assert_int_equal(read_image(sizeof image, &core, &err), -1);
    image[EI_CLASS] = ELFCLASS64;
    image[16] = ET_EXEC;
    assert_int_equal(read_image(sizeof image, &core, &err), 1);
}

static void a_core_that_was_cut_off_after_its_notes_says_what_it_can(void **state) {
    (void)state;
    struct error err = ERROR_NULL;
    cleanup(core_deinit) struct core core = CORE_NULL;
    make_core();
    assert_int_equal(read_image(NOTES_AT + NOTES_SIZE, &core, &err), 0);
    assert_int_equal(core.signal, 11);
    assert_string_equal(core.program, "short-name");
    assert_int_equal(core.module_count, 0);
}

static void build_ids_of_files_are_read_by_offset(void **state) {
    (void)state;
    char id[BUILD_ID_TEXT_SIZE];
    make_core();
    put_image(image, 0x123000, "\xfe\xdc\xba");
    put_segment(image, 2, PT_NOTE, 0x200, 0x999000, 0x14); /* it is elsewhere in memory */
    cleanup_close int fd = memfd_create("program", MFD_CLOEXEC);
    assert_int_equal(write(fd, image, PAGE), PAGE);
    const struct elf_source file = elf_file_source(&fd);
    elf_build_id(&file, 0, true, id);
    assert_string_equal(id, "fedcba");
    elf_build_id(&file, 0, false, id);
    assert_string_equal(id, "");
    elf_build_id(&file, 64, true, id);
    assert_string_equal(id, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signal_program_and_modules_are_found),
        cmocka_unit_test(without_first_pages_the_program_is_what_was_executed),
        cmocka_unit_test(a_table_of_the_linker_that_turns_in_circles_comes_to_an_end),
        cmocka_unit_test(a_name_that_leads_out_is_no_name),
        cmocka_unit_test(what_is_no_core_dump_is_told_from_one_that_is_broken),
        cmocka_unit_test(a_core_that_was_cut_off_after_its_notes_says_what_it_can),
        cmocka_unit_test(build_ids_of_files_are_read_by_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
