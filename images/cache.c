#include "images/cache.h"

#include "lib/cleanup.h"
#include "lib/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *cache_folder(const char *name) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/')
        return text_format("%s/seatrial/%s", cache, name);
    return home && *home == '/' ? text_format("%s/.cache/seatrial/%s", home, name) : NULL;
}

void cache_remove_older(const char *folder, const char *prefix, int64_t before_s) {
    cleanup_closedir DIR *dir = opendir(folder);
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        struct stat st;
        if (text_starts(e->d_name, prefix) &&
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            st.st_mtime < before_s)
            unlinkat(dirfd(dir), e->d_name, 0);
    }
}
