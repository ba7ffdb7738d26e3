#include "runner/remote/key_ring.h"

#include "lib/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 64 }; /* of one user; beyond, the oldest goes */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct entry {
    void *blob;
    size_t size;
    struct signing_key *key;
} entries[KEYS_MAX];
static size_t added; /* since the beginning: the place of the next is this modulo KEYS_MAX */

static void drop(struct entry *entry) {
    signing_key_free(entry->key);
    free(entry->blob);
    *entry = (struct entry){.key = NULL};
}

static void forget_at_exit(void) {
    if (pthread_mutex_trylock(&lock) != 0) /* a thread that still signs keeps its own reference */
        return;
    for (size_t i = 0; i < KEYS_MAX; i++)
        drop(&entries[i]);
    pthread_mutex_unlock(&lock);
}

static struct entry *find(const void *blob, size_t size) {
    for (size_t i = 0; i < KEYS_MAX; i++)
        if (entries[i].key && entries[i].size == size && memcmp(entries[i].blob, blob, size) == 0)
            return &entries[i];
    return NULL;
}

struct signing_key *key_ring_find(const void *blob, size_t size) {
    pthread_mutex_lock(&lock);
    const struct entry *entry = find(blob, size);
    struct signing_key *key = entry ? signing_key_share(entry->key) : NULL;
    pthread_mutex_unlock(&lock);
    return key;
}

void key_ring_add(const void *blob, size_t size, const struct signing_key *key) {
    pthread_mutex_lock(&lock);
    if (!find(blob, size)) {
        if (added == 0)
            atexit(forget_at_exit);
        struct entry *entry = &entries[added++ % KEYS_MAX];
        drop(entry);
        *entry = (struct entry){
            .blob = mem_dup(blob, size), .size = size, .key = signing_key_share(key)};
    }
    pthread_mutex_unlock(&lock);
}
