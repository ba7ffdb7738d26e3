#include "executor/chain/merkle.h"

#include "lib/text.h"

#include <stddef.h>

static const char *const names[] = {
    [MERKLE_BASIC] = "basic", [MERKLE_BLOCK] = "block", [MERKLE_KEYS] = "keys"};

const char *merkle_name(enum merkle merkle) {
    return names[merkle];
}

int merkle_parse(const char *name, enum merkle *ret, struct error *err) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (text_equal(name, names[i])) {
            *ret = (enum merkle)i;
            return 0;
        }
    return error_set(err, ERROR_USAGE,
                     "a Merkle tree is of 'keys', 'block' or 'basic' (none), "
                     "not '%s'",
                     name);
}
