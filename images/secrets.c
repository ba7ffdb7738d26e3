#include "images/secrets.h"

#include "lib/text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { LOOKED_AT = 32 << 10 /* what comes before a key in a file of certificates is short */ };

/* The whole name, or its end where it begins with a dot after a star. */
static const struct secret {
    const char *name;
    bool ending; /* of the name */
    bool look;   /* it is one only with a private key in it */
} secrets[] = {
    {"id_rsa", false, false},
    {"id_dsa", false, false},
    {"id_ecdsa", false, false},
    {"id_ed25519", false, false},
    {".netrc", false, false},
    {".pgpass", false, false},
    {".git-credentials", false, false},
    {".dockercfg", false, false},
    {".vault-token", false, false},
    {".p12", true, false},
    {".pfx", true, false},
    {".ppk", true, false},
    {".kdbx", true, false},
    {".pem", true, true},
    {".key", true, true},
};

/* Files of this name in this folder. */
static const char *const placed[] = {".aws/credentials", ".docker/config.json", ".kube/config",
                                     ".ssh/identity"};

static const struct secret *find(const char *name) {
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        const struct secret *s = &secrets[i];
        if (s->ending ? text_ends(name, s->name) : text_equal(name, s->name))
            return s;
    }
    return NULL;
}

static bool is_placed(const char *path) {
    for (size_t i = 0; i < sizeof placed / sizeof *placed; i++) {
        size_t size = strlen(path), wanted = strlen(placed[i]);
        if (text_ends(path, placed[i]) && (size == wanted || path[size - wanted - 1] == '/'))
            return true;
    }
    return false;
}

static int has_private_key(int fd, struct error *err) {
    char text[LOOKED_AT + 1];
    ssize_t n = pread(fd, text, LOOKED_AT, 0);
    if (n < 0)
        return error_set_os(err, ERROR_IO, errno, "read it");
    text[n] = '\0';
    return memmem(text, (size_t)n, "PRIVATE KEY", 11) != NULL;
}

int secrets_check(const char *path, int fd, struct error *err) {
    const char *slash = strrchr(path, '/');
    const struct secret *s = find(slash ? slash + 1 : path);
    char shown[512];
    if (!s && !is_placed(path))
        return 0;
    text_safe(path, shown, sizeof shown);
    int is_one = s && s->look ? has_private_key(fd, err) : 1;
    if (is_one < 0)
        return error_wrap(err, "'%s'", shown);
    if (!is_one)
        return 0;
    error_set(err, ERROR_REFUSED, "'%s' looks like a secret, and would be sent into the build",
              shown);
    return error_hint(err,
                      "name it in .dockerignore; or allow it, if it is none: x-seatrial: "
                      "{context_allow: ['%s']}",
                      shown);
}
