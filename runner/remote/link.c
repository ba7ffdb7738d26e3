#include "runner/remote/link.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct link *link_new(int fd, int errors_fd) {
    struct link *link = mem_new(struct link);
    link->fd = fd;
    link->errors_fd = errors_fd;
    link->since = clock_instant();
    buffer_init(&link->payload, 4096);
    buffer_init(&link->up, LINK_PIECE_BYTES);
    buffer_init(&link->down, LINK_PIECE_BYTES);
    buffer_init(&link->down_errors, LINK_PIECE_BYTES);
    buffer_init(&link->captured, LINK_CAPTURE_MAX);
    return link;
}

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void link_free(struct link *link) {
    if (link->channel)
        ssh_channel_drop(link->channel);
    close_fd(&link->fd);
    close_fd(&link->errors_fd);
    buffer_deinit(&link->payload);
    buffer_deinit(&link->up);
    buffer_deinit(&link->down);
    buffer_deinit(&link->down_errors);
    buffer_deinit(&link->captured);
    free(link->command);
    free(link->refusal);
    free(link);
}

static void put_number(struct buffer *out, uint32_t n) {
    unsigned char bytes[4] = {(unsigned char)(n >> 24), (unsigned char)(n >> 16),
                              (unsigned char)(n >> 8), (unsigned char)n};
    buffer_append(out, bytes, sizeof bytes);
}

static void put_string(struct buffer *out, const char *text) {
    put_number(out, (uint32_t)strlen(text));
    buffer_text(out, text);
}

/* RFC 4254, section 7.2; OpenSSH's PROTOCOL, section 2.4. */
void link_to(struct link *link, const struct destination *d) {
    link->session = false;
    buffer_clear(&link->payload);
    if (d->unix_socket) {
        snprintf(link->type, sizeof link->type, "direct-streamlocal@openssh.com");
        put_string(&link->payload, d->unix_socket);
        put_string(&link->payload, "");
        put_number(&link->payload, 0);
        return;
    }
    snprintf(link->type, sizeof link->type, "direct-tcpip");
    put_string(&link->payload, d->address);
    put_number(&link->payload, d->port);
    put_string(&link->payload, "127.0.0.1"); /* from whom: not told */
    put_number(&link->payload, 0);
}

void link_run(struct link *link, char *command) {
    link->session = true;
    buffer_clear(&link->payload);
    snprintf(link->type, sizeof link->type, "session");
    free(link->command);
    link->command = command;
}

void link_enter(struct link *link, enum link_state state) {
    link->state = state;
    link->since = clock_instant();
}

/* ---- what to wait for ---- */

static bool may_read_local(const struct link *link, const struct ssh *ssh) {
    return link->fd >= 0 && !link->up_ended && link->up.size == 0 &&
           ssh_unsent(ssh) < SSH_UNSENT_HIGH && ssh_room(link->channel) > 0;
}

short link_events(const struct link *link, const struct ssh *ssh) {
    short events = 0;
    if (link->state == LINK_REFUSING)
        return POLLIN;
    if (link->state != LINK_RUNNING)
        return 0;
    if (may_read_local(link, ssh))
        events |= POLLIN;
    if (link->down.size)
        events |= POLLOUT;
    return events;
}

short link_errors_events(const struct link *link) {
    return link->down_errors.size ? POLLOUT : 0;
}

/* ---- from here to there ---- */

static int send_up(struct link *link, const char *data, size_t size, struct error *err) {
    ssize_t n = ssh_write(link->channel, data, size, err);
    if (n < 0)
        return -1;
    if ((size_t)n < size)
        buffer_append(&link->up, data + n, size - (size_t)n);
    return 0;
}

static int end_up(struct link *link, struct error *err) {
    link->up_ended = true;
    if (link->end_sent)
        return 0;
    link->end_sent = true;
    return ssh_end(link->channel, err) < 0 ? -1 : 0;
}

/* Several pieces at once as long as both sides keep up. */
static int pump_up(struct link *link, struct ssh *ssh, char *scratch, struct error *err) {
    if (link->up.size) {
        ssize_t n = ssh_write(link->channel, link->up.data, link->up.size, err);
        if (n < 0)
            return -1;
        buffer_consume(&link->up, (size_t)n);
        if (link->up.size)
            return 0;
        buffer_deinit(&link->up); /* an idle channel holds no memory */
        buffer_init(&link->up, LINK_PIECE_BYTES);
    }
    for (int i = 0; i < 4 && may_read_local(link, ssh); i++) {
        size_t room = ssh_room(link->channel);
        size_t size = room < LINK_PIECE_BYTES ? room : LINK_PIECE_BYTES;
        ssize_t n = recv(link->fd, scratch, size, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n < 0)
            link->hung_up = true;
        if (n <= 0)
            return end_up(link, err);
        if (send_up(link, scratch, (size_t)n, err) < 0)
            return -1;
        if ((size_t)n < size)
            return 0;
    }
    return 0;
}

/* ---- from there to here ---- */

/* 0 all of it, or what was not taken is kept. */
static void pass(struct link *link, int *fd, struct buffer *rest, const char *data, size_t size) {
    while (*fd >= 0 && size > 0) {
        ssize_t n = send(*fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            if (fd == &link->fd)
                link->hung_up = true;
            else
                close_fd(fd);
            return;
        }
        data += n;
        size -= (size_t)n;
    }
    if (*fd >= 0)
        buffer_append(rest, data, size);
}

static void pass_rest(struct link *link, int *fd, struct buffer *rest) {
    struct buffer left = *rest;
    buffer_init(rest, LINK_PIECE_BYTES);
    pass(link, fd, rest, left.data, left.size);
    buffer_deinit(&left);
}

static int pump_stream(struct link *link, int stream, char *scratch, struct error *err) {
    int *fd = stream ? &link->errors_fd : &link->fd;
    struct buffer *rest = stream ? &link->down_errors : &link->down;
    if (rest->size)
        pass_rest(link, fd, rest);
    if (rest->size || link->hung_up || !ssh_readable(link->channel, stream))
        return 0;
    ssize_t n = ssh_read(link->channel, stream, scratch, err);
    if (n < 0)
        return -1;
    if (link->capture)
        buffer_append(&link->captured, scratch, (size_t)n);
    else
        pass(link, fd, rest, scratch, (size_t)n);
    return 0;
}

/* Tells whoever is here that no more comes, once all was passed on. */
static void end_down(struct link *link) {
    if (link->down_ended || link->down.size || link->down_errors.size || !ssh_ended(link->channel))
        return;
    link->down_ended = true;
    if (link->fd >= 0)
        shutdown(link->fd, SHUT_WR);
    close_fd(&link->errors_fd);
}

int link_pump(struct link *link, struct ssh *ssh, char *scratch, struct error *err) {
    /* Both directions are closed there; what it wrote before is still to be read. A command is not
     * over by that: who waits for it has ended its input, and wants to know how it ends. */
    if (link->revents & (POLLHUP | POLLERR) && !link->job)
        link->hung_up = true;
    link->revents = 0;
    if (pump_up(link, ssh, scratch, err) < 0 || pump_stream(link, 0, scratch, err) < 0)
        return -1;
    if (link->session && pump_stream(link, 1, scratch, err) < 0)
        return -1;
    end_down(link);
    if (link->hung_up && link->up_ended && link->up.size == 0)
        return 1;
    if (link->down_ended && ssh_closed(link->channel))
        return 1;
    /* A command is over when its channel is closed, as its exit code comes before that. */
    return !link->session && link->down_ended && link->up_ended && link->up.size == 0;
}

int link_start(struct link *link, struct error *err) {
    if (link->job && link->job->terminal && !link->has_terminal) {
        link->columns = atomic_load(&link->job->columns);
        link->rows = atomic_load(&link->job->rows);
        int r = ssh_terminal(link->channel, link->job->term, link->columns, link->rows, err);
        if (r != 0)
            return r;
        link->has_terminal = true;
    }
    return ssh_start(link->channel, link->command, err);
}

/* ---- an explanation ---- */

static void put_text(struct buffer *body, const char *text) {
    for (const char *p = text; *p; p++)
        if (*p == '"' || *p == '\\')
            buffer_format(body, "\\%c", *p);
        else
            buffer_format(body, "%c", (unsigned char)*p < 32 ? ' ' : *p);
}

static void send_refusal(struct link *link) {
    const struct error *why = link->refusal;
    cleanup(buffer_deinit) struct buffer body = BUFFER_NULL;
    cleanup(buffer_deinit) struct buffer answer = BUFFER_NULL;
    buffer_init(&body, 16 * 1024);
    buffer_init(&answer, 32 * 1024);
    buffer_text(&body, "{\"message\":\"");
    put_text(&body, why->text);
    if (why->hint[0])
        buffer_text(&body, " (");
    put_text(&body, why->hint);
    buffer_text(&body, why->hint[0] ? ")\"}\n" : "\"}\n");
    buffer_format(&answer,
                  "HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
                  "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                  why->kind == ERROR_REFUSED ? "403 Forbidden" : "503 Service Unavailable",
                  body.size, buffer_string(&body));
    send(link->fd, answer.data, answer.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(link->fd, SHUT_WR);
}

void link_begin_refusing(struct link *link, const struct error *why) {
    free(link->refusal);
    link->refusal = mem_dup(why, sizeof *why);
    link_enter(link, LINK_REFUSING);
}

int link_refuse(struct link *link, char *scratch) {
    if (!link->revents)
        return 0;
    link->revents = 0;
    ssize_t n = recv(link->fd, scratch, LINK_PIECE_BYTES, MSG_DONTWAIT);
    if (n <= 0)
        return n == 0 || (errno != EAGAIN && errno != EINTR);
    /* The rest of the request is read too: closing before that would take the answer away. */
    if (!link->down_ended)
        send_refusal(link);
    link->down_ended = true;
    return 0;
}
