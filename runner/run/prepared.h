#pragma once

/*
 * What a prepare service left, as the tar that the engine gives of its output folder, and the part
 * of it that one container is given: all of it, but for what lies below "for/" in that folder.
 * There, each container has a folder named ROLE-INDEX ("for/replica-0"), as SEATRIAL_ROLE and
 * SEATRIAL_INDEX tell it, and sees no other's: the place for private keys.
 *
 * Pure. Entries stay as they are, byte by byte, with owners and modes.
 */

#include "lib/buffer.h"
#include "lib/error.h"

#include <stddef.h>

/*
 * `folder` is the name of the output folder's last part, by which the tar's names begin; `own` is
 * the container's ROLE-INDEX. Appends to `ret`, which has room for as much as the tar has.
 * ERROR_INVALID: it is no tar, or one with what an engine does not write.
 */
int prepared_select(const struct buffer *tar, const char *folder, const char *own,
                    struct buffer *ret, struct error *err);
