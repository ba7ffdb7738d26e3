#include "runner/run/lock.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of this user alone: in a shared /tmp nobody else may have made it. */
static int make_folder(char **ret, struct error *err) {
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    cleanup_free char *folder = runtime && *runtime
                                    ? text_format("%s/seatrial", runtime)
                                    : text_format("/tmp/seatrial-%lu", (unsigned long)geteuid());
    struct stat st;
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return error_set_os(err, ERROR_IO, errno, "make folder '%s'", folder);
    if (lstat(folder, &st) < 0)
        return error_set_os(err, ERROR_IO, errno, "look at '%s'", folder);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
        return error_set(err, ERROR_REFUSED, "'%s' is not a folder that only we can write", folder);
    *ret = take_ptr(folder);
    return 0;
}

int project_lock_take(const char *project, struct project_lock *ret, struct error *err) {
    cleanup_free char *folder = NULL;
    if (make_folder(&folder, err) < 0)
        return error_wrap(err, "lock project '%s'", project);
    cleanup_free char *path = text_format("%s/%s.lock", folder, project);
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "lock project '%s': open '%s'", project, path);
    char holder[24] = "";
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return error_set_os(err, ERROR_IO, errno, "lock project '%s'", project);
        ssize_t n = read(fd, holder, sizeof holder - 1);
        holder[n > 0 ? strspn(holder, "0123456789") : 0] = '\0';
        error_set(err, ERROR_CONFLICT, "project '%s' is being run by process %s", project,
                  *holder ? holder : "(unknown)");
        return error_hint(err, "wait for its end, or run under another name with -p");
    }
    int length = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, holder, (size_t)length, 0) < 0)
        return error_set_os(err, ERROR_IO, errno, "lock project '%s'", project);
    ret->fd = take_fd(&fd);
    return 0;
}

void project_lock_release(struct project_lock *lock) {
    if (lock->fd >= 0)
        close(lock->fd);
    *lock = PROJECT_LOCK_NULL;
}
