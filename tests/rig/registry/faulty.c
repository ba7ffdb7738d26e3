/*
 * A registry that goes wrong: `faulty SCRIPT UPSTREAM_PORT PORT ADDRESS...` listens on the
 * addresses and hands each request on to the real registry of this machine, but for those that a
 * line of SCRIPT is about, which is read anew for each request:
 *
 *     COUNT ACTION METHOD PART
 *
 * The first line whose METHOD (or `*`) is that of the request and whose PART is in its path, and
 * which was not used COUNT times yet, decides: `500`; `429` (Retry-After: 1); `503` (Retry-After:
 * 600); `401` (a token that has expired); `cut` (after 64 KiB of what the client sends); `flip` (a
 * bit of the answer's body). What was done goes to SCRIPT.log, a line each.
 */

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD_MAX = 64 * 1024, PIECE = 64 * 1024, CUT_AFTER = 64 * 1024, USES_MAX = 64 };

static const char *script;
static int upstream_port;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char used_lines[USES_MAX][512]; /* by what they are, since the file changes */
static int uses[USES_MAX];

static int *uses_of(const char *line) {
    for (int i = 0; i < USES_MAX; i++) {
        if (!used_lines[i][0])
            snprintf(used_lines[i], sizeof used_lines[i], "%s", line);
        if (strcmp(used_lines[i], line) == 0)
            return &uses[i];
    }
    abort();
}

static void note(const char *action, const char *method, const char *path) {
    char name[512];
    snprintf(name, sizeof name, "%s.log", script);
    FILE *log = fopen(name, "ae");
    if (!log)
        abort();
    fprintf(log, "%s %s %s\n", action, method, path);
    fclose(log);
}

/* "" : nothing special. */
static void decide(const char *method, const char *path, char action[16]) {
    char line[512];
    action[0] = '\0';
    pthread_mutex_lock(&lock);
    FILE *file = fopen(script, "re");
    while (file && fgets(line, sizeof line, file)) {
        int count;
        char what[16], of[16], part[256];
        if (sscanf(line, "%d %15s %15s %255s", &count, what, of, part) != 4)
            continue;
        if ((strcmp(of, "*") != 0 && strcmp(of, method) != 0) || !strstr(path, part) ||
            *uses_of(line) >= count)
            continue;
        ++*uses_of(line);
        snprintf(action, 16, "%s", what);
        break;
    }
    if (file)
        fclose(file);
    note(action[0] ? action : "-", method, path);
    pthread_mutex_unlock(&lock);
}

static bool send_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/* Up to and with the empty line, and whatever came behind it. */
static ssize_t read_head(int fd, char *head, size_t *ret_head_size) {
    size_t size = 0;
    for (;;) {
        ssize_t n = recv(fd, head + size, HEAD_MAX - size, 0);
        if (n <= 0)
            return -1;
        size += (size_t)n;
        head[size] = '\0';
        if (head[0] < 'A' || head[0] > 'Z') /* TLS, which is tried first */
            return -1;
        char *end = strstr(head, "\r\n\r\n");
        if (end) {
            *ret_head_size = (size_t)(end + 4 - head);
            return (ssize_t)size;
        }
        if (size == HEAD_MAX)
            return -1;
    }
}

static int connect_upstream(void) {
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)upstream_port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0)
        abort();
    return fd;
}

/* The head with "Connection: close" as its first header, and without another. */
static bool send_head(int fd, const char *head, size_t head_size) {
    const char *first = strstr(head, "\r\n") + 2;
    if (!send_all(fd, head, (size_t)(first - head)) || !send_all(fd, "Connection: close\r\n", 19))
        return false;
    for (const char *line = first; line < head + head_size;) {
        size_t size = (size_t)(strstr(line, "\r\n") + 2 - line);
        if (strncasecmp(line, "Connection:", 11) != 0 && !send_all(fd, line, size))
            return false;
        line += size;
    }
    return true;
}

/* Flips a bit in the middle of the first piece of a body that is large enough to be a layer. */
static void flip(char *data, size_t size, size_t before) {
    if (before == 0 && size > 1024)
        data[size - 100] ^= 1;
}

struct flow {
    int from, to;
    size_t moved;
    bool ended;
};

static bool move(struct flow *f, const char *action, bool up) {
    char piece[PIECE];
    ssize_t n = recv(f->from, piece, sizeof piece, 0);
    if (n <= 0) {
        f->ended = true;
        shutdown(f->to, SHUT_WR);
        return n == 0;
    }
    if (!up && strcmp(action, "flip") == 0)
        flip(piece, (size_t)n, f->moved / PIECE);
    f->moved += (size_t)n;
    if (up && strcmp(action, "cut") == 0 && f->moved > CUT_AFTER)
        return false;
    return send_all(f->to, piece, (size_t)n);
}

static void pump(int client, int upstream, const char *action) {
    struct flow up = {client, upstream, 0, false}, down = {upstream, client, 0, false};
    while (!down.ended) {
        struct pollfd fds[2] = {{.fd = up.ended ? -1 : client, .events = POLLIN},
                                {.fd = upstream, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return;
        if ((fds[0].revents && !move(&up, action, true)) ||
            (fds[1].revents && !move(&down, action, false)))
            return;
    }
}

static void answer(int client, const char *action) {
    static const char body[] =
        "{\"errors\":[{\"code\":\"UNAVAILABLE\",\"message\":\"on purpose\"}]}";
    static const char expired[] =
        "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"token has expired\"}]}";
    bool token = strcmp(action, "401") == 0;
    const char *pause = strcmp(action, "429") == 0   ? "Retry-After: 1\r\n"
                        : strcmp(action, "503") == 0 ? "Retry-After: 600\r\n"
                                                     : "";
    char head[512];
    snprintf(head, sizeof head,
             "HTTP/1.1 %s On Purpose\r\nConnection: close\r\nContent-Type: application/json\r\n"
             "%s%sContent-Length: %zu\r\n\r\n",
             action, pause, token ? "WWW-Authenticate: Basic realm=\"test\"\r\n" : "",
             strlen(token ? expired : body));
    send_all(client, head, strlen(head));
    send_all(client, token ? expired : body, strlen(token ? expired : body));
    shutdown(client, SHUT_WR);
    char rest[PIECE]; /* a client that is still sending shall hear the answer */
    while (recv(client, rest, sizeof rest, 0) > 0) {
    }
}

static void *serve(void *arg) {
    int client = (int)(intptr_t)arg;
    char *head = malloc(HEAD_MAX + 1), method[16], path[4096], action[16];
    size_t head_size = 0;
    ssize_t size = head ? read_head(client, head, &head_size) : -1;
    if (size > 0 && sscanf(head, "%15s %4095s", method, path) == 2) {
        decide(method, path, action);
        if (action[0] >= '0' && action[0] <= '9') {
            answer(client, action);
        } else {
            int upstream = connect_upstream();
            if (send_head(upstream, head, head_size) &&
                send_all(upstream, head + head_size, (size_t)size - head_size))
                pump(client, upstream, action);
            close(upstream);
        }
    }
    free(head);
    close(client);
    return NULL;
}

static int listen_on(const char *address, int port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (inet_pton(AF_INET, address, &a.sin_addr) != 1 ||
        bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 128) < 0) {
        perror(address);
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv) {
    struct pollfd fds[4];
    nfds_t count = 0;
    if (argc < 5 || argc > 8)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    script = argv[1];
    upstream_port = atoi(argv[2]);
    for (int i = 4; i < argc; i++)
        fds[count++] = (struct pollfd){.fd = listen_on(argv[i], atoi(argv[3])), .events = POLLIN};
    for (;;) {
        if (poll(fds, count, -1) < 0)
            continue;
        for (nfds_t i = 0; i < count; i++) {
            pthread_t thread;
            int client = fds[i].revents ? accept4(fds[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
            if (client >= 0 && pthread_create(&thread, NULL, serve, (void *)(intptr_t)client) == 0)
                pthread_detach(thread);
        }
    }
}
