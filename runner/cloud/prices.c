#include "runner/cloud/prices.h"

#include "lib/memory.h"
#include "lib/text.h"
#include "lib/yaml.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* prices.yaml, as it was when the program was built. */
extern const char prices_yaml[];

enum { MICROS = 1000 * 1000, DIGITS_MAX = 6 };

struct row {
    char *region, *type;
    int64_t on_demand, spot; /* PRICE_UNKNOWN where not said */
};

struct prices {
    struct row *rows; /* sorted by region and type */
    size_t count, capacity;
};

void prices_free(struct prices *prices) {
    for (size_t i = 0; i < prices->count; i++) {
        free(prices->rows[i].region);
        free(prices->rows[i].type);
    }
    free(prices->rows);
    free(prices);
}

/* ---- numbers ---- */

bool price_read(const char *text, int64_t *ret_micros) {
    int64_t micros = 0, unit = MICROS;
    const char *at = text;
    bool digits = false;
    for (; isdigit((unsigned char)*at) && micros <= PRICE_MAX_MICROS; at++, digits = true)
        micros = 10 * micros + (*at - '0') * (int64_t)MICROS;
    if (*at == '.')
        for (at++; isdigit((unsigned char)*at) && unit > 1; at++, digits = true)
            micros += (*at - '0') * (unit /= 10);
    if (!digits || *at || micros > PRICE_MAX_MICROS)
        return false;
    *ret_micros = micros;
    return true;
}

void price_write(int64_t micros, struct buffer *out) {
    char text[DIGITS_MAX + 1];
    size_t size = DIGITS_MAX;
    snprintf(text, sizeof text, "%06" PRId64, micros % MICROS);
    while (size > 2 && text[size - 1] == '0')
        size--;
    buffer_format(out, "%" PRId64 ".%.*s", micros / MICROS, (int)size, text);
}

/* ---- the table ---- */

static int read_price(const struct yaml_node *value, int64_t *ret, struct error *err) {
    cleanup_free char *text = NULL;
    if (yaml_get_scalar(value, &text, err) < 0)
        return -1;
    if (!price_read(text, ret))
        return yaml_error(value, err, "'%.64s' must be US dollars per hour, such as 0.624, not %s",
                          value->name, yaml_what(value).text);
    return 0;
}

static int read_on_demand(const struct yaml_node *value, void *target, void *context,
                          struct error *err) {
    (void)context;
    return read_price(value, &((struct row *)target)->on_demand, err);
}

static int read_spot(const struct yaml_node *value, void *target, void *context,
                     struct error *err) {
    (void)context;
    return read_price(value, &((struct row *)target)->spot, err);
}

static const struct yaml_field fields[] = {
    YAML_READ_VALUE("on_demand", read_on_demand),
    YAML_READ_VALUE("spot", read_spot),
};
static const struct yaml_table table = YAML_TABLE("a price", fields);

static int read_type(const char *region, const struct yaml_node *key, const struct yaml_node *value,
                     struct prices *prices, struct error *err) {
    mem_grow(prices->rows, prices->count, prices->capacity);
    struct row *row = &prices->rows[prices->count++];
    *row = (struct row){.region = text_dup(region),
                        .type = text_dup(key->text),
                        .on_demand = PRICE_UNKNOWN,
                        .spot = PRICE_UNKNOWN};
    return value->type == YAML_MAPPING ? yaml_read(value, &table, row, NULL, err)
                                       : read_price(value, &row->on_demand, err);
}

static int compare(const void *a, const void *b) {
    const struct row *x = a, *y = b;
    int order = strcmp(x->region, y->region);
    return order ? order : strcmp(x->type, y->type);
}

static int read_table(const struct yaml_node *root, struct prices *prices, struct error *err) {
    if (yaml_want(root, YAML_MAPPING, err) < 0)
        return -1;
    for (size_t r = 0; r < root->count; r++) {
        const struct yaml_node *types = root->items[r];
        if (yaml_want(types, YAML_MAPPING, err) < 0)
            return -1;
        for (size_t t = 0; t < types->count; t++)
            if (read_type(root->keys[r]->text, types->keys[t], types->items[t], prices, err) < 0)
                return -1;
    }
    if (prices->count)
        qsort(prices->rows, prices->count, sizeof *prices->rows, compare);
    return 0;
}

int prices_parse(const char *file, const char *text, size_t size, struct prices **ret,
                 struct error *err) {
    cleanup(prices_freep) struct prices *prices = mem_new(struct prices);
    cleanup(yaml_tree_freep) struct yaml_tree *tree = NULL;
    if (!text) {
        text = prices_yaml;
        size = strlen(text);
    }
    if (yaml_parse(file, text, size, &tree, err) < 0 ||
        read_table(yaml_root(tree), prices, err) < 0)
        return -1;
    *ret = take_ptr(prices);
    return 0;
}

struct price prices_find(const struct prices *prices, const char *region, const char *type,
                         bool spot) {
    char *words[2] = {text_dup(region), text_dup(type)};
    struct row key = {.region = words[0], .type = words[1]}, *row = NULL;
    if (prices->count)
        row = bsearch(&key, prices->rows, prices->count, sizeof key, compare);
    free(words[0]);
    free(words[1]);
    if (!row)
        return (struct price){.micros = PRICE_UNKNOWN};
    if (!spot || row->spot != PRICE_UNKNOWN)
        return (struct price){.micros = spot ? row->spot : row->on_demand};
    return (struct price){.micros = row->on_demand, .at_most = row->on_demand != PRICE_UNKNOWN};
}
