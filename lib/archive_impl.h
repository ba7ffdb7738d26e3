#pragma once

/* What the files behind libarchive's door share. Private to lib/archive*.c. */

#include <archive.h>
#include <stdio.h>
#include <stdlib.h>

/* Of a hostile name, in messages. */
enum { ARCHIVE_SHOWN_SIZE = 512 };

/* Only a libarchive that was built without what we need refuses at this point. */
static inline void archive_check_setup(struct archive *a, int status) {
    if (status == ARCHIVE_OK)
        return;
    fprintf(stderr, "seatrial: libarchive: %s\n", archive_error_string(a));
    abort();
}

static inline const char *archive_reason(struct archive *a) {
    const char *text = archive_error_string(a);
    return text ? text : "unknown reason";
}
