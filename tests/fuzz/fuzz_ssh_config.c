/* Hostile ssh_config(5): it ends, within its limits, and what it obtains can be read. A byte 1
 * divides the file from another, which `Include i` names; `Include m` names the first again. */

#include "runner/remote/ssh_config.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/ssh_keyword.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_SIZE_MAX = 2048 }; /* it may be read a thousand times */

struct input {
    const char *parts[2];
    size_t sizes[2];
};

static struct ssh_config_file file_of(const struct input *input, size_t part) {
    return (struct ssh_config_file){.path = text_dup(part ? "included" : "main"),
                                    .text = mem_dup(input->parts[part], input->sizes[part]),
                                    .size = input->sizes[part],
                                    .user = true};
}

static int include(void *context, const char *pattern, bool user, struct ssh_config_file **ret,
                   size_t *ret_count, struct error *err) {
    (void)user;
    if (pattern[0] == 'x')
        return error_set(err, ERROR_CONFIG, "not readable");
    *ret_count = pattern[0] == 'i' || pattern[0] == 'm';
    *ret = *ret_count ? mem_new(struct ssh_config_file) : NULL;
    if (*ret)
        **ret = file_of(context, pattern[0] == 'i');
    return 0;
}

static void read_values(const struct ssh_config *config) {
    const char *time = config->values[SSH_CONFIG_CONNECT_TIMEOUT].text;
    const char *flag = config->values[SSH_CONFIG_COMPRESSION].text;
    const char *checking = config->values[SSH_CONFIG_STRICT_HOST_KEY_CHECKING].text;
    const char *family = config->values[SSH_CONFIG_ADDRESS_FAMILY].text;
    struct error err = ERROR_NULL;
    int64_t seconds;
    if (time)
        assert(ssh_config_time(time, &seconds, &err) == 0 && seconds >= -1);
    if (flag)
        (void)ssh_config_flag(flag);
    if (checking)
        (void)ssh_config_checking(checking);
    if (family)
        (void)ssh_config_family(family);
    assert(config->host);
    assert(ssh_config_list(config, SSH_CONFIG_IDENTITY_FILE)->count <= SSH_CONFIG_IDENTITIES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_SIZE_MAX)
        return 0;
    const char *text = (const char *)data;
    const char *divide = memchr(text, 1, size);
    struct input input = {.parts = {text, text + size}, .sizes = {size, 0}};
    if (divide) {
        input.sizes[0] = (size_t)(divide - text);
        input.parts[1] = divide + 1;
        input.sizes[1] = size - input.sizes[0] - 1;
    }
    struct ssh_config_file main_file = file_of(&input, 0);
    struct ssh_config_input query = {.host = "host.example",
                                     .local_user = "me",
                                     .files = &main_file,
                                     .file_count = 1,
                                     .include = include,
                                     .context = &input};
    struct ssh_config config = {.host = NULL};
    struct error err = ERROR_NULL;
    if (ssh_config_resolve(&query, &config, &err) == 0)
        read_values(&config);
    else
        assert(err.kind == ERROR_CONFIG || err.kind == ERROR_LIMIT);
    ssh_config_deinit(&config);
    free(main_file.path);
    free(main_file.text);
    return 0;
}
