#include "executor/handler.h"

#include "executor/chain/kv.h"
#include "executor/chain/pee.h"

#include "lib/text.h"

const struct handler handler_pee = {
    .name = "pee",
    .check = pee_check,
    .write_set_size = pee_write_set_size,
    .expand = pee_expand,
    .read_count = pee_read_count,
    .read_key = pee_read_key,
    .maker = 1,
};

static const struct handler kv = {
    .name = "kv",
    .check = kv_check,
    .write_set_size = kv_write_set_size,
    .expand = kv_expand,
    .read_count = kv_read_count,
    .read_key = kv_read_key,
    .reads_payload = true,
    .gives_value = true,
};

static const struct handler *const all[] = {&handler_pee, &kv};

void handler_answer(bool found, const struct buffer *value, struct buffer *out) {
    buffer_append(out, &(uint8_t){found}, 1);
    if (found)
        buffer_append(out, value->data, value->size);
}

const struct handler *handler_of_maker(uint32_t maker) {
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (maker > 0 && all[i]->maker == maker)
            return all[i];
    return NULL;
}

int handler_find(const char *name, const struct handler **ret, struct error *err) {
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (text_equal(name, all[i]->name)) {
            *ret = all[i];
            return 0;
        }
    return error_set(err, ERROR_USAGE, "there is no handler '%s'; there are 'pee' and 'kv'", name);
}
