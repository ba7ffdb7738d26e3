#include "runner/deployment/secret.h"

#include "lib/file.h"
#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct secret {
    enum source { SOURCE_LITERAL, SOURCE_FILE, SOURCE_ENV } source;
    char *text; /* the value itself, a path, or a variable's name */
};

static struct secret *new_secret(enum source source, const char *text) {
    struct secret *secret = mem_new(struct secret);
    *secret = (struct secret){.source = source, .text = text_dup(text)};
    return secret;
}

struct secret *secret_new_literal(const char *value) {
    return new_secret(SOURCE_LITERAL, value);
}

struct secret *secret_new_file(const char *path) {
    return new_secret(SOURCE_FILE, path);
}

struct secret *secret_new_env(const char *name) {
    return new_secret(SOURCE_ENV, name);
}

void secret_wipe(char *value) {
    if (value)
        explicit_bzero(value, strlen(value));
    free(value);
}

void secret_free(struct secret *secret) {
    if (!secret)
        return;
    secret_wipe(secret->text);
    free(secret);
}

bool secret_is_literal(const struct secret *secret) {
    return secret->source == SOURCE_LITERAL;
}

void secret_describe(const struct secret *secret, struct buffer *out) {
    if (secret->source == SOURCE_LITERAL)
        buffer_text(out, "<redacted>");
    else
        buffer_format(out, "{%s: %s}", secret->source == SOURCE_FILE ? "file" : "env",
                      secret->text);
}

static int check_mode(const char *path, struct error *err) {
    struct stat status;
    if (stat(path, &status) < 0 || !(status.st_mode & 077))
        return 0; /* that it is not there is said by who reads it */
    error_set(err, ERROR_CONFIG, "secret file '%s' can be read by others (mode %03o)", path,
              (unsigned)status.st_mode & 0777);
    return error_hint(err, "chmod 600 '%s'", path);
}

static int read_secret_file(const char *path, char **ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer text = BUFFER_NULL;
    if (check_mode(path, err) < 0)
        return -1;
    if (file_read(path, SECRET_SIZE_MAX, &text, err) < 0) {
        err->kind = ERROR_CONFIG;
        return error_wrap(err, "read a secret");
    }
    size_t size = text.size;
    size -= size && text.data[size - 1] == '\n';
    size -= size && text.data[size - 1] == '\r';
    if (size && !memchr(text.data, '\0', size))
        *ret = strndup(text.data, size);
    if (text.data)
        explicit_bzero(text.data, text.size);
    if (size == 0)
        return error_set(err, ERROR_CONFIG, "secret file '%s' is empty", path);
    if (!*ret)
        return error_set(err, ERROR_CONFIG, "secret file '%s' has a NUL character", path);
    return 0;
}

int secret_reveal(const struct secret *secret, const struct environment *env, char **ret,
                  struct error *err) {
    char *value = NULL;
    switch (secret->source) {
    case SOURCE_LITERAL: value = text_dup(secret->text); break;
    case SOURCE_FILE:
        if (read_secret_file(secret->text, &value, err) < 0)
            return -1;
        break;
    case SOURCE_ENV: {
        const char *set = environment_get(env, secret->text);
        if (!set || !*set)
            return error_set(err, ERROR_CONFIG, "variable '%s', which holds a secret, is not set",
                             secret->text);
        value = text_dup(set);
        break;
    }
    }
    *ret = value;
    return 0;
}
