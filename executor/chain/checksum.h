#pragma once

/*
 * A fast checksum of eight lanes, and its SHA-256: it finds every difference by accident, and none
 * that is made on purpose. For what is believed for other reasons than its hash, and is so large
 * that SHA-256 of every byte would cost more than all else that is done with it. Pure.
 */

#include "lib/crypto.h"

#include <stddef.h>
#include <stdint.h>

/* SHA-256(sum of each lane u64 | size u64), little endian. */
void checksum_digest(const void *data, size_t size, uint8_t out[SHA256_SIZE]);
