#include "runner/remote/private_socket.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "seatrial-tunnel-"

enum { NAME_BYTES = 32, SWEEP_MAX = 64 };

static bool usable(const char *folder) {
    return folder && folder[0] == '/' && access(folder, W_OK | X_OK) == 0;
}

/* Nobody holds its lock: whoever made it is gone. */
static void sweep_one(const char *base, const char *name) {
    struct stat st;
    cleanup_free char *path = text_format("%s/%s", base, name);
    cleanup_close int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    /* One that was made just now may not be locked yet. */
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid() || time(NULL) - st.st_mtime < 60 ||
        flock(fd, LOCK_EX | LOCK_NB) < 0)
        return;
    cleanup_closedir DIR *folder = fdopendir(dup(fd));
    for (struct dirent *e; folder && (e = readdir(folder));)
        if (text_ends(e->d_name, ".sock"))
            unlinkat(fd, e->d_name, 0);
    rmdir(path);
}

static void sweep(const char *base) {
    cleanup_closedir DIR *folder = opendir(base);
    int swept = 0;
    for (struct dirent *e; folder && swept < SWEEP_MAX && (e = readdir(folder));)
        if (text_starts(e->d_name, PREFIX)) {
            sweep_one(base, e->d_name);
            swept++;
        }
}

static int make_folder(struct private_socket *s, struct error *err) {
    const char *bases[] = {getenv("XDG_RUNTIME_DIR"), "/run", "/tmp"};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        size_t longest = strlen("/" PREFIX "XXXXXX/") + NAME_BYTES + strlen(".sock");
        struct sockaddr_un a;
        if (!usable(bases[i]) || strlen(bases[i]) + longest >= sizeof a.sun_path)
            continue;
        sweep(bases[i]);
        cleanup_free char *path = text_format("%s/" PREFIX "XXXXXX", bases[i]);
        if (!mkdtemp(path))
            continue;
        s->folder = take_ptr(path);
        s->folder_fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (s->folder_fd < 0 || flock(s->folder_fd, LOCK_EX | LOCK_NB) < 0)
            return error_set_os(err, ERROR_IO, errno, "lock '%s'", s->folder);
        return 0;
    }
    error_set(err, ERROR_IO, "there is no folder for a private socket");
    return error_hint(err, "XDG_RUNTIME_DIR should name one that is writable, with a short path");
}

static char *socket_path(const char *folder, const char *name) {
    char safe[NAME_BYTES + 1];
    snprintf(safe, sizeof safe, "%s", name);
    for (char *p = safe; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("-_", *p))
            *p = '_';
    return text_format("%s/%s.sock", folder, safe);
}

int private_socket_open(const char *name, int backlog, struct private_socket *ret,
                        struct error *err) {
    cleanup(private_socket_deinit) struct private_socket s = PRIVATE_SOCKET_NULL;
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (make_folder(&s, err) < 0)
        return -1;
    s.path = socket_path(s.folder, name);
    snprintf(a.sun_path, sizeof a.sun_path, "%s", s.path);
    s.listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s.listen_fd < 0 || bind(s.listen_fd, (struct sockaddr *)&a, sizeof a) < 0 ||
        chmod(s.path, 0600) < 0 || listen(s.listen_fd, backlog) < 0)
        return error_set_os(err, ERROR_IO, errno, "listen on '%s'", s.path);
    *ret = s;
    s = PRIVATE_SOCKET_NULL;
    return 0;
}

void private_socket_deinit(struct private_socket *s) {
    if (s->listen_fd >= 0)
        close(s->listen_fd);
    if (s->path)
        unlink(s->path);
    if (s->folder)
        rmdir(s->folder);
    if (s->folder_fd >= 0)
        close(s->folder_fd);
    free(s->path);
    free(s->folder);
    *s = PRIVATE_SOCKET_NULL;
}
