/* Two sides know who the other is, or nothing comes of it: every byte of every message counts. */

#include "lib/bytes.h"
#include "lib/file.h"
#include "lib/handshake.h"
#include "lib/request_auth.h"
#include "tests/unit/folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { REPLICAS = 4, LOADERS = 2 };

static struct identity *replicas[REPLICAS], *loaders[LOADERS];
static struct identity *stranger; /* replica 1 of another cluster */

static void open_all(const char *path, struct identity **ret_replicas, size_t replica_count,
                     size_t loader_count) {
    struct error err = ERROR_NULL;
    cleanup(cluster_keys_deinit) struct cluster_keys keys = CLUSTER_KEYS_NULL;
    struct private_key *list;
    cluster_keys_generate(REPLICAS, LOADERS, &keys, &list);
    assert_int_equal(cluster_keys_save(path, &keys, list, &err), 0);
    free(list);
    for (size_t i = 0; i < replica_count + loader_count; i++) {
        bool replica = i < replica_count;
        const struct principal self = {.role = replica ? PRINCIPAL_REPLICA : PRINCIPAL_LOADER,
                                       .index = (uint16_t)(replica ? i : i - replica_count)};
        struct identity **to = replica ? &ret_replicas[i] : &loaders[i - replica_count];
        assert_int_equal(identity_open(path, self, REPLICAS, to, &err), 0);
    }
}

static int set_up(void **state) {
    struct folder folder = folder_make();
    struct identity *others[2];
    (void)state;
    cleanup_free char *ours = path_join(folder.path, "ours");
    cleanup_free char *theirs = path_join(folder.path, "theirs");
    open_all(ours, replicas, REPLICAS, LOADERS);
    open_all(theirs, others, 2, 0);
    identity_free(others[0]);
    stranger = others[1];
    folder_remove(&folder);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    for (size_t i = 0; i < REPLICAS; i++)
        identity_free(replicas[i]);
    for (size_t i = 0; i < LOADERS; i++)
        identity_free(loaders[i]);
    identity_free(stranger);
    return 0;
}

/* ---- a handshake, whose messages can be changed on their way ---- */

enum message { HELLO, ANSWER, PROOF, MESSAGES };

struct run {
    const struct identity *initiator, *responder;
    enum wire_role role;
    uint64_t id;
    uint16_t wanted; /* the replica that the initiator means to reach */
    const char *run;
    /* The byte of the message's body that is changed; at SIZE_MAX none. */
    enum message changed;
    size_t at;
    uint8_t change;

    size_t sizes[MESSAGES]; /* of bodies */
    uint8_t bodies[MESSAGES][512];
    struct seal_keys initiator_keys, responder_keys;
    struct error err;
    const char *why;
};

static struct run usual(void) {
    return (struct run){.initiator = replicas[2],
                        .responder = replicas[1],
                        .role = WIRE_ROLE_REPLICA,
                        .id = 2,
                        .wanted = 1,
                        .run = "run",
                        .at = SIZE_MAX};
}

static const uint8_t *carry(struct run *r, enum message message, const uint8_t *frame,
                            size_t size) {
    r->sizes[message] = size - WIRE_HEADER_SIZE;
    memcpy(r->bodies[message], frame + WIRE_HEADER_SIZE, r->sizes[message]);
    if (r->changed == message && r->at < r->sizes[message])
        r->bodies[message][r->at] ^= r->change ? r->change : 1;
    return r->bodies[message];
}

/* As a replica of index 1 answers. */
static int respond(struct run *r, struct handshake *h, uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX],
                   size_t *ret_size) {
    struct wire_hello got;
    int refused = handshake_take_hello(h, r->responder, r->bodies[HELLO], r->sizes[HELLO], &got,
                                       &r->why, &r->err);
    if (refused < 0)
        return -1;
    if (refused == 0 && strcmp(got.run, "run") != 0)
        r->why = "another run";
    struct wire_hello_answer answer = {
        .accepted = r->why == NULL, .replica = 1, .n = REPLICAS, .f = 1, .answers = 1};
    if (r->why)
        strcpy(answer.text, r->why);
    return handshake_answer(h, &answer, frame, ret_size, &r->err);
}

/* How far it came: MESSAGES is all the way with keys, PROOF (nothing to prove) without. */
static enum message perform(struct run *r) {
    cleanup(handshake_deinit) struct handshake initiator = HANDSHAKE_NULL;
    cleanup(handshake_deinit) struct handshake responder = HANDSHAKE_NULL;
    uint8_t hello[WIRE_HELLO_SIZE_MAX], answer[WIRE_HELLO_ANSWER_SIZE_MAX];
    uint8_t proof[WIRE_HELLO_PROOF_SIZE];
    struct wire_hello_answer got;
    size_t size;
    struct wire_hello said = {.role = r->role, .id = r->id};
    strcpy(said.run, r->run);
    carry(r, HELLO, hello, handshake_begin(&initiator, r->initiator, r->wanted, &said, hello));
    if (respond(r, &responder, answer, &size) < 0)
        return HELLO;
    carry(r, ANSWER, answer, size);
    int keys = handshake_take_answer(&initiator, r->bodies[ANSWER], r->sizes[ANSWER], &got, proof,
                                     &r->initiator_keys, &r->err);
    if (keys < 0)
        return ANSWER;
    if (keys == 0)
        return PROOF;
    carry(r, PROOF, proof, sizeof proof);
    return handshake_take_proof(&responder, r->bodies[PROOF], r->sizes[PROOF], &r->responder_keys,
                                &r->err) < 0
               ? PROOF
               : MESSAGES;
}

static bool keys_fit(const struct run *r) {
    return memcmp(r->initiator_keys.send, r->responder_keys.receive, SEAL_KEY_SIZE) == 0 &&
           memcmp(r->initiator_keys.receive, r->responder_keys.send, SEAL_KEY_SIZE) == 0 &&
           memcmp(r->initiator_keys.send, r->initiator_keys.receive, SEAL_KEY_SIZE) != 0;
}

static void both_sides_get_the_same_keys_and_new_ones_each_time(void **state) {
    struct run a = usual(), b = usual(), client = usual(), monitor = usual();
    (void)state;
    assert_int_equal(perform(&a), MESSAGES);
    assert_true(keys_fit(&a));
    assert_int_equal(perform(&b), MESSAGES);
    assert_memory_not_equal(a.initiator_keys.send, b.initiator_keys.send, SEAL_KEY_SIZE);
    client.initiator = loaders[1];
    client.role = WIRE_ROLE_CLIENT;
    client.id = 1;
    assert_int_equal(perform(&client), MESSAGES);
    assert_true(keys_fit(&client));
    monitor.role = WIRE_ROLE_MONITOR;
    assert_int_equal(perform(&monitor), MESSAGES);
}

static void without_keys_on_both_sides_nothing_is_proven(void **state) {
    struct run r = usual();
    (void)state;
    r.initiator = r.responder = NULL;
    assert_int_equal(perform(&r), PROOF);
}

static void no_byte_can_be_changed(void **state) {
    (void)state;
    static const uint8_t changes[] = {1, 0x80, 0xff};
    struct run whole = usual();
    assert_int_equal(perform(&whole), MESSAGES);
    for (enum message m = HELLO; m < MESSAGES; m++)
        for (size_t at = 0; at < whole.sizes[m]; at++)
            for (size_t c = 0; c < sizeof changes; c++) {
                struct run r = usual();
                r.changed = m;
                r.at = at;
                r.change = changes[c];
                enum message end = perform(&r);
                if (end == MESSAGES && keys_fit(&r))
                    fail_msg("message %d, byte %zu: accepted", m, at);
                assert_int_not_equal(end, MESSAGES);
            }
}

static void no_message_can_be_cut_or_lengthened(void **state) {
    (void)state;
    struct run whole = usual();
    assert_int_equal(perform(&whole), MESSAGES);
    for (size_t size = 0; size <= whole.sizes[HELLO] + 1; size++) {
        cleanup(handshake_deinit) struct handshake h = HANDSHAKE_NULL;
        struct wire_hello hello;
        const char *why;
        int r = handshake_take_hello(&h, replicas[1], whole.bodies[HELLO], size, &hello, &why,
                                     &whole.err);
        assert_int_equal(r < 0, size != whole.sizes[HELLO]);
    }
}

/* Whose private key it is not, cannot prove to be it. */
static void nobody_speaks_for_another(void **state) {
    struct run r = usual();
    (void)state;
    r.id = 3; /* replica 2 says that it is replica 3 */
    assert_int_equal(perform(&r), PROOF);
    assert_string_equal(r.err.text, "it cannot prove that it is replica 3");
    r = usual();
    r.initiator = loaders[0]; /* a loader says that it is a replica */
    r.id = 0;
    assert_int_equal(perform(&r), PROOF);
    r = usual();
    r.role = WIRE_ROLE_CLIENT; /* and the reverse */
    r.id = 1;
    assert_int_equal(perform(&r), PROOF);
    r = usual();
    r.responder = replicas[3]; /* replica 3 says that it is replica 1 */
    assert_int_equal(perform(&r), ANSWER);
    assert_string_equal(r.err.text, "it cannot prove that it is replica 1");
    r = usual();
    r.wanted = 0; /* replica 1 where replica 0 should be */
    assert_int_equal(perform(&r), ANSWER);
    assert_string_equal(r.err.text, "replica 1 answers there, not replica 0");
}

static void who_is_not_of_the_cluster_is_told_why(void **state) {
    struct run r = usual();
    (void)state;
    r.initiator = stranger;
    r.id = 1;
    assert_int_equal(perform(&r), ANSWER);
    assert_string_equal(r.err.text, "it refused us: these keys are of another cluster");
    r = usual();
    r.id = REPLICAS;
    assert_int_equal(perform(&r), ANSWER);
    assert_string_equal(r.err.text, "it refused us: there is no key of that index");
    r = usual();
    r.id = UINT64_C(0x10002); /* would be 2 in 16 bits */
    assert_int_equal(perform(&r), ANSWER);
    r = usual();
    r.run = "other";
    assert_int_equal(perform(&r), ANSWER);
}

static void keys_are_not_negotiated_away(void **state) {
    struct run r = usual();
    (void)state;
    r.initiator = NULL;
    assert_int_equal(perform(&r), ANSWER);
    assert_non_null(strstr(r.err.text, "this replica talks to nobody without keys"));
    r = usual();
    r.responder = NULL;
    assert_int_equal(perform(&r), ANSWER);
    assert_non_null(strstr(r.err.text, "this replica runs without keys"));
}

/* Somebody in between answers for the replica that it has no keys. */
static void an_answer_without_proof_is_not_believed(void **state) {
    cleanup(handshake_deinit) struct handshake h = HANDSHAKE_NULL;
    struct error err = ERROR_NULL;
    struct wire_hello hello = {.role = WIRE_ROLE_REPLICA, .id = 2, .run = "run"};
    const struct wire_hello_answer plain = {
        .accepted = true, .replica = 1, .n = REPLICAS, .f = 1, .answers = 1};
    struct wire_hello_answer got;
    struct seal_keys keys;
    uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX], proof[WIRE_HELLO_PROOF_SIZE];
    (void)state;
    handshake_begin(&h, replicas[2], 1, &hello, frame);
    size_t size = wire_hello_answer_encode(&plain, frame) - WIRE_HEADER_SIZE;
    assert_int_equal(
        handshake_take_answer(&h, frame + WIRE_HEADER_SIZE, size, &got, proof, &keys, &err), -1);
    assert_string_equal(err.text, "it does not authenticate itself, and we do");
}

/* A recorded conversation does not work a second time, in either role. */
static void messages_of_another_handshake_prove_nothing(void **state) {
    struct run old = usual(), now = usual();
    struct error err = ERROR_NULL;
    cleanup(handshake_deinit) struct handshake initiator = HANDSHAKE_NULL;
    cleanup(handshake_deinit) struct handshake responder = HANDSHAKE_NULL;
    struct wire_hello hello = {.role = WIRE_ROLE_REPLICA, .id = 2, .run = "run"};
    struct wire_hello_answer got;
    struct seal_keys keys;
    uint8_t frame[WIRE_HELLO_ANSWER_SIZE_MAX], proof[WIRE_HELLO_PROOF_SIZE];
    size_t size;
    (void)state;
    assert_int_equal(perform(&old), MESSAGES);
    handshake_begin(&initiator, replicas[2], 1, &hello, frame);
    assert_int_equal(handshake_take_answer(&initiator, old.bodies[ANSWER], old.sizes[ANSWER], &got,
                                           proof, &keys, &err),
                     -1);
    memcpy(now.bodies[HELLO], old.bodies[HELLO], old.sizes[HELLO]);
    now.sizes[HELLO] = old.sizes[HELLO];
    assert_int_equal(respond(&now, &responder, frame, &size), 0);
    assert_int_equal(
        handshake_take_proof(&responder, old.bodies[PROOF], old.sizes[PROOF], &keys, &err), -1);
}

/* ---- sealed frames ---- */

struct pair {
    struct seal a, b;
};

static struct pair sealed_pair(void) {
    struct run r = usual();
    struct pair p;
    assert_int_equal(perform(&r), MESSAGES);
    seal_init(&p.a, &r.initiator_keys);
    seal_init(&p.b, &r.responder_keys);
    return p;
}

static void pair_deinit(struct pair *p) {
    seal_deinit(&p->a);
    seal_deinit(&p->b);
}

enum { BODY = 300, DIRECT = 40, FRAME = WIRE_HEADER_SIZE + BODY + SEAL_TAG_SIZE };

/* A frame of the body "0, 1, 2, ..." whose first bytes are directly in the MAC. */
static void seal_frame(struct seal *s, size_t direct, uint8_t frame[FRAME]) {
    uint8_t hash[SHA256_SIZE];
    uint8_t *body = frame + WIRE_HEADER_SIZE;
    wire_header_encode(77, BODY, frame);
    for (size_t i = 0; i < BODY; i++)
        body[i] = (uint8_t)i;
    sha256_of(body + direct, BODY - direct, hash);
    const struct sealed sealed = {.parts = {body, body + direct / 2},
                                  .sizes = {direct / 2, direct - direct / 2},
                                  .rest_hash = direct < BODY ? hash : NULL};
    seal_header(frame, direct);
    seal_tag(s, s->sent++, frame, &sealed, body + BODY);
}

static int open_frame(struct seal *s, const uint8_t frame[FRAME], struct unsealed *ret) {
    struct error err = ERROR_NULL;
    struct wire_header header;
    if (wire_sealed_header_decode(frame, &header, &err) < 0 ||
        header.body_size > FRAME - WIRE_HEADER_SIZE)
        return -1;
    return seal_open(s, &header, frame + WIRE_HEADER_SIZE, ret, &err);
}

static void a_sealed_frame_arrives(void **state) {
    cleanup(pair_deinit) struct pair p = sealed_pair();
    static const size_t directs[] = {0, 1, DIRECT, BODY - 1, BODY};
    uint8_t frame[FRAME];
    struct unsealed got;
    (void)state;
    for (size_t i = 0; i < sizeof directs / sizeof *directs; i++) {
        seal_frame(&p.a, directs[i], frame);
        assert_int_equal(open_frame(&p.b, frame, &got), 0);
        assert_int_equal(got.size, BODY);
        assert_int_equal(got.rest, directs[i]);
        seal_frame(&p.b, directs[i], frame); /* and in the other direction */
        assert_int_equal(open_frame(&p.a, frame, &got), 0);
    }
}

static void a_changed_repeated_moved_or_reflected_frame_does_not(void **state) {
    cleanup(pair_deinit) struct pair p = sealed_pair();
    uint8_t first[FRAME], second[FRAME];
    struct unsealed got;
    (void)state;
    seal_frame(&p.a, DIRECT, first);
    seal_frame(&p.a, DIRECT, second);
    for (size_t i = 0; i < FRAME; i++) {
        first[i] ^= 1;
        assert_int_equal(open_frame(&p.b, first, &got), -1);
        first[i] ^= 1;
    }
    assert_int_equal(open_frame(&p.b, second, &got), -1); /* the first was left out */
    assert_int_equal(open_frame(&p.a, first, &got), -1);  /* reflected */
    assert_int_equal(open_frame(&p.b, first, &got), 0);
    assert_int_equal(open_frame(&p.b, first, &got), -1); /* repeated */
    assert_int_equal(open_frame(&p.b, second, &got), 0);
}

static void a_frame_without_room_for_its_tag_is_refused(void **state) {
    cleanup(pair_deinit) struct pair p = sealed_pair();
    struct error err = ERROR_NULL;
    struct unsealed got;
    const uint8_t body[SEAL_TAG_SIZE] = {0};
    struct wire_header header = {.type = 1, .body_size = SEAL_TAG_SIZE - 1};
    (void)state;
    assert_int_equal(seal_open(&p.b, &header, body, &got, &err), -1);
    header = (struct wire_header){.type = 1, .direct_size = 1, .body_size = SEAL_TAG_SIZE};
    assert_int_equal(seal_open(&p.b, &header, body, &got, &err), -1);
}

/* ---- requests ---- */

static const struct wire_request asked = {
    .client = (UINT64_C(1) << WIRE_CLIENT_BITS) + 5, .number = 3, .payload_size = 5};

struct proven {
    uint8_t bytes[WIRE_REQUEST_HEAD_SIZE_MAX + 5];
    size_t size; /* of the body */
};

static struct proven prove(struct identity *loader, enum wire_authenticator kind, const char *run) {
    struct error err = ERROR_NULL;
    struct proven ret;
    uint8_t hash[SHA256_SIZE];
    cleanup(request_prover_deinit) struct request_prover p = REQUEST_PROVER_NULL;
    assert_int_equal(request_prover_init(&p, loader, run, kind, &err), 0);
    sha256_of("hello", 5, hash);
    size_t head = request_prove(&p, &asked, hash, ret.bytes);
    memcpy(ret.bytes + head, "hello", 5);
    ret.size = head + 5 - WIRE_HEADER_SIZE;
    return ret;
}

/* At the replica. REQUEST_FORGED if it is no request at all. */
static enum request_authentic check_at(uint16_t replica, enum wire_authenticator kind,
                                       const struct proven *request) {
    struct error err = ERROR_NULL;
    struct wire_request got;
    const char *why;
    uint8_t hash[SHA256_SIZE], digest[SHA256_SIZE];
    cleanup(sha256_deinit) struct sha256 h;
    cleanup(request_checker_deinit) struct request_checker c = REQUEST_CHECKER_NULL;
    sha256_init(&h);
    assert_int_equal(request_checker_init(&c, replicas[replica], "run", kind, &err), 0);
    if (wire_request_decode(request->bytes + WIRE_HEADER_SIZE, request->size, &got, &err) < 0)
        return REQUEST_FORGED;
    sha256_of(got.payload, got.payload_size, hash);
    request_digest(&h, got.fields, hash, digest);
    return request_check_authenticator(&c, &got, digest, &why);
}

static void every_replica_can_check_a_request_by_itself(void **state) {
    struct proven macs = prove(loaders[1], WIRE_AUTHENTICATOR_MACS, "run");
    struct proven signature = prove(loaders[1], WIRE_AUTHENTICATOR_SIGNATURE, "run");
    (void)state;
    for (uint16_t i = 0; i < REPLICAS; i++) {
        assert_int_equal(check_at(i, WIRE_AUTHENTICATOR_MACS, &macs), REQUEST_AUTHENTIC);
        assert_int_equal(check_at(i, WIRE_AUTHENTICATOR_SIGNATURE, &signature), REQUEST_AUTHENTIC);
        assert_int_equal(check_at(i, WIRE_AUTHENTICATOR_SIGNATURE, &macs), REQUEST_FORGED);
        assert_int_equal(check_at(i, WIRE_AUTHENTICATOR_MACS, &signature), REQUEST_FORGED);
    }
}

static void a_request_of_another_loader_or_run_is_not_authentic(void **state) {
    struct proven request = prove(loaders[0], WIRE_AUTHENTICATOR_MACS, "run");
    (void)state;
    assert_int_equal(check_at(0, WIRE_AUTHENTICATOR_MACS, &request), REQUEST_UNKNOWN);
    request = prove(loaders[0], WIRE_AUTHENTICATOR_SIGNATURE, "run");
    assert_int_equal(check_at(0, WIRE_AUTHENTICATOR_SIGNATURE, &request), REQUEST_FORGED);
    request = prove(loaders[1], WIRE_AUTHENTICATOR_MACS, "other");
    assert_int_equal(check_at(0, WIRE_AUTHENTICATOR_MACS, &request), REQUEST_UNKNOWN);
    request = prove(NULL, WIRE_AUTHENTICATOR_MACS, "run");
    assert_int_equal(check_at(0, WIRE_AUTHENTICATOR_MACS, &request), REQUEST_FORGED);
}

static void no_byte_of_a_request_can_be_changed(void **state) {
    static const enum wire_authenticator kinds[] = {WIRE_AUTHENTICATOR_MACS,
                                                    WIRE_AUTHENTICATOR_SIGNATURE};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        struct proven request = prove(loaders[1], kinds[k], "run");
        for (size_t at = WIRE_HEADER_SIZE; at < WIRE_HEADER_SIZE + request.size; at++) {
            size_t mac = at - WIRE_HEADER_SIZE - WIRE_AUTHENTICATOR_SIZE_MIN;
            bool of_others = kinds[k] == WIRE_AUTHENTICATOR_MACS &&
                             mac / WIRE_MAC_SIZE < REPLICAS && mac / WIRE_MAC_SIZE != 2;
            request.bytes[at] ^= 1;
            enum request_authentic got = check_at(2, kinds[k], &request);
            if ((got == REQUEST_AUTHENTIC) != of_others)
                fail_msg("kind %zu, byte %zu", k, at);
            request.bytes[at] ^= 1;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_sides_get_the_same_keys_and_new_ones_each_time),
        cmocka_unit_test(without_keys_on_both_sides_nothing_is_proven),
        cmocka_unit_test(no_byte_can_be_changed),
        cmocka_unit_test(no_message_can_be_cut_or_lengthened),
        cmocka_unit_test(nobody_speaks_for_another),
        cmocka_unit_test(who_is_not_of_the_cluster_is_told_why),
        cmocka_unit_test(keys_are_not_negotiated_away),
        cmocka_unit_test(an_answer_without_proof_is_not_believed),
        cmocka_unit_test(messages_of_another_handshake_prove_nothing),
        cmocka_unit_test(a_sealed_frame_arrives),
        cmocka_unit_test(a_changed_repeated_moved_or_reflected_frame_does_not),
        cmocka_unit_test(a_frame_without_room_for_its_tag_is_refused),
        cmocka_unit_test(every_replica_can_check_a_request_by_itself),
        cmocka_unit_test(a_request_of_another_loader_or_run_is_not_authentic),
        cmocka_unit_test(no_byte_of_a_request_can_be_changed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
