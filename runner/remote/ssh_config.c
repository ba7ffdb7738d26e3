#include "runner/remote/ssh_config.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "runner/remote/ssh_destination.h"
#include "runner/remote/ssh_keyword.h"
#include "runner/remote/ssh_pattern.h"
#include "runner/remote/ssh_words.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { EXPANDED_SIZE_MAX = 64 << 10 };

/* ---- values ---- */

static void free_value(struct ssh_config_value *value) {
    free(value->text);
    free(value->where);
}

void ssh_config_deinit(struct ssh_config *config) {
    for (size_t i = 0; i < SSH_CONFIG_VALUES; i++)
        free_value(&config->values[i]);
    for (size_t i = 0; i < SSH_CONFIG_KEYS - SSH_CONFIG_VALUES; i++) {
        for (size_t j = 0; j < config->lists[i].count; j++)
            free_value(&config->lists[i].items[j]);
        free(config->lists[i].items);
    }
    free(config->host);
    *config = (struct ssh_config){.host = NULL};
}

const struct ssh_config_list *ssh_config_list(const struct ssh_config *config,
                                              enum ssh_config_key key) {
    return &config->lists[key - SSH_CONFIG_VALUES];
}

/* ---- reading ---- */

struct reading {
    const struct ssh_config_input *input;
    struct ssh_config *config;
    const char *host; /* what Host is compared with */
    bool final;       /* the second time */
    bool wants_final;
    size_t files;
    bool refused_taken[SSH_KEYWORDS_MAX]; /* a refused keyword has got a harmless value */
};

/* One file, and where we are in it. */
struct place {
    struct reading *reading;
    const char *path;
    unsigned line;
    unsigned depth;
    bool user;
    bool never; /* included where nothing applies: only to be checked */
    bool *active;
};

#define complain(place, err, ...)                                                                  \
    (error_set((err), ERROR_CONFIG, __VA_ARGS__),                                                  \
     error_wrap((err), "%s:%u", (place)->path, (place)->line))

static void set_value(struct ssh_config_value *value, const struct place *place, const char *text) {
    value->text = text_dup(text);
    value->where = text_format("%s:%u", place->path, place->line);
}

static void obtain(const struct place *place, enum ssh_config_key key, const char *text) {
    struct ssh_config_value *value = &place->reading->config->values[key];
    if (*place->active && !value->text)
        set_value(value, place, text);
}

static int append(const struct place *place, enum ssh_config_key key, const char *text, size_t max,
                  struct error *err) {
    struct ssh_config_list *list = &place->reading->config->lists[key - SSH_CONFIG_VALUES];
    if (list->count == max)
        return complain(place, err, "more than %zu files", max);
    mem_grow(list->items, list->count, list->capacity);
    set_value(&list->items[list->count++], place, text);
    return 0;
}

static int obtain_identity(const struct place *place, const char *text, struct error *err) {
    const struct ssh_config_list *list =
        ssh_config_list(place->reading->config, SSH_CONFIG_IDENTITY_FILE);
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].text, text) == 0)
            return 0;
    return *place->active
               ? append(place, SSH_CONFIG_IDENTITY_FILE, text, SSH_CONFIG_IDENTITIES_MAX, err)
               : 0;
}

/* All the words of the first line. */
static int obtain_list(const struct place *place, enum ssh_config_key key,
                       const struct ssh_words *words, struct error *err) {
    bool first = *place->active && ssh_config_list(place->reading->config, key)->count == 0;
    for (size_t i = 0; i < words->count; i++) {
        if (strcasecmp(words->words[i], "none") == 0 && words->count > 1)
            return complain(place, err, "'none' must stand alone");
        if (words->words[i][0] == '\0')
            return complain(place, err, "an empty name of a file");
        if (first && append(place, key, words->words[i], SSH_CONFIG_KNOWN_HOSTS_MAX, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- Host and Match ---- */

static int apply_host(const struct place *place, const struct ssh_words *words, struct error *err) {
    bool active = false;
    for (size_t i = 0; i < words->count; i++) {
        const char *pattern = words->words[i];
        if (pattern[0] == '\0')
            return complain(place, err, "an empty pattern");
        bool negated = pattern[0] == '!';
        pattern += negated;
        if (!ssh_pattern_match(place->reading->host, pattern, strlen(pattern)))
            continue;
        active = !negated;
        if (negated)
            break;
    }
    *place->active = active && !place->never;
    return 0;
}

static int expand_host_name(const struct ssh_config *config, const char *host, char **ret,
                            struct error *err) {
    const struct ssh_config_value *name = &config->values[SSH_CONFIG_HOST_NAME];
    if (!name->text) {
        *ret = text_dup(host);
        return 0;
    }
    const struct ssh_config_token tokens[] = {{'h', host}, {0, NULL}};
    return ssh_config_expand(name->text, tokens, NULL, ret, err) < 0
               ? error_wrap(err, "%s: HostName", name->where)
               : 0;
}

struct match {
    const struct place *place;
    char *host; /* what `host` means */
    bool result;
    bool asks_program; /* `exec` */
};

static bool list_matches(const char *text, const char *list, bool fold) {
    cleanup_free char *copy = text_dup(text);
    for (char *c = copy; fold && *c; c++)
        *c = (char)tolower((unsigned char)*c);
    return ssh_pattern_list(copy, list, strlen(list), fold) == 1;
}

static int match_argument(struct match *match, const char *name, const char *argument,
                          bool *ret_matches, struct error *err) {
    const struct reading *reading = match->place->reading;
    const char *given = reading->config->values[SSH_CONFIG_USER].text;
    const char *user = reading->input->user ? reading->input->user
                       : given              ? given
                                            : reading->input->local_user;
    if (strcasecmp(name, "host") == 0)
        *ret_matches = list_matches(match->host, argument, true);
    else if (strcasecmp(name, "originalhost") == 0)
        *ret_matches = list_matches(reading->input->host, argument, true);
    else if (strcasecmp(name, "user") == 0)
        *ret_matches = list_matches(user, argument, false);
    else if (strcasecmp(name, "localuser") == 0)
        *ret_matches = list_matches(reading->input->local_user, argument, false);
    else if (strcasecmp(name, "exec") == 0)
        *ret_matches = match->asks_program = true;
    else
        return complain(match->place, err, "'Match %s' is not supported", name);
    return 0;
}

/* One criterion. 1: it was `all`, the last. */
static int match_one(struct match *match, char *name, char **rest, bool first, struct error *err) {
    bool negated = name[0] == '!';
    name += negated;
    bool matches;
    if (strcasecmp(name, "all") == 0) {
        const char *more = ssh_word_next(rest);
        if (!first || (more && more[0] && more[0] != '#'))
            return complain(match->place, err, "'all' cannot be combined with others");
        match->result = match->result && !negated;
        return 1;
    }
    bool final = strcasecmp(name, "final") == 0;
    if (final || strcasecmp(name, "canonical") == 0) {
        match->place->reading->wants_final |= final;
        matches = match->place->reading->final;
    } else {
        const char *argument = ssh_word_next(rest);
        if (!argument || argument[0] == '\0' || argument[0] == '#')
            return complain(match->place, err, "'Match %s' needs a value", name);
        bool program = match->asks_program;
        if (match_argument(match, name, argument, &matches, err) < 0)
            return -1;
        if (match->asks_program && !program)
            return 0; /* whatever it says, negated or not */
    }
    match->result = match->result && matches != negated;
    return 0;
}

static int match_all(struct match *match, char *rest, struct error *err) {
    size_t count = 0;
    char *word;
    int r = 0;
    while (r == 0 && (word = ssh_word_next(&rest)) && word[0] && word[0] != '#') {
        /* `all` may stand behind one of `canonical` and `final`. */
        r = match_one(match, word, &rest, count <= 1, err);
        count++;
    }
    if (r < 0)
        return -1;
    if (count == 0)
        return complain(match->place, err, "Match without a criterion");
    if (match->asks_program && match->result && !match->place->never)
        return complain(match->place, err,
                        "'Match exec' would run a program, which is not supported");
    return 0;
}

static int apply_match(const struct place *place, char *rest, struct error *err) {
    const struct reading *reading = place->reading;
    struct match match = {.place = place, .result = true};
    if (reading->final)
        match.host = text_dup(reading->config->host);
    else if (expand_host_name(reading->config, reading->host, &match.host, err) < 0)
        return -1;
    int r = match_all(&match, rest, err);
    *place->active = r == 0 && match.result && !match.asks_program && !place->never;
    free(match.host);
    return r;
}

/* ---- Include ---- */

static int read_file(struct reading *reading, const struct ssh_config_file *file, unsigned depth,
                     bool never, bool *active, struct error *err);

static void free_files(struct ssh_config_file *files, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(files[i].path);
        free(files[i].text);
    }
    free(files);
}

static int include_pattern(const struct place *place, const char *pattern, struct error *err) {
    struct reading *reading = place->reading;
    struct ssh_config_file *files = NULL;
    size_t count = 0;
    if (pattern[0] == '\0' || (pattern[0] == '~' && !place->user))
        return complain(place, err, "Include cannot name '%s' here", pattern);
    if (place->depth + 1 >= SSH_CONFIG_DEPTH_MAX)
        return complain(place, err, "Include is nested more than %d deep", SSH_CONFIG_DEPTH_MAX);
    if (reading->input->include(reading->input->context, pattern, place->user, &files, &count,
                                err) < 0)
        return error_wrap(err, "%s:%u: Include", place->path, place->line);
    bool was_active = *place->active;
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = read_file(reading, &files[i], place->depth + 1, !was_active, place->active, err);
        *place->active = was_active;
    }
    free_files(files, count);
    return r;
}

static int apply_include(const struct place *place, const struct ssh_words *words,
                         struct error *err) {
    for (size_t i = 0; i < words->count; i++)
        if (include_pattern(place, words->words[i], err) < 0)
            return -1;
    return 0;
}

/* ---- one line ---- */

static int apply_jump(const struct place *place, const char *rest, struct error *err) {
    cleanup_free char *copy = text_dup(rest);
    char *save = NULL;
    bool any = false;
    if (strcasecmp(rest, "none") != 0) {
        for (char *hop = strtok_r(copy, ",", &save); hop; hop = strtok_r(NULL, ",", &save)) {
            cleanup(ssh_destination_deinit) struct ssh_destination d = SSH_DESTINATION_NULL;
            if (ssh_destination_parse(hop, &d, err) < 0)
                return error_wrap(err, "%s:%u: ProxyJump", place->path, place->line);
            any = true;
        }
        if (!any || rest[0] == ',' || text_ends(rest, ",") || strstr(rest, ",,"))
            return complain(place, err, "ProxyJump has an empty name");
    }
    if (!place->reading->config->values[SSH_CONFIG_PROXY_COMMAND].text)
        obtain(place, SSH_CONFIG_PROXY_JUMP, rest);
    return 0;
}

static int apply_command(const struct place *place, const char *rest, struct error *err) {
    const struct ssh_config_value *values = place->reading->config->values;
    if (!*place->active || values[SSH_CONFIG_PROXY_JUMP].text ||
        values[SSH_CONFIG_PROXY_COMMAND].text)
        return 0;
    if (strcasecmp(rest, "none") != 0) {
        complain(place, err, "ProxyCommand is not supported");
        return error_hint(err, "say ProxyJump where that is meant");
    }
    obtain(place, SSH_CONFIG_PROXY_COMMAND, rest);
    return 0;
}

static int apply_refused(const struct place *place, const struct ssh_keyword *keyword,
                         const struct ssh_words *words, struct error *err) {
    static const char *const harmless[] = {"none", "no", "false"};
    if (!*place->active)
        return 0;
    bool *taken = &place->reading->refused_taken[ssh_keyword_index(keyword)];
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        *taken |= words->count == 1 && strcasecmp(words->words[0], harmless[i]) == 0;
    if (*taken)
        return 0;
    return complain(place, err, "%s is not supported: %s", keyword->name, keyword->why);
}

static int apply_single(const struct place *place, const struct ssh_keyword *keyword,
                        const struct ssh_words *words, struct error *err) {
    const char *text = words->count ? words->words[0] : "";
    if (text[0] == '\0')
        return complain(place, err, "%s needs a value", keyword->name);
    if (words->count > 1)
        return complain(place, err, "%s has one value, and not '%s' behind it", keyword->name,
                        words->words[1]);
    if (!ssh_keyword_accepts(keyword, text)) {
        char safe[128];
        return complain(place, err, "%s cannot be '%s': %s", keyword->name,
                        text_safe(text, safe, sizeof safe), ssh_keyword_expects(keyword));
    }
    if (keyword->kind == SSH_KEYWORD_IDENTITY)
        return obtain_identity(place, text, err);
    obtain(place, keyword->key, text);
    return 0;
}

static int apply_words(const struct place *place, const struct ssh_keyword *keyword,
                       const char *rest, struct error *err) {
    cleanup(ssh_words_deinit) struct ssh_words words = SSH_WORDS_NULL;
    if (ssh_words_split(rest, &words, err) < 0)
        return error_wrap(err, "%s:%u", place->path, place->line);
    switch (keyword->kind) {
    case SSH_KEYWORD_HOST: return apply_host(place, &words, err);
    case SSH_KEYWORD_INCLUDE: return apply_include(place, &words, err);
    case SSH_KEYWORD_LIST: return obtain_list(place, keyword->key, &words, err);
    case SSH_KEYWORD_REFUSED: return apply_refused(place, keyword, &words, err);
    case SSH_KEYWORD_PASSED: return 0;
    default: return apply_single(place, keyword, &words, err);
    }
}

static int unknown(const struct place *place, const char *name, struct error *err) {
    const char *ignored = place->reading->config->values[SSH_CONFIG_IGNORE_UNKNOWN].text;
    if (ignored && list_matches(name, ignored, true))
        return 0;
    char safe[128];
    const char *nearest = ssh_keyword_nearest(name);
    complain(place, err, "ssh_config(5) has no '%s'", text_safe(name, safe, sizeof safe));
    if (nearest)
        return error_hint(err, "did you mean %s?", nearest);
    return error_hint(err, "IgnoreUnknown %s above it makes it be passed over", safe);
}

/* `line` is written to. */
static int apply_line(const struct place *place, char *line, struct error *err) {
    size_t size = strlen(line);
    while (size > 0 && strchr(" \t\r\n\f", line[size - 1]))
        line[--size] = '\0';
    char *rest = line + strspn(line, " \t\r");
    char *name = ssh_word_next(&rest);
    if (name && name[0] == '\0')
        name = ssh_word_next(&rest);
    if (!name || name[0] == '\0' || name[0] == '#')
        return 0;
    const struct ssh_keyword *keyword = ssh_keyword_find(name);
    if (!keyword)
        return unknown(place, name, err);
    if (rest)
        rest += strspn(rest, " \t\r\n");
    if (!rest || *rest == '\0')
        return complain(place, err, "%s needs a value", keyword->name);
    switch (keyword->kind) {
    case SSH_KEYWORD_MATCH: return apply_match(place, rest, err);
    case SSH_KEYWORD_JUMP: return apply_jump(place, rest, err);
    case SSH_KEYWORD_COMMAND: return apply_command(place, rest, err);
    default: return apply_words(place, keyword, rest, err);
    }
}

static int read_file(struct reading *reading, const struct ssh_config_file *file, unsigned depth,
                     bool never, bool *active, struct error *err) {
    if (++reading->files > SSH_CONFIG_FILES_MAX)
        return error_set(err, ERROR_CONFIG, "%s: more than %d files are included", file->path,
                         SSH_CONFIG_FILES_MAX);
    if (file->size > SSH_CONFIG_FILE_SIZE_MAX || memchr(file->text, '\0', file->size))
        return error_set(err, ERROR_CONFIG, "%s: not an SSH configuration", file->path);
    struct place place = {.reading = reading,
                          .path = file->path,
                          .depth = depth,
                          .user = file->user,
                          .never = never,
                          .active = active};
    const char *at = file->text, *end = at + file->size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        cleanup_free char *line = text_format("%.*s", (int)(stop - at), at);
        place.line++;
        if (apply_line(&place, line, err) < 0)
            return -1;
        at = stop + 1;
    }
    return 0;
}

static int read_all(struct reading *reading, struct error *err) {
    for (size_t i = 0; i < reading->input->file_count; i++) {
        bool active = true;
        if (read_file(reading, &reading->input->files[i], 0, false, &active, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- all of it ---- */

/* An address as known_hosts files have it: in its shortest form, unless it differs by case only.
 * NULL: a name. malloc()ed. */
static char *usual_address(const char *text) {
    struct in_addr v4;
    unsigned char v6[sizeof(struct in6_addr)];
    char shortest[INET6_ADDRSTRLEN];
    if (inet_aton(text, &v4)) { /* "10.1" too */
        inet_ntop(AF_INET, &v4, shortest, sizeof shortest);
        return text_dup(shortest);
    }
    size_t size = strcspn(text, "%"); /* an interface's name follows */
    cleanup_free char *bare = text_format("%.*s", (int)size, text);
    if (inet_pton(AF_INET6, bare, v6) != 1 || !inet_ntop(AF_INET6, v6, shortest, sizeof shortest))
        return NULL;
    return text_format("%s%s", strcasecmp(bare, shortest) == 0 ? bare : shortest, text + size);
}

static int settle_host(struct ssh_config *config, const char *host, struct error *err) {
    cleanup_free char *settled = NULL;
    if (expand_host_name(config, host, &settled, err) < 0)
        return -1;
    config->host = usual_address(settled);
    if (config->host)
        return 0;
    for (char *c = settled; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    config->host = take_ptr(settled);
    return 0;
}

int ssh_config_resolve(const struct ssh_config_input *input, struct ssh_config *ret,
                       struct error *err) {
    cleanup(ssh_config_deinit) struct ssh_config config = {.host = NULL};
    struct reading reading = {.input = input, .config = &config, .host = input->host};
    const struct place given = {
        .reading = &reading, .path = "destination", .active = &(bool){true}};
    if (input->user)
        obtain(&given, SSH_CONFIG_USER, input->user);
    if (input->port)
        obtain(&given, SSH_CONFIG_PORT, input->port);
    if (read_all(&reading, err) < 0 || settle_host(&config, input->host, err) < 0)
        return -1;
    if (reading.wants_final) {
        /* Now Host sees what HostName said; no later HostName changes it. */
        cleanup_free char *settled = text_dup(config.host);
        reading.host = settled;
        reading.final = true;
        if (!config.values[SSH_CONFIG_HOST_NAME].text)
            obtain(&given, SSH_CONFIG_HOST_NAME, settled);
        if (read_all(&reading, err) < 0)
            return -1;
    }
    *ret = config;
    config = (struct ssh_config){.host = NULL};
    return 0;
}

static int expand_token(const char *at, const struct ssh_config_token *tokens, struct buffer *out,
                        struct error *err) {
    const struct ssh_config_token *token = tokens;
    while (token->text && token->letter != *at)
        token++;
    if (*at == '%')
        buffer_text(out, "%");
    else if (*at && token->text)
        buffer_text(out, token->text);
    else
        return error_set(err, ERROR_CONFIG, "the token %%%.1s is not known here", at);
    return 0;
}

/* From behind "${"; gives where it goes on, NULL on error. */
static const char *expand_variable(const char *at, const char *(*variable)(const char *name),
                                   struct buffer *out, struct error *err) {
    size_t size = strcspn(at, "}");
    cleanup_free char *name = text_format("%.*s", (int)size, at);
    const char *value = at[size] == '}' ? variable(name) : NULL;
    if (!value) {
        error_set(err, ERROR_CONFIG, "there is no variable '%.100s' in the environment", name);
        return NULL;
    }
    buffer_text(out, value);
    return at + size + 1;
}

int ssh_config_expand(const char *text, const struct ssh_config_token *tokens,
                      const char *(*variable)(const char *name), char **ret, struct error *err) {
    cleanup(buffer_deinit) struct buffer out;
    buffer_init(&out, EXPANDED_SIZE_MAX);
    for (const char *c = text; *c;) {
        if (variable && c[0] == '$' && c[1] == '{') {
            c = expand_variable(c + 2, variable, &out, err);
            if (!c)
                return -1;
        } else if (*c == '%') {
            if (expand_token(c + 1, tokens, &out, err) < 0)
                return -1;
            c += 2;
        } else {
            buffer_append(&out, c++, 1);
        }
    }
    if (buffer_check(&out, "a value with tokens", err) < 0)
        return -1;
    *ret = text_dup(buffer_string(&out));
    return 0;
}
