#pragma once

/*
 * Histograms as bytes that every HdrHistogram library reads: the V2 encoding, plain or compressed.
 *
 * Shape: 40 bytes of header (cookie, payload size, normalizing offset, significant digits, lowest
 * and highest value, ratio; all big-endian), then the counts from the first to the last that is not
 * zero: each a ZigZag LEB128 number of one to nine bytes, a negative one standing for that many
 * zeros. Compressed: a cookie, a size, and all of this as one zlib stream.
 *
 * What the format has no room for is `clamped`: a histogram that was written and read again has its
 * clamped records at its maximum, uncounted.
 *
 * Errors: ERROR_INVALID for damaged bytes and for what is no V2 encoding of whole numbers: V0, V1
 * and DoubleHistogram are refused by name. ERROR_LIMIT for more than we accept.
 * Source: HdrHistogram, AbstractHistogram.encodeIntoByteBuffer and ZigZagEncoding,
 * https://github.com/HdrHistogram/HdrHistogram
 */

#include "lib/histogram.h"

#include "lib/buffer.h"
#include "lib/error.h"

enum {
    HDR_HEADER_SIZE = 40,
    /* Of an encoding before compression. The widest histogram of ours needs at most 500 kB; 4 MiB
     * holds one of five digits whose counts up to an hour in nanoseconds are all taken. */
    HDR_ENCODED_SIZE_MAX = 4 << 20,
};

/* Both append; what does not fit makes the buffer overflowed. */
void hdr_encode(const struct histogram *h, struct buffer *out);
void hdr_encode_compressed(const struct histogram *h, struct buffer *out);

/*
 * Adds what is encoded, plain or compressed, to `into`, as histogram_add does: whatever is above
 * the maximum of `into` is clamped there. After an error `into` is as it was.
 *
 * Encodings of other ranges, resolutions and digits are accepted wherever each count lies within
 * one of our sub-buckets, so that nothing is blurred: all of three or more digits with unit
 * resolution do. ERROR_INVALID names the first value that is known less exactly than we would
 * claim.
 */
int hdr_decode(const void *data, size_t size, struct histogram *into, struct error *err);
