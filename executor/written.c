#include "executor/written.h"

#include "lib/cleanup.h"
#include "lib/memory.h"

#include <string.h>

uint32_t written_maker(const struct handler *handler, enum merkle merkle) {
    return merkle == MERKLE_BASIC ? handler->maker : 0;
}

int written_read(struct write_set *set, uint32_t maker, const uint8_t *bytes, size_t size,
                 struct error *err) {
    return maker ? write_set_sum(set, bytes, size, err) : write_set_read(set, bytes, size, err);
}

static int differs(struct error *err) {
    return error_set(err, ERROR_INVALID, "its write set is not the one that its header names");
}

/* Nothing of the header is believed: its shape may be none that the handler could expand. */
static int make_again(const struct block_header *h, const uint8_t *bytes, size_t size,
                      struct error *err) {
    const struct handler *handler = handler_of_maker(h->maker);
    const struct command command = block_command(h);
    if (!handler)
        return error_set(err, ERROR_INVALID,
                         "its header names handler %u as its maker, which is not known here",
                         h->maker);
    if (handler->check(&command, err) < 0)
        return error_wrap(err, "its header");
    if (handler->write_set_size(&command) != size)
        return differs(err);
    cleanup_free uint8_t *again = mem_alloc(size ? size : 1);
    handler->expand(&command, again);
    return size && memcmp(again, bytes, size) != 0 ? differs(err) : 0;
}

int written_check(struct write_set *set, const struct block_header *h, const uint8_t *bytes,
                  size_t size, struct error *err) {
    if (h->maker && make_again(h, bytes, size, err) < 0)
        return -1;
    if (written_read(set, h->maker, bytes, size, err) < 0)
        return -1;
    return memcmp(set->digest, h->write_set, sizeof h->write_set) == 0 ? 0 : differs(err);
}

int written_fits(const struct block_header *h, enum merkle merkle, struct error *err) {
    if (h->maker == 0 || merkle == MERKLE_BASIC)
        return 0;
    return error_set(err, ERROR_INVALID, "its write set is not hashed, as merkle %s needs it",
                     merkle_name(merkle));
}
