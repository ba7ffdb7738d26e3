#include "runner/remote/agent.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/ssh_bytes.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* draft-miller-ssh-agent, sections 5.1 and 5.3 */
enum {
    AGENT_FAILURE = 5,
    AGENT_REQUEST_IDENTITIES = 11,
    AGENT_IDENTITIES_ANSWER = 12,
    AGENT_SIGN_REQUEST = 13,
    AGENT_SIGN_RESPONSE = 14,
};
enum { FLAG_RSA_SHA2_256 = 2, FLAG_RSA_SHA2_512 = 4 };

void agent_keys_deinit(struct agent_keys *keys) {
    for (size_t i = 0; i < keys->count; i++) {
        free(keys->keys[i].blob);
        free(keys->keys[i].comment);
    }
    free(keys->keys);
    *keys = AGENT_KEYS_NULL;
}

/* ---- answers ---- */

static int read_type(struct byte_reader *r, uint8_t expected, struct error *err) {
    uint8_t type = bytes_get_u8(r);
    if (r->failed || (type != expected && type != AGENT_FAILURE))
        return error_set(err, ERROR_INVALID, "the agent's answer is not of its protocol");
    if (type == AGENT_FAILURE)
        return error_set(err, ERROR_REFUSED, "the agent refuses");
    return 0;
}

static char *harmless(struct ssh_string text) {
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, 4096);
    text_harmless(&out, (const char *)text.data, text.size < 256 ? text.size : 256);
    return text_dup(buffer_string(&out));
}

int agent_read_list(const void *answer, size_t size, struct agent_keys *ret, struct error *err) {
    struct byte_reader r = byte_reader(answer, size);
    if (read_type(&r, AGENT_IDENTITIES_ANSWER, err) < 0)
        return -1;
    uint32_t count = ssh_get_u32(&r);
    if (count > AGENT_KEYS_MAX)
        return error_set(err, ERROR_LIMIT, "an agent of %u keys, more than %d", count,
                         AGENT_KEYS_MAX);
    cleanup(agent_keys_deinit) struct agent_keys keys = AGENT_KEYS_NULL;
    keys.keys = mem_new_array(struct agent_key, count ? count : 1);
    while (keys.count < count && !r.failed) {
        struct ssh_string blob = ssh_get_string(&r), comment = ssh_get_string(&r);
        keys.keys[keys.count++] = (struct agent_key){.blob = mem_dup(blob.data, blob.size),
                                                     .blob_size = blob.size,
                                                     .comment = harmless(comment)};
    }
    if (!bytes_complete(&r))
        return error_set(err, ERROR_INVALID, "the agent's list of keys is damaged");
    *ret = keys;
    keys = AGENT_KEYS_NULL;
    return 0;
}

int agent_read_signature(const void *answer, size_t size, const char *algorithm, struct buffer *ret,
                         struct error *err) {
    struct byte_reader r = byte_reader(answer, size);
    if (read_type(&r, AGENT_SIGN_RESPONSE, err) < 0)
        return -1;
    struct ssh_string signature = ssh_get_string(&r);
    bool complete = bytes_complete(&r);
    struct byte_reader s = byte_reader(signature.data, signature.size);
    struct ssh_string name = ssh_get_string(&s);
    (void)ssh_get_string(&s);
    if (!complete || !bytes_complete(&s))
        return error_set(err, ERROR_INVALID, "the agent's signature is damaged");
    if (!ssh_string_is(name, algorithm))
        return error_set(err, ERROR_INVALID, "the agent signs by another algorithm than %s",
                         algorithm);
    buffer_append(ret, signature.data, signature.size);
    return buffer_check(ret, "the agent's signature", err);
}

/* ---- the socket ---- */

static int connect_to(const char *path, struct error *err) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return error_set(err, ERROR_CONFIG, "the agent's socket '%.100s...' has too long a path",
                         path);
    strcpy(address.sun_path, path);
    cleanup_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "make a socket");
    /* A unix socket connects at once, or its queue is full: then nobody serves it. */
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        return error_set_os(err, ERROR_UNREACHABLE, errno, "connect to the agent at '%s'", path);
    return take_fd(&fd);
}

static int send_all(int fd, const char *data, size_t size, const struct task *task,
                    struct error *err) {
    while (size > 0) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            if (task_wait(task, fd, POLLOUT, err) < 0)
                return -1;
        } else if (n < 0 && errno != EINTR) {
            return error_set_os(err, ERROR_UNREACHABLE, errno, "ask the agent");
        } else if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static int receive_all(int fd, void *data, size_t size, const struct task *task,
                       struct error *err) {
    char *at = data;
    while (size > 0) {
        ssize_t n = recv(fd, at, size, 0);
        if (n == 0)
            return error_set(err, ERROR_UNREACHABLE, "the agent closed the connection");
        if (n < 0 && errno == EAGAIN) {
            if (task_wait(task, fd, POLLIN, err) < 0)
                return -1;
        } else if (n < 0 && errno != EINTR) {
            return error_set_os(err, ERROR_UNREACHABLE, errno, "read the agent's answer");
        } else if (n > 0) {
            at += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

/* One question, one answer. `request` begins with its type. */
static int ask(const char *path, const struct buffer *request, const struct task *task,
               struct buffer *answer, struct error *err) {
    cleanup(buffer_deinit) struct buffer framed;
    buffer_init(&framed, AGENT_MESSAGE_SIZE_MAX);
    ssh_put_string(&framed, request->data, request->size);
    if (buffer_check(&framed, "a question to the agent", err) < 0)
        return -1;
    cleanup_close int fd = connect_to(path, err);
    if (fd < 0 || send_all(fd, framed.data, framed.size, task, err) < 0)
        return -1;
    uint8_t head[4];
    if (receive_all(fd, head, sizeof head, task, err) < 0)
        return -1;
    struct byte_reader r = byte_reader(head, sizeof head);
    uint32_t size = ssh_get_u32(&r);
    if (size == 0 || size > AGENT_MESSAGE_SIZE_MAX)
        return error_set(err, ERROR_INVALID, "the agent's answer has %u bytes", size);
    void *room = buffer_reserve(answer, size);
    if (!room)
        return buffer_check(answer, "the agent's answer", err);
    if (receive_all(fd, room, size, task, err) < 0)
        return -1;
    buffer_commit(answer, size);
    return 0;
}

int agent_list(const char *socket_path, const struct task *task, struct agent_keys *ret,
               struct error *err) {
    cleanup(buffer_deinit) struct buffer request, answer;
    buffer_init(&request, 16);
    buffer_init(&answer, AGENT_MESSAGE_SIZE_MAX);
    buffer_append(&request, &(uint8_t){AGENT_REQUEST_IDENTITIES}, 1);
    if (ask(socket_path, &request, task, &answer, err) < 0)
        return -1;
    return agent_read_list(answer.data, answer.size, ret, err);
}

int agent_sign(const char *socket_path, const struct agent_key *key, const char *algorithm,
               const void *data, size_t size, const struct task *task, struct buffer *ret,
               struct error *err) {
    cleanup(buffer_deinit) struct buffer request, answer;
    buffer_init(&request, AGENT_MESSAGE_SIZE_MAX);
    buffer_init(&answer, AGENT_MESSAGE_SIZE_MAX);
    buffer_append(&request, &(uint8_t){AGENT_SIGN_REQUEST}, 1);
    ssh_put_string(&request, key->blob, key->blob_size);
    ssh_put_string(&request, data, size);
    ssh_put_u32(&request, text_equal(algorithm, "rsa-sha2-512")   ? FLAG_RSA_SHA2_512
                          : text_equal(algorithm, "rsa-sha2-256") ? FLAG_RSA_SHA2_256
                                                                  : 0);
    if (buffer_check(&request, "a question to the agent", err) < 0 ||
        ask(socket_path, &request, task, &answer, err) < 0)
        return -1;
    return agent_read_signature(answer.data, answer.size, algorithm, ret, err);
}
