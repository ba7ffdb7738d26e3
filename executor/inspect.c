#include "executor/inspect.h"

#include "executor/chain/tree.h"
#include "executor/chain/write_set.h"
#include "executor/ledger.h"
#include "executor/pbft/pbft.h"
#include "executor/verify.h"

#include "lib/json.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_DATA = 256, KEY_RUN, KEY_INDEX, KEY_BLOCK, KEY_KEY, KEY_AT, KEY_VERIFY, KEY_JSON };

static const struct argp_option table[] = {
    {"data", KEY_DATA, "DIR", 0, "the data folder (/data)", 1},
    {"run", KEY_RUN, "RUN", 0, "refuse data of another run", 1},
    {"index", KEY_INDEX, "N", 0, "refuse data of another replica", 1},
    {"block", KEY_BLOCK, "HEIGHT", 0, "show a block: its header, keys and digests of values", 2},
    {"key", KEY_KEY, "KEY", 0,
     "show which value a key has, and prove it: a text, or hex: and hexadecimal digits", 2},
    {"at", KEY_AT, "HEIGHT", 0, "the key as of that block (the last one)", 2},
    {"verify", KEY_VERIFY, NULL, 0, "compute all digests and states anew, and compare", 3},
    {"json", KEY_JSON, NULL, 0, "one line of JSON", 4},
    {0},
};

struct wishes {
    const char *data, *run, *key;
    int64_t index;      /* -1: any */
    uint64_t block, at; /* 0: not given */
    bool verify, json;
    struct error *err;
    int result;
};

static int take(struct wishes *w, int key, const char *argument) {
    uint64_t index;
    switch (key) {
    case KEY_DATA: w->data = argument; return 0;
    case KEY_RUN: w->run = argument; return 0;
    case KEY_INDEX:
        if (text_to_u64(argument, 0, PBFT_REPLICAS_MAX - 1, &index, w->err) < 0)
            return -1;
        w->index = (int64_t)index;
        return 0;
    case KEY_BLOCK: return text_to_u64(argument, 1, INT64_MAX, &w->block, w->err);
    case KEY_KEY: w->key = argument; return 0;
    case KEY_AT: return text_to_u64(argument, 1, INT64_MAX, &w->at, w->err);
    case KEY_VERIFY: w->verify = true; return 0;
    case KEY_JSON: w->json = true; return 0;
    default: return 1;
    }
}

static error_t on_key(int key, char *argument, struct argp_state *state) {
    struct wishes *w = state->input;
    if (w->result < 0)
        return 0;
    if (key == ARGP_KEY_ARG) {
        w->result = error_set(w->err, ERROR_USAGE, "'%s' is not an option of inspect", argument);
        return 0;
    }
    int r = take(w, key, argument);
    if (r < 0)
        w->result = r;
    return r > 0 ? ARGP_ERR_UNKNOWN : 0;
}

static void set_u64(struct json *out, const char *key, uint64_t number) {
    json_set_int(out, key, (int64_t)number); /* all stay below 2^63 */
}

static void set_hex(struct json *out, const char *key, const void *data, size_t size) {
    cleanup_free char *hex = mem_alloc(2 * size + 1);
    text_hex(data, size, hex);
    json_set_text(out, key, hex);
}

static int read_header(struct store *store, uint64_t height, struct block_header *ret,
                       uint8_t ret_digest[SHA256_SIZE], struct error *err) {
    cleanup(buffer_deinit) struct buffer header;
    buffer_init(&header, STORE_HEADER_MAX);
    if (store_read_header(store, height, &header, err) < 0 ||
        block_header_decode((const uint8_t *)header.data, header.size, ret, err) < 0)
        return -1;
    sha256_of(header.data, header.size, ret_digest);
    return 0;
}

static void show_header(const struct block_header *h, const uint8_t digest[SHA256_SIZE],
                        struct json *out) {
    set_u64(out, "height", h->height);
    set_hex(out, "digest", digest, SHA256_SIZE);
    set_hex(out, "parent", h->parent, SHA256_SIZE);
    set_u64(out, "sequence", h->sequence);
    set_u64(out, "client", h->client);
    set_u64(out, "number", h->number);
    set_hex(out, "request", h->request, SHA256_SIZE);
    set_u64(out, "key_space", h->key_space);
    set_u64(out, "first_key", h->first_key);
    if (h->read_count > 0) {
        set_u64(out, "keys_read", h->read_count);
        set_hex(out, "read_set", h->read_set, SHA256_SIZE);
    }
    set_u64(out, "write_set_bytes", h->write_set_size);
    if (h->maker) {
        const struct handler *maker = handler_of_maker(h->maker);
        json_set_text(out, "write_set_made_by", maker ? maker->name : "unknown");
        set_hex(out, "write_set_checksum", h->write_set, SHA256_SIZE);
    } else {
        set_hex(out, "write_set", h->write_set, SHA256_SIZE);
    }
    set_hex(out, "state", h->state, SHA256_SIZE);
}

static void show_write_set(const struct write_set *set, struct json *out) {
    struct json *list = json_set_array(out, "keys");
    for (size_t i = 0; i < set->count; i++) {
        const struct write_set_entry *e = &set->entries[i];
        struct json *entry = json_append(list, json_new_object());
        set_hex(entry, "key", e->key, e->key_size);
        if (e->deletes) {
            json_set_bool(entry, "deleted", true);
            continue;
        }
        set_u64(entry, "value_bytes", e->value_size);
        set_hex(entry, "value", set->values[i], SHA256_SIZE);
    }
}

static int show_block(struct store *store, uint64_t height, struct json *out, struct error *err) {
    struct block_header h;
    uint8_t digest[SHA256_SIZE];
    cleanup(buffer_deinit) struct buffer body;
    cleanup(write_set_deinit) struct write_set set;
    buffer_init(&body, STORE_BODY_MAX);
    write_set_init(&set, COMMAND_KEYS_MAX);
    if (read_header(store, height, &h, digest, err) < 0 ||
        store_read_body(store, height, &body, err) < 0 ||
        write_set_read(&set, (const uint8_t *)body.data, body.size, err) < 0)
        return error_wrap(err, "block %llu", (unsigned long long)height);
    show_header(&h, digest, out);
    show_write_set(&set, out);
    return 0;
}

/* A text, or "hex:" and digits. */
static int hash_key(const char *text, uint8_t out[SHA256_SIZE], struct error *err) {
    uint8_t bytes[STORE_KEY_MAX];
    size_t size = strlen(text);
    if (!text_starts(text, "hex:")) {
        sha256_of(text, size, out);
        return 0;
    }
    size = (size - 4) / 2;
    if (size > sizeof bytes || text_unhex(text + 4, bytes, size) < 0)
        return error_set(err, ERROR_USAGE, "'%s' is no key in hexadecimal digits", text);
    sha256_of(bytes, size, out);
    return 0;
}

static int prove_key(struct store *store, const char *text, uint64_t height, struct json *out,
                     struct error *err) {
    enum { TREE_BYTES_MAX = 256 << 20 };
    struct block_header h;
    struct tree_proof proof;
    enum tree_answer answer;
    uint8_t key[SHA256_SIZE], digest[SHA256_SIZE];
    cleanup(tree_freep) struct tree *tree = NULL;
    if (hash_key(text, key, err) < 0 || read_header(store, height, &h, digest, err) < 0 ||
        ledger_tree_at(store, height, TREE_BYTES_MAX, &tree, err) < 0 ||
        tree_prove(tree, key, &proof, err) < 0 ||
        tree_verify(h.state, key, &proof, &answer, err) < 0)
        return error_wrap(err, "prove the key '%s' at block %llu", text,
                          (unsigned long long)height);
    json_set_text(out, "key", text);
    set_u64(out, "at", height);
    set_hex(out, "state", h.state, SHA256_SIZE);
    json_set_bool(out, "present", answer == TREE_PRESENT);
    if (answer == TREE_PRESENT) {
        set_hex(out, "value", proof.leaf.value, SHA256_SIZE);
        set_u64(out, "written_at", tree_leaf_height(&proof.leaf));
    }
    struct json *siblings = json_set_array(out, "proof");
    for (uint32_t i = 0; i < proof.sibling_count; i++) {
        char hex[2 * SHA256_SIZE + 1];
        text_hex(proof.siblings[i], SHA256_SIZE, hex);
        json_append_text(siblings, hex);
    }
    return 0;
}

static int verify(struct store *store, enum merkle merkle, struct json *out, struct error *err) {
    struct verified verified;
    if (verify_chain(store, merkle, &verified, err) < 0)
        return -1;
    set_u64(out, "height", verified.height);
    set_u64(out, "writes", verified.writes);
    set_u64(out, "bytes", verified.bytes);
    json_set_text(out, "result", "good");
    return 0;
}

static int check_owner(const struct wishes *w, const struct store_owner *owner, enum merkle *ret,
                       struct error *err) {
    if (w->run && !text_equal(w->run, owner->run))
        return error_set(err, ERROR_CONFLICT, "'%s' is of run '%s', not of '%s'", w->data,
                         owner->run, w->run);
    if (w->index >= 0 && (uint64_t)w->index != owner->replica)
        return error_set(err, ERROR_CONFLICT, "'%s' is of replica %u, not of %lld", w->data,
                         owner->replica, (long long)w->index);
    return merkle_parse(owner->merkle, ret, err);
}

static int look(const struct wishes *w, struct json *out, struct error *err) {
    struct store_owner owner;
    struct block_header h;
    enum merkle merkle;
    uint8_t digest[SHA256_SIZE] = {0};
    cleanup(store_freep) struct store *store = NULL;
    if (store_open_rocksdb_to_read(w->data, &owner, &store, err) < 0 ||
        check_owner(w, &owner, &merkle, err) < 0)
        return -1;
    uint64_t height = store_height(store);
    if (height > 0 && read_header(store, height, &h, digest, err) < 0)
        return -1;
    json_set_text(out, "data", w->data);
    json_set_text(out, "run", owner.run);
    json_set_int(out, "replica", owner.replica);
    json_set_int(out, "replicas", owner.n);
    json_set_text(out, "merkle", owner.merkle);
    set_u64(out, "height", height);
    set_hex(out, "digest", digest, SHA256_SIZE);
    if (w->key && merkle != MERKLE_KEYS)
        return error_set(err, ERROR_REFUSED,
                         "keys can be proved of a chain with --merkle keys, "
                         "this one has '%s'",
                         owner.merkle);
    if (w->block && show_block(store, w->block, json_set_object(out, "block"), err) < 0)
        return -1;
    if (w->key &&
        prove_key(store, w->key, w->at ? w->at : height, json_set_object(out, "key"), err) < 0)
        return -1;
    return w->verify ? verify(store, merkle, json_set_object(out, "verified"), err) : 0;
}

/* A line for each value, with the way to it in front. */
static void print(const struct json *v, const char *name) {
    struct json_cursor cursor = {0};
    const char *between = name[0] ? "." : "";
    if (json_is_object(v)) {
        while (json_next(v, &cursor)) {
            cleanup_free char *path = text_format("%s%s%s", name, between, cursor.key);
            print(cursor.value, path);
        }
    } else if (json_is_array(v)) {
        for (size_t i = 0; i < json_count(v); i++) {
            cleanup_free char *path = text_format("%s%s%zu", name, between, i);
            print(json_at(v, i), path);
        }
    } else if (json_is_text(v)) {
        printf("%-18s %s\n", name, json_text_or_null(v));
    } else {
        cleanup_free char *text = json_to_text(v, JSON_LINE);
        printf("%-18s %s\n", name, text);
    }
}

int inspect_main(int argc, char **argv, struct error *err) {
    const struct argp argp = {
        .options = table,
        .parser = on_key,
        .doc = "Shows what a replica has stored; changes nothing.",
    };
    struct wishes w = {.data = "/data", .index = -1, .err = err};
    argp_err_exit_status = 2;
    argp_parse(&argp, argc, argv, 0, NULL, &w);
    if (w.result < 0) {
        err->kind = ERROR_USAGE;
        return -1;
    }
    cleanup(json_freep) struct json *out = json_new_object();
    if (look(&w, out, err) < 0)
        return -1;
    if (w.json) {
        cleanup_free char *text = json_to_text(out, JSON_LINE);
        puts(text);
    } else {
        print(out, "");
    }
    return 0;
}
