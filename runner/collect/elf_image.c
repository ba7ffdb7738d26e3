#include "runner/collect/elf_image.h"

#include "lib/text.h"

#include <string.h>
#include <unistd.h>

enum {
    IMAGE_SEGMENTS_MAX = 64, /* of a program or library: they have about a dozen */
    IMAGE_NOTES_SIZE_MAX = 4096,
};

static int read_file(const void *from, uint64_t at, void *out, size_t size) {
    const int *fd = from;
    if (at > INT64_MAX)
        return -1;
    for (char *p = out; size > 0;) {
        ssize_t n = pread(*fd, p, size, (off_t)at);
        if (n <= 0)
            return -1;
        p += n;
        at += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

struct elf_source elf_file_source(const int *fd) {
    return (struct elf_source){.read = read_file, .from = fd};
}

int elf_read_header(const struct elf_source *source, uint64_t base, struct elf_header *ret) {
    uint8_t bytes[ELF_HEADER_SIZE];
    if (source->read(source->from, base, bytes, sizeof bytes) < 0 ||
        memcmp(bytes, ELFMAG, SELFMAG) != 0)
        return 1;
    if (bytes[EI_CLASS] != ELFCLASS64 || bytes[EI_DATA] != ELFDATA2LSB)
        return 2;
    struct byte_reader r = byte_reader(bytes + EI_NIDENT, sizeof bytes - EI_NIDENT);
    ret->type = bytes_get_u16(&r);
    ret->machine = bytes_get_u16(&r);
    bytes_take(&r, 4 + 8); /* version, entry */
    ret->segments_at = bytes_get_u64(&r);
    bytes_take(&r, 8 + 4 + 2); /* sections, flags, size of this header */
    unsigned size = bytes_get_u16(&r);
    ret->segment_count = bytes_get_u16(&r);
    return size == ELF_SEGMENT_SIZE || ret->segment_count == 0 ? 0 : 2;
}

struct elf_segment elf_segment(const uint8_t bytes[ELF_SEGMENT_SIZE]) {
    struct byte_reader r = byte_reader(bytes, ELF_SEGMENT_SIZE);
    struct elf_segment s = {.type = bytes_get_u32(&r)};
    bytes_take(&r, 4); /* flags */
    s.offset = bytes_get_u64(&r);
    s.address = bytes_get_u64(&r);
    bytes_take(&r, 8); /* physical address */
    s.file_size = bytes_get_u64(&r);
    s.memory_size = bytes_get_u64(&r);
    return s;
}

bool elf_next_note(struct byte_reader *notes, struct elf_note *ret) {
    if (bytes_left(notes) < 12)
        return false;
    size_t name_size = bytes_get_u32(notes), size = bytes_get_u32(notes);
    uint32_t type = bytes_get_u32(notes);
    const uint8_t *name = bytes_take(notes, name_size);
    bytes_take(notes, -name_size & 3);
    const uint8_t *data = bytes_take(notes, size);
    if (notes->failed)
        return false;
    size_t padding = -size & 3; /* which the last note may lack */
    bytes_take(notes, padding < bytes_left(notes) ? padding : bytes_left(notes));
    *ret = (struct elf_note){type, name, data, name_size, size};
    return true;
}

/* ---- the build-id ---- */

static bool find_in_notes(const struct elf_source *source, uint64_t at, uint64_t size,
                          char ret[BUILD_ID_TEXT_SIZE]) {
    uint8_t bytes[IMAGE_NOTES_SIZE_MAX];
    if (size > sizeof bytes || source->read(source->from, at, bytes, size) < 0)
        return false;
    struct byte_reader notes = byte_reader(bytes, size);
    struct elf_note note;
    while (elf_next_note(&notes, &note)) {
        if (note.type != NT_GNU_BUILD_ID || note.name_size != sizeof ELF_NOTE_GNU ||
            memcmp(note.name, ELF_NOTE_GNU, sizeof ELF_NOTE_GNU) != 0 || note.size == 0 ||
            2 * note.size >= BUILD_ID_TEXT_SIZE)
            continue;
        text_hex(note.data, note.size, ret);
        return true;
    }
    return false;
}

/* Where the image's addresses begin: that of its first loaded page. */
static uint64_t first_address(const struct elf_segment *segments, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (segments[i].type == PT_LOAD && segments[i].offset == 0)
            return segments[i].address;
    return 0;
}

void elf_build_id(const struct elf_source *source, uint64_t base, bool by_offset,
                  char ret[BUILD_ID_TEXT_SIZE]) {
    struct elf_header header;
    struct elf_segment segments[IMAGE_SEGMENTS_MAX];
    ret[0] = '\0';
    if (elf_read_header(source, base, &header) != 0 || header.segment_count > IMAGE_SEGMENTS_MAX)
        return;
    for (size_t i = 0; i < header.segment_count; i++) {
        uint8_t bytes[ELF_SEGMENT_SIZE];
        if (source->read(source->from, base + header.segments_at + i * ELF_SEGMENT_SIZE, bytes,
                         sizeof bytes) < 0)
            return;
        segments[i] = elf_segment(bytes);
    }
    uint64_t first = first_address(segments, header.segment_count);
    for (size_t i = 0; i < header.segment_count; i++) {
        const struct elf_segment *s = &segments[i];
        uint64_t at = by_offset ? s->offset : s->address - first;
        if (s->type == PT_NOTE && find_in_notes(source, base + at, s->file_size, ret))
            return;
    }
}
