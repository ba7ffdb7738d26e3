#include "runner/run/lock.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* In the lock's file, of a holder that looks whether it is asked to end. */
static const char attached[] = " attached";

#define TAKE_PAUSE_NS (200 * NS_PER_MS)

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

/* "PID" and, for one that listens, " attached". */
static int write_holder(int fd, const char *more, struct error *err) {
    char holder[40];
    int length = snprintf(holder, sizeof holder, "%ld%s\n", (long)getpid(), more);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, holder, (size_t)length, 0) < 0)
        return error_set_os(err, ERROR_IO, errno, "write the lock");
    return 0;
}

/* 1 when somebody else holds it, and listens. */
static int take(const char *project, struct project_lock *ret, struct error *err) {
    cleanup_free char *folder = NULL;
    if (make_folder(&folder, err) < 0)
        return error_wrap(err, "lock project '%s'", project);
    cleanup_free char *path = text_format("%s/%s.lock", folder, project);
    cleanup_free char *end = text_format("%s/%s.end", folder, project);
    cleanup_close int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return error_set_os(err, ERROR_IO, errno, "lock project '%s': open '%s'", project, path);
    char holder[40] = "";
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK)
            return error_set_os(err, ERROR_IO, errno, "lock project '%s'", project);
        ssize_t n = read(fd, holder, sizeof holder - 1);
        bool listens = n > 0 && strstr(holder, attached);
        holder[n > 0 ? strspn(holder, "0123456789") : 0] = '\0';
        error_set(err, ERROR_CONFLICT, "project '%s' is being run by process %s", project,
                  *holder ? holder : "(unknown)");
        error_hint(err, "wait for its end, or run under another name with -p");
        return listens ? 1 : -1;
    }
    unlink(end); /* asked of a holder before us */
    if (write_holder(fd, "", err) < 0)
        return error_wrap(err, "lock project '%s'", project);
    *ret = (struct project_lock){.fd = take_fd(&fd), .end = take_ptr(end)};
    return 0;
}

int project_lock_take(const char *project, struct project_lock *ret, struct error *err) {
    return take(project, ret, err) == 0 ? 0 : -1;
}

int project_lock_attach(const struct project_lock *lock, struct error *err) {
    return write_holder(lock->fd, attached, err);
}

bool project_lock_end_is_wanted(const struct project_lock *lock) {
    return lock && access(lock->end, F_OK) == 0;
}

static int ask_to_end(const char *project, struct error *err) {
    cleanup_free char *folder = NULL;
    if (make_folder(&folder, err) < 0)
        return -1;
    cleanup_free char *end = text_format("%s/%s.end", folder, project);
    cleanup_close int fd = open(end, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? error_set_os(err, ERROR_IO, errno, "create '%s'", end) : 0;
}

int project_lock_take_over(const char *project, const struct task *task, struct project_lock *ret,
                           struct error *err) {
    int r = take(project, ret, err);
    if (r <= 0)
        return r;
    error_clear(err);
    if (ask_to_end(project, err) < 0)
        return error_wrap(err, "ask the trial's runner to end it");
    while ((r = take(project, ret, err)) == 1) {
        error_clear(err);
        if (task_sleep(task, TAKE_PAUSE_NS, err) < 0)
            return error_wrap(err, "wait for the trial's runner");
    }
    return r < 0 ? -1 : 1;
}

void project_lock_release(struct project_lock *lock) {
    if (lock->fd >= 0) {
        unlink(lock->end);
        close(lock->fd);
    }
    free(lock->end);
    *lock = PROJECT_LOCK_NULL;
}

/* ---- who ---- */

static void read_boot(char ret[LOCK_HOLDER_SIZE]) {
    cleanup_fclose FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!file || fscanf(file, "%40[0-9a-f-]", ret) != 1)
        ret[0] = '\0';
}

char *lock_volume_name(const char *project) {
    return text_format("seatrial-lock-%s", project);
}

const char *lock_holder(char text[LOCK_HOLDER_SIZE]) {
    char boot[LOCK_HOLDER_SIZE];
    read_boot(boot);
    snprintf(text, LOCK_HOLDER_SIZE, "process %ld of boot %.40s", (long)getpid(), boot);
    return text;
}

bool lock_holder_is_dead(const char *holder) {
    char boot[LOCK_HOLDER_SIZE], its[LOCK_HOLDER_SIZE] = "";
    int pid = 0;
    read_boot(boot);
    return sscanf(holder, "process %9d of boot %40[0-9a-f-]", &pid, its) == 2 && pid > 0 && *boot &&
           text_equal(boot, its) && kill(pid, 0) < 0 && errno == ESRCH;
}
