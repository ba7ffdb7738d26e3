/* Hostile strangers, and hostile frames of a session that has begun: whoever has no key gets no
 * further, and no frame passes for a sealed one. The first byte: what is spoken to. */

#include "lib/file.h"
#include "lib/handshake.h"
#include "lib/memory.h"
#include "tests/unit/folder.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REPLICAS = 2 };

static struct identity *ids[REPLICAS];

static void open_identities(void) {
    struct error err = ERROR_NULL;
    struct folder folder = folder_make();
    cleanup(cluster_keys_deinit) struct cluster_keys keys = CLUSTER_KEYS_NULL;
    struct private_key *list;
    cleanup_free char *path = path_join(folder.path, "keys");
    cluster_keys_generate(REPLICAS, 1, &keys, &list);
    memset(keys.cluster, 0, sizeof keys.cluster); /* one that inputs can name */
    for (size_t i = 0; i < REPLICAS + 1; i++)
        memset(list[i].cluster, 0, sizeof list[i].cluster);
    int r = cluster_keys_save(path, &keys, list, &err);
    free(list);
    for (uint16_t i = 0; r == 0 && i < REPLICAS; i++) {
        const struct principal self = {.role = PRINCIPAL_REPLICA, .index = i};
        r = identity_open(path, self, REPLICAS, &ids[i], &err);
    }
    folder_remove(&folder);
    assert(r == 0);
}

/* A HELLO, behind which the proof follows. */
static void fuzz_responder(const uint8_t *body, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(handshake_deinit) struct handshake h = HANDSHAKE_NULL;
    struct wire_hello hello;
    struct wire_hello_answer answer = {.accepted = true, .n = REPLICAS, .answers = 1};
    struct seal_keys keys;
    uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX];
    const char *why;
    size_t answer_size, hello_size = size > WIRE_SIGNATURE_SIZE ? size - WIRE_SIGNATURE_SIZE : size;
    if (handshake_take_hello(&h, ids[0], body, hello_size, &hello, &why, &err) != 0 ||
        handshake_answer(&h, &answer, frame, &answer_size, &err) < 0)
        return;
    int r = handshake_take_proof(&h, body + hello_size, size - hello_size, &keys, &err);
    assert(r < 0);
}

static void fuzz_initiator(const uint8_t *body, size_t size) {
    struct error err = ERROR_NULL;
    cleanup(handshake_deinit) struct handshake h = HANDSHAKE_NULL;
    struct wire_hello hello = {.role = WIRE_ROLE_REPLICA, .id = 1, .run = "run"};
    struct wire_hello_answer answer;
    struct seal_keys keys;
    uint8_t frame[WIRE_HELLO_SIZE_MAX], proof[WIRE_HELLO_PROOF_SIZE];
    handshake_begin(&h, ids[1], 0, &hello, frame);
    int r = handshake_take_answer(&h, body, size, &answer, proof, &keys, &err);
    assert(r < 0);
}

static void fuzz_frame(const uint8_t *frame, size_t size) {
    struct error err = ERROR_NULL;
    struct seal_keys keys;
    struct wire_header header;
    struct unsealed unsealed;
    cleanup(seal_deinit) struct seal s;
    random_bytes(&keys, sizeof keys);
    seal_init(&s, &keys);
    if (size < WIRE_HEADER_SIZE || wire_sealed_header_decode(frame, &header, &err) < 0 ||
        header.body_size != size - WIRE_HEADER_SIZE)
        return;
    int r = seal_open(&s, &header, frame + WIRE_HEADER_SIZE, &unsealed, &err);
    assert(r < 0 && s.received == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!ids[0])
        open_identities();
    if (size == 0 || size > WIRE_BODY_MAX)
        return 0;
    uint8_t *copy = mem_alloc(size); /* so that a byte too many is seen */
    memcpy(copy, data + 1, size - 1);
    switch (data[0] % 3) {
    case 0: fuzz_responder(copy, size - 1); break;
    case 1: fuzz_initiator(copy, size - 1); break;
    case 2: fuzz_frame(copy, size - 1); break;
    default: break;
    }
    free(copy);
    return 0;
}
