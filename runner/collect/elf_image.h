#pragma once

/*
 * The little of ELF (64 bits, little endian: every machine that our engines run on) that core dumps
 * need: headers, notes, and the build-id by which a linker has named a program. The bytes come
 * from containers: everything is checked against its bounds, and nothing is trusted but that.
 *
 * Source: the System V ABI, chapters 4 and 5; build-ids as the GNU linker writes them.
 */

#include "lib/bytes.h"
#include "lib/error.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the bytes of an image are: in a file, or in the memory that a core dump holds. */
struct elf_source {
    /* `size` bytes from `at`: 0, or -1 when not all of them are there. */
    int (*read)(const void *from, uint64_t at, void *out, size_t size);
    const void *from;
};

/* An open file; borrows the descriptor. */
struct elf_source elf_file_source(const int *fd);

struct elf_header {
    unsigned type, machine; /* ET_..., EM_... */
    uint64_t segments_at;
    size_t segment_count;
};

struct elf_segment {
    unsigned type; /* PT_... */
    uint64_t offset, address, file_size, memory_size;
};

enum { ELF_HEADER_SIZE = 64, ELF_SEGMENT_SIZE = 56 };

/* The header at `base`. Returns 1 when there is no ELF image, 2 when it is one of another class. */
int elf_read_header(const struct elf_source *source, uint64_t base, struct elf_header *ret);

/* Decodes one entry of the table of segments. */
struct elf_segment elf_segment(const uint8_t bytes[ELF_SEGMENT_SIZE]);

struct elf_note {
    uint32_t type;
    const uint8_t *name, *data; /* borrowed */
    size_t name_size, size;
};
/* The next note of a run of them; false at its end, or where it makes no sense. */
bool elf_next_note(struct byte_reader *notes, struct elf_note *ret);

enum { BUILD_ID_TEXT_SIZE = 2 * 64 + 1 };

/* The build-id of the image at `base`, mapped as it would run or (`by_offset`) as it lies in a
 * file, in lower-case digits; "" when it has none or it is not there. */
void elf_build_id(const struct elf_source *source, uint64_t base, bool by_offset,
                  char ret[BUILD_ID_TEXT_SIZE]);
