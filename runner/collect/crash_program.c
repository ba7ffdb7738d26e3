#include "runner/collect/crash_program.h"

#include "lib/bytes.h"
#include "lib/text.h"
#include "runner/collect/elf_image.h"

/* Reserved by each machine's manual to be undefined for ever. */
static const struct {
    const char *architecture; /* as engines say it */
    uint16_t machine;
    uint8_t code[4];
} machines[] = {
    {"x86_64", EM_X86_64, {0x0f, 0x0b}},                               /* ud2 */
    {"amd64", EM_X86_64, {0x0f, 0x0b}},  {"aarch64", EM_AARCH64, {0}}, /* udf #0 */
    {"arm64", EM_AARCH64, {0}},          {"riscv64", EM_RISCV, {0}},   /* c.unimp */
};
enum { MACHINES = sizeof machines / sizeof *machines };

enum {
    SEGMENTS = 3,
    NOTE_AT = ELF_HEADER_SIZE + SEGMENTS * ELF_SEGMENT_SIZE,
    NOTE_SIZE = 12 + sizeof ELF_NOTE_GNU + CRASH_PROGRAM_ID_SIZE,
    CODE_AT = NOTE_AT + NOTE_SIZE,
    SIZE = CODE_AT + sizeof machines[0].code,
    ADDRESS = 0x400000, /* a multiple of every page size */
    ALIGNMENT = 0x10000,
};

static void put_header(struct byte_writer *w, uint16_t machine) {
    static const uint8_t identity[EI_NIDENT] = {0x7f,       'E',         'L',       'F',
                                                ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
    bytes_put(w, identity, sizeof identity);
    bytes_put_u16(w, ET_EXEC);
    bytes_put_u16(w, machine);
    bytes_put_u32(w, EV_CURRENT);
    bytes_put_u64(w, ADDRESS + CODE_AT); /* entry */
    bytes_put_u64(w, ELF_HEADER_SIZE);   /* segments */
    bytes_put_u64(w, 0);                 /* no sections */
    bytes_put_u32(w, 0);                 /* flags */
    bytes_put_u16(w, ELF_HEADER_SIZE);
    bytes_put_u16(w, ELF_SEGMENT_SIZE);
    bytes_put_u16(w, SEGMENTS);
    bytes_put_number(w, 0, 3 * sizeof(uint16_t));
}

static void put_segment(struct byte_writer *w, uint32_t type, uint32_t flags, uint64_t at,
                        uint64_t size, uint64_t alignment) {
    bytes_put_u32(w, type);
    bytes_put_u32(w, flags);
    bytes_put_u64(w, at);
    bytes_put_u64(w, size ? ADDRESS + at : 0);
    bytes_put_u64(w, size ? ADDRESS + at : 0);
    bytes_put_u64(w, size);
    bytes_put_u64(w, size);
    bytes_put_u64(w, alignment);
}

static void put_build_id(struct byte_writer *w, const unsigned char id[CRASH_PROGRAM_ID_SIZE]) {
    bytes_put_u32(w, sizeof ELF_NOTE_GNU);
    bytes_put_u32(w, CRASH_PROGRAM_ID_SIZE);
    bytes_put_u32(w, NT_GNU_BUILD_ID);
    bytes_put(w, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU);
    bytes_put(w, id, CRASH_PROGRAM_ID_SIZE);
}

int crash_program(const char *architecture, const unsigned char id[CRASH_PROGRAM_ID_SIZE],
                  struct buffer *ret) {
    size_t i = 0;
    while (i < MACHINES && !text_equal(machines[i].architecture, architecture))
        i++;
    if (i == MACHINES)
        return 1;
    uint8_t program[SIZE];
    struct byte_writer w = byte_writer(program, sizeof program);
    put_header(&w, machines[i].machine);
    put_segment(&w, PT_LOAD, PF_R | PF_X, 0, SIZE, ALIGNMENT);
    put_segment(&w, PT_NOTE, PF_R, NOTE_AT, NOTE_SIZE, 4);
    put_segment(&w, PT_GNU_STACK, PF_R | PF_W, 0, 0, 16);
    put_build_id(&w, id);
    bytes_put(&w, machines[i].code, sizeof machines[i].code);
    buffer_append(ret, program, sizeof program);
    return 0;
}
