/*
 * An engine that is polite until the runner relies on it, for tests of the whole command:
 *
 *     bad_engine BEHAVIOUR
 *
 * prints DOCKER_HOST=unix://... and plays its part until stdin ends. Behaviours are the table
 * below.
 */

#include "lib/text.h"
#include "tests/fake/fake.h"

#include <stdio.h>
#include <unistd.h>

/* clang-format off */
#define POLITE                                                                                     \
    FAKE_EXPECT("GET /_ping"),                                                                     \
    FAKE_SEND("HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK"),              \
    FAKE_EXPECT("GET /v1.41/info"),                                                                \
    FAKE_ANSWER("200 OK", "{\"ID\":\"x\",\"Name\":\"h\",\"ServerVersion\":\"20.10\",\"NCPU\":2}"), \
    FAKE_EXPECT("GET /v1.41/containers/json")

static const struct fake_step stalls[] = {POLITE, FAKE_STALL(), FAKE_END()};
static const struct fake_step closes[] = {
    POLITE, FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{"), FAKE_CLOSE(), FAKE_END()};
static const struct fake_step floods[] = {
    POLITE, FAKE_SEND("HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n[\""),
    FAKE_REPEAT("x", UINT64_C(10000000000)), FAKE_END()};
static const struct fake_step lies[] = {
    POLITE, FAKE_ANSWER("200 OK", "[{\"Id\": 7}]"), FAKE_END()};
static const struct fake_step fails[] = {
    POLITE, FAKE_ANSWER("500 Internal Server Error", "{\"message\":\"layer store is \\u001b[31mbroken\"}"),
    FAKE_END()};
/* clang-format on */

static const struct {
    const char *name;
    const struct fake_step *script;
} behaviours[] = {
    {"stalls", stalls}, {"closes", closes}, {"floods", floods}, {"lies", lies}, {"fails", fails},
};

int main(int argc, char **argv) {
    const struct fake_step *script = NULL;
    for (size_t i = 0; i < sizeof behaviours / sizeof *behaviours; i++)
        if (argc == 2 && text_equal(argv[1], behaviours[i].name))
            script = behaviours[i].script;
    if (!script) {
        fprintf(stderr, "usage: bad_engine stalls|closes|floods|lies|fails\n");
        return 2;
    }
    struct fake *fake = fake_start(script);
    printf("DOCKER_HOST=unix://%s\n", fake_socket(fake));
    fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    fake_finish(fake);
    return 0;
}
