#pragma once

/*
 * What a core dump says of itself: which signal ended which program, and which files were mapped in
 * its memory, each with the build-id that stood there. A debugger needs exactly these files, under
 * the names by which the dynamic linker knew them.
 *
 * A core dump comes from a container, and anybody may have written it: whatever it says is bounded,
 * paths are checked, and a file that makes no sense gives little or nothing, and no fault.
 *
 * Source: Linux, fs/binfmt_elf.c (notes CORE: PRSTATUS, PRPSINFO, AUXV, FILE); glibc, link.h
 *         (r_debug, link_map).
 */

#include "runner/collect/elf_image.h"

enum {
    CORE_MODULES_MAX = 512, /* programs and libraries of one process */
    CORE_PATH_MAX = 1024,
    CORE_NONE = -1,
};

struct core_module {
    char *path;                        /* absolute, without `..`, in the process's file system */
    char *name;                        /* as the dynamic linker says it, if it is another; NULL */
    char build_id[BUILD_ID_TEXT_SIZE]; /* "": the core dump has none */
    uint64_t start;                    /* of its first page in memory */
};

struct core {
    int signal;    /* that ended the process; 0: it does not say */
    int64_t pid;   /* as the process knew itself */
    char *program; /* a path, sound if it is absolute; or 15 bytes of its name; hostile; or NULL */
    unsigned machine; /* EM_... */
    size_t threads;
    struct core_module *modules; /* of ELF images alone: no data files */
    size_t module_count;
    int main_module; /* the program itself, or CORE_NONE */
};
#define CORE_NULL ((struct core){.modules = NULL, .main_module = CORE_NONE})

/*
 * Reads what an open file says. Borrows `fd`. Returns 1 when it is no core dump.
 * Errors: ERROR_INVALID for one that we cannot read: 32 bits, big endian, broken; ERROR_LIMIT.
 */
int core_read(int fd, struct core *ret, struct error *err);
void core_deinit(struct core *core);
