#include "lib/wire.h"

#include "lib/bytes.h"

void wire_header_encode(uint8_t type, size_t body_size, uint8_t out[WIRE_HEADER_SIZE]) {
    assert(body_size <= WIRE_BODY_MAX);
    struct byte_writer w = byte_writer(out, WIRE_HEADER_SIZE);
    bytes_put_u32(&w, WIRE_MAGIC);
    bytes_put_u8(&w, WIRE_VERSION);
    bytes_put_u8(&w, type);
    bytes_put_u16(&w, 0);
    bytes_put_u32(&w, (uint32_t)body_size);
}

int wire_header_decode(const uint8_t in[WIRE_HEADER_SIZE], struct wire_header *ret,
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
    struct wire_header header = {.type = bytes_get_u8(&r)};
    uint16_t zero = bytes_get_u16(&r);
    if (zero)
        return error_set(err, ERROR_INVALID, "reserved header bits are %04x, not zero", zero);
    header.body_size = bytes_get_u32(&r);
    if (header.body_size > WIRE_BODY_MAX)
        return error_set(err, ERROR_LIMIT, "a frame of %u bytes, at most %d are accepted",
                         header.body_size, WIRE_BODY_MAX);
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
    return frame_end(&w, WIRE_HELLO);
}

int wire_hello_decode(const uint8_t *body, size_t size, struct wire_hello *ret, struct error *err) {
    struct byte_reader r = byte_reader(body, size);
    struct wire_hello m = {0};
    uint8_t role = bytes_get_u8(&r);
    m.id = bytes_get_u64(&r);
    get_text(&r, m.run, sizeof m.run);
    if (check_complete(&r, "HELLO", err) < 0)
        return -1;
    if (role != WIRE_ROLE_CLIENT && role != WIRE_ROLE_REPLICA)
        return error_set(err, ERROR_INVALID, "HELLO of unknown role %u", role);
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

size_t wire_request_encode_head(const struct wire_request *m, uint8_t out[WIRE_REQUEST_HEAD_SIZE]) {
    assert(m->payload_size <= WIRE_PAYLOAD_MAX);
    struct byte_writer w = frame_begin(out, WIRE_REQUEST_HEAD_SIZE);
    bytes_put_u64(&w, m->client);
    bytes_put_u64(&w, m->number);
    bytes_put_u8(&w, m->flags);
    bytes_put_u32(&w, m->key_count);
    bytes_put_u32(&w, m->key_size);
    bytes_put_u32(&w, m->value_size);
    bytes_put_u32(&w, m->execution_ms);
    bytes_put_u64(&w, m->key_space);
    bytes_put_u64(&w, m->first_key);
    bytes_put_u32(&w, m->payload_size);
    wire_header_encode(WIRE_REQUEST, WIRE_REQUEST_FIELDS_SIZE + m->payload_size, out);
    return bytes_written(&w);
}

int wire_request_decode(const uint8_t *body, size_t size, struct wire_request *ret,
                        struct error *err) {
    struct byte_reader r = byte_reader(body, size);
    struct wire_request m = {0};
    m.client = bytes_get_u64(&r);
    m.number = bytes_get_u64(&r);
    m.flags = bytes_get_u8(&r);
    m.key_count = bytes_get_u32(&r);
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
