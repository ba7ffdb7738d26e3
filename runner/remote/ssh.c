/* libssh2's one door: the connection. Its channels are in the second half. */

#include "runner/remote/ssh.h"

#include "lib/buffer.h"
#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/ctr_ahead.h"

#include <assert.h>
#include <errno.h>
#include <libssh2.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct ssh {
    LIBSSH2_SESSION *session;
    int fd;
    /* Received, not yet passed on. */
    char *in;
    size_t in_at, in_end, in_budget;
    uint64_t received;
    bool readable; /* poll, or a full buffer, said that there may be more */
    bool ended;    /* the other side has closed, or `broken` says why */
    int broken;
    /* To be sent. */
    struct buffer out;
    size_t out_at;
    bool too_much_unsent, too_much_memory;
    char *nothing; /* SSH_READ_BYTES that are never written */
    struct piece *pieces;
    size_t memory; /* at most SSH_MEMORY_MAX */
    /* Before its version. */
    char greeting[256];
    size_t greeting_size;
    bool has_banner, banner_endless;
    struct error sign_error;
};

/* Strong and quick first; those that sign or count with SHA-1 or MD5 are not among them. */
const struct ssh_algorithms ssh_algorithms_ours = {
    .kex = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,"
           "ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
           "diffie-hellman-group14-sha256",
    .host_key = "ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    .ciphers = "aes128-ctr,aes192-ctr,aes256-ctr",
    .macs = "hmac-sha2-256,hmac-sha2-512",
};

/* ---- memory: a peer can make libssh2 keep packets; it cannot make it keep all ---- */

/* In front of each piece, so that what libssh2 forgets to free (something in each new exchange of
 * keys, for one) goes with the connection. */
struct piece {
    struct piece *next, **at;
    size_t size;
    max_align_t bytes[];
};

static struct piece *piece_of(void *bytes) {
    return (struct piece *)(void *)((char *)bytes - offsetof(struct piece, bytes));
}

static void unlink_piece(struct ssh *ssh, struct piece *piece) {
    *piece->at = piece->next;
    if (piece->next)
        piece->next->at = piece->at;
    ssh->memory -= piece->size;
}

static void *link_piece(struct ssh *ssh, struct piece *piece, size_t size) {
    *piece = (struct piece){.next = ssh->pieces, .at = &ssh->pieces, .size = size};
    if (piece->next)
        piece->next->at = &piece->next;
    ssh->pieces = piece;
    ssh->memory += size;
    return piece->bytes;
}

static bool fits(struct ssh *ssh, size_t size) {
    bool fits = size <= SSH_MEMORY_MAX && size <= SSH_MEMORY_MAX - ssh->memory;
    ssh->too_much_memory |= !fits;
    return fits;
}

static void *ssh_alloc(size_t size, void **abstract) {
    struct ssh *ssh = *abstract;
    if (!fits(ssh, size))
        return NULL;
    return link_piece(ssh, mem_alloc(sizeof(struct piece) + size), size);
}

static void ssh_release(void *bytes, void **abstract) {
    if (!bytes)
        return;
    struct piece *piece = piece_of(bytes);
    unlink_piece(*abstract, piece);
    free(piece);
}

static void *ssh_realloc(void *bytes, size_t size, void **abstract) {
    struct ssh *ssh = *abstract;
    if (!bytes)
        return ssh_alloc(size, abstract);
    if (!fits(ssh, size))
        return NULL;
    struct piece *piece = piece_of(bytes);
    unlink_piece(ssh, piece);
    return link_piece(ssh, mem_resize(piece, 1, sizeof *piece + size), size);
}

/* ---- bytes ---- */

static void keep_greeting(struct ssh *ssh, const char *data, size_t size) {
    size_t room = sizeof ssh->greeting - 1 - ssh->greeting_size;
    size_t n = size < room ? size : room;
    memcpy(ssh->greeting + ssh->greeting_size, data, n);
    ssh->greeting_size += n;
}

static void receive(struct ssh *ssh) {
    ssize_t n = recv(ssh->fd, ssh->in, SSH_READ_AHEAD_BYTES, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        ssh->readable = errno == EINTR;
        return;
    }
    if (n <= 0) {
        ssh->ended = true;
        ssh->broken = n < 0 ? errno : 0;
        return;
    }
    /* Delayed acknowledgements would cost each small answer 40 ms; the kernel forgets this. */
    int on = 1;
    setsockopt(ssh->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
    ssh->readable = n == SSH_READ_AHEAD_BYTES;
    ssh->in_at = 0;
    ssh->in_end = (size_t)n;
    ssh->received += (uint64_t)n;
}

static bool knows_version(const struct ssh *ssh) {
    const char *banner = libssh2_session_banner_get(ssh->session);
    return banner && text_starts(banner, "SSH-");
}

static ssize_t on_receive(libssh2_socket_t fd, void *data, size_t size, int flags,
                          void **abstract) {
    (void)fd;
    (void)flags;
    struct ssh *ssh = *abstract;
    if (ssh->in_at == ssh->in_end && ssh->readable && !ssh->ended)
        receive(ssh);
    if (ssh->in_at == ssh->in_end)
        return ssh->ended ? 0 : -EAGAIN;
    if (ssh->in_budget == 0)
        return -EAGAIN;
    size_t n = ssh->in_end - ssh->in_at;
    n = n < size ? n : size;
    n = n < ssh->in_budget ? n : ssh->in_budget;
    memcpy(data, ssh->in + ssh->in_at, n);
    ssh->in_at += n;
    ssh->in_budget -= n;
    if (!ssh->has_banner) {
        keep_greeting(ssh, data, n);
        ssh->banner_endless =
            ssh->received - (ssh->in_end - ssh->in_at) > SSH_BANNER_MAX && !knows_version(ssh);
        if (ssh->banner_endless)
            return 0;
    }
    return (ssize_t)n;
}

static ssize_t on_send(libssh2_socket_t fd, const void *data, size_t size, int flags,
                       void **abstract) {
    (void)fd;
    (void)flags;
    struct ssh *ssh = *abstract;
    buffer_append(&ssh->out, data, size);
    if (ssh->out.overflowed) {
        ssh->too_much_unsent = true;
        return -EPIPE;
    }
    return (ssize_t)size;
}

int ssh_fd(const struct ssh *ssh) {
    return ssh->fd;
}

short ssh_events(const struct ssh *ssh) {
    return ssh->out.size > ssh->out_at ? POLLIN | POLLOUT : POLLIN;
}

void ssh_polled(struct ssh *ssh, short revents) {
    if (revents & (POLLIN | POLLHUP | POLLERR))
        ssh->readable = true;
}

bool ssh_has_input(const struct ssh *ssh) {
    return ssh->in_at < ssh->in_end || ssh->readable;
}

size_t ssh_unsent(const struct ssh *ssh) {
    return ssh->out.size - ssh->out_at;
}

uint64_t ssh_received(const struct ssh *ssh) {
    return ssh->received;
}

int ssh_flush(struct ssh *ssh, struct error *err) {
    while (ssh->out_at < ssh->out.size) {
        ssize_t n = send(ssh->fd, ssh->out.data + ssh->out_at, ssh->out.size - ssh->out_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return error_set_os(err, ERROR_UNREACHABLE, errno, "the connection broke");
        ssh->out_at += (size_t)n;
    }
    if (ssh->out_at == ssh->out.size) {
        buffer_clear(&ssh->out);
        ssh->out_at = 0;
    } else if (ssh->out_at > SSH_UNSENT_HIGH) {
        buffer_consume(&ssh->out, ssh->out_at);
        ssh->out_at = 0;
    }
    return 0;
}

/* ---- beginning and end ---- */

static void init_library(void) {
    ctr_ahead_link();
    int r = libssh2_init(0);
    assert(r == 0);
    (void)r;
}

/* Says in our words what libssh2 failed at. */
static int fail(struct ssh *ssh, const char *doing, struct error *err) {
    char *text = NULL, shown[256];
    int code = libssh2_session_last_error(ssh->session, &text, NULL, 0);
    text_safe(text ? text : "", shown, sizeof shown);
    if (ssh->too_much_memory)
        return error_set(err, ERROR_LIMIT, "%s: the other side made us keep more than %d MiB",
                         doing, SSH_MEMORY_MAX >> 20);
    if (ssh->too_much_unsent)
        return error_set(err, ERROR_UNREACHABLE, "%s: the other side reads nothing", doing);
    if (ssh->banner_endless)
        return error_set(err, ERROR_INVALID,
                         "it sends text, and no SSH version within the first %d KiB",
                         SSH_BANNER_MAX >> 10);
    if (ssh->broken)
        return error_set_os(err, ERROR_UNREACHABLE, ssh->broken, "%s: the connection broke", doing);
    if (ssh->ended || code == LIBSSH2_ERROR_SOCKET_DISCONNECT)
        return error_set(err, ERROR_UNREACHABLE, "%s: the other side closed the connection", doing);
    if (code == LIBSSH2_ERROR_SOCKET_SEND || code == LIBSSH2_ERROR_SOCKET_RECV)
        return error_set(err, ERROR_UNREACHABLE, "%s: the connection broke (%s)", doing, shown);
    if (code == LIBSSH2_ERROR_KEX_FAILURE || code == LIBSSH2_ERROR_METHOD_NONE)
        return error_set(err, ERROR_REFUSED, "%s: no algorithm in common, or a wrong one (%s)",
                         doing, shown);
    return error_set(err, ERROR_INVALID, "%s: %s (libssh2 %d)", doing,
                     shown[0] ? shown : "a broken packet", code);
}

static int prefer(struct ssh *ssh, int method, const char *list, const char *what,
                  struct error *err) {
    if (libssh2_session_method_pref(ssh->session, method, list) < 0) {
        char shown[512];
        return error_set(err, ERROR_CONFIG, "none of the %s '%s' is supported", what,
                         text_safe(list, shown, sizeof shown));
    }
    return 0;
}

static int set_algorithms(struct ssh *ssh, const struct ssh_algorithms *a, struct error *err) {
    const struct ssh_algorithms *ours = &ssh_algorithms_ours;
    const char *ciphers = a->ciphers ? a->ciphers : ours->ciphers;
    const char *macs = a->macs ? a->macs : ours->macs;
    if (a->compression)
        libssh2_session_flag(ssh->session, LIBSSH2_FLAG_COMPRESS, 1);
    if (prefer(ssh, LIBSSH2_METHOD_KEX, a->kex ? a->kex : ours->kex, "key exchanges", err) < 0 ||
        prefer(ssh, LIBSSH2_METHOD_HOSTKEY, a->host_key ? a->host_key : ours->host_key,
               "host key algorithms", err) < 0 ||
        prefer(ssh, LIBSSH2_METHOD_CRYPT_CS, ciphers, "ciphers", err) < 0 ||
        prefer(ssh, LIBSSH2_METHOD_CRYPT_SC, ciphers, "ciphers", err) < 0 ||
        prefer(ssh, LIBSSH2_METHOD_MAC_CS, macs, "MACs", err) < 0 ||
        prefer(ssh, LIBSSH2_METHOD_MAC_SC, macs, "MACs", err) < 0)
        return -1;
    return 0;
}

int ssh_new(int fd, const struct ssh_algorithms *algorithms, struct ssh **ret, struct error *err) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_library);
    cleanup(ssh_freep) struct ssh *ssh = mem_new(struct ssh);
    ssh->fd = fd;
    ssh->in = mem_alloc(SSH_READ_AHEAD_BYTES);
    ssh->nothing = mem_alloc(SSH_READ_BYTES);
    buffer_init(&ssh->out, SSH_UNSENT_MAX);
    ssh->session = libssh2_session_init_ex(ssh_alloc, ssh_release, ssh_realloc, ssh);
    if (!ssh->session)
        return error_set(err, ERROR_LIMIT, "libssh2 has no memory");
    libssh2_session_set_blocking(ssh->session, 0);
    libssh2_session_callback_set(ssh->session, LIBSSH2_CALLBACK_RECV, (void *)on_receive);
    libssh2_session_callback_set(ssh->session, LIBSSH2_CALLBACK_SEND, (void *)on_send);
    if (set_algorithms(ssh, algorithms, err) < 0)
        return -1;
    *ret = take_ptr(ssh);
    return 0;
}

void ssh_free(struct ssh *ssh) {
    if (!ssh)
        return;
    /* libssh2 waits for answers unless it knows that none will come. */
    ssh->in_at = ssh->in_end = 0;
    ssh->ended = true;
    ssh->in_budget = SIZE_MAX;
    for (int tries = 0; ssh->session && libssh2_session_free(ssh->session) != 0 && tries < 10000;
         tries++) {
    }
    while (ssh->pieces) {
        struct piece *piece = ssh->pieces;
        unlink_piece(ssh, piece);
        free(piece);
    }
    close(ssh->fd);
    buffer_deinit(&ssh->out);
    free(ssh->in);
    free(ssh->nothing);
    free(ssh);
}

void ssh_farewell(struct ssh *ssh) {
    struct error ignored = ERROR_NULL;
    libssh2_session_disconnect(ssh->session, "bye");
    ssh_flush(ssh, &ignored);
}

static void begin(struct ssh *ssh) {
    ssh->in_budget = SSH_READ_BYTES;
}

int ssh_handshake(struct ssh *ssh, struct error *err) {
    begin(ssh);
    int r = libssh2_session_handshake(ssh->session, ssh->fd);
    if (r == 0)
        ssh->has_banner = true;
    if (r == LIBSSH2_ERROR_EAGAIN)
        return SSH_AGAIN;
    return r == 0 ? 0 : fail(ssh, "exchange keys", err);
}

const char *ssh_greeting(const struct ssh *ssh, char *text, size_t size) {
    char line[sizeof ssh->greeting];
    snprintf(line, sizeof line, "%.*s", (int)strcspn(ssh->greeting, "\r\n"), ssh->greeting);
    return text_safe(text_starts(line, "SSH-") ? "" : line, text, size);
}

bool ssh_ended_before_banner(const struct ssh *ssh) {
    return ssh->ended && !knows_version(ssh);
}

const void *ssh_host_key(struct ssh *ssh, size_t *ret_size) {
    int type;
    return libssh2_session_hostkey(ssh->session, ret_size, &type);
}

const char *ssh_methods(struct ssh *ssh, char *text, size_t size) {
    static const int methods[] = {LIBSSH2_METHOD_CRYPT_SC, LIBSSH2_METHOD_MAC_SC,
                                  LIBSSH2_METHOD_KEX, LIBSSH2_METHOD_HOSTKEY};
    size_t at = 0;
    for (size_t i = 0; i < sizeof methods / sizeof *methods && at < size; i++) {
        const char *name = libssh2_session_methods(ssh->session, methods[i]);
        int n = snprintf(text + at, size - at, "%s%s", i ? " " : "", name ? name : "?");
        at += n > 0 ? (size_t)n : 0;
    }
    return text;
}

/* ---- logging in ---- */

int ssh_login_methods(struct ssh *ssh, const char *user, const char **ret_methods,
                      struct error *err) {
    begin(ssh);
    const char *list = libssh2_userauth_list(ssh->session, user, (unsigned)strlen(user));
    if (!list && libssh2_userauth_authenticated(ssh->session)) {
        *ret_methods = NULL;
        return 0;
    }
    if (!list && libssh2_session_last_errno(ssh->session) == LIBSSH2_ERROR_EAGAIN)
        return SSH_AGAIN;
    if (!list)
        return fail(ssh, "ask how to log in", err);
    *ret_methods = list;
    return 0;
}

struct signing {
    struct ssh *ssh;
    const struct ssh_key *key;
};

static bool take_string(const unsigned char **at, const unsigned char *end,
                        const unsigned char **ret, size_t *ret_size) {
    if (end - *at < 4)
        return false;
    size_t size =
        (size_t)(*at)[0] << 24 | (size_t)(*at)[1] << 16 | (size_t)(*at)[2] << 8 | (size_t)(*at)[3];
    if (size > (size_t)(end - *at) - 4)
        return false;
    *ret = *at + 4;
    *ret_size = size;
    *at += 4 + size;
    return true;
}

/* libssh2 names the algorithm itself, and wants the signature without it. */
static int on_sign(LIBSSH2_SESSION *session, unsigned char **ret, size_t *ret_size,
                   const unsigned char *data, size_t size, void **abstract) {
    (void)session;
    const struct signing *signing = *abstract;
    struct ssh *ssh = signing->ssh;
    const struct ssh_key *key = signing->key;
    cleanup_free unsigned char *blob = NULL;
    size_t blob_size, name_size, signature_size;
    if (key->sign(key->arg, data, size, &blob, &blob_size, &ssh->sign_error) < 0)
        return -1;
    const unsigned char *at = blob, *end = blob + blob_size, *name, *signature;
    if (!take_string(&at, end, &name, &name_size) ||
        !take_string(&at, end, &signature, &signature_size) || at != end ||
        name_size != strlen(key->algorithm) || memcmp(name, key->algorithm, name_size) != 0)
        return error_set(&ssh->sign_error, ERROR_INVALID, "a signature that is not %s",
                         key->algorithm);
    void *session_data = ssh;
    unsigned char *copy = ssh_alloc(signature_size, &session_data);
    if (!copy)
        return error_set(&ssh->sign_error, ERROR_LIMIT, "a signature of %zu bytes", signature_size);
    memcpy(copy, signature, signature_size);
    *ret = copy;
    *ret_size = signature_size;
    return 0;
}

/* The key under the name of the algorithm: so libssh2 asks for rsa-sha2-512 with an ssh-rsa key. */
static void rename_blob(const struct ssh_key *key, struct buffer *out) {
    const unsigned char *at = key->blob, *end = at + key->blob_size, *name;
    size_t name_size, size = strlen(key->algorithm);
    buffer_init(out, 64 * 1024);
    if (!take_string(&at, end, &name, &name_size))
        return;
    unsigned char head[4] = {(unsigned char)(size >> 24), (unsigned char)(size >> 16),
                             (unsigned char)(size >> 8), (unsigned char)size};
    buffer_append(out, head, sizeof head);
    buffer_append(out, key->algorithm, size);
    buffer_append(out, at, (size_t)(end - at));
}

int ssh_login_key(struct ssh *ssh, const char *user, const struct ssh_key *key, struct error *err) {
    begin(ssh);
    cleanup(buffer_deinit) struct buffer blob;
    rename_blob(key, &blob);
    struct signing signing = {.ssh = ssh, .key = key};
    void *abstract = &signing;
    error_clear(&ssh->sign_error);
    int r = libssh2_userauth_publickey(ssh->session, user, (unsigned char *)blob.data, blob.size,
                                       on_sign, &abstract);
    if (r == LIBSSH2_ERROR_EAGAIN)
        return SSH_AGAIN;
    if (r == 0)
        return 0;
    if (ssh->sign_error.kind != ERROR_NONE) {
        *err = ssh->sign_error;
        return SSH_NO;
    }
    if (!ssh->ended &&
        (r == LIBSSH2_ERROR_AUTHENTICATION_FAILED || r == LIBSSH2_ERROR_PUBLICKEY_UNVERIFIED)) {
        error_set(err, ERROR_REFUSED, "not accepted");
        return SSH_NO;
    }
    return fail(ssh, "log in", err);
}

/* ---- channels ---- */

struct ssh_channel {
    struct ssh *ssh;
    LIBSSH2_CHANNEL *theirs;
};

struct ssh_listener {
    struct ssh *ssh;
    LIBSSH2_LISTENER *theirs;
};

static struct ssh_channel *wrap(struct ssh *ssh, LIBSSH2_CHANNEL *theirs) {
    struct ssh_channel *channel = mem_new(struct ssh_channel);
    *channel = (struct ssh_channel){.ssh = ssh, .theirs = theirs};
    return channel;
}

/* Of calls that return one of libssh2's codes. */
static int outcome(struct ssh *ssh, int r, const char *doing, struct error *err) {
    if (r == LIBSSH2_ERROR_EAGAIN)
        return SSH_AGAIN;
    if (r >= 0)
        return 0;
    if (ssh->ended || (r != LIBSSH2_ERROR_CHANNEL_FAILURE && r != LIBSSH2_ERROR_REQUEST_DENIED &&
                       r != LIBSSH2_ERROR_CHANNEL_REQUEST_DENIED))
        return fail(ssh, doing, err);
    char *text = NULL, shown[256];
    libssh2_session_last_error(ssh->session, &text, NULL, 0);
    error_set(err, ERROR_REFUSED, "%s", text_safe(text ? text : "refused", shown, sizeof shown));
    return SSH_NO;
}

int ssh_open(struct ssh *ssh, const char *type, const void *payload, size_t payload_size,
             uint32_t window_bytes, struct ssh_channel **ret, struct error *err) {
    begin(ssh);
    LIBSSH2_CHANNEL *channel =
        libssh2_channel_open_ex(ssh->session, type, (unsigned)strlen(type), window_bytes,
                                LIBSSH2_CHANNEL_PACKET_DEFAULT, payload, (unsigned)payload_size);
    if (!channel)
        return outcome(ssh, libssh2_session_last_errno(ssh->session), "open a channel", err);
    *ret = wrap(ssh, channel);
    return 0;
}

int ssh_probe(struct ssh *ssh, struct error *err) {
    struct ssh_channel *channel = NULL;
    struct error refusal = ERROR_NULL;
    int r = ssh_open(ssh, "probe@seatrial", NULL, 0, 0, &channel, &refusal);
    free(channel);
    if (r == 0)
        return error_set(err, ERROR_INVALID, "it opened a channel of a type that nobody knows");
    if (r < 0)
        *err = refusal;
    return r == SSH_NO ? 0 : r;
}

int ssh_nudge(struct ssh *ssh, bool answer, struct error *err) {
    int next;
    libssh2_keepalive_config(ssh->session, answer, 2);
    return libssh2_keepalive_send(ssh->session, &next) == 0 ? 0 : fail(ssh, "keep alive", err);
}

int ssh_terminal(struct ssh_channel *channel, const char *term, int columns, int rows,
                 struct error *err) {
    begin(channel->ssh);
    int r = libssh2_channel_request_pty_ex(channel->theirs, term, (unsigned)strlen(term), NULL, 0,
                                           columns, rows, 0, 0);
    return outcome(channel->ssh, r, "ask for a terminal", err);
}

int ssh_terminal_resize(struct ssh_channel *channel, int columns, int rows, struct error *err) {
    int r = libssh2_channel_request_pty_size(channel->theirs, columns, rows);
    return outcome(channel->ssh, r, "resize the terminal", err);
}

int ssh_start(struct ssh_channel *channel, const char *command, struct error *err) {
    begin(channel->ssh);
    int r = libssh2_channel_process_startup(channel->theirs, "exec", sizeof "exec" - 1, command,
                                            (unsigned)strlen(command));
    return outcome(channel->ssh, r, "start a command", err);
}

/*
 * A stream that nobody sends: libssh2 finds nothing to give, and on the way there it takes in what
 * has come for all channels. It may also be halfway through a window adjustment that ssh_read
 * began, and takes its amount from the size of the buffer again: were the sizes different, the two
 * sides would disagree about the window, and data beyond it is dropped without a word.
 */
int ssh_drive(struct ssh_channel *channel, struct error *err) {
    struct ssh *ssh = channel->ssh;
    begin(ssh);
    ssize_t n = libssh2_channel_read_ex(channel->theirs, 4711, ssh->nothing, SSH_READ_BYTES);
    return n < 0 && n != LIBSSH2_ERROR_EAGAIN ? fail(ssh, "receive", err) : 0;
}

ssize_t ssh_read(struct ssh_channel *channel, int stream, void *data, struct error *err) {
    channel->ssh->in_budget = 0;
    ssize_t n = libssh2_channel_read_ex(channel->theirs, stream, data, SSH_READ_BYTES);
    if (n == LIBSSH2_ERROR_EAGAIN)
        return 0;
    return n < 0 ? fail(channel->ssh, "receive", err) : n;
}

bool ssh_readable(struct ssh_channel *channel, int stream) {
    /* Negative: libssh2 has come across a packet that is none of ours. */
    return libssh2_poll_channel_read(channel->theirs, stream) != 0;
}

bool ssh_waiting(struct ssh_channel *channel) {
    return libssh2_poll_channel_read(channel->theirs, 0) > 0;
}

bool ssh_ended(struct ssh_channel *channel) {
    return libssh2_channel_eof(channel->theirs) != 0;
}

bool ssh_closed(struct ssh_channel *channel) {
    channel->ssh->in_budget = 0; /* ask, do not receive */
    return ssh_ended(channel) && libssh2_channel_wait_closed(channel->theirs) == 0;
}

size_t ssh_room(struct ssh_channel *channel) {
    return libssh2_channel_window_write(channel->theirs);
}

ssize_t ssh_write(struct ssh_channel *channel, const void *data, size_t size, struct error *err) {
    channel->ssh->in_budget = 0;
    const char *bytes = data;
    size_t written = 0;
    while (written < size) {
        ssize_t n = libssh2_channel_write(channel->theirs, bytes + written, size - written);
        if (n == LIBSSH2_ERROR_EAGAIN || n == 0)
            break;
        if (n < 0)
            return fail(channel->ssh, "send", err);
        written += (size_t)n;
    }
    return (ssize_t)written;
}

int ssh_end(struct ssh_channel *channel, struct error *err) {
    return outcome(channel->ssh, libssh2_channel_send_eof(channel->theirs), "end the input", err);
}

void ssh_exit(struct ssh_channel *channel, int *ret_code, char *signal, size_t signal_size) {
    char *name = NULL;
    size_t size = 0;
    *ret_code = libssh2_channel_get_exit_status(channel->theirs);
    libssh2_channel_get_exit_signal(channel->theirs, &name, &size, NULL, NULL, NULL, NULL);
    text_safe(name ? name : "", signal, signal_size);
    if (name) {
        *ret_code = -1;
        libssh2_free(channel->ssh->session, name);
    }
}

int ssh_channel_free(struct ssh_channel *channel) {
    begin(channel->ssh);
    if (libssh2_channel_free(channel->theirs) == LIBSSH2_ERROR_EAGAIN)
        return SSH_AGAIN;
    free(channel);
    return 0;
}

/* ---- listening there ---- */

int ssh_listen(struct ssh *ssh, const char *address, uint16_t port, uint16_t *ret_port,
               struct ssh_listener **ret, struct error *err) {
    begin(ssh);
    int bound = 0;
    LIBSSH2_LISTENER *theirs = libssh2_channel_forward_listen_ex(ssh->session, address, port,
                                                                 &bound, SSH_LISTEN_QUEUE_MAX);
    if (!theirs)
        return outcome(ssh, libssh2_session_last_errno(ssh->session), "listen there", err);
    if (bound <= 0 || bound > UINT16_MAX)
        return error_set(err, ERROR_INVALID, "it listens on port %d", bound);
    struct ssh_listener *listener = mem_new(struct ssh_listener);
    *listener = (struct ssh_listener){.ssh = ssh, .theirs = theirs};
    *ret_port = (uint16_t)bound;
    *ret = listener;
    return 0;
}

struct ssh_channel *ssh_accept(struct ssh_listener *listener) {
    listener->ssh->in_budget = 0;
    LIBSSH2_CHANNEL *theirs = libssh2_channel_forward_accept(listener->theirs);
    return theirs ? wrap(listener->ssh, theirs) : NULL;
}

int ssh_unlisten(struct ssh_listener *listener) {
    begin(listener->ssh);
    if (libssh2_channel_forward_cancel(listener->theirs) == LIBSSH2_ERROR_EAGAIN)
        return SSH_AGAIN;
    free(listener);
    return 0;
}

/* libssh2 frees its part with the session. */
void ssh_channel_drop(struct ssh_channel *channel) {
    free(channel);
}

void ssh_listener_drop(struct ssh_listener *listener) {
    free(listener);
}
