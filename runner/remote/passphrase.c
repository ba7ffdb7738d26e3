#include "runner/remote/passphrase.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/prompt.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { REMEMBERED_MAX = 64 }; /* keys of one user */

struct secrets {
    char text[REMEMBERED_MAX][PASSPHRASE_SIZE_MAX];
    char typed[PASSPHRASE_SIZE_MAX]; /* the one that is being asked for */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static struct secrets *secrets;                          /* locked in memory */
static struct {
    char *file;
    bool given_up; /* nobody knew it: no passphrase */
} remembered[REMEMBERED_MAX];
static size_t remembered_count;

static void forget(void) {
    if (secrets)
        explicit_bzero(secrets, sizeof *secrets);
    for (size_t i = 0; i < remembered_count; i++)
        free(remembered[i].file);
    remembered_count = 0;
}

void passphrase_forget(void) {
    pthread_mutex_lock(&lock);
    forget();
    pthread_mutex_unlock(&lock);
}

static void forget_at_exit(void) {
    /* A thread that still asks has the lock; its pages go back to the kernel, which clears them. */
    if (pthread_mutex_trylock(&lock) != 0)
        return;
    forget();
    pthread_mutex_unlock(&lock);
}

/* Where the limit of locked memory is zero, it is at least not dumped. */
static int make_room(struct error *err) {
    if (secrets)
        return 0;
    void *room =
        mmap(NULL, sizeof *secrets, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return error_set(err, ERROR_IO, "no memory for passphrases");
    (void)mlock(room, sizeof *secrets);
    (void)madvise(room, sizeof *secrets, MADV_DONTDUMP);
    (void)madvise(room, sizeof *secrets, MADV_WIPEONFORK);
    secrets = room;
    atexit(forget_at_exit);
    return 0;
}

static size_t find(const char *file) {
    size_t i = 0;
    while (i < remembered_count && !text_equal(remembered[i].file, file))
        i++;
    return i;
}

/* Forgets the first when there are too many. */
static void remember(const char *file, const char *passphrase) {
    size_t i = find(file);
    if (i == REMEMBERED_MAX) {
        forget();
        i = 0;
    }
    if (i == remembered_count) {
        remembered[i].file = text_dup(file);
        remembered_count++;
    }
    remembered[i].given_up = !passphrase;
    if (passphrase)
        strcpy(secrets->text[i], passphrase);
}

static int nobody_knows(const char *file, struct error *err) {
    error_set(err, ERROR_REFUSED, "the key '%s' is encrypted, and its passphrase was not told",
              file);
    return error_hint(err, "ssh-add '%s'", file);
}

static int ask(const char *file, const struct task *task, passphrase_try try, void *context,
               struct error *err) {
    cleanup_free char *question = text_format("Enter passphrase for key '%s': ", file);
    for (int attempt = 0; attempt < PASSPHRASE_ATTEMPTS; attempt++) {
        int r = prompt_secret(question, secrets->typed, sizeof secrets->typed, task, err);
        if (r < 0) {
            error_wrap(err, "the key '%s' is encrypted", file);
            return error_hint(err, "ssh-add '%s'", file);
        }
        if (r == 1) /* declined */
            break;
        r = try(context, secrets->typed, err);
        if (r == 0)
            remember(file, secrets->typed);
        explicit_bzero(secrets->typed, sizeof secrets->typed);
        if (r <= 0)
            return r;
    }
    remember(file, NULL);
    return nobody_knows(file, err);
}

static int open_locked(const char *file, const struct task *task, passphrase_try try, void *context,
                       struct error *err) {
    if (make_room(err) < 0)
        return -1;
    size_t i = find(file);
    if (i == remembered_count)
        return ask(file, task, try, context, err);
    if (remembered[i].given_up)
        return nobody_knows(file, err);
    int r = try(context, secrets->text[i], err);
    return r == 1 ? ask(file, task, try, context, err) : r;
}

/* Somebody else may be typing. */
static int take_lock(const struct task *task, struct error *err) {
    for (;;) {
        struct timespec soon;
        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += (long)(100 * NS_PER_MS);
        if (soon.tv_nsec >= (long)NS_PER_SEC) {
            soon.tv_sec++;
            soon.tv_nsec -= (long)NS_PER_SEC;
        }
        if (pthread_mutex_timedlock(&lock, &soon) == 0)
            return 0;
        if (task_check(task, err) < 0)
            return error_wrap(err, "wait until a passphrase is told");
    }
}

int passphrase_open(const char *file, const struct task *task, passphrase_try try, void *context,
                    struct error *err) {
    if (take_lock(task, err) < 0)
        return -1;
    int r = open_locked(file, task, try, context, err);
    pthread_mutex_unlock(&lock);
    return r;
}
