#include "loader/options.h"

#include "lib/cleanup.h"
#include "lib/memory.h"
#include "lib/text.h"
#include "loader/limits.h"

#include <argp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum kind { NUMBER, DURATION, TEXT, RATE, CHOICE, FLAG, WORD, SHAPE, SKEW };

/* Keys of options without a letter: above any character. */
enum {
    KEY_CLUSTER = 256,
    KEY_CLUSTER_KEYS,
    KEY_INSECURE,
    KEY_CLIENT_AUTH,
    KEY_PROTOCOL,
    KEY_TARGET,
    KEY_METHOD,
    KEY_PATH,
    KEY_OUT,
    KEY_RATE,
    KEY_ARRIVAL,
    KEY_CLIENTS,
    KEY_IN_FLIGHT_MAX,
    KEY_SPIN,
    KEY_TIME,
    KEY_WARM_UP,
    KEY_COOL_DOWN,
    KEY_THREADS,
    KEY_REQUEST_TIMEOUT,
    KEY_CONNECT_TIMEOUT,
    KEY_START,
    KEY_START_TIMEOUT,
    KEY_SEED,
    KEY_METRICS,
    KEY_SHAPE,
    KEY_READS,
    KEY_READ_KEYS,
    KEY_KEY_SPACE,
    KEY_KEY_SKEW,
    KEY_VERSION
};
/* -h would look like one of the original letters. */
enum { KEY_HELP = '?' };

enum group {
    GROUP_LOAD = 1,
    GROUP_MIX = 2,
    GROUP_OPEN = 3,
    GROUP_TARGET = 4,
    GROUP_OURS = 5,
    GROUP_LAST = -1
};

struct row {
    int key;
    const char *name;
    const char *argument;
    enum kind kind;
    uint64_t min, max;  /* NUMBER; DURATION in ns */
    const char *preset; /* the default, as it would be typed; NULL: none */
    size_t at;          /* in struct options */
    enum group group;
    const char *help;
};

#define AT(field) offsetof(struct options, field)

/* How to add an option: a row here and its field in options.h. Help, default and check follow. */
static const struct row rows[] = {
    {'b', "requests", "NUMBER", NUMBER, 0, LOADER_REQUESTS_MAX, "4000000", AT(requests), GROUP_LOAD,
     "Number of requests to launch; 0: no limit. With --time or a --rate that has an end, the "
     "default is 0"},
    {'p', "pre-execute", "0|1", NUMBER, 0, 1, "0", AT(pre_execute), GROUP_LOAD,
     "Pre-processing of requests off or on"},
    {'k', "keys", "NUMBER", NUMBER, 0, LOADER_KEYS_MAX, "31", AT(keys), GROUP_LOAD,
     "Number of keys in the write set of a request"},
    {'s', "key-size", "BYTES", NUMBER, 1, LOADER_KEY_SIZE_MAX, "118", AT(key_size), GROUP_LOAD,
     "Size of a single key"},
    {'v', "value-size", "BYTES", NUMBER, 0, LOADER_VALUE_SIZE_MAX, "2841", AT(value_size),
     GROUP_LOAD, "Size of a key's value"},
    {'d', "payload-size", "BYTES", NUMBER, 0, WIRE_PAYLOAD_MAX, "15100", AT(payload_size),
     GROUP_LOAD, "Size of a request's payload"},
    {'c', "concurrency", "CLIENTS", NUMBER, 1, LOADER_CLIENTS_MAX, "15", AT(concurrency),
     GROUP_LOAD, "Closed loop: clients in the pool; each has one request in flight"},
    {'e', "execution-time", "MS", NUMBER, 0, LOADER_EXECUTION_MS_MAX, "0", AT(execution_ms),
     GROUP_LOAD, "Simulated execution time of a request, in milliseconds"},
    {'f', "client-pool", "FILE", TEXT, 0, 0, NULL, AT(pool_path), GROUP_LOAD,
     "Client-pool configuration file: replicas and their addresses, f, retry timeouts"},
    {'w', "busy-wait", "0|1", NUMBER, 0, 1, "1", AT(busy_wait), GROUP_LOAD,
     "Simulate the execution time by a regular sleep (0) or a busy wait (1)"},
    {'i', "durations", "0|1", NUMBER, 0, 1, "1", AT(durations), GROUP_LOAD,
     "Write every request's duration to requests.bin (`loader export' prints it)"},
    {'l', "log-level", "0..3", NUMBER, 0, 3, "1", AT(log_level), GROUP_LOAD,
     "Log level without log4cplus: off, error, info, debug"},
    {'a', "log-config", "FILE", TEXT, 0, 0, NULL, AT(log_config), GROUP_LOAD,
     "log4cplus.properties (default: /seatrial/log4cplus.properties, else "
     "/perf_loader/config/log4cplus.properties, where one of them exists)"},

    {KEY_SHAPE, "shape", "NAME,KEY=VALUE,...", SHAPE, 0, 0, NULL, AT(shapes), GROUP_MIX,
     "A shape of requests beside others, up to 8: weight=NUMBER says how often it comes (default: "
     "1), k= s= v= d= e= p= w= what differs from those letters, and `read' that it reads its keys "
     "instead of writing them"},
    {KEY_READS, "reads", "PERCENT", NUMBER, 0, 100, "0", AT(reads), GROUP_MIX,
     "So many of 100 requests read their keys, without a payload; short for two shapes"},
    {KEY_READ_KEYS, "read-keys", "NUMBER", NUMBER, 0, LOADER_KEYS_MAX, "0", AT(read_keys),
     GROUP_MIX,
     "A request that writes reads so many keys before, from the first one on that it writes; needs "
     "--key-space"},
    {KEY_KEY_SPACE, "key-space", "NUMBER", NUMBER, 1, LOADER_KEY_SPACE_MAX, NULL, AT(key_space),
     GROUP_MIX,
     "All requests are for so many keys: -k of them in a row, from a random one on (default: each "
     "request writes keys of its own)"},
    {KEY_KEY_SKEW, "key-skew", "uniform|zipf:THETA", SKEW, 0, 0, "uniform", AT(key_skew), GROUP_MIX,
     "Which keys: all alike, or the first ones more often, as YCSB does (zipf:0.99)"},

    {KEY_RATE, "rate", "RATE", RATE, 0, 0, NULL, AT(rate), GROUP_OPEN,
     "Open loop: send so many requests per second, whatever becomes of them. Steps and ramps: "
     "1000:10s,2000:10s or 1000..5000:60s, where the last phase may be without end"},
    {KEY_ARRIVAL, "arrival", "constant|poisson", CHOICE, 0, 0, "constant", AT(arrival), GROUP_OPEN,
     "Open loop: evenly, or at random as independent users would"},
    {KEY_CLIENTS, "clients", "NUMBER", NUMBER, 1, LOADER_CLIENTS_MAX, "10000", AT(clients),
     GROUP_OPEN, "Open loop: clients in the pool; each has one request in flight at most"},
    {KEY_IN_FLIGHT_MAX, "in-flight-max", "NUMBER", NUMBER, 1, LOADER_CLIENTS_MAX, NULL,
     AT(in_flight_max), GROUP_OPEN,
     "Open loop: requests in flight at most; what is due beyond them is sent late (default: as "
     "many as clients)"},
    {KEY_SPIN, "spin", NULL, FLAG, 0, 0, NULL, AT(spin), GROUP_OPEN,
     "Open loop: burn the last 100 us before each send, for cores that nobody else needs"},

    {KEY_TIME, "time", "DURATION", DURATION, NS_PER_MS, LOADER_TIME_NS_MAX, NULL, AT(time_ns),
     GROUP_OURS, "No request is begun later than this after the start"},
    {KEY_WARM_UP, "warm-up", "DURATION", DURATION, 0, LOADER_TIME_NS_MAX, "0s", AT(warm_up_ns),
     GROUP_OURS, "Requests of so long after the start are not in latencies and throughput"},
    {KEY_COOL_DOWN, "cool-down", "DURATION", DURATION, 0, LOADER_TIME_NS_MAX, "0s",
     AT(cool_down_ns), GROUP_OURS, "Nor are those of so long before the end, which must be known"},
    {KEY_PROTOCOL, "protocol", "replica|http|tcp-echo", CHOICE, 0, 0, "replica", AT(protocol),
     GROUP_TARGET,
     "What the system speaks. http and tcp-echo: a connection for each client; -k -s -v -e -p -w "
     "mean nothing to them"},
    {KEY_TARGET, "target", "HOST:PORT,...", TEXT, 0, 0, NULL, AT(target), GROUP_TARGET,
     "Servers, which the clients take in turn (default: the cluster file's containers of role "
     "replica, at their port named http or echo)"},
    {KEY_METHOD, "method", "GET|POST|PUT", CHOICE, 0, 0, "GET", AT(method), GROUP_TARGET,
     "http: the request; POST and PUT carry -d bytes"},
    {KEY_PATH, "path", "PATH", TEXT, 0, 0, "/", AT(path), GROUP_TARGET, "http: what is asked for"},

    {KEY_CLUSTER, "cluster", "FILE", TEXT, 0, 0, "/seatrial/cluster.yaml", AT(cluster_path),
     GROUP_OURS, "Where the replicas are"},
    {KEY_CLUSTER_KEYS, "cluster-keys", "DIR", TEXT, 0, 0, "/keys", AT(keys_path), GROUP_OURS,
     "Where `replica keygen' has put the cluster's keys"},
    {KEY_INSECURE, "insecure", NULL, FLAG, 0, 0, NULL, AT(insecure), GROUP_OURS,
     "Do without keys, as the replicas do then"},
    {KEY_CLIENT_AUTH, "client-auth", "macs|signature", CHOICE, 0, 0, "macs", AT(client_auth),
     GROUP_OURS, "How requests are authenticated; as the replicas want it"},
    {KEY_OUT, "out", "DIR", TEXT, 0, 0, "/seatrial/out", AT(out_path), GROUP_OURS,
     "Where load.json, acknowledged.json and requests.bin go"},
    {KEY_REQUEST_TIMEOUT, "request-timeout", "DURATION", DURATION, NS_PER_MS, 3600 * NS_PER_SEC,
     "10s", AT(request_timeout_ns), GROUP_OURS, "A request without a reply for so long has failed"},
    {KEY_CONNECT_TIMEOUT, "connect-timeout", "DURATION", DURATION, NS_PER_MS, 3600 * NS_PER_SEC,
     "10s", AT(connect_timeout_ns), GROUP_OURS,
     "Give up when the primary cannot be reached for so long, at the start or later"},
    {KEY_START, "start", "FILE", TEXT, 0, 0, "/seatrial/start", AT(start_path), GROUP_OURS,
     "With several loaders (SEATRIAL_LOADERS): where the time at which all begin will appear, in "
     "nanoseconds since 1970"},
    {KEY_START_TIMEOUT, "start-timeout", "DURATION", DURATION, NS_PER_MS, 3600 * NS_PER_SEC, "2m",
     AT(start_timeout_ns), GROUP_OURS, "Give up when none has appeared so long after connecting"},
    {KEY_THREADS, "threads", "NUMBER", NUMBER, 1, LOADER_THREADS_MAX, NULL, AT(threads), GROUP_OURS,
     "Threads, each with connections and a share of the clients of its own (default: one for each "
     "core that we may use, but not more than clients)"},
    {KEY_SEED, "seed", "NUMBER", NUMBER, 0, UINT64_MAX, NULL, AT(seed), GROUP_OURS,
     "Payload bytes, shapes, keys and client ids follow from it; the same seed twice against one "
     "chain repeats the clients' ids (default: a random one, which is printed)"},

    {KEY_METRICS, "metrics", "[ADDRESS:]PORT", TEXT, 0, 0, NULL, AT(metrics), GROUP_OURS,
     "Serve Prometheus metrics at /metrics while the load runs (on 127.0.0.1 unless an address is "
     "given; port 0: any, which is printed)"},

    {'o', "output", "FILE", TEXT, 0, 0, NULL, AT(merged_path), GROUP_OURS,
     "Of `loader merge': where the merged log goes"},

    {KEY_HELP, "help", NULL, WORD, 0, 0, NULL, 0, GROUP_LAST, "Print this help"},
    {KEY_VERSION, "version", NULL, WORD, 0, 0, NULL, 0, GROUP_LAST, "Print the version"},
};

enum { ROWS = sizeof rows / sizeof *rows };

static const struct row *row_of(int key) {
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].key == key)
            return &rows[i];
    return NULL;
}

/* The place of the text among the names between bars. */
static int set_choice(const char *names, const char *text, int *ret, struct error *err) {
    size_t size = strlen(text);
    int at = 0;
    for (const char *name = names; name; at++) {
        const char *bar = strchr(name, '|');
        size_t name_size = bar ? (size_t)(bar - name) : strlen(name);
        if (name_size == size && memcmp(name, text, size) == 0) {
            *ret = at;
            return 0;
        }
        name = bar ? bar + 1 : NULL;
    }
    return error_set(err, ERROR_INVALID, "'%.64s' is none of %s", text, names);
}

/* Understood when all letters are known. */
static int keep_shape(const char *text, struct options *o, struct error *err) {
    if (o->shapes_count == LOADER_SHAPES_MAX)
        return error_set(err, ERROR_INVALID, "there are more than %d shapes", LOADER_SHAPES_MAX);
    o->shapes[o->shapes_count++] = text;
    return 0;
}

static int set_value(const struct row *row, const char *text, struct options *o,
                     struct error *err) {
    void *field = (char *)o + row->at;
    switch (row->kind) {
    case NUMBER: return text_to_u64(text, row->min, row->max, field, err);
    case TEXT:
        if (!*text)
            return error_set(err, ERROR_INVALID, "the text is empty");
        *(const char **)field = text;
        return 0;
    case DURATION: break;
    case RATE: rate_deinit(field); return rate_parse(text, field, err);
    case CHOICE: return set_choice(row->argument, text, field, err);
    case FLAG: *(bool *)field = true; return 0;
    case SHAPE: return keep_shape(text, o, err);
    case SKEW: return keys_skew_parse(text, field, err);
    case WORD: return 0;
    }
    uint64_t ns;
    if (text_to_duration_ns(text, &ns, err) < 0)
        return -1;
    if (ns < row->min || ns > row->max)
        return error_set(err, ERROR_INVALID, "'%.64s' is not a duration from %s to %s", text,
                         row->min ? "1ms" : "0s", row->max > 3600 * NS_PER_SEC ? "30 days" : "1h");
    *(uint64_t *)field = ns;
    return 0;
}

static struct options presets(void) {
    struct options o = {.command = OPTIONS_RUN};
    for (size_t i = 0; i < ROWS; i++) {
        struct error err = ERROR_NULL;
        if (rows[i].preset && set_value(&rows[i], rows[i].preset, &o, &err) < 0)
            abort(); /* the table contradicts itself */
    }
    return o;
}

struct parse {
    struct options *options;
    struct error *err;
    bool given[ROWS];
    int words; /* that are not options, so far */
    int next;  /* where the parser stood when it failed */
};

static bool is_letter(int key) {
    return key > ' ' && key < 127;
}

static error_t take_option(const struct row *row, const char *text, struct parse *p) {
    p->given[row - rows] = true;
    if (row->key == KEY_HELP)
        p->options->command = OPTIONS_HELP;
    if (row->key == KEY_VERSION)
        p->options->command = OPTIONS_VERSION;
    if (set_value(row, text, p->options, p->err) == 0)
        return 0;
    p->err->kind = ERROR_USAGE;
    if (is_letter(row->key))
        error_wrap(p->err, "option -%c (--%s)", row->key, row->name);
    else
        error_wrap(p->err, "option --%s", row->name);
    return EINVAL;
}

/* Words that choose what is done, and how many files follow. */
static const struct command {
    const char *name;
    enum options_command command;
    size_t files_max;
    int keys[8]; /* options that it knows, 0 behind the last */
} commands[] = {
    {"export", OPTIONS_EXPORT, 1, {0}},
    {"import",
     OPTIONS_IMPORT,
     1,
     {'b', KEY_OUT, KEY_RATE, KEY_ARRIVAL, KEY_WARM_UP, KEY_COOL_DOWN, 0}},
    {"merge", OPTIONS_MERGE, LOADER_FILES_MAX, {'o', 0}},
    {"summarize", OPTIONS_SUMMARIZE, LOADER_FILES_MAX, {0}},
};
enum { COMMANDS = sizeof commands / sizeof *commands };

static const struct command *command_of(enum options_command command) {
    for (size_t i = 0; i < COMMANDS; i++)
        if (commands[i].command == command)
            return &commands[i];
    return NULL;
}

static error_t take_word(const char *word, struct parse *p) {
    struct options *o = p->options;
    if (p->words++ == 0) {
        for (size_t i = 0; i < COMMANDS; i++)
            if (text_equal(word, commands[i].name)) {
                o->command = commands[i].command;
                return 0;
            }
    } else if (command_of(o->command) && o->files_count < command_of(o->command)->files_max) {
        o->files[o->files_count++] = word;
        return 0;
    }
    error_set(p->err, ERROR_USAGE, "unexpected argument '%.64s'", word);
    return EINVAL;
}

static bool knows(const struct command *c, int key) {
    for (const int *k = c->keys; *k; k++)
        if (*k == key)
            return true;
    return key == 'o'; /* whose own complaint is better */
}

/* Files where files are needed, and no options that would do nothing. */
static int check_command(const struct parse *p, struct error *err) {
    const struct options *o = p->options;
    const struct command *c = command_of(o->command);
    for (size_t i = 0; c && i < ROWS; i++)
        if (p->given[i] && !knows(c, rows[i].key))
            return error_set(err, ERROR_USAGE, "option --%s is of a load, not of `loader %s'",
                             rows[i].name, c->name);
    if (c && o->files_count == 0)
        return error_set(err, ERROR_USAGE, "%s: no file is named", c->name);
    if (o->command == OPTIONS_MERGE && !o->merged_path)
        return error_set(err, ERROR_USAGE, "merge: -o must say where the merged log goes");
    if (o->command != OPTIONS_MERGE && o->merged_path)
        return error_set(err, ERROR_USAGE, "option -o (--output) is of `loader merge'");
    return 0;
}

static error_t parse_one(int key, char *argument, struct argp_state *state) {
    struct parse *p = state->input;
    if (key == ARGP_KEY_ERROR)
        p->next = state->next;
    if (key == ARGP_KEY_ARG)
        return take_word(argument, p);
    const struct row *row = row_of(key);
    return row ? take_option(row, argument, p) : ARGP_ERR_UNKNOWN;
}

/* argp would print its own complaint; ours is an error like all others. Says whether `word` is one
 * that getopt cannot have accepted. */
static bool explain(const char *word, struct error *err) {
    const char *names[ROWS];
    if (word[0] != '-' || !word[1])
        return false;
    if (word[1] != '-') {
        const struct row *row = is_letter(word[1]) ? row_of(word[1]) : NULL;
        if (!row)
            error_set(err, ERROR_USAGE, "unknown option '-%c'", word[1]);
        else if (row->argument && !word[2])
            error_set(err, ERROR_USAGE, "option -%c (--%s) needs a value", row->key, row->name);
        return err->kind != ERROR_NONE;
    }
    cleanup_free char *name = text_dup(word + 2);
    char *value = strchr(name, '=');
    if (value)
        *value++ = '\0';
    for (size_t i = 0; i < ROWS; i++) {
        names[i] = rows[i].name;
        if (!text_equal(name, rows[i].name))
            continue;
        if (rows[i].argument && !value)
            error_set(err, ERROR_USAGE, "option --%s needs a value", name);
        else if (!rows[i].argument && value)
            error_set(err, ERROR_USAGE, "option --%s takes no value", name);
        return err->kind != ERROR_NONE;
    }
    error_set(err, ERROR_USAGE, "unknown or ambiguous option '--%.64s'", name);
    const char *nearest = text_nearest(name, names, ROWS);
    if (nearest)
        error_hint(err, "did you mean --%s?", nearest);
    return true;
}

static void explain_failure(int argc, char **argv, int next, struct error *err) {
    for (int i = next - 1; i <= next; i++)
        if (i > 0 && i < argc && explain(argv[i], err))
            return;
    error_set(err, ERROR_USAGE, "the command line cannot be understood");
}

static char *help_with_preset(int key, const char *text, void *input) {
    (void)input;
    const struct row *row = row_of(key);
    if (row && row->preset && text)
        return text_format("%s (default: %s)", text, row->preset);
    return (char *)(uintptr_t)text; /* argp gives back what it was given */
}

static const char usage[] = "\nexport FILE\nimport FILE\nmerge FILE... -o FILE\nsummarize FILE...";
static const char manual[] =
    "Sends requests to a cluster of replicas and measures how long each takes.\v"
    "Closed loop (the default): every client of the pool sends its next request when its last one "
    "was answered. Open loop (--rate): requests are sent when they are due, whatever became of "
    "others, and latencies count from when they were due. The load ends after -b requests, after "
    "--time, or with the rate's last phase, whichever comes first; -b 0 and none of the others: "
    "when a signal says so. With no arguments at all, the words of SEATRIAL_LOADER_ARGS are the "
    "arguments.\n\n"
    "`loader export FILE' prints a requests.bin as CSV. `loader import FILE' takes such CSV, of "
    "whatever generator, and leaves load.json and latency.hlog in --out; it knows -b, --rate, "
    "--arrival, --warm-up and --cool-down. `loader merge' makes one log of several "
    "latency.hlog, `loader summarize' prints the percentiles of all that is in them: exactly; of a "
    "requests.bin it says what became of its requests, too.\n\n"
    "Exit status: 0 all requests were acknowledged; 1 they were not, or not sent as asked; 2 the "
    "command line is wrong; "
    "3 a file is wrong; 130 or 143 interrupted.";

static void argp_table(struct argp_option table[ROWS + 1]) {
    memset(table, 0, (ROWS + 1) * sizeof *table);
    for (size_t i = 0; i < ROWS; i++)
        table[i] = (struct argp_option){.name = rows[i].name,
                                        .key = rows[i].key,
                                        .arg = rows[i].argument,
                                        .doc = rows[i].help,
                                        .group = rows[i].group};
}

/* What one protocol alone knows is not ignored by the others. */
static int check_protocol(const struct parse *p, struct error *err) {
    static const char of_replicas[] = "kvsepwf";
    const struct options *o = p->options;
    for (size_t i = 0; i < ROWS; i++) {
        int key = rows[i].key;
        bool shape = is_letter(key) && strchr(of_replicas, key);
        if (p->given[i] && shape && o->protocol != PROTOCOL_REPLICA)
            return error_set(err, ERROR_USAGE, "option -%c (--%s) is of --protocol replica", key,
                             rows[i].name);
        if (p->given[i] && rows[i].group == GROUP_MIX && o->protocol != PROTOCOL_REPLICA)
            return error_set(err, ERROR_USAGE, "option --%s is of --protocol replica",
                             rows[i].name);
        if (p->given[i] && (key == KEY_METHOD || key == KEY_PATH) && o->protocol != PROTOCOL_HTTP)
            return error_set(err, ERROR_USAGE, "option --%s needs --protocol http", rows[i].name);
        if (p->given[i] && key == KEY_TARGET && o->protocol == PROTOCOL_REPLICA)
            return error_set(err, ERROR_USAGE,
                             "option --target needs --protocol http or tcp-echo: replicas are "
                             "found by --cluster");
    }
    if (o->protocol == PROTOCOL_ECHO && o->payload_size == 0)
        return error_set(err, ERROR_USAGE, "--protocol tcp-echo needs a payload: -d 1 or more");
    if (o->path[0] != '/' || strpbrk(o->path, " \t\r\n"))
        return error_set(err, ERROR_USAGE, "--path must begin with '/' and have no spaces");
    return 0;
}

/* What one model alone knows is not ignored by the other. */
static int check_model(const struct parse *p, struct error *err) {
    bool open = p->given[row_of(KEY_RATE) - rows];
    for (size_t i = 0; i < ROWS; i++) {
        if (p->given[i] && rows[i].group == GROUP_OPEN && !open)
            return error_set(err, ERROR_USAGE, "option --%s needs --rate", rows[i].name);
        if (p->given[i] && rows[i].key == 'c' && open) {
            error_set(err, ERROR_USAGE, "option -c (--%s) is of the closed loop", rows[i].name);
            return error_hint(err, "with --rate, say --clients or --in-flight-max");
        }
    }
    return 0;
}

/* The letters are the shape of all requests, or what the others are said to differ from. */
static int make_mix(struct options *o, struct error *err) {
    const struct shape letters = {.key_count = o->keys,
                                  .key_size = o->key_size,
                                  .value_size = o->value_size,
                                  .payload_size = options_payload_size(o),
                                  .execution_ms = o->execution_ms,
                                  .pre_execute = o->pre_execute,
                                  .busy_wait = o->busy_wait,
                                  .read_count = o->read_keys};
    o->mix = (struct mix){.key_space = o->key_space, .skew = o->key_skew};
    if (o->shapes_count > 0 && o->reads > 0)
        return error_set(err, ERROR_USAGE, "with --shape, shapes say `read' instead of --reads");
    for (size_t i = 0; i < o->shapes_count; i++)
        if (mix_add(&o->mix, o->shapes[i], &letters, err) < 0)
            return error_wrap(err, "option --shape");
    if (o->shapes_count == 0)
        mix_add_reads(&o->mix, &letters, o->reads);
    return mix_check(&o->mix, err);
}

/* What follows from other options. */
static void conclude(const struct parse *p) {
    struct options *o = p->options;
    o->seed_given = p->given[row_of(KEY_SEED) - rows];
    bool open = p->given[row_of(KEY_RATE) - rows];
    bool ends = o->time_ns > 0 || (open && rate_end_ns(&o->rate) != UINT64_MAX);
    if ((ends || o->command == OPTIONS_IMPORT) && !p->given[row_of('b') - rows])
        o->requests = 0;
    if (open)
        o->concurrency = o->clients;
    if (o->in_flight_max == 0 || o->in_flight_max > o->clients)
        o->in_flight_max = o->clients;
}

const char *options_protocol_name(enum options_protocol protocol) {
    static const char *const names[] = {"replica", "http", "tcp-echo"};
    return names[protocol];
}

const char *options_method_name(enum options_method method) {
    static const char *const names[] = {"GET", "POST", "PUT"};
    return names[method];
}

uint64_t options_payload_size(const struct options *o) {
    return o->protocol == PROTOCOL_HTTP && o->method == METHOD_GET ? 0 : o->payload_size;
}

bool options_open(const struct options *o) {
    return o->rate.count > 0;
}

double options_rate_at(const struct options *o, uint64_t at_ns) {
    return rate_at(&o->rate, at_ns) / (o->loaders ? o->loaders : 1);
}

bool options_until_told(const struct options *o) {
    return o->requests == 0 && o->time_ns == 0 &&
           !(options_open(o) && rate_end_ns(&o->rate) != UINT64_MAX);
}

uint64_t options_span_ns(const struct options *o) {
    if (!options_open(o))
        return o->time_ns ? o->time_ns : UINT64_MAX;
    const struct arrivals_config config = {.rate = &o->rate,
                                           .model = o->arrival,
                                           .requests = o->requests ? o->requests : UINT64_MAX,
                                           .end_ns = o->time_ns ? o->time_ns : UINT64_MAX};
    return arrivals_span_ns(&config);
}

/* Whether they leave something to measure. */
static int check_windows(const struct options *o, struct error *err) {
    uint64_t span_ns = options_span_ns(o);
    if (o->command == OPTIONS_IMPORT)
        return 0; /* how long it was will be seen */
    if (o->cool_down_ns > 0 && span_ns == UINT64_MAX)
        return error_set(err, ERROR_USAGE, "option --cool-down needs an end that is known before");
    if (o->warm_up_ns + o->cool_down_ns >= span_ns)
        return error_set(err, ERROR_USAGE, "--warm-up and --cool-down leave nothing to measure");
    return 0;
}

void options_deinit(struct options *o) {
    rate_deinit(&o->rate);
}

int options_parse(int argc, char **argv, struct options *ret, struct error *err) {
    struct argp_option table[ROWS + 1];
    argp_table(table);
    const struct argp argp = {.options = table, .parser = parse_one};
    cleanup(options_deinit) struct options options = presets();
    struct parse p = {.options = &options, .err = err};
    if (argp_parse(&argp, argc, argv, ARGP_SILENT | ARGP_IN_ORDER, NULL, &p) != 0) {
        if (err->kind == ERROR_NONE)
            explain_failure(argc, argv, p.next, err);
        return error_hint(err, "`loader --help' lists the options");
    }
    if (check_command(&p, err) < 0)
        return -1;
    if (check_model(&p, err) < 0 || check_protocol(&p, err) < 0)
        return error_hint(err, "`loader --help' lists the options");
    conclude(&p);
    if (make_mix(&options, err) < 0)
        return error_hint(err, "`loader --help' lists the options");
    if (check_windows(&options, err) < 0)
        return error_hint(err, "the end is known by --time, or by the --rate and its -b or phases");
    *ret = options;
    options.rate = RATE_NULL;
    return 0;
}

void options_print_help(FILE *to) {
    struct argp_option table[ROWS + 1];
    argp_table(table);
    const struct argp argp = {.options = table,
                              .parser = parse_one,
                              .args_doc = usage,
                              .doc = manual,
                              .help_filter = help_with_preset};
    char name[] = "loader";
    argp_help(&argp, to, ARGP_HELP_LONG | ARGP_HELP_USAGE | ARGP_HELP_DOC, name);
}
