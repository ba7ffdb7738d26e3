#include "lib/wire.h"

#include "lib/bytes.h"

void wire_sealed_header_encode(const struct wire_header *header, uint8_t out[WIRE_HEADER_SIZE]) {
    assert(header->body_size <= WIRE_BODY_MAX);
    struct byte_writer w = byte_writer(out, WIRE_HEADER_SIZE);
    bytes_put_u32(&w, WIRE_MAGIC);
    bytes_put_u8(&w, WIRE_VERSION);
    bytes_put_u8(&w, header->type);
    bytes_put_u16(&w, header->direct_size);
    bytes_put_u32(&w, header->body_size);
}

void wire_header_encode(uint8_t type, size_t body_size, uint8_t out[WIRE_HEADER_SIZE]) {
    assert(body_size <= WIRE_BODY_MAX);
    const struct wire_header header = {.type = type, .body_size = (uint32_t)body_size};
    wire_sealed_header_encode(&header, out);
}

int wire_sealed_header_decode(const uint8_t in[WIRE_HEADER_SIZE], struct wire_header *ret,
                              struct error *err) {
    struct byte_reader r = byte_reader(in, WIRE_HEADER_SIZE);
    uint32_t magic = bytes_get_u32(&r);
    if (magic != WIRE_MAGIC)
        return error_set(err, ERROR_INVALID, "not a frame of this protocol (it begins with %08x)",
                         magic);
    uint8_t version = bytes_get_u8(&r);
    if (version != WIRE_VERSION)
        return error_set(err, ERROR_INVALID, "protocol version %u, this side speaks %d", version,
                         WIRE_VERSION);
    struct wire_header header = {.type = bytes_get_u8(&r), .direct_size = bytes_get_u16(&r)};
    header.body_size = bytes_get_u32(&r);
    if (header.body_size > WIRE_BODY_MAX)
        return error_set(err, ERROR_LIMIT, "a frame of %u bytes, at most %d are accepted",
                         header.body_size, WIRE_BODY_MAX);
    *ret = header;
    return 0;
}

int wire_header_decode(const uint8_t in[WIRE_HEADER_SIZE], struct wire_header *ret,
                       struct error *err) {
    struct wire_header header;
    if (wire_sealed_header_decode(in, &header, err) < 0)
        return -1;
    if (header.direct_size)
        return error_set(err, ERROR_INVALID, "reserved header bits are %04x, not zero",
                         header.direct_size);
    *ret = header;
    return 0;
}

/* A frame is written from behind its header, which is then filled in. */
static struct byte_writer frame_begin(uint8_t *out, size_t size_max) {
    struct byte_writer w = byte_writer(out, size_max);
    w.at += WIRE_HEADER_SIZE;
    return w;
}

static size_t frame_end(const struct byte_writer *w, enum wire_type type) {
    wire_header_encode((uint8_t)type, bytes_written(w) - WIRE_HEADER_SIZE, w->begin);
    return bytes_written(w);
}

/* Texts are a byte of length and the bytes, which may be anything but NUL. */
static void put_text(struct byte_writer *w, const char *text, size_t size_max) {
    size_t size = strnlen(text, size_max - 1);
    bytes_put_u8(w, (uint8_t)size);
    bytes_put(w, text, size);
}

static void get_text(struct byte_reader *r, char *out, size_t size_max) {
    size_t size = bytes_get_u8(r);
    if (size >= size_max) {
        r->failed = true;
        size = 0;
    }
    bytes_get(r, out, size);
    out[size] = '\0';
    if (strlen(out) != size)
        r->failed = true;
}

static bool get_bool(struct byte_reader *r) {
    uint8_t value = bytes_get_u8(r);
    if (value > 1)
        r->failed = true;
    return value;
}

static int check_complete(const struct byte_reader *r, const char *what, struct error *err) {
    if (!bytes_complete(r))
        return error_set(err, ERROR_INVALID, "malformed %s", what);
    return 0;
}

size_t wire_hello_encode(const struct wire_hello *m, uint8_t out[WIRE_HELLO_SIZE_MAX]) {
    struct byte_writer w = frame_begin(out, WIRE_HELLO_SIZE_MAX);
    bytes_put_u8(&w, (uint8_t)m->role);
    bytes_put_u64(&w, m->id);
    put_text(&w, m->run, sizeof m->run);
    bytes_put_u64(&w, m->clients.first);
    bytes_put_u32(&w, m->clients.step);
    bytes_put_u32(&w, m->clients.count);
    bytes_put_u8(&w, m->authenticates);
    if (m->authenticates) {
        bytes_put(&w, m->cluster, sizeof m->cluster);
        bytes_put(&w, m->nonce, sizeof m->nonce);
        bytes_put(&w, m->ephemeral, sizeof m->ephemeral);
    }
    return frame_end(&w, WIRE_HELLO);
}

int wire_hello_decode(const uint8_t *body, size_t size, struct wire_hello *ret, struct error *err) {
    struct byte_reader r = byte_reader(body, size);
    struct wire_hello m = {0};
    uint8_t role = bytes_get_u8(&r);
    m.id = bytes_get_u64(&r);
    get_text(&r, m.run, sizeof m.run);
    m.clients.first = bytes_get_u64(&r);
    m.clients.step = bytes_get_u32(&r);
    m.clients.count = bytes_get_u32(&r);
    m.authenticates = get_bool(&r);
    if (m.authenticates) {
        bytes_get(&r, m.cluster, sizeof m.cluster);
        bytes_get(&r, m.nonce, sizeof m.nonce);
        bytes_get(&r, m.ephemeral, sizeof m.ephemeral);
    }
    if (check_complete(&r, "HELLO", err) < 0)
        return -1;
    if (role < WIRE_ROLE_CLIENT || role > WIRE_ROLE_MONITOR)
        return error_set(err, ERROR_INVALID, "HELLO of unknown role %u", role);
    if ((m.clients.count > 0 && m.clients.step == 0) || m.clients.first > WIRE_NUMBER_MAX ||
        (uint64_t)m.clients.step * m.clients.count > WIRE_NUMBER_MAX - m.clients.first)
        return error_set(err, ERROR_INVALID, "HELLO of clients that are out of range");
    m.role = (enum wire_role)role;
    *ret = m;
    return 0;
}

size_t wire_hello_answer_encode(const struct wire_hello_answer *m,
                                uint8_t out[WIRE_HELLO_ANSWER_SIZE_MAX]) {
    struct byte_writer w = frame_begin(out, WIRE_HELLO_ANSWER_SIZE_MAX);
    bytes_put_u8(&w, m->accepted);
    bytes_put_u16(&w, m->replica);
    bytes_put_u16(&w, m->primary);
    bytes_put_u16(&w, m->n);
    bytes_put_u16(&w, m->f);
    bytes_put_u16(&w, m->answers);
    put_text(&w, m->text, sizeof m->text);
    bytes_put_u8(&w, m->authenticates);
    if (m->authenticates) {
        bytes_put(&w, m->nonce, sizeof m->nonce);
        bytes_put(&w, m->ephemeral, sizeof m->ephemeral);
        bytes_put(&w, m->signature, sizeof m->signature);
    }
    return frame_end(&w, WIRE_HELLO_ANSWER);
}

int wire_hello_answer_decode(const uint8_t *body, size_t size, struct wire_hello_answer *ret,
                             struct error *err) {
    struct byte_reader r = byte_reader(body, size);
    struct wire_hello_answer m = {0};
    m.accepted = get_bool(&r);
    m.replica = bytes_get_u16(&r);
    m.primary = bytes_get_u16(&r);
    m.n = bytes_get_u16(&r);
    m.f = bytes_get_u16(&r);
    m.answers = bytes_get_u16(&r);
    get_text(&r, m.text, sizeof m.text);
    m.authenticates = get_bool(&r);
    if (m.authenticates) {
        bytes_get(&r, m.nonce, sizeof m.nonce);
        bytes_get(&r, m.ephemeral, sizeof m.ephemeral);
        bytes_get(&r, m.signature, sizeof m.signature);
    }
    if (check_complete(&r, "HELLO_ANSWER", err) < 0)
        return -1;
    if (m.accepted &&
        (m.replica >= m.n || m.primary >= m.n || m.f >= m.n || m.answers < 1 || m.answers > m.n))
        return error_set(err, ERROR_INVALID,
                         "HELLO_ANSWER of replica %u, primary %u, n %u, f %u, answers %u",
                         m.replica, m.primary, m.n, m.f, m.answers);
    *ret = m;
    return 0;
}

void wire_hello_proof_encode(const uint8_t signature[WIRE_SIGNATURE_SIZE],
                             uint8_t out[WIRE_HELLO_PROOF_SIZE]) {
    struct byte_writer w = frame_begin(out, WIRE_HELLO_PROOF_SIZE);
    bytes_put(&w, signature, WIRE_SIGNATURE_SIZE);
    frame_end(&w, WIRE_HELLO_PROOF);
}

int wire_hello_proof_decode(const uint8_t *body, size_t size, uint8_t ret[WIRE_SIGNATURE_SIZE],
                            struct error *err) {
    struct byte_reader r = byte_reader(body, size);
    uint8_t signature[WIRE_SIGNATURE_SIZE];
    bytes_get(&r, signature, sizeof signature);
    if (check_complete(&r, "HELLO_PROOF", err) < 0)
        return -1;
    memcpy(ret, signature, sizeof signature);
    return 0;
}

size_t wire_welcome_encode(uint8_t out[WIRE_WELCOME_SIZE]) {
    wire_header_encode(WIRE_WELCOME, 0, out);
    return WIRE_WELCOME_SIZE;
}

static size_t proof_size(enum wire_authenticator kind, uint16_t macs) {
    return kind == WIRE_AUTHENTICATOR_SIGNATURE ? WIRE_SIGNATURE_SIZE
                                                : (size_t)macs * WIRE_MAC_SIZE;
}

static void put_authenticator(struct byte_writer *w, const struct wire_request *m) {
    static const uint8_t room[WIRE_AUTHENTICATOR_SIZE_MAX];
    assert(m->macs <= WIRE_MACS_MAX &&
           (m->macs == 0) == (m->authenticator != WIRE_AUTHENTICATOR_MACS));
    bytes_put_u8(w, (uint8_t)m->authenticator);
    bytes_put_u8(w, (uint8_t)m->macs);
    bytes_put(w, m->proof ? m->proof : room, proof_size(m->authenticator, m->macs));
}

/* A kind that is unknown, or has MACs where it should not, fails. */
static void get_authenticator(struct byte_reader *r, struct wire_request *m) {
    uint8_t kind = bytes_get_u8(r);
    m->macs = bytes_get_u8(r);
    if (kind > WIRE_AUTHENTICATOR_SIGNATURE || m->macs > WIRE_MACS_MAX ||
        (m->macs == 0) != (kind != WIRE_AUTHENTICATOR_MACS)) {
        r->failed = true;
        return;
    }
    m->authenticator = (enum wire_authenticator)kind;
    m->proof = bytes_take(r, proof_size(m->authenticator, m->macs));
    m->fields = r->at;
}

size_t wire_request_encode_head(const struct wire_request *m,
                                uint8_t out[WIRE_REQUEST_HEAD_SIZE_MAX]) {
    assert(m->payload_size <= WIRE_PAYLOAD_MAX);
    struct byte_writer w = frame_begin(out, WIRE_REQUEST_HEAD_SIZE_MAX);
    put_authenticator(&w, m);
    bytes_put_u64(&w, m->client);
    bytes_put_u64(&w, m->number);
    bytes_put_u8(&w, m->flags);
    bytes_put_u32(&w, m->key_count);
    bytes_put_u32(&w, m->read_count);
    bytes_put_u32(&w, m->key_size);
    bytes_put_u32(&w, m->value_size);
    bytes_put_u32(&w, m->execution_ms);
    bytes_put_u64(&w, m->key_space);
    bytes_put_u64(&w, m->first_key);
    bytes_put_u32(&w, m->payload_size);
    wire_header_encode(WIRE_REQUEST, bytes_written(&w) - WIRE_HEADER_SIZE + m->payload_size, out);
    return bytes_written(&w);
}

int wire_request_decode(const uint8_t *body, size_t size, struct wire_request *ret,
                        struct error *err) {
    struct byte_reader r = byte_reader(body, size);
    struct wire_request m = {0};
    get_authenticator(&r, &m);
    m.client = bytes_get_u64(&r);
    m.number = bytes_get_u64(&r);
    m.flags = bytes_get_u8(&r);
    m.key_count = bytes_get_u32(&r);
    m.read_count = bytes_get_u32(&r);
    m.key_size = bytes_get_u32(&r);
    m.value_size = bytes_get_u32(&r);
    m.execution_ms = bytes_get_u32(&r);
    m.key_space = bytes_get_u64(&r);
    m.first_key = bytes_get_u64(&r);
    m.payload_size = bytes_get_u32(&r);
    m.payload = bytes_take(&r, m.payload_size);
    if (check_complete(&r, "REQUEST", err) < 0)
        return -1;
    if (m.payload_size > WIRE_PAYLOAD_MAX)
        return error_set(err, ERROR_LIMIT, "REQUEST with a payload of %u bytes, at most %d",
                         m.payload_size, WIRE_PAYLOAD_MAX);
    if (m.client > WIRE_NUMBER_MAX || m.number == 0 || m.number > WIRE_NUMBER_MAX)
        return error_set(err, ERROR_INVALID, "REQUEST whose client or number is out of range");
    if (m.key_space > WIRE_NUMBER_MAX || (m.first_key > 0 && m.first_key >= m.key_space))
        return error_set(err, ERROR_INVALID, "REQUEST whose first key is out of its key space");
    if (m.flags & ~WIRE_REQUEST_FLAGS)
        return error_set(err, ERROR_INVALID, "REQUEST with unknown flags %02x", m.flags);
    *ret = m;
    return 0;
}

size_t wire_reply_encode(const struct wire_reply *m, uint8_t out[WIRE_REPLY_SIZE_MAX]) {
    struct byte_writer w = frame_begin(out, WIRE_REPLY_SIZE_MAX);
    bytes_put_u64(&w, m->client);
    bytes_put_u64(&w, m->number);
    bytes_put_u8(&w, (uint8_t)m->status);
    bytes_put_u16(&w, m->replica);
    bytes_put_u64(&w, m->view);
    bytes_put_u64(&w, m->height);
    bytes_put(&w, m->digest, sizeof m->digest);
    put_text(&w, m->text, sizeof m->text);
    return frame_end(&w, WIRE_REPLY);
}

int wire_reply_decode(const uint8_t *body, size_t size, struct wire_reply *ret, struct error *err) {
    struct byte_reader r = byte_reader(body, size);
    struct wire_reply m = {0};
    m.client = bytes_get_u64(&r);
    m.number = bytes_get_u64(&r);
    uint8_t status = bytes_get_u8(&r);
    m.replica = bytes_get_u16(&r);
    m.view = bytes_get_u64(&r);
    m.height = bytes_get_u64(&r);
    bytes_get(&r, m.digest, sizeof m.digest);
    get_text(&r, m.text, sizeof m.text);
    if (check_complete(&r, "REPLY", err) < 0)
        return -1;
    if (status > WIRE_REPLY_REFUSED)
        return error_set(err, ERROR_INVALID, "REPLY with unknown status %u", status);
    m.status = (enum wire_reply_status)status;
    *ret = m;
    return 0;
}

void wire_value_encode_head(const struct wire_value *m, uint8_t out[WIRE_VALUE_HEAD_SIZE]) {
    assert(m->value_size <= WIRE_PAYLOAD_MAX);
    struct byte_writer w = frame_begin(out, WIRE_VALUE_HEAD_SIZE);
    bytes_put_u64(&w, m->client);
    bytes_put_u64(&w, m->number);
    bytes_put_u16(&w, m->replica);
    bytes_put_u64(&w, m->height);
    wire_header_encode(WIRE_VALUE, bytes_written(&w) - WIRE_HEADER_SIZE + m->value_size, out);
}

int wire_value_decode(const uint8_t *body, size_t size, struct wire_value *ret, struct error *err) {
    struct byte_reader r = byte_reader(body, size);
    struct wire_value m = {0};
    m.client = bytes_get_u64(&r);
    m.number = bytes_get_u64(&r);
    m.replica = bytes_get_u16(&r);
    m.height = bytes_get_u64(&r);
    size_t left = bytes_left(&r);
    if (left > WIRE_PAYLOAD_MAX)
        return error_set(err, ERROR_LIMIT, "VALUE of %zu bytes, at most %d", left,
                         WIRE_PAYLOAD_MAX);
    m.value_size = (uint32_t)left;
    m.value = bytes_take(&r, left);
    if (check_complete(&r, "VALUE", err) < 0)
        return -1;
    *ret = m;
    return 0;
}

size_t wire_status_query_encode(uint8_t out[WIRE_STATUS_QUERY_SIZE]) {
    struct byte_writer w = frame_begin(out, WIRE_STATUS_QUERY_SIZE);
    return frame_end(&w, WIRE_STATUS_QUERY);
}

size_t wire_status_encode(const struct wire_status *m, uint8_t out[WIRE_STATUS_SIZE_MAX]) {
    struct byte_writer w = frame_begin(out, WIRE_STATUS_SIZE_MAX);
    bytes_put_u16(&w, m->replica);
    bytes_put_u16(&w, m->primary);
    bytes_put_u16(&w, m->n);
    bytes_put_u16(&w, m->f);
    bytes_put_u64(&w, m->view);
    bytes_put_u64(&w, m->height);
    bytes_put(&w, m->digest, sizeof m->digest);
    bytes_put_u16(&w, m->peers_connected);
    bytes_put_u8(&w, m->healthy);
    put_text(&w, m->text, sizeof m->text);
    return frame_end(&w, WIRE_STATUS);
}

int wire_status_decode(const uint8_t *body, size_t size, struct wire_status *ret,
                       struct error *err) {
    struct byte_reader r = byte_reader(body, size);
    struct wire_status m = {0};
    m.replica = bytes_get_u16(&r);
    m.primary = bytes_get_u16(&r);
    m.n = bytes_get_u16(&r);
    m.f = bytes_get_u16(&r);
    m.view = bytes_get_u64(&r);
    m.height = bytes_get_u64(&r);
    bytes_get(&r, m.digest, sizeof m.digest);
    m.peers_connected = bytes_get_u16(&r);
    m.healthy = get_bool(&r);
    get_text(&r, m.text, sizeof m.text);
    if (check_complete(&r, "STATUS", err) < 0)
        return -1;
    *ret = m;
    return 0;
}
