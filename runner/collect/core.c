#include "runner/collect/core.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>

enum {
    SEGMENTS_MAX = 65534,      /* more are counted elsewhere, and no process has them by default */
    NOTES_SIZE_MAX = 64 << 20, /* thousands of threads with all their registers */
    FILES_MAX = 65536,         /* mappings */
    AUXV_MAX = 64,
    LINKS_MAX = CORE_MODULES_MAX,
    DYNAMIC_MAX = 512,
    /* Offsets that are the same on all machines of 64 bits. */
    PRSTATUS_SIGNAL_AT = 12,
    PRSTATUS_SIZE_MIN = 112,
    PRPSINFO_PID_AT = 24,
    PRPSINFO_NAME_AT = 40,
    PRPSINFO_NAME_SIZE = 16,
};

/* A mapping of a file. */
struct mapping {
    uint64_t start, end, page; /* `page`: of the file, that is mapped at `start` */
    const char *path;          /* borrowed from the notes */
};

struct reading {
    struct elf_source file;
    struct elf_segment *segments; /* PT_LOAD alone, in the order of the file */
    size_t segment_count;
    uint8_t *notes; /* all of them, one run behind the other */
    size_t notes_size;
    struct mapping *mappings;
    size_t mapping_count;
    uint64_t program_table, program_table_count; /* AT_PHDR, AT_PHNUM; 0: not known */
    uint64_t executed_name;                      /* AT_EXECFN */
};

static void reading_deinit(struct reading *r) {
    free(r->segments);
    free(r->notes);
    free(r->mappings);
}

/* ---- memory of the process ---- */

static int read_memory(const void *from, uint64_t at, void *out, size_t size) {
    const struct reading *r = from;
    for (size_t i = 0; i < r->segment_count; i++) {
        const struct elf_segment *s = &r->segments[i];
        if (at >= s->address && at - s->address <= s->file_size &&
            size <= s->file_size - (at - s->address))
            return r->file.read(r->file.from, s->offset + (at - s->address), out, size);
    }
    return -1;
}

static uint64_t read_word(const struct reading *r, uint64_t at) {
    uint8_t bytes[8];
    if (read_memory(r, at, bytes, sizeof bytes) < 0)
        return 0;
    struct byte_reader b = byte_reader(bytes, sizeof bytes);
    return bytes_get_u64(&b);
}

/* A string in memory; false when it is not there or too long. */
static bool read_string(const struct reading *r, uint64_t at, char out[CORE_PATH_MAX]) {
    for (size_t i = 0; at && i < CORE_PATH_MAX; i++) {
        if (read_memory(r, at + i, &out[i], 1) < 0)
            return false;
        if (!out[i])
            return i > 0;
    }
    return false;
}

/* ---- the file ---- */

static int read_notes(struct reading *r, const struct elf_segment *s, struct error *err) {
    if (s->file_size > NOTES_SIZE_MAX - r->notes_size)
        return error_set(err, ERROR_LIMIT, "its notes are larger than %d MiB",
                         NOTES_SIZE_MAX >> 20);
    r->notes = mem_resize(r->notes, r->notes_size + s->file_size + 1, 1);
    if (r->file.read(r->file.from, s->offset, r->notes + r->notes_size, s->file_size) < 0)
        return error_set(err, ERROR_INVALID, "it is cut off: its notes are not in it");
    r->notes_size += s->file_size;
    return 0;
}

static int read_segments(struct reading *r, const struct elf_header *header, struct error *err) {
    size_t count = header->segment_count;
    if (count > SEGMENTS_MAX)
        return error_set(err, ERROR_LIMIT, "it has more than %d segments", SEGMENTS_MAX);
    cleanup_free uint8_t *table = mem_alloc(count * ELF_SEGMENT_SIZE + 1);
    if (r->file.read(r->file.from, header->segments_at, table, count * ELF_SEGMENT_SIZE) < 0)
        return error_set(err, ERROR_INVALID, "it is cut off: its segments are not in it");
    r->segments = mem_new_array(struct elf_segment, count + 1);
    for (size_t i = 0; i < count; i++) {
        struct elf_segment s = elf_segment(table + i * ELF_SEGMENT_SIZE);
        if (s.type == PT_LOAD && s.file_size > 0)
            r->segments[r->segment_count++] = s;
        else if (s.type == PT_NOTE && read_notes(r, &s, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- notes ---- */

static void note_status(const struct elf_note *note, struct core *core) {
    if (note->size < PRSTATUS_SIZE_MIN)
        return;
    if (core->threads++ > 0)
        return; /* the first is the thread that the signal came to */
    struct byte_reader b = byte_reader(note->data + PRSTATUS_SIGNAL_AT, 2);
    int signal = bytes_get_u16(&b);
    core->signal = signal <= 64 ? signal : 0;
}

static void note_process(const struct elf_note *note, struct core *core) {
    if (note->size < PRPSINFO_NAME_AT + PRPSINFO_NAME_SIZE || core->program)
        return;
    struct byte_reader b = byte_reader(note->data + PRPSINFO_PID_AT, 4);
    core->pid = bytes_get_u32(&b);
    const char *name = (const char *)note->data + PRPSINFO_NAME_AT;
    size_t size = strnlen(name, PRPSINFO_NAME_SIZE);
    core->program = size ? text_format("%.*s", (int)size, name) : NULL;
}

static void note_auxiliary(const struct elf_note *note, struct reading *r) {
    struct byte_reader b = byte_reader(note->data, note->size);
    for (size_t i = 0; i < AUXV_MAX && bytes_left(&b) >= 16; i++) {
        uint64_t type = bytes_get_u64(&b), value = bytes_get_u64(&b);
        switch (type) {
        case AT_NULL: return;
        case AT_PHDR: r->program_table = value; break;
        case AT_PHNUM: r->program_table_count = value; break;
        case AT_EXECFN: r->executed_name = value; break;
        default: break;
        }
    }
}

static void note_files(const struct elf_note *note, struct reading *r) {
    struct byte_reader b = byte_reader(note->data, note->size);
    uint64_t count = bytes_get_u64(&b), page_size = bytes_get_u64(&b);
    if (r->mappings || b.failed || count > FILES_MAX || count * 24 > bytes_left(&b))
        return;
    r->mappings = mem_new_array(struct mapping, count + 1);
    struct byte_reader names = byte_reader(b.at + count * 24, bytes_left(&b) - count * 24);
    for (uint64_t i = 0; i < count; i++) {
        struct mapping m = {.start = bytes_get_u64(&b)};
        m.end = bytes_get_u64(&b);
        m.page = bytes_get_u64(&b) * (page_size ? page_size : 1);
        size_t size = strnlen((const char *)names.at, bytes_left(&names));
        m.path = (const char *)bytes_take(&names, size + 1); /* with its NUL */
        if (!m.path)
            return;
        r->mappings[r->mapping_count++] = m;
    }
}

static void read_all_notes(struct reading *r, struct core *core) {
    struct byte_reader notes = byte_reader(r->notes, r->notes_size);
    struct elf_note note;
    while (elf_next_note(&notes, &note)) {
        if (note.name_size != sizeof "CORE" || memcmp(note.name, "CORE", sizeof "CORE") != 0)
            continue;
        switch (note.type) {
        case NT_PRSTATUS: note_status(&note, core); break;
        case NT_PRPSINFO: note_process(&note, core); break;
        case NT_AUXV: note_auxiliary(&note, r); break;
        case NT_FILE: note_files(&note, r); break;
        default: break;
        }
    }
}

/* ---- modules ---- */

/* A path that may become one below a folder of ours. */
static bool sound_path(const char *path) {
    if (path[0] != '/' || !path[1] || strlen(path) >= CORE_PATH_MAX)
        return false;
    for (const char *part = path; part; part = strchr(part + 1, '/')) {
        size_t size = strcspn(part + 1, "/");
        if (size == 0 || (part[1] == '.' && (size == 1 || (size == 2 && part[2] == '.'))))
            return false;
    }
    return true;
}

static bool known(const struct core *core, const char *path) {
    for (size_t i = 0; i < core->module_count; i++)
        if (text_equal(core->modules[i].path, path))
            return true;
    return false;
}

/* Files whose first page is in memory and begins as ELF images do. */
static void find_modules(const struct reading *r, struct core *core) {
    const struct elf_source memory = {.read = read_memory, .from = r};
    core->modules = mem_new_array(struct core_module, CORE_MODULES_MAX);
    for (size_t i = 0; i < r->mapping_count && core->module_count < CORE_MODULES_MAX; i++) {
        const struct mapping *m = &r->mappings[i];
        struct elf_header header;
        if (m->page != 0 || !sound_path(m->path) || known(core, m->path) ||
            elf_read_header(&memory, m->start, &header) != 0)
            continue;
        struct core_module *module = &core->modules[core->module_count++];
        *module = (struct core_module){.path = text_dup(m->path), .start = m->start};
        elf_build_id(&memory, m->start, false, module->build_id);
    }
}

static struct core_module *module_at(const struct reading *r, const struct core *core,
                                     uint64_t address) {
    for (size_t i = 0; i < r->mapping_count; i++) {
        if (address < r->mappings[i].start || address >= r->mappings[i].end)
            continue;
        for (size_t k = 0; k < core->module_count; k++)
            if (text_equal(core->modules[k].path, r->mappings[i].path))
                return &core->modules[k];
        return NULL;
    }
    return NULL;
}

static void find_program(const struct reading *r, struct core *core) {
    char name[CORE_PATH_MAX];
    const struct core_module *program = module_at(r, core, r->program_table);
    if (program)
        core->main_module = (int)(program - core->modules);
    else if (!read_string(r, r->executed_name, name) || (name[0] == '/' && !sound_path(name)))
        return;
    free(core->program);
    core->program = text_dup(program ? program->path : name);
}

/* ---- what the dynamic linker knows ---- */

/* The value of a tag in the dynamic section at `at`. */
static uint64_t dynamic_value(const struct reading *r, uint64_t at, int64_t tag) {
    for (size_t i = 0; i < DYNAMIC_MAX; i++, at += 16) {
        int64_t now = (int64_t)read_word(r, at);
        if (now == tag)
            return read_word(r, at + 8);
        if (now == DT_NULL)
            break;
    }
    return 0;
}

/* Where the linker's table of what it has loaded is: DT_DEBUG of the program. 0: no linker. */
static uint64_t find_linker(const struct reading *r) {
    uint64_t dynamic = 0, table = 0;
    for (uint64_t i = 0; i < r->program_table_count && i < 64; i++) {
        uint8_t bytes[ELF_SEGMENT_SIZE];
        if (read_memory(r, r->program_table + i * ELF_SEGMENT_SIZE, bytes, sizeof bytes) < 0)
            return 0;
        struct elf_segment s = elf_segment(bytes);
        if (s.type == PT_PHDR)
            table = s.address;
        if (s.type == PT_DYNAMIC)
            dynamic = s.address;
    }
    if (!dynamic || !table)
        return 0;
    return dynamic_value(r, dynamic + (r->program_table - table), DT_DEBUG);
}

/* struct link_map { l_addr, l_name, l_ld, l_next, ... } */
static void find_names(const struct reading *r, struct core *core) {
    uint64_t linker = find_linker(r);
    uint64_t link = linker ? read_word(r, linker + 8) : 0;
    for (size_t i = 0; link && i < LINKS_MAX; i++, link = read_word(r, link + 24)) {
        char name[CORE_PATH_MAX];
        struct core_module *module = module_at(r, core, read_word(r, link + 16));
        if (module && !module->name && read_string(r, read_word(r, link + 8), name) &&
            sound_path(name) && !text_equal(name, module->path))
            module->name = text_dup(name);
    }
}

/* ---- the whole ---- */

int core_read(int fd, struct core *ret, struct error *err) {
    cleanup(reading_deinit) struct reading r = {.file = elf_file_source(&fd)};
    cleanup(core_deinit) struct core core = CORE_NULL;
    struct elf_header header;
    int result = elf_read_header(&r.file, 0, &header);
    if (result == 1 || (result == 0 && header.type != ET_CORE))
        return 1;
    if (result == 2)
        return error_set(err, ERROR_INVALID,
                         "it is an ELF file, but not of 64 bits and little endian");
    core.machine = header.machine;
    if (read_segments(&r, &header, err) < 0)
        return -1;
    read_all_notes(&r, &core);
    find_modules(&r, &core);
    find_program(&r, &core);
    find_names(&r, &core);
    *ret = core;
    core = CORE_NULL;
    return 0;
}

void core_deinit(struct core *core) {
    for (size_t i = 0; i < core->module_count; i++) {
        free(core->modules[i].path);
        free(core->modules[i].name);
    }
    free(core->modules);
    free(core->program);
    *core = CORE_NULL;
}
